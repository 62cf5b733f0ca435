// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"foliot/internal/state"
)

// encoding is a format that scrapes are answered in. The two that we write
// ourselves exist for speed: what a thousand sources have to say takes
// Prometheus's registry a hundred milliseconds. Labels are rendered once for
// each source, not for each sample.
type encoding interface {
	begin(f *family)
	end()
	render(names, values []string) string
	// sample adds a sample; labels and more were rendered, each may be empty.
	sample(f *family, labels, more string, v float64)
	spread(f *family, d *spread)
}

// walker goes through the tables with one state.
type walker struct {
	s      *state.State
	to     encoding
	labels map[*scheme][]string // of each source, rendered
}

// walk writes the samples of all families.
func walk(all []family, s *state.State, to encoding) {
	w := walker{s, to, make(map[*scheme][]string, 2)}
	for i := range all {
		f := &all[i]
		if f.when != nil && !f.when(s) || f.scheme != nil && len(s.Sources) == 0 {
			continue
		}
		to.begin(f)
		w.family(f)
		to.end()
	}
}

func (w *walker) family(f *family) {
	switch {
	case f.value != nil:
		w.to.sample(f, "", "", f.value(w.s))
	case f.each != nil:
		f.each(w.s, func(x sample) { w.to.sample(f, w.to.render(f.labels, x.labels), "", x.value) })
	case f.spread != nil:
		d := f.spread(w.s)
		w.to.spread(f, &d)
	case f.states != nil:
		w.states(f)
	default:
		w.sources(f)
	}
}

// of returns the labels of each source in a scheme, "" for a source that the
// scheme does not tell from one before: it would make a whole scrape invalid.
func (w *walker) of(c *scheme) []string {
	if list := w.labels[c]; list != nil {
		return list
	}
	list := make([]string, len(w.s.Sources))
	seen := make(map[string]bool, len(list))
	for i := range list {
		labels := w.to.render(c.labels, c.values(&w.s.Sources[i]))
		if !seen[labels] {
			seen[labels] = true
			list[i] = labels
		}
	}
	w.labels[c] = list
	return list
}

func (w *walker) sources(f *family) {
	for i, labels := range w.of(f.scheme) {
		x := &w.s.Sources[i]
		if labels == "" || f.none != nil && f.none(x) {
			continue
		}
		more := ""
		if f.more != nil {
			more = w.to.render(f.labels, f.more(x))
		}
		w.to.sample(f, labels, more, f.source(x))
	}
}

func (w *walker) states(f *family) {
	names := make([]string, len(f.states))
	for j, name := range f.states {
		names[j] = w.to.render([]string{"state"}, []string{name})
	}
	for i, labels := range w.of(f.scheme) {
		if labels == "" {
			continue
		}
		now := f.in(&w.s.Sources[i])
		for j, name := range names {
			w.to.sample(f, labels, name, truth(j == now))
		}
	}
}
