// SPDX-License-Identifier: Apache-2.0

package mode6

import (
	"bytes"
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// ntpq reads the list of clients ("mrulist") in pages, the oldest first, and for the
// next page tells what it has, the newest first. The pages are cut from a snapshot
// that is taken for the first one, so that a list ends however busy the server is.

// snapshot is a list of clients by the time of their last request.
type snapshot struct {
	list []clientlog.Record
	at   clock.Mono // when it was last read
}

// snapshotLife is how long a snapshot is kept for a reader who does not go on.
const snapshotLife = 60 * clock.Second

// Limits of a page (ntpd's ntp_control.c).
const (
	mostPriors    = 16
	mostRows      = 256
	roomForClient = 260 // octets, of a client and the end of the list
	flagLimited   = 0x20
)

// page is what a request for a page says.
type page struct {
	nonce    string
	frags    int // datagrams at most, 0: not said
	limit    int // clients at most, 0: not said
	recent   int // begin so many before the end, 0: not said
	minCount uint64
	minDrop  uint64
	maxAge   uint64 // seconds since the last request, 0: any
	minAge   uint64
	resAll   uint64 // flags that a client must have
	resAny   uint64
	strange  bool // it asks for what is not recorded
	priors   [mostPriors]prior
}

// prior is a client that ntpq has.
type prior struct {
	addr netip.Addr
	last ntp.Timestamp
}

// parse reads a request. As with ntpd, what is not known ends it, and what makes no
// sense is met with silence.
func (g *page) parse(body []byte) bool {
	for item := range bytes.SplitSeq(body, []byte{','}) {
		name, value, _ := strings.Cut(string(bytes.Trim(item, " \t\r\n\x00")), "=")
		if name == "" {
			continue
		}
		known, ok := g.set(name, strings.TrimSpace(value))
		if !known {
			return true
		}
		if !ok {
			return false
		}
	}
	return true
}

// set takes one parameter.
func (g *page) set(name, value string) (known, ok bool) {
	number := func(to *uint64, base int) (bool, bool) {
		n, err := strconv.ParseUint(value, base, 32)
		*to = n
		return true, err == nil
	}
	small := func(to *int) (bool, bool) {
		n, err := strconv.ParseUint(value, 10, 16)
		*to = int(n)
		return true, err == nil
	}
	switch name {
	case "nonce":
		g.nonce = value
		return true, true
	case "frags":
		return small(&g.frags)
	case "limit":
		return small(&g.limit)
	case "recent":
		return small(&g.recent)
	case "mincount":
		return number(&g.minCount, 10)
	case "mindrop":
		return number(&g.minDrop, 10)
	case "maxlstint":
		return number(&g.maxAge, 10)
	case "minlstint":
		return number(&g.minAge, 10)
	case "resall":
		value = strings.TrimPrefix(value, "0x")
		return number(&g.resAll, 16)
	case "resany":
		value = strings.TrimPrefix(value, "0x")
		return number(&g.resAny, 16)
	case "laddr", "minscore":
		g.strange = true
		return true, true
	}
	return g.setPrior(name, value)
}

// setPrior takes addr.N or last.N.
func (g *page) setPrior(name, value string) (known, ok bool) {
	kind, index, _ := strings.Cut(name, ".")
	i, err := strconv.ParseUint(index, 10, 8)
	if err != nil || i >= mostPriors {
		return false, false
	}
	switch kind {
	case "addr":
		a, err := netip.ParseAddrPort(value)
		g.priors[i].addr = a.Addr()
		return true, err == nil
	case "last":
		g.priors[i].last, ok = parseStamp(value)
		return true, ok
	}
	return false, false
}

// readClients answers with a page of the list of clients.
func (r *Responder) readClients(body []byte) failure {
	var g page
	if !g.parse(body) || !r.fresh(g.nonce) {
		return silence
	}
	r.proven = true
	switch {
	case g.strange:
		// Not badValue, with which ntpq would try again for ever.
		return badFormat
	case g.frags == 0 && (g.limit == 0 || g.limit > mostRows), g.frags > maxFragments:
		return badValue
	case g.frags == 0:
		g.frags = maxFragments
	case g.limit == 0:
		g.limit = math.MaxInt
	}
	first := g.priors[0].last == 0
	r.refresh(first || g.limit == 1)
	switch {
	case g.limit == 1:
		r.writeNamed(&g)
		return noError
	case !first:
		return r.nextPage(&g)
	}
	start := 0
	if g.recent > 0 {
		start = max(0, len(r.list.list)-g.recent)
	}
	r.text.bare("nonce", r.nonce())
	r.writePage(&g, start)
	return noError
}

// refresh takes a new snapshot, if one is asked for or there is none.
func (r *Responder) refresh(fresh bool) {
	s := &r.list
	kept := s.list != nil && r.req.Now.Mono.Sub(s.at) < snapshotLife
	s.at = r.req.Now.Mono
	if kept && !fresh {
		return
	}
	s.list = nil
	if r.req.Clients == nil {
		return
	}
	s.list = r.req.Clients()
	slices.SortFunc(s.list, func(a, b clientlog.Record) int {
		if c := cmp.Compare(a.Last.Nanos(), b.Last.Nanos()); c != 0 {
			return c
		}
		return a.Prefix.Netip().Addr().Compare(b.Prefix.Netip().Addr())
	})
}

// nextPage goes on behind the newest client that ntpq has and that has not been
// heard of since; if there is none, ntpq tries older ones.
func (r *Responder) nextPage(g *page) failure {
	for i := range g.priors {
		p := &g.priors[i]
		if p.last == 0 || !p.addr.IsValid() {
			break
		}
		if at, ok := r.list.find(p); ok {
			rec := &r.list.list[at]
			r.text.stamp("last.older", ntp.FromInstant(rec.Last))
			r.text.bare("addr.older", clientAddr(rec))
			r.text.bare("nonce", r.nonce())
			r.writePage(g, at+1)
			return noError
		}
	}
	return unknownName
}

// find returns the place of a client whose last request was then.
func (s *snapshot) find(p *prior) (int, bool) {
	want, prefix := p.last.Wall().Nanos(), clientlog.PrefixOf(p.addr)
	i, _ := slices.BinarySearchFunc(s.list, want, func(r clientlog.Record, ns int64) int { return cmp.Compare(r.Last.Nanos(), ns) })
	for ; i < len(s.list) && s.list[i].Last.Nanos() == want; i++ {
		if s.list[i].Prefix == prefix {
			return i, true
		}
	}
	return 0, false
}

// writePage writes clients from place i on, as many as there is room for, and
// says so if the last one is among them.
func (r *Responder) writePage(g *page, i int) {
	list := r.list.list
	n, room := 0, g.frags*maxData-roomForClient
	var newest ntp.Timestamp
	for ; i < len(list) && n < g.limit && len(r.text.b) <= room; i++ {
		if !r.wanted(g, &list[i]) {
			continue
		}
		r.writeClient(&list[i], n)
		newest = ntp.FromInstant(list[i].Last)
		n++
	}
	if i < len(list) {
		return
	}
	r.text.stamp("now", ntp.FromInstant(r.req.Now.Wall))
	if n > 0 {
		r.text.stamp("last.newest", newest)
	}
	r.list = snapshot{} // it was read to its end
}

// wanted tells whether a client passes the filters.
func (r *Responder) wanted(g *page, rec *clientlog.Record) bool {
	age := uint64(max(0, r.req.Now.Wall.Sub(rec.Last).Seconds()))
	flags := clientFlags(rec)
	return uint64(rec.Hits) >= g.minCount && uint64(rec.Drops) >= g.minDrop &&
		(g.maxAge == 0 || age <= g.maxAge) && age >= g.minAge &&
		flags&g.resAll == g.resAll && (g.resAny == 0 || flags&g.resAny != 0)
}

// writeNamed writes the clients that the request names.
func (r *Responder) writeNamed(g *page) {
	for i := range g.priors {
		if !g.priors[i].addr.IsValid() {
			continue
		}
		prefix := clientlog.PrefixOf(g.priors[i].addr)
		at := slices.IndexFunc(r.list.list, func(rec clientlog.Record) bool { return rec.Prefix == prefix })
		if at >= 0 {
			r.writeClient(&r.list.list[at], i)
		}
	}
	r.text.bare("nonce", r.nonce())
	r.text.stamp("now", ntp.FromInstant(r.req.Now.Wall))
	r.list = snapshot{}
}

// writeClient writes a client. Records hold no port and no mode, and of IPv6 the
// network; requests of clients have mode 3.
func (r *Responder) writeClient(rec *clientlog.Record, i int) {
	t, suffix := &r.text, "."+strconv.Itoa(i)
	t.bare("addr"+suffix, clientAddr(rec))
	t.stamp("last"+suffix, ntp.FromInstant(rec.Last))
	t.stamp("first"+suffix, ntp.FromInstant(r.firstHeard(rec)))
	t.uint("ct"+suffix, uint64(rec.Hits))
	t.uint("mv"+suffix, uint64(rec.Version())<<3|uint64(ntp.ModeClient))
	t.hex("rs"+suffix, clientFlags(rec))
	t.uint("dr"+suffix, uint64(rec.Drops))
}

func clientAddr(rec *clientlog.Record) string {
	return netip.AddrPortFrom(rec.Prefix.Netip().Addr(), 0).String()
}

// clientFlags are the restrictions (ntp.h, RES_) that a client met.
func clientFlags(rec *clientlog.Record) uint64 {
	if rec.Drops > 0 {
		return flagLimited
	}
	return 0
}

// firstHeard is not recorded: it is put where the interval that ntpq computes of it
// is the mean interval that is, but not before the start.
func (r *Responder) firstHeard(rec *clientlog.Record) clock.Wall {
	log, known := rec.Interval()
	if !known || rec.Hits < 2 {
		return rec.Last
	}
	first := rec.Last.Add(-clock.Seconds(math.Exp2(log) * float64(rec.Hits-1)))
	started := r.req.Now.Wall.Add(-r.req.Now.Mono.Sub(r.view.Started))
	if first.Before(started) && !rec.Last.Before(started) {
		return started
	}
	return first
}
