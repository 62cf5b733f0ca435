// SPDX-License-Identifier: Apache-2.0

package racksctl

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/probe"
	"foliot/internal/prober"
	"foliot/internal/rackstat"
	"foliot/internal/stability"
	"foliot/internal/stats"
)

// result makes a report of a run.
func (p *plan) result(run *prober.Prober, stopped bool) *rackstat.Report {
	name, err := os.Hostname()
	if err != nil {
		name = "?"
	}
	started := run.Started.Wall
	r := &rackstat.Report{
		Version: Version, Started: clock.Time(started).Format(time.RFC3339), From: name,
		Interval: p.interval.Seconds(), Stopped: stopped, Hosts: make([]rackstat.Host, len(p.hosts)),
	}
	fmt.Sscanf(p.asymmetry, "%g", &r.Asymmetry)
	r.Asymmetry /= 100
	for i := range p.hosts {
		h, l := &p.hosts[i], &p.looked[i]
		r.Hosts[i] = rackstat.Host{Name: h.Name, Rack: h.Rack, Zone: h.Zone, Row: h.Row}
		if l.Err != nil {
			r.Hosts[i].State = "name does not resolve: " + l.Err.Error()
		}
	}
	end := run.Ended
	r.Seconds = end.Mono.Sub(run.Started.Mono).Seconds()
	at := reference(started, end.Wall, p.interval)
	var delays []float64
	for k, i := range p.of {
		res := run.Fleet.Result(k, at)
		h := &r.Hosts[i]
		h.Address = place(p.specs[k].Addr)
		fill(h, &res, started)
		if n := p.looked[i].Other; n > 0 {
			h.Notes = append(h.Notes, fmt.Sprintf("%s has %s more; %s was asked", p.hosts[i].Address, addresses(n), h.Address))
		}
		if res.Kisses > 0 {
			h.Notes = append(h.Notes, fmt.Sprintf("asked for fewer requests %s (RATE), and got fewer", times(res.Kisses)))
		}
		for _, s := range res.Series {
			delays = append(delays, float64(s.Delay))
		}
		r.Self.Requests += res.Sent
		r.Self.Answers += res.Answered
	}
	slices.Sort(delays)
	if n := len(delays); n > 0 {
		r.Self.DelayP50, r.Self.DelayP99 = delays[n/2], delays[n*99/100]
	}
	r.Self.Jumps = run.Fleet.Jumps
	r.Self.LateP50, r.Self.LateP99 = run.Fleet.Late.Quantile(0.5), run.Fleet.Late.Quantile(0.99)
	return r
}

func addresses(n int) string {
	if n == 1 {
		return "1 address"
	}
	return fmt.Sprintf("%d addresses", n)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// reference is the instant that all offsets are as of: the middle of the samples
// that lines go through, where lines are known best. Our own clock's drift is in
// all of them then by the same amount.
func reference(started, ended clock.Wall, interval time.Duration) clock.Served {
	span := min(ended.Sub(started), stats.MaxSamples*clock.Interval(interval))
	return clock.Correction{}.Served(ended.Add(-span / 2))
}

// fill takes a result over.
func fill(h *rackstat.Host, r *probe.Result, started clock.Wall) {
	h.State = string(r.Reason)
	h.Measured = r.Reason == probe.Measured || r.Reason == probe.Unsynchronised
	h.Synced = r.Reason == probe.Measured
	h.Raw, h.Bound, h.Root = float64(r.Offset), r.Bound, r.RootError
	h.SD, h.Drift, h.Skew, h.Jitter = r.SD, float64(r.Drift), float64(r.Skew), r.Jitter
	h.Delay, h.Loss, h.Sent, h.Answered, h.Samples = r.Delay, r.Loss, r.Sent, r.Answered, r.Samples
	h.Interleaved, h.Stratum, h.Leap, h.RefID = r.Interleaved, r.Stratum, uint8(r.Leap), uint32(r.RefID)
	// Drift is that of the line of our offset from the host: positive if the
	// host gains on us.
	if h.Measured {
		h.Reference = refName(r.RefID, r.Stratum)
		h.Stamps = string([]byte{r.TxStamp.Letter(), r.RxStamp.Letter()})
	}
	zero := clock.Correction{}.Served(started)
	t, x := make([]float64, 0, len(r.Series)), make([]float64, 0, len(r.Series))
	for _, s := range r.Series {
		at := s.At.Sub(zero).Seconds()
		h.Series = append(h.Series, rackstat.Point{at, float64(s.Offset), float64(s.Delay)})
		t, x = append(t, at), append(x, float64(s.Offset))
	}
	if even, tau0, _ := stability.Regular(t, x); even != nil {
		h.Stability = stability.Of(even, tau0)
	}
}

// refName words a reference identifier: letters for stratum 0 and 1, else an
// address, or for IPv6 the beginning of its digest.
func refName(id ntp.RefID, stratum uint8) string {
	b := []byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)}
	if stratum > 1 {
		return netip.AddrFrom4([4]byte(b)).String()
	}
	n := 0
	for _, c := range b {
		if c > ' ' && c < 0x7f {
			b[n] = c
			n++
		}
	}
	return string(b[:n])
}
