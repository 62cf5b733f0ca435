// SPDX-License-Identifier: Apache-2.0

package chronyconf

import "strings"

// option is one option of a directive.
type option struct {
	flag bool // stands alone, no value follows
	set  setter
}

// flag returns an option that stores true.
func flag(to *bool) option {
	return option{flag: true, set: func(string) *valueError {
		*to = true
		return nil
	}}
}

// value returns an option whose value is the next word.
func value(set setter) option { return option{set: set} }

// options reads words as options. It returns those that were there, lower case.
func (s *statement) options(words []string, known map[string]option) (map[string]bool, error) {
	seen := make(map[string]bool)
	for len(words) > 0 {
		name := strings.ToLower(words[0])
		o, ok := known[name]
		if !ok {
			return nil, s.badOption("%s%s", words[0], prefixed(didYouMean(name, keys(known))))
		}
		word := ""
		words = words[1:]
		if !o.flag {
			if len(words) == 0 {
				return nil, s.badOption("%s needs a value", name)
			}
			word, words = words[0], words[1:]
		}
		if e := o.set(word); e != nil {
			return nil, s.badOptionValue(name, e)
		}
		seen[name] = true
	}
	return seen, nil
}

func prefixed(hint string) string {
	if hint == "" {
		return ""
	}
	return ", " + hint
}
