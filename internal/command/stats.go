// SPDX-License-Identifier: Apache-2.0

package command

import (
	"foliot/internal/cmdmon"
	"foliot/internal/responder"
	"foliot/internal/state"
)

func serverStats(s *state.State, b []byte) (cmdmon.Reply, cmdmon.Status) {
	x, t := &s.Server, &s.Server.Total
	answered := t.Answered()
	m := &cmdmon.ServerStatsReply{
		NTPHits: hits(t) + x.Overflow, NTPDrops: t.Verdicts[responder.Limited] + x.Overflow,
		CmdHits: x.CmdHits, CmdDrops: x.CmdDrops, LogDrops: x.Evicted,
		AuthHits: t.Authenticated, InterleavedHits: t.Interleaved,
		Timestamps: uint64(x.Stamps), Span: uint64(max(x.Span.Seconds(), 0)),
		DaemonRx: t.DaemonRx, DaemonTx: answered - t.TrueTx,
		KernelRx: answered - t.DaemonRx, KernelTx: t.TrueTx,
	}
	if t, older := cmdmon.OlderReply(cmdmon.ServerStats, len(b)); older && t == cmdmon.ReplyServerStats3 {
		return &cmdmon.ServerStats3Reply{ServerStatsReply: *m}, cmdmon.Success
	}
	return m, cmdmon.Success
}

// hits counts requests of those who may ask, as chronyd does: whatever else comes
// to the port is none.
func hits(c *responder.Counters) uint64 {
	v := &c.Verdicts
	return v[responder.Answer] + v[responder.Kissed] + v[responder.BadAuth] + v[responder.Limited]
}
