// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"math"
	"math/rand/v2"

	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/source"
)

// unsynchronised is what is served when nothing is known: one second of root
// delay and dispersion is the custom.
var unsynchronised = source.Reference{Leap: ntp.LeapUnsync, RootDelay: 1, RootDisp: 1}

// reference says what we claim about our clock at now: what the sources gave
// us, the local reference in their absence, or that we do not know. What smoothing
// makes of that is another matter.
func (e *Engine) reference(now clock.Now) source.Reference {
	at := e.served(now)
	if e.useLocal(now) {
		return source.Reference{
			Leap: ntp.LeapNone, Stratum: e.cfg.Local.Stratum, RefID: cmp.Or(e.cfg.Local.Clock, ntp.RefIDLocal),
			Time: at.Add(-clock.Second),
		}
	}
	if !e.ref.Synchronized {
		return unsynchronised
	}
	r := source.Reference{
		Leap: e.leap.Serving(at), Stratum: e.ref.Stratum, RefID: e.ref.RefID, Time: e.ref.Time,
		RootDelay: e.ref.RootDelay, RootDisp: e.ref.Dispersion(at),
	}
	if r.Stratum >= ntp.MaxStratum {
		return unsynchronised
	}
	return r
}

// published is the reference as it is served now. Symmetric packets carry it, and
// a source that repeats it to us is ourselves.
func (e *Engine) published(now clock.Now) source.Reference {
	s := &e.snap
	age := math.Abs(e.served(now).Sub(s.RefTime).Seconds())
	return source.Reference{
		Leap: s.Leap, Stratum: s.Stratum, RefID: s.RefID, Time: s.RefTime,
		RootDelay: s.RootDelay, RootDisp: s.RootDisp + age*s.DispRate,
	}
}

// smoothing returns what smoothtime adds at now, as a line.
func (e *Engine) smoothing(now clock.Now) responder.Smoothing {
	if e.smooth == nil || !e.smooth.Active() {
		return responder.Smoothing{}
	}
	at := e.served(now)
	o, f := e.smooth.At(at)
	return responder.Smoothing{Since: at, Offset: o, Rate: f}
}

// refresh publishes what is served, and tells the kernel.
func (e *Engine) refresh(now clock.Now, out *Actions) {
	e.onLocal = e.useLocal(now)
	r := e.reference(now)
	s := &e.snap
	*s = responder.Snapshot{
		Correction: e.clk.Correction(), Smooth: e.smoothing(now),
		Leap: r.Leap, Stratum: r.Stratum, RefID: r.RefID, RefTime: r.Time,
		RootDelay: r.RootDelay, RootDisp: r.RootDisp, Precision: e.cfg.Precision,
		Epoch: e.epoch, MonoOffset: clock.Offset(e.monoOffset),
	}
	if r.Leap != ntp.LeapUnsync && !e.onLocal {
		s.RootDisp, s.DispRate = e.ref.RootDisp+math.Abs(float64(s.Smooth.Offset)), e.ref.DispersionRate()
		if e.smooth != nil && e.smooth.Active() {
			s.RefID = ntp.RefIDSmooth
		}
	}
	out.add(ActPublish).Snapshot = *s
	e.tellKernel(now, out)
}

// localError is what the kernel is told of a local clock that counts as a
// reference, seconds: about what ntpd tells it.
const localError = 10e-3

// tellKernel makes the kernel's opinion of the clock true, for programs that
// ask it (adjtimex).
func (e *Engine) tellKernel(now clock.Now, out *Actions) {
	at := e.served(now)
	left := math.Abs(float64(e.clk.Remaining(now)))
	k := &out.add(ActStatus).Status
	k.MaxError, k.EstError = 16, 16
	if e.ref.Synchronized {
		age := math.Abs(at.Sub(e.ref.Time).Seconds())
		k.MaxError = clock.Dispersion(e.ref.Distance(at) + left)
		k.EstError = clock.Dispersion(max(e.ref.OffsetSD+age*e.ref.Skew, left))
		k.Synchronized = k.MaxError < 16
	} else if e.onLocal && e.cfg.Local.Clock != 0 {
		k.MaxError, k.EstError, k.Synchronized = localError, localError, true
	}
	k.Leap, k.TAI = e.leap.Kernel(), e.leap.TAI()
}

// newServer makes the server that answers what the world hands to the engine: all
// requests in a simulated one, in Linux those that come from a peer's port.
func (e *Engine) newServer() {
	key := rand.NewPCG(e.cfg.Seed, 0x636c69656e7473)
	e.server = responder.NewServer(responder.Config{
		Stamps: e.cfg.Stamps, Log: e.cfg.ClientLog,
		Key: clientlog.HashKey{key.Uint64(), key.Uint64()}, Random: e.rng.Uint64,
	})
}

// Server returns the server that answers what the world hands to the engine.
func (e *Engine) Server() *responder.Server { return e.server }

// Snapshot returns what is served now.
func (e *Engine) Snapshot() *responder.Snapshot { return &e.snap }

// openPort says whether the server port must be open: somebody may ask, or
// there are peers or broadcasts, whose packets come and go there.
func (e *Engine) openPort(out *Actions) {
	want := !e.cfg.NoServer && (e.cfg.Policy.Access.Any() || len(e.byPeer) > 0 || len(e.broadcasts) > 0)
	if want != e.listening {
		e.listening = want
		out.add(ActListen).Listen = want
	}
}

// Listening tells whether the server port must be open.
func (e *Engine) Listening() bool { return e.listening }
