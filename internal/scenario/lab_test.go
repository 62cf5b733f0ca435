// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"math"
	"net/netip"
	"testing"

	"foliot/internal/engine"
	"foliot/internal/sim"
	"foliot/internal/source"
)

// lab is a client and its servers, over links as in row a.
type lab struct {
	t       *testing.T
	w       *sim.World
	servers []*sim.Server
	node    *sim.Node
	events  map[engine.EventKind]int
	last    map[engine.EventKind]engine.Event
}

// plan says what is special about a lab.
type plan struct {
	start   int64 // Unix seconds, 0 = sim.Epoch
	servers int   // 0 = 1
	variant Variant
	delay   sim.Delay
	server  func(i int, s *sim.Server)
	host    func(h *sim.Host)
}

func newLab(t *testing.T, p plan) *lab {
	t.Helper()
	if p.start == 0 {
		p.start = sim.Epoch
	}
	if p.delay == nil {
		p.delay = near
	}
	l := &lab{
		t: t, w: sim.NewAt(1, p.start),
		events: make(map[engine.EventKind]int), last: make(map[engine.EventKind]engine.Event),
	}
	var addrs []netip.Addr
	for i := range max(p.servers, 1) {
		s := &sim.Server{Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + i)})}
		if p.server != nil {
			p.server(i, s)
		}
		l.servers = append(l.servers, l.w.Serve(s))
		l.w.Connect(clientAddr, s.Addr, sim.Link{Delay: p.delay}, sim.Link{Delay: p.delay})
		addrs = append(addrs, s.Addr)
	}
	h := sim.Host{
		Addr: clientAddr, Oscillator: crystal(1e-10), Offset: startOffset, Kernel: true,
		Engine: p.variant.engine(clientAddr, true, addrs...),
		OnEvent: func(_ float64, ev *engine.Event) {
			l.events[ev.Kind]++
			l.last[ev.Kind] = *ev
		},
	}
	if p.host != nil {
		p.host(&h)
	}
	l.node = l.w.Add(h)
	return l
}

// run simulates until the true time t in seconds and returns the largest error of
// the clock on the way, looked at half way between whole seconds.
func (l *lab) run(t float64) (worst float64) {
	for l.w.Now() < t {
		l.w.Run(math.Floor(l.w.Now()+0.5) + 0.5)
		worst = max(worst, math.Abs(l.node.Error()))
	}
	return worst
}

// below fails the test if got is not below limit.
func (l *lab) below(what string, got, limit float64) {
	l.t.Helper()
	if !(got < limit) {
		l.t.Errorf("%s: %.3g, want below %.3g", what, got, limit)
	}
}

// assoc returns the first association.
func (l *lab) assoc() *source.Association {
	for _, a := range l.node.Engine.Associations() {
		return a
	}
	l.t.Fatal("no association")
	return nil
}

const (
	minute = 60.0
	hour   = 3600.0
)
