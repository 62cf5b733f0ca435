// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"foliot/internal/state"
)

// collector shows the state to a registry of Prometheus's library, which is what
// our own writers are compared with: it checks, and is a hundred times slower.
type collector struct {
	state func() *state.State
	all   []family
	descs []*prometheus.Desc // of all, in the same order
}

func newCollector(get func() *state.State, all []family) *collector {
	c := &collector{state: get, all: all}
	for i := range all {
		f := &all[i]
		c.descs = append(c.descs, prometheus.NewDesc(f.name, f.help, f.names(), nil))
	}
	return c
}

// Describe sends the descriptions of all families.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect sends the samples of all families.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.state()
	for i := range c.all {
		f := &c.all[i]
		if f.when == nil || f.when(s) {
			f.collect(s, c.descs[i], ch)
		}
	}
}

// collect sends the samples of one family.
func (f *family) collect(s *state.State, desc *prometheus.Desc, ch chan<- prometheus.Metric) {
	kind := prometheus.GaugeValue
	if f.kind == counter {
		kind = prometheus.CounterValue
	}
	put := func(v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, kind, v, labels...)
	}
	switch {
	case f.value != nil:
		put(f.value(s))
	case f.each != nil:
		f.each(s, func(x sample) { put(x.value, x.labels...) })
	case f.spread != nil:
		ch <- spreadMetric{desc, f.spread(s)}
	default:
		for i := range s.Sources {
			f.collectSource(&s.Sources[i], put)
		}
	}
}

func (f *family) collectSource(x *state.Source, put func(float64, ...string)) {
	if f.none != nil && f.none(x) {
		return
	}
	labels := f.scheme.values(x)
	if f.states == nil {
		if f.more != nil {
			labels = append(labels, f.more(x)...)
		}
		put(f.source(x), labels...)
		return
	}
	now := f.in(x)
	for j, name := range f.states {
		put(truth(j == now), append(labels[:len(labels):len(labels)], name)...)
	}
}

// spreadMetric is a spread as a metric.
type spreadMetric struct {
	desc *prometheus.Desc
	d    spread
}

func (s spreadMetric) Desc() *prometheus.Desc { return s.desc }

func (s spreadMetric) Write(m *dto.Metric) error {
	m.Histogram = histogramOf(&s.d)
	return nil
}
