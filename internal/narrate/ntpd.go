// SPDX-License-Identifier: Apache-2.0

package narrate

import (
	"foliot/internal/engine"
	"foliot/internal/logfile"
	"foliot/internal/mode6"
	"foliot/internal/selection"
	"foliot/internal/state"
)

// known is what earlier events said of a source, for the statistics of ntpd.
type known struct {
	status selection.Status
	poll   int8 // log2 seconds
}

// note remembers what a line of ntpd's statistics says and its event does not.
func (n *Narrator) note(ev *engine.Event) {
	if n.NTP == nil {
		return
	}
	if n.known == nil {
		n.known = make(map[engine.SourceID]known)
	}
	switch ev.Kind {
	case engine.EvMeasurement:
		k := n.known[ev.Source.ID]
		k.poll = ev.Report.LocalPoll
		n.known[ev.Source.ID] = k
	case engine.EvSelection:
		for i := range ev.Rows {
			k := n.known[ev.Rows[i].Source.ID]
			k.status = ev.Rows[i].Status
			n.known[ev.Rows[i].Source.ID] = k
		}
	case engine.EvRemoved:
		delete(n.known, ev.Source.ID)
	}
}

// peerStats writes the newest sample of a source.
func (n *Narrator) peerStats(ev *engine.Event) {
	reg := ev.Assoc.Register()
	if n.NTP == nil || reg.Len() == 0 {
		return
	}
	s, c := reg.Last(), ev.Assoc.Config()
	reach, _ := ev.Assoc.Reach()
	n.NTP.Peer(&logfile.PeerStats{
		Time: s.Time, Source: ev.Source.Addr.Addr(), Offset: s.Offset, Delay: s.Delay, Dispersion: s.Disp, Jitter: reg.Jitter(),
		Status: mode6.PeerStatus(&state.Source{
			Status: n.known[ev.Source.ID].status, Reach: reach, HasReport: true, Auth: state.Auth{Symmetric: c.Authenticated},
		}),
	})
}

// loopStats writes an update of the clock.
func (n *Narrator) loopStats(ev *engine.Event) {
	t := ev.Tracking
	n.NTP.Loop(&logfile.LoopStats{
		Time: t.Time, Offset: t.LastOffset, Frequency: t.Frequency, Jitter: t.OffsetSD, Wander: t.Skew,
		Poll: n.known[ev.Source.ID].poll,
	})
}
