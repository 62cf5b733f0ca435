// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math"
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/probe"
	"foliot/internal/source"
)

// Prober is a host that measures others and whose clock nobody steers.
type Prober struct {
	Fleet *probe.Fleet
	Sent  int

	w      *World
	addr   netip.Addr
	clock  func(t float64) float64 // error, seconds; positive: ahead
	specs  []probe.Spec
	buffer []byte
}

// Probe adds a host at addr that begins to measure the others now. The error of
// its clock at true time t is fault(t), nil for none.
func (w *World) Probe(addr netip.Addr, fault func(t float64) float64, cfg probe.Config, specs []probe.Spec) *Prober {
	if fault == nil {
		fault = func(float64) float64 { return 0 }
	}
	p := &Prober{w: w, addr: addr, clock: fault, specs: specs}
	w.hosts[addr] = p
	p.Fleet = probe.NewFleet(cfg, specs, p.Now())
	p.wait()
	return p
}

// Now reads the clocks of the prober.
func (p *Prober) Now() clock.Now {
	t := p.w.now
	return clock.Now{
		Wall: clock.At[clock.Realtime](p.w.reading(p.w.utc(t) + p.clock(t)).Nanos()),
		Mono: clock.At[clock.Raw](int64(math.Round((t + monoBase) * 1e9))),
	}
}

// wait arranges for the next deadline.
func (p *Prober) wait() {
	if d := p.Fleet.Deadline(); !d.IsZero() {
		p.w.At(max(p.w.now, float64(d.Nanos())*1e-9-monoBase+1e-9), p.tick)
	}
}

func (p *Prober) tick() {
	for {
		i, b, id := p.Fleet.Next(p.Now(), p.buffer[:0])
		p.buffer = b
		if i < 0 {
			break
		}
		p.Sent++
		from := netip.AddrPortFrom(p.addr, uint16(20000+i)) // the port says whose answer it is
		p.w.send(&datagram{from: from, to: p.specs[i].Addr, data: append([]byte(nil), b...)})
		p.Fleet.Transmitted(i, id, clock.Stamp{Time: p.Now().Wall, Kind: clock.StampKernel})
	}
	p.wait()
}

func (p *Prober) deliver(d *datagram) {
	i := int(d.to.Port()) - 20000
	if i < 0 || i >= len(p.specs) || d.from != p.specs[i].Addr {
		return
	}
	now := p.Now()
	p.Fleet.Received(i, &source.Arrival{Data: d.data, Local: p.addr, Stamp: clock.Stamp{Time: now.Wall, Kind: clock.StampKernel}}, now)
}
