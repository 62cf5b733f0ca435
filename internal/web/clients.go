// SPDX-License-Identifier: Apache-2.0

package web

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/figures"
	"foliot/internal/state"
)

// busiest is how many clients the page shows.
const busiest = 10

// clientAge is how long a list of clients is shown before the threads that
// answer are asked again: each copies its records for it.
const clientAge = 10 * time.Second

// clientCache holds the busiest clients for a while, whoever looks.
type clientCache struct {
	all  func() []clientlog.Record
	mu   sync.Mutex
	at   clock.Mono
	top  []clientlog.Record
	many int
}

type clientsView struct {
	Kept bool
	Many string
	Rows []clientRow
}

type clientRow struct{ Name, Hits, Drops, Interval, Version, Last string }

// busy returns the busiest clients, and how many there are.
func (c *clientCache) busy(now clock.Mono) ([]clientlog.Record, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() || now.Sub(c.at).Duration() >= clientAge || now.Before(c.at) {
		all := c.all()
		slices.SortFunc(all, func(a, b clientlog.Record) int { return cmp.Compare(b.Hits, a.Hits) })
		c.top, c.many, c.at = slices.Clone(all[:min(len(all), busiest)]), len(all), now
	}
	return c.top, c.many
}

func (c *clientCache) view(s *state.State) clientsView {
	if c.all == nil || s.Config.NoLog {
		return clientsView{}
	}
	top, many := c.busy(s.Now.Mono)
	v := clientsView{Kept: true, Many: figures.Grouped(uint64(many))}
	for i := range top {
		v.Rows = append(v.Rows, clientOf(&top[i], s.Now.Wall))
	}
	return v
}

func clientOf(r *clientlog.Record, now clock.Wall) clientRow {
	name := r.Prefix.Netip()
	row := clientRow{
		Name: name.String(), Hits: figures.Grouped(uint64(r.Hits)), Drops: figures.Grouped(uint64(r.Drops)), Interval: "–",
		Version: fmt.Sprint(r.Version()), Last: figures.Ago(now.Sub(r.Last).Seconds()),
	}
	if name.IsSingleIP() {
		row.Name = name.Addr().String()
	}
	if log2, ok := r.Interval(); ok {
		row.Interval = figures.Brief(math.Exp2(log2))
	}
	return row
}
