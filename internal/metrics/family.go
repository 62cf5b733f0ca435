// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"strconv"
	"strings"

	"foliot/internal/responder"
	"foliot/internal/state"
)

// kind is the type of a family as exposition formats name it.
type kind string

const (
	gauge     kind = "gauge"
	counter   kind = "counter"
	histogram kind = "histogram"
)

// A family is one row of the tables: a metric's name, meaning and labels, and
// where in the state its samples are. Of value, each, source, states and stays
// exactly one is set.
type family struct {
	name, help string
	kind       kind
	labels     []string // beside those that scheme and states give

	value func(*state.State) float64             // the only sample
	each  func(*state.State, func(sample))       // any number of samples
	when  func(*state.State) bool                // tells whether there are samples; nil: always
	stays func(*state.State) responder.Residence // a histogram

	// Of sources, one sample each. none, if set, tells which have no sample, and
	// more the values of labels, which stand behind those of the scheme.
	scheme *scheme
	source func(*state.Source) float64
	none   func(*state.Source) bool
	more   func(*state.Source) []string
	// A sample each for every state that a source can be in: 1 if it is, else 0.
	states []string // values of the label state
	in     func(*state.Source) int
}

// sample is one value; the labels' values are in the order of their names.
type sample struct {
	value  float64
	labels []string
}

// scheme is a way to tell sources apart by labels.
type scheme struct {
	labels []string
	values func(*state.Source) []string
}

// native is foliot's scheme. A label without a value counts as missing, so that
// rack, where this machine is, and peer_rack, where the source is, are there when
// they were set.
var native = &scheme{
	[]string{"source", "address", "rack", "peer_rack"},
	func(s *state.Source) []string { return []string{s.Name, address(s), s.Home, s.Rack} },
}

// address is where a source is, with the port if that is not the usual one.
func address(s *state.Source) string {
	const usual = 123
	if !s.Addr.IsValid() {
		return "" // a reference clock
	}
	if s.Addr.Port() == usual || s.Addr.Port() == 0 {
		return s.Addr.Addr().String()
	}
	return s.Addr.String()
}

// names returns all label names of a family.
func (f *family) names() []string {
	var names []string
	if f.scheme != nil {
		names = append(names, f.scheme.labels...)
	}
	names = append(names, f.labels...)
	if f.states != nil {
		names = append(names, "state")
	}
	return names
}

// unit returns the unit that OpenMetrics names, "" for none: the last word of a
// name, but for what says that it is a counter.
func (f *family) unit() string {
	name := strings.TrimSuffix(f.name, "_total")
	last := name[strings.LastIndexByte(name, '_')+1:]
	if last == "seconds" || last == "ratio" {
		return last
	}
	return ""
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func decimal(n int) string { return strconv.Itoa(n) }

// one returns a family with one sample.
func one(k kind, name, help string, value func(*state.State) float64) family {
	return family{name: name, help: help, kind: k, value: value}
}

// onlyWhen returns the family with samples only when the condition holds.
func (f family) onlyWhen(cond func(*state.State) bool) family {
	f.when = cond
	return f
}

// stateSet returns a family with a sample for each of names: 1 for the one that
// is the case, else 0.
func stateSet(name, help string, names []string, in func(*state.State) int) family {
	return family{name: name, help: help, kind: gauge, labels: []string{"state"},
		each: func(s *state.State, put func(sample)) {
			now := in(s)
			for i, n := range names {
				put(sample{truth(i == now), []string{n}})
			}
		}}
}
