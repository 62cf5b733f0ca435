// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/probe"
)

var watcher = netip.MustParseAddr("192.0.2.1")

// nth is the address of host i.
func nth(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 123)
}

// cluster is a world of hosts with clocks of known error, and one that measures
// them.
type cluster struct {
	w       *World
	servers []*Server
	specs   []probe.Spec
	p       *Prober
}

// path says how host i is reached.
func newCluster(seed uint64, n int, path func(i int, r *rand.Rand) (there, back Link)) *cluster {
	c := &cluster{w: New(seed)}
	r := rand.New(rand.NewPCG(seed, 5))
	for i := range n {
		at := nth(i)
		off, drift := 1e-4*r.NormFloat64(), 1e-7*r.NormFloat64()
		s := c.w.Serve(&Server{Addr: at.Addr(), Stratum: 2, Offset: func(t float64) float64 { return off + drift*t }})
		c.servers = append(c.servers, s)
		there, back := path(i, r)
		c.w.Connect(watcher, at.Addr(), there, back)
		c.specs = append(c.specs, probe.Spec{Addr: at})
	}
	return c
}

func (c *cluster) start(cfg probe.Config, fault func(float64) float64) {
	c.p = c.w.Probe(watcher, fault, cfg, c.specs)
}

// TestProberTruth: where the ways of a path may differ by all of its length, and
// where they differ by at most a fifth of it, each offset is within its bound in
// at least 99.9 % of all cases, and the bound is not wider than what it has to
// allow for: three times the difference that no measurement sees.
func TestProberTruth(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, tt := range []struct {
		name      string
		asymmetry float64
		jitter    float64 // of each way, seconds
	}{
		{"anything", 1, 5e-6}, {"a fifth", 0.2, 1e-6}, {"a fifth, noisy", 0.2, 5e-6}, {"quiet", 0.2, 5e-8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const hosts, worlds = 250, 8
			var bounds, errs, floors []float64
			wrong := 0
			for k := range worlds {
				c := newCluster(seed+uint64(k), hosts, func(i int, r *rand.Rand) (Link, Link) {
					way, a := 50e-6*(0.5+r.Float64()), tt.asymmetry*(2*r.Float64()-1)
					floors = append(floors, tt.asymmetry*way)
					return Link{Delay: Exponential(way*(1+a), tt.jitter), Loss: 0.02},
						Link{Delay: Exponential(way*(1-a), tt.jitter), Loss: 0.02}
				})
				ours := func(t float64) float64 { return 3e-4 - 2e-7*t }
				c.start(probe.Config{Poll: 1, Series: 64, Asymmetry: tt.asymmetry, Precision: 1e-9}, ours)
				c.w.Run(60)
				at := 30.0
				for i, s := range c.servers {
					r := c.p.Fleet.Result(i, clock.At[clock.Corrected](c.w.reading(at+ours(at)).Nanos()))
					if r.Reason != probe.Measured {
						t.Fatalf("host %d: %s", i, r.Reason)
					}
					e := math.Abs(float64(r.Offset) - (s.Fault(at) - ours(at)))
					if e > r.Bound {
						wrong++
					}
					bounds, errs = append(bounds, r.Bound), append(errs, e)
				}
			}
			slices.Sort(bounds)
			slices.Sort(errs)
			slices.Sort(floors)
			n := len(bounds)
			t.Logf("of %d: %d beyond the bound; bound median %.3g; error median %.3g, max %.3g; floor median %.3g",
				n, wrong, bounds[n/2], errs[n/2], errs[n-1], floors[n/2])
			if float64(wrong) > 0.001*float64(n) {
				t.Errorf("%d of %d offsets are beyond their bounds", wrong, n)
			}
			if tt.jitter < 5e-6 && bounds[n/2] > 3*floors[n/2] {
				t.Errorf("median bound %g, floor %g", bounds[n/2], floors[n/2])
			}
		})
	}
}

// TestProberKinds: each kind of host is called by its name.
func TestProberKinds(t *testing.T) {
	quick := func(int, *rand.Rand) (Link, Link) { return Link{Delay: Fixed(1e-4)}, Link{Delay: Fixed(1e-4)} }
	c := newCluster(1, 8, quick)
	c.servers[1].Dead = func(float64) bool { return true }
	c.servers[2].Kiss = ntp.KissRate
	c.servers[3].Kiss = ntp.KissDeny
	c.servers[4].Leap, c.servers[4].Stratum = ntp.LeapUnsync, 16
	c.servers[5].Offset = func(float64) float64 { return 10 * 365.25 * 86400 }
	c.servers[6].Tamper = func(_ float64, b []byte) { b[1] = 1; copy(b[24:32], make([]byte, 8)) }
	c.servers[7].Offset = func(t float64) float64 { return -30 * 365.25 * 86400 }
	c.start(probe.Config{Poll: 1, Count: 10, Series: 16, Asymmetry: 1, Precision: 1e-9}, nil)
	c.w.Run(60)
	if !c.p.Fleet.Done() {
		t.Error("the fleet is not done")
	}
	want := []probe.Reason{probe.Measured, probe.NoAnswer, probe.RateLimited, probe.Denied, probe.Unsynchronised, probe.Measured, probe.Useless, probe.Measured}
	for i, reason := range want {
		at := c.p.Now().Wall.Nanos()
		r := c.p.Fleet.Result(i, clock.At[clock.Corrected](at))
		if r.Reason != reason {
			t.Errorf("host %d: %q, want %q (%+v)", i, r.Reason, reason, r)
		}
		if reason == probe.Measured || reason == probe.Unsynchronised {
			if e := math.Abs(float64(r.Offset) - c.servers[i].Fault(60)); e > r.Bound && e > 1e-6 {
				t.Errorf("host %d is off by %g: %g, bound %g", i, c.servers[i].Fault(60), r.Offset, r.Bound)
			}
		}
	}
	if n := c.servers[2].Requests; n >= 10 || n < 2 {
		t.Errorf("a host that limits was asked %d times in 20 s", n)
	}
	if n := c.servers[3].Requests; n != 1 {
		t.Errorf("a host that refuses was asked %d times", n)
	}
	if r := c.p.Fleet.Result(0, clock.At[clock.Corrected](c.p.Now().Wall.Nanos())); r.Sent != 10 || r.Loss != 0 || r.Interleaved < 7 {
		t.Errorf("sent %d, lost %g, interleaved %d", r.Sent, r.Loss, r.Interleaved)
	}
	if r := c.p.Fleet.Result(1, clock.At[clock.Corrected](c.p.Now().Wall.Nanos())); r.Loss != 1 {
		t.Errorf("a dead host lost %g", r.Loss)
	}
}

// TestProberJump: a step of our own clock does not become an offset of theirs.
func TestProberJump(t *testing.T) {
	c := newCluster(2, 3, func(int, *rand.Rand) (Link, Link) { return Link{Delay: Fixed(1e-4)}, Link{Delay: Fixed(1e-4)} })
	step := func(t float64) float64 {
		if t > 31 {
			return 0.25
		}
		return 0
	}
	c.start(probe.Config{Poll: 1, Series: 16, Asymmetry: 1, Precision: 1e-9}, step)
	c.w.Run(60)
	if c.p.Fleet.Jumps != 1 {
		t.Errorf("%d jumps seen", c.p.Fleet.Jumps)
	}
	for i, s := range c.servers {
		r := c.p.Fleet.Result(i, clock.At[clock.Corrected](c.w.reading(45.25).Nanos()))
		if e := math.Abs(float64(r.Offset) - (s.Fault(45) - 0.25)); e > 1e-6 {
			t.Errorf("host %d is off by %g more", i, e)
		}
	}
}

// TestProberRepeats: the same world gives the same requests.
func TestProberRepeats(t *testing.T) {
	run := func() (sum uint64) {
		c := newCluster(3, 20, func(int, *rand.Rand) (Link, Link) {
			return Link{Delay: Exponential(1e-4, 1e-5), Loss: 0.1}, Link{Delay: Exponential(1e-4, 1e-5)}
		})
		c.w.Tap = func(_, _ netip.AddrPort, b []byte) {
			for _, o := range b {
				sum = sum*1099511628211 + uint64(o)
			}
		}
		c.start(probe.Config{Poll: 0, Series: 16, Asymmetry: 1, Precision: 1e-9, Seed: 4}, nil)
		c.w.Run(20)
		return sum
	}
	if a, b := run(), run(); a != b || a == 0 {
		t.Errorf("%x, then %x", a, b)
	}
}
