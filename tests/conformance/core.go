// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"foliot/internal/chronyconf"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/setup"
)

// core is the responder itself, in a time of its own.
type core struct {
	server *responder.Server
	policy responder.Policy
	snap   responder.Snapshot
	now    clock.Wall
	buf    []byte
}

// NewCore returns the responder as a target.
func NewCore() Target { return &core{now: clock.At[clock.Realtime](1_800_000_000_000_000_000)} }

func (c *core) Name() string { return Core }

func (c *core) Now() clock.Served { return c.snap.Served(c.now) }

// access and keys are in every configuration.
func access() []string {
	return []string{"allow " + Clients4.String(), "allow " + Clients6.String()}
}

func (c *core) Enter(s *State) error {
	lines := append(access(), strings.Split(strings.TrimSpace(s.Config), "\n")...)
	cfg, _, err := chronyconf.ParseLines(chronyconf.OS{}, lines)
	if err != nil {
		return err
	}
	e := setup.Engine(cfg, &setup.Files{Keys: ring}, &setup.Machine{Quantum: 1e-7})
	c.policy = e.Policy
	c.server = responder.NewServer(responder.Config{
		Stamps: e.Stamps, Log: e.ClientLog, Key: clientlog.HashKey{1, 2}, Random: rand.New(rand.NewPCG(3, 4)).Uint64,
	})
	c.snap = s.snapshot(c.now, e.Precision)
	return nil
}

// snapshot is what a server in the state serves from at on.
func (s *State) snapshot(at clock.Wall, precision int8) responder.Snapshot {
	const offset = 0.25
	served := clock.ServedAt(at, offset)
	says := s.says(Core)
	snap := responder.Snapshot{
		Correction: clock.Correction{Since: at, Offset: offset, Rate: 1e-5},
		Leap:       says.Leap, Stratum: says.Stratum, RefID: says.RefID, Precision: precision,
		RootDelay: (says.Delay[0] + says.Delay[1]) / 2, RootDisp: (says.Disp[0] + says.Disp[1]) / 2,
		Epoch: 5, MonoOffset: 7,
	}
	if says.Reference {
		snap.RefTime = served.Add(-2 * clock.Second)
	}
	if says.RefID == ntp.RefIDSmooth {
		snap.Smooth = responder.Smoothing{Since: served, Offset: 0.125, Rate: -1e-5}
	}
	return snap
}

// Times of the core's world.
const (
	coreGap    = 50 * clock.Microsecond // between requests
	coreSeals  = 20 * clock.Microsecond // from receiving to the transmit timestamp
	coreLeaves = 30 * clock.Microsecond // from receiving to leaving
)

func (c *core) Exchange(from netip.AddrPort, requests ...[]byte) (replies [][]byte, err error) {
	for _, q := range requests {
		c.now = c.now.Add(coreGap)
		c.buf = append(c.buf[:0], q...)
		in := responder.Arrival{From: from, Stamp: clock.Stamp{Time: c.now, Kind: clock.StampKernel}}
		var out responder.Reply
		switch v := c.server.Receive(c.buf, &in, &c.policy, &c.snap, &out); v {
		case responder.Answer, responder.Kissed:
		default:
			if string(c.buf) != string(q) {
				return nil, fmt.Errorf("a request of which becomes %v is changed", v)
			}
			continue
		}
		if out.Len > len(c.buf) {
			return nil, fmt.Errorf("%d octets are answered with %d", len(c.buf), out.Len)
		}
		tag := c.server.Seal(&out, c.buf[:out.Len], c.now.Add(coreSeals), &c.snap)
		left := clock.Stamp{Time: c.now.Add(coreLeaves), Kind: clock.StampKernel}
		c.server.Transmitted(tag, left, &c.snap)
		replies = append(replies, append([]byte(nil), c.buf[:out.Len]...))
		c.now = c.now.Add(coreGap)
	}
	return replies, nil
}
