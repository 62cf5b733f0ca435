// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"net"
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/cmdmon"
	"foliot/internal/command"
	"foliot/internal/engine"
	"foliot/internal/source"
)

// fact is what an order is given to: the engine, at a time.
type fact struct {
	e   *engine.Engine
	now clock.Now
	out *engine.Actions
}

// statuses are what chronyc is told of an answer of the engine.
var statuses = map[engine.Answer]cmdmon.Status{
	engine.Done: cmdmon.Success, engine.Failed: cmdmon.Failed, engine.NoSuchSource: cmdmon.NoSuchSource,
	engine.NotEnabled: cmdmon.NotEnabled, engine.BadSubnet: cmdmon.BadSubnet, engine.AlreadyKnown: cmdmon.SourceKnown,
	engine.TooManySources: cmdmon.TooManySources, engine.BadSample: cmdmon.BadSample,
	engine.InvalidFamily: cmdmon.InvalidFamily, engine.InvalidName: cmdmon.InvalidName,
}

// plainOrders have no data.
var plainOrders = map[cmdmon.Command]func(f *fact) engine.Answer{
	cmdmon.MakeStep:     func(f *fact) engine.Answer { return f.e.MakeStep(f.now, f.out) },
	cmdmon.Reselect:     func(f *fact) engine.Answer { return f.e.Reselect(f.now, f.out) },
	cmdmon.ResetSources: func(f *fact) engine.Answer { return f.e.ResetSources(f.now, f.out) },
	cmdmon.Refresh:      func(f *fact) engine.Answer { return f.e.Refresh(f.now, f.out) },
	cmdmon.OnOffline: func(f *fact) engine.Answer {
		return f.e.OnOffline(f.now, engine.Which{}, reachable, f.out)
	},
}

// reachable tells whether the kernel knows a way to an address. Nothing is sent.
func reachable(a netip.AddrPort) bool {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(a))
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// integerOptions and floatOptions are what commands about one source change.
var (
	integerOptions = map[cmdmon.Command]engine.Option{
		cmdmon.ModifyMinPoll: engine.OptMinPoll, cmdmon.ModifyMaxPoll: engine.OptMaxPoll,
		cmdmon.ModifyMinStratum: engine.OptMinStratum, cmdmon.ModifyPollTarget: engine.OptPollTarget,
	}
	floatOptions = map[cmdmon.Command]engine.Option{
		cmdmon.ModifyMaxDelay: engine.OptMaxDelay, cmdmon.ModifyDelayRatio: engine.OptMaxDelayRatio,
		cmdmon.ModifyDevRatio: engine.OptMaxDelayDevRatio,
	}
)

// numbers are commands with one number. In chrony's protocol a frequency or an
// offset is positive if the clock is too fast or ahead.
var numbers = map[cmdmon.Command]func(f *fact, v float64) engine.Answer{
	cmdmon.ModifyUpdateSkew: func(f *fact, v float64) engine.Answer {
		return f.e.SetMaxUpdateSkew(f.now, clock.FromPPM(v), f.out)
	},
	cmdmon.DoFreq: func(f *fact, v float64) engine.Answer {
		return f.e.AddFrequency(f.now, -clock.FromPPM(v), f.out)
	},
	cmdmon.DoOffset: func(f *fact, v float64) engine.Answer {
		return f.e.AddOffset(f.now, -clock.Offset(v), f.out)
	},
	cmdmon.ReselectDistance: func(f *fact, v float64) engine.Answer {
		return f.e.SetReselectDist(f.now, v, f.out)
	},
}

// order gives a command to the engine. It reports false for what is not the
// engine's.
func (f *fact) order(c cmdmon.Command, m cmdmon.Request) (reply cmdmon.Reply, status cmdmon.Status, ok bool) {
	if plain := plainOrders[c]; plain != nil {
		return nil, statuses[plain(f)], true
	}
	var a engine.Answer
	switch m := m.(type) {
	case *cmdmon.Instant:
		return f.setTime(m)
	case *cmdmon.Masked:
		a = f.e.SetOnline(f.now, which(m), c == cmdmon.Online, f.out)
	case *cmdmon.BurstRequest:
		a = f.e.Burst(f.now, which(&m.Masked), int(m.Good), int(m.Total), f.out)
	case *cmdmon.SourceInteger:
		a = f.e.Modify(f.now, m.Addr.Addr, integerOptions[c], float64(m.Value), f.out)
	case *cmdmon.SourceFloat:
		a = f.e.Modify(f.now, m.Addr.Addr, floatOptions[c], m.Value, f.out)
	case *cmdmon.OffsetRequest:
		a = f.e.Modify(f.now, m.Addr.Addr, engine.OptCorrection, m.Offset, f.out)
	case *cmdmon.SelectOptsRequest:
		a = f.e.SelectOptions(f.now, m.Addr.Addr, source.SelectOptions(m.Mask), selectOptions(cmdmon.AddFlags(m.Options)), f.out)
	case *cmdmon.Number:
		a = numbers[c](f, m.Value)
	case *cmdmon.StepLimit:
		a = f.e.SetMakeStep(f.now, m.Threshold, int(m.Limit), f.out)
	case *cmdmon.Option:
		a = f.option(c, m.Value)
	case *cmdmon.Index:
		a = f.e.DeleteManual(f.now, int(int32(m.Index)), f.out)
	case *cmdmon.Local:
		a = f.local(m)
	case *cmdmon.LocalOlder:
		a = f.local(&m.Local)
	case *cmdmon.Subnet:
		rule, ok := command.Rule(c, m)
		if !ok {
			return nil, cmdmon.BadSubnet, true
		}
		a = f.e.Allow(f.now, rule, f.out)
	case *cmdmon.Address:
		return nil, f.address(c, &m.Addr), true
	default:
		return nil, 0, false
	}
	return nil, statuses[a], true
}

// which translates the sources that a command is about.
func which(m *cmdmon.Masked) engine.Which { return engine.Which{Addr: m.Addr.Addr, Mask: m.Mask.Addr} }

// selectOptions translates switches of a source. Those that a mask selects are told
// in another way, which happens to be the engine's.
func selectOptions(f cmdmon.AddFlags) (o source.SelectOptions) {
	for flag, bit := range map[cmdmon.AddFlags]source.SelectOptions{
		cmdmon.AddFlagNoSelect: source.NoSelect, cmdmon.AddFlagPrefer: source.Prefer,
		cmdmon.AddFlagTrust: source.Trust, cmdmon.AddFlagRequire: source.Require,
	} {
		if f&flag != 0 {
			o |= bit
		}
	}
	return o
}

// address is a command about an address, or about a name that has not resolved.
func (f *fact) address(c cmdmon.Command, a *cmdmon.IPAddr) cmdmon.Status {
	switch {
	case c == cmdmon.AccessCheck && f.e.Allowed(a.Addr):
		return cmdmon.AccessAllowed
	case c == cmdmon.AccessCheck:
		return cmdmon.AccessDenied
	case a.Addr.IsValid():
		return statuses[f.e.DeleteSource(f.now, a.Addr, f.out)]
	}
	return statuses[f.e.DeleteUnresolved(f.now, engine.EntryID(a.ID), f.out)]
}

// option is manual on, off and reset, and smoothtime.
func (f *fact) option(c cmdmon.Command, v int32) engine.Answer {
	switch {
	case c == cmdmon.SmoothTime && v == cmdmon.SmoothActivate:
		return f.e.ActivateSmoothing(f.now, f.out)
	case c == cmdmon.SmoothTime:
		return f.e.ResetSmoothing(f.now, f.out)
	case v == cmdmon.ManualReset:
		return f.e.ResetManual(f.now, f.out)
	}
	return f.e.SetManual(f.now, v == cmdmon.ManualOn, f.out)
}

func (f *fact) local(m *cmdmon.Local) engine.Answer {
	return f.e.SetLocal(f.now, engine.LocalConfig{
		Enabled: m.On, Stratum: uint8(max(0, min(m.Stratum, 255))), Distance: m.Distance, Activate: m.Activate,
		Orphan: m.Orphan, WaitSynced: m.WaitSynced, WaitUnsynced: m.WaitUnsynced,
	}, f.out)
}

// setTime takes the time that a person typed.
func (f *fact) setTime(m *cmdmon.Instant) (cmdmon.Reply, cmdmon.Status, bool) {
	typed, a := f.e.SetTime(f.now, clock.At[clock.Corrected](m.Time.Wall().Nanos()), f.out)
	if a != engine.Done {
		return nil, statuses[a], true
	}
	return &cmdmon.ManualTimestampReply{
		Offset: -float64(typed.Offset), FrequencyShift: -typed.DFreq.PPM(), Frequency: -typed.Frequency.PPM(),
	}, cmdmon.Success, true
}
