// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"math"
	"net/netip"
	"testing"

	"foliot/internal/config"
	"foliot/internal/setup"
	"foliot/internal/sim"
)

// TestPeers: two peers, one of which has a server. The other gets its time from
// the first, and the first does not follow it back.
func TestPeers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		xleave bool
		limit  float64
	}{{"basic", false, 30e-6}, {"interleaved", true, 30e-6}} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := netip.AddrFrom4([4]byte{10, 0, 0, 21}), netip.AddrFrom4([4]byte{10, 0, 0, 22})
			w := sim.New(3)
			w.Serve(&sim.Server{Addr: serverAddr})
			for _, pair := range [][2]netip.Addr{{a, serverAddr}, {a, b}} {
				w.Connect(pair[0], pair[1], sim.Link{Delay: near}, sim.Link{Delay: near})
			}
			first := addPeer(w, a, b, tt.xleave, serverAddr)
			second := addPeer(w, b, a, tt.xleave)
			w.Run(2 * hour)
			worst := 0.0
			for w.Now() < 6*hour {
				w.Run(w.Now() + 1)
				worst = max(worst, math.Abs(second.Error()))
			}
			if !(worst < tt.limit) {
				t.Errorf("error of the second peer: %.3g, want below %.3g", worst, tt.limit)
			}
			if s := first.Snapshot.Stratum; s != 2 {
				t.Errorf("stratum of the first peer: %d, want 2", s)
			}
			if s := second.Snapshot.Stratum; s != 3 {
				t.Errorf("stratum of the second peer: %d, want 3", s)
			}
			for ref, as := range second.Engine.Associations() {
				r, ok := as.Report()
				if !ok || r.Interleaved != tt.xleave {
					t.Errorf("last packet from %s: %+v, want interleaved %v", ref.Name, r, tt.xleave)
				}
				if reach, _ := as.Reach(); reach != 0xff {
					t.Errorf("reach of %s: %#o, want 377", ref.Name, reach)
				}
			}
		})
	}
}

// addPeer adds a node that is a peer of other and a client of the servers.
func addPeer(w *sim.World, addr, other netip.Addr, xleave bool, servers ...netip.Addr) *sim.Node {
	c := config.Default()
	c.Clock.StepThreshold, c.Clock.StepLimit = 1, 3
	p := config.DefaultSource(config.KindPeer, other.String())
	p.MinPoll, p.MaxPoll, p.XLeave = 4, 6, xleave
	c.Sources = append(c.Sources, p)
	for _, a := range servers {
		s := config.DefaultSource(config.KindServer, a.String())
		s.MinPoll, s.MaxPoll, s.IBurst = 4, 6, true
		c.Sources = append(c.Sources, s)
	}
	c.Server.Access = []config.AccessRule{{Allow: true, Everything: true}}
	return w.Add(sim.Host{
		Addr: addr, Oscillator: crystal(1e-10), Offset: startOffset, Kernel: true,
		Engine: setup.Engine(c, &setup.Files{}, &setup.Machine{Quantum: 1e-9, Controlled: true, Seed: uint64(addr.As4()[3])}),
	})
}
