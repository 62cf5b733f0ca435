// SPDX-License-Identifier: Apache-2.0

// Package metrics shows the daemon's state to Prometheus and everything that
// reads its formats. It computes nothing and asks nobody but the function that
// returns a [state.State]: no name is resolved for a scrape, and no lock is
// taken that packets wait for.
//
// The one concept is the family: a row of a table that names a metric, says what
// it means, and finds its samples in the state. Writers of our own turn the
// tables into the formats of scrapes, quick enough for a thousand sources;
// Prometheus's library holds histograms of what no state remembers, and what the
// runtime tells. Units are base units; signs are those of [foliot/internal/clock].
// The view of chrony_exporter is more rows.
package metrics

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"foliot/internal/state"
)

// Config is what a Metrics is made with.
type Config struct {
	State        func() *state.State // any goroutine may call it; nil is returned when the daemon ends
	CompatChrony bool                // chrony_exporter's names too
}

// Metrics is what is exposed.
type Metrics struct {
	state    func() *state.State
	families atomic.Pointer[[]family]
	observer *observer
	rest     *prometheus.Registry // what is not in the state: histograms, runtime, process
	turn     chan struct{}        // one element for each scrape under way
	buffers  sync.Pool            // *[]byte
}

// maxScrapes is how many scrapes are under way at the same time, which bounds
// their memory: a Prometheus server makes one at a time.
const maxScrapes = 4

// New returns metrics of the state that c.State returns.
func New(c Config) *Metrics {
	m := &Metrics{
		state: c.State, observer: newObserver(),
		rest: prometheus.NewRegistry(), turn: make(chan struct{}, maxScrapes),
	}
	m.CompatChrony(c.CompatChrony)
	for _, x := range []prometheus.Collector{
		m.observer.offset, m.observer.delay, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		m.rest.MustRegister(x)
	}
	return m
}

// CompatChrony turns the names of chrony_exporter on or off.
func (m *Metrics) CompatChrony(on bool) {
	all := families(on)
	m.families.Store(&all)
}

// families returns all tables.
func families(compatChrony bool) (all []family) {
	for _, part := range [...]func() []family{
		aboutDaemon, aboutTracking, aboutControl, aboutKernel, aboutSources, aboutServer, aboutPrograms,
	} {
		all = append(all, part()...)
	}
	if compatChrony {
		all = append(all, likeExporter()...)
	}
	return all
}

// ServeHTTP answers a scrape in the format that it asks for.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	default:
		http.Error(w, "too many scrapes at once", http.StatusServiceUnavailable)
		return
	}
	format := expfmt.NegotiateAccept(r.Header, formats...)
	buf, _ := m.buffers.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	defer m.buffers.Put(buf)
	body, err := m.AppendTo((*buf)[:0], format)
	*buf = body
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", string(format))
	w.Write(body) // a scraper that went away needs no answer
}

var errEnding = errors.New("the daemon is about to end")

// formats are what we can write. Whoever takes everything, as browsers do, gets
// the first.
var formats = []expfmt.Format{
	expfmt.NewFormat(expfmt.TypeTextPlain), expfmt.NewFormat(expfmt.TypeOpenMetrics), expfmt.NewFormat(expfmt.TypeProtoDelim),
}

// AppendTo appends all metrics to b in a format of text or of delimited protobuf.
func (m *Metrics) AppendTo(b []byte, format expfmt.Format) ([]byte, error) {
	s := m.state()
	if s == nil {
		return b, errEnding
	}
	if kind := format.FormatType(); kind == expfmt.TypeTextPlain || kind == expfmt.TypeOpenMetrics {
		t := &text{b: b, open: kind == expfmt.TypeOpenMetrics}
		walk(*m.families.Load(), s, t)
		err := encode(t, m.rest, format)
		return t.b, err
	}
	p := &binary{b: b}
	walk(*m.families.Load(), s, p)
	err := encode(p, m.rest, format)
	return p.b, errors.Join(p.err, err)
}

// twice is a family of Go's runtime that OpenMetrics has no place for beside the
// counter go_memstats_alloc_bytes_total, whose name there is the same. What it
// says go_memstats_heap_alloc_bytes says too.
const twice = "go_memstats_alloc_bytes"

// encode writes what a registry gathers.
func encode(w io.Writer, from prometheus.Gatherer, format expfmt.Format) error {
	list, err := from.Gather()
	if err != nil {
		return err
	}
	e := expfmt.NewEncoder(w, format)
	for _, f := range list {
		if f.GetName() == twice && format.FormatType() == expfmt.TypeOpenMetrics {
			continue
		}
		if err := e.Encode(f); err != nil {
			return err
		}
	}
	if c, ok := e.(expfmt.Closer); ok {
		return c.Close()
	}
	return nil
}
