// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/source"
)

// Commands are facts too: a person wants something changed now, while the daemon
// runs. Each has the meaning of the command of chronyc that its comment names. What
// it changes lasts until the configuration is read again: [Engine.Configure] sets
// everything to what is configured then, brings deleted sources back and drops
// added ones. What was learned or done meanwhile stays: histories, samples of
// typed times, who is online, the clock. Each comment says so where it differs.

// Answer is what became of a command.
type Answer uint8

// Answers, by the names that chrony's protocol has for them.
const (
	Done Answer = iota
	Failed
	NoSuchSource
	NotEnabled
	BadSubnet
	AlreadyKnown
	TooManySources
	BadSample
	InvalidFamily
	InvalidName
)

var answerNames = [...]string{
	"done", "failed", "no such source", "not enabled", "bad subnet", "source already known",
	"too many sources", "bad sample", "invalid address family", "invalid name",
}

func (a Answer) String() string { return answerNames[a] }

// Which selects sources by address. The zero Which is all of them, names that have
// not resolved included.
type Which struct {
	Addr netip.Addr
	Mask netip.Addr // bits that count; invalid or of the other family: all
}

func (w *Which) all() bool { return !w.Addr.IsValid() }

// matches tells whether a is one of them.
func (w *Which) matches(a netip.Addr) bool {
	want, mask := w.Addr.Unmap(), w.Mask.Unmap()
	if w.all() || a == want {
		return true
	}
	if a.Is4() != want.Is4() || mask.BitLen() != want.BitLen() {
		return false
	}
	x, y, m := a.As16(), want.As16(), mask.As16()
	for i := range x {
		if (x[i]^y[i])&m[i] != 0 {
			return false
		}
	}
	return true
}

// Option is something that a command can change, for [EvSetting].
type Option uint8

// Options. Beside each are the fields of [Event] that hold.
const (
	OptMinPoll          Option = iota + 1 // Source, Value: log2 seconds
	OptMaxPoll                            // Source, Value: log2 seconds
	OptMaxDelay                           // Source, Value: seconds
	OptMaxDelayRatio                      // Source, Value
	OptMaxDelayDevRatio                   // Source, Value
	OptMinStratum                         // Source, Value
	OptPollTarget                         // Source, Value: samples
	OptCorrection                         // Source, Value: seconds, as option offset
	OptSelect                             // Source
	OptMaxUpdateSkew                      // Value: ratio
	OptReselectDist                       // Value: seconds
	OptMakeStep                           // Value: seconds; Count: updates
	OptLocal                              // Count: 1 on, 0 off
	OptAccess                             // Name: the subnet; Count: 1 allowed, 0 denied, plus 2 for all
	OptSmoothActive                       // Count: 1 for leap seconds only
	OptSmoothReset                        // Count: 1 for leap seconds only
	OptFrequency                          // Value: added to the clock's, ratio
	OptOffset                             // Value: added to served time, seconds
	OptTyped                              // Value: added to served time for a typed time; if Count is 1, Limit to the frequency
	OptReset                              // all sources were reset
)

// Limits of what a source can be told (chrony's).
const (
	minPoll     = -7
	maxPoll     = 24
	maxMaxDelay = 1e3
	maxRatio    = 1e6
)

// Modify changes an option of the source at addr to v: minpoll, maxpoll,
// maxdelay, maxdelayratio, maxdelaydevratio, minstratum, polltarget and offset. A
// polling interval out of range changes nothing; other values are cut to theirs.
func (e *Engine) Modify(now clock.Now, addr netip.Addr, o Option, v float64, out *Actions) Answer {
	e.watch(now, out)
	m := e.at(addr)
	if m == nil {
		return NoSuchSource
	}
	cfg := *m.assoc.Config()
	if !change(&cfg, o, v) {
		return Done
	}
	old := *m.assoc.Config()
	m.assoc.Configure(cfg)
	e.tellChange(m, o, &old, &cfg, out)
	return Done
}

// change sets the option o in cfg, and reports whether v is one of its values.
func change(cfg *source.Config, o Option, v float64) bool {
	switch o {
	case OptMinPoll, OptMaxPoll:
		if !(v >= minPoll && v <= maxPoll) {
			return false
		}
		if o == OptMinPoll {
			cfg.MinPoll = int8(v)
			cfg.MaxPoll = max(cfg.MaxPoll, cfg.MinPoll)
		} else {
			cfg.MaxPoll = int8(v)
			cfg.MinPoll = min(cfg.MinPoll, cfg.MaxPoll)
		}
	case OptMaxDelay:
		cfg.MaxDelay = min(max(v, 0), maxMaxDelay)
	case OptMaxDelayRatio:
		cfg.MaxDelayRatio = min(max(v, 0), maxRatio)
	case OptMaxDelayDevRatio:
		cfg.MaxDelayDevRatio = min(max(v, 0), maxRatio)
	case OptMinStratum:
		cfg.MinStratum = uint8(min(max(v, 0), 255))
	case OptPollTarget:
		cfg.PollTarget = int(min(max(v, 1), 1e9))
	case OptCorrection:
		cfg.Correction = clock.Offset(v)
	default:
		return false
	}
	return true
}

// tellChange reports that an option was set, and the other end of the range of
// polling intervals if that had to move.
func (e *Engine) tellChange(m *member, o Option, old, cfg *source.Config, out *Actions) {
	e.tellOption(m, o, valueOf(cfg, o), out)
	if o == OptMinPoll && cfg.MaxPoll != old.MaxPoll {
		e.tellOption(m, OptMaxPoll, float64(cfg.MaxPoll), out)
	}
	if o == OptMaxPoll && cfg.MinPoll != old.MinPoll {
		e.tellOption(m, OptMinPoll, float64(cfg.MinPoll), out)
	}
}

func (e *Engine) tellOption(m *member, o Option, v float64, out *Actions) {
	ev := out.event(EvSetting)
	ev.Source, ev.Option, ev.Value = m.ref(), o, v
}

// valueOf reads back what change has set.
func valueOf(cfg *source.Config, o Option) float64 {
	switch o {
	case OptMinPoll:
		return float64(cfg.MinPoll)
	case OptMaxPoll:
		return float64(cfg.MaxPoll)
	case OptMaxDelay:
		return cfg.MaxDelay
	case OptMaxDelayRatio:
		return cfg.MaxDelayRatio
	case OptMaxDelayDevRatio:
		return cfg.MaxDelayDevRatio
	case OptMinStratum:
		return float64(cfg.MinStratum)
	case OptPollTarget:
		return float64(cfg.PollTarget)
	}
	return float64(cfg.Correction)
}

// SelectOptions changes those selection options of the source at addr that are in
// mask to what options says, and selects anew (selectopts).
func (e *Engine) SelectOptions(now clock.Now, addr netip.Addr, mask, options source.SelectOptions, out *Actions) Answer {
	e.watch(now, out)
	m := e.at(addr)
	if m == nil {
		return NoSuchSource
	}
	cfg := *m.assoc.Config()
	if cfg.Select&mask == options&mask {
		return Done
	}
	cfg.Select = cfg.Select&^mask | options&mask
	m.assoc.Configure(cfg)
	e.tellOption(m, OptSelect, 0, out)
	e.choose(nil, now, out)
	return Done
}

// at returns the association with addr, the first if there are several ports.
func (e *Engine) at(addr netip.Addr) *member {
	for _, m := range e.members {
		if m.assoc.Config().Addr.Addr() == addr.Unmap() {
			return m
		}
	}
	return nil
}
