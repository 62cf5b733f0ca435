// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"maps"
	"slices"

	"foliot/internal/config"
)

// Directive is the name of a directive, for those who describe the language.
type Directive struct {
	Name   string
	NotYet bool // it is understood and has no effect yet
}

// Directives returns every directive, sorted by name.
func Directives() (list []Directive) {
	for _, name := range slices.Sorted(maps.Keys(newParser(nil).table)) {
		_, late := notYet[name]
		list = append(list, Directive{Name: name, NotYet: late})
	}
	return list
}

// SourceOptions returns the options of server, pool and peer, sorted.
func SourceOptions() []string {
	return slices.Sorted(maps.Keys(sourceOptions(new(config.Source))))
}
