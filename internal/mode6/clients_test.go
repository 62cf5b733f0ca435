// SPDX-License-Identifier: Apache-2.0

package mode6

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"foliot/internal/clientlog"
	"foliot/internal/ntp"
)

// read reads the whole list as ntpq does: page after page, each told what there
// is already. It returns addresses in the order of arrival.
func (l *lab) read(parameters string, page func()) (got []string, pages int) {
	l.Helper()
	nonce := strings.TrimSpace(l.ask(opNonce, 0, "").data)
	var have []string // ", addr.N=..., last.N=..." without numbers, the newest last
	for {
		pages++
		if pages > 2000 {
			l.Fatalf("no end after %d clients", len(got))
		}
		q := nonce + ", frags=3" + parameters
		for i := range have {
			item := fmt.Sprintf(have[len(have)-1-i], i, i)
			if i == mostPriors || len(q)+len(item) >= maxData {
				break
			}
			q += item
		}
		m := l.ask(opReadMRU, 0, q)
		if m.code != 0 || m.frags == 0 || m.frags > 3 {
			l.Fatalf("page %d: %v to %s", pages, m, q)
		}
		v := m.variables()
		for i := 0; v[fmt.Sprintf("addr.%d", i)] != ""; i++ {
			addr, last := v[fmt.Sprintf("addr.%d", i)], v[fmt.Sprintf("last.%d", i)]
			got = append(got, addr)
			have = append(have, ", addr.%d="+addr+", last.%d="+last)
		}
		if v["now"] != "" {
			return got, pages
		}
		nonce = "nonce=" + v["nonce"]
		page()
	}
}

// TestPages reads a long list while its clients go on asking.
func TestPages(t *testing.T) {
	l := newLab(t)
	records := labClients(1000, noon)
	calls := 0
	l.list = func() []clientlog.Record { calls++; return slices.Clone(records) }
	got, pages := l.read("", func() {
		l.at = l.at.Add(time.Second)
		for i := range records {
			if i%5 == 0 {
				records[i].Last = labNow(l.at).Wall
			}
		}
	})
	slices.SortFunc(records, func(a, b clientlog.Record) int { return strings.Compare(clientAddr(&a), clientAddr(&b)) })
	sorted := slices.Sorted(slices.Values(got))
	if len(got) != len(records) {
		t.Fatalf("%d of %d clients in %d pages", len(got), len(records), pages)
	}
	for i := range records {
		if sorted[i] != clientAddr(&records[i]) {
			t.Fatalf("client %d is %s, want %s", i, sorted[i], clientAddr(&records[i]))
		}
	}
	if calls != 1 {
		t.Errorf("the records were copied %d times for one list", calls)
	}
	if l.r.list.list != nil {
		t.Error("the copy is kept")
	}
}

// TestStalePages: a reader who was away goes on where he was in a list taken
// anew, or is told to begin again.
func TestStalePages(t *testing.T) {
	l := newLab(t)
	records := labClients(40, noon)
	l.list = func() []clientlog.Record { return slices.Clone(records) }
	nonce := strings.TrimSpace(l.ask(opNonce, 0, "").data)
	oldest := slices.MinFunc(records, func(a, b clientlog.Record) int { return int(a.Last.Sub(b.Last)) })
	prior := fmt.Sprintf(", addr.0=%s, last.0=%s", clientAddr(&oldest), appendStamp(nil, ntp.FromInstant(oldest.Last)))
	m := l.ask(opReadMRU, 0, nonce+", frags=32"+prior)
	v := m.variables()
	if m.code != 0 || v["addr.older"] != clientAddr(&oldest) || v["addr.38"] == "" || v["addr.39"] != "" || v["now"] == "" {
		t.Errorf("what follows the oldest of 40 is %v", m)
	}
	for i := range records {
		records[i].Last = records[i].Last.Add(1)
	}
	if m := l.ask(opReadMRU, 0, nonce+", frags=32"+prior); m.code != unknownName {
		t.Errorf("a client that has asked since: %v, want error %d", m, unknownName)
	}
}

// TestFilters: the parameters of mrulist.
func TestFilters(t *testing.T) {
	l := newLab(t)
	records := labClients(40, noon)
	l.list = func() []clientlog.Record { return slices.Clone(records) }
	count := func(want func(*clientlog.Record, float64) bool) (n int) {
		for i := range records {
			if want(&records[i], labNow(noon).Wall.Sub(records[i].Last).Seconds()) {
				n++
			}
		}
		return n
	}
	dropped := count(func(r *clientlog.Record, _ float64) bool { return r.Drops > 0 })
	if dropped == 0 || dropped == 40 {
		t.Fatalf("%d of 40 clients were limited", dropped)
	}
	for _, tt := range []struct {
		parameters string
		want       int
	}{
		{"", 40},
		{", mincount=9", count(func(r *clientlog.Record, _ float64) bool { return r.Hits >= 9 })},
		{", mindrop=1", dropped},
		{", resany=0x20", dropped},
		{", resall=0x20", dropped},
		{", resall=0x420", 0},
		{", maxlstint=10", count(func(_ *clientlog.Record, age float64) bool { return age <= 10 })},
		{", minlstint=10", count(func(_ *clientlog.Record, age float64) bool { return age >= 10 })},
		{", recent=5", 5},
		{", recent=500", 40},
	} {
		parameters := tt.parameters
		if strings.Contains(parameters, "recent") {
			l.r.list = snapshot{}
			nonce := strings.TrimSpace(l.ask(opNonce, 0, "").data)
			v := l.ask(opReadMRU, 0, nonce+", frags=32"+parameters).variables()
			if v[fmt.Sprintf("addr.%d", tt.want-1)] == "" || v[fmt.Sprintf("addr.%d", tt.want)] != "" {
				t.Errorf("%s: %d variables, want %d clients", parameters, len(v), tt.want)
			}
			continue
		}
		if got, _ := l.read(parameters, func() {}); len(got) != tt.want {
			t.Errorf("%s: %d clients, want %d", parameters, len(got), tt.want)
		}
	}
}

// TestNamedClients: limit=1 asks for single clients.
func TestNamedClients(t *testing.T) {
	l := newLab(t)
	nonce := strings.TrimSpace(l.ask(opNonce, 0, "").data)
	v := l.ask(opReadMRU, 0, nonce+", limit=1, addr.0=10.9.9.9:123, addr.1=10.0.0.1:123, addr.2=[2001:db8:0:2::1]:5").variables()
	if v["addr.0"] != "" || v["addr.1"] != "10.0.0.1:0" || v["addr.2"] != "[2001:db8:0:2::]:0" || v["now"] == "" {
		t.Errorf("got %v", v)
	}
}

// TestMeanInterval: what ntpq shows as avgint is the mean interval of the record.
func TestMeanInterval(t *testing.T) {
	l := newLab(t)
	table := clientlog.New(1<<16, clientlog.HashKey{})
	for i := range 50 {
		table.Hit(clientlog.PrefixOf(there.Addr()), labNow(noon.Add(time.Duration(i-50)*16*time.Second)).Wall, 4, nil, nil)
	}
	l.list = func() []clientlog.Record { return []clientlog.Record{*table.Lookup(clientlog.PrefixOf(there.Addr()))} }
	nonce := strings.TrimSpace(l.ask(opNonce, 0, "").data)
	v := l.ask(opReadMRU, 0, nonce+", frags=1").variables()
	first, ok1 := parseStamp(v["first.0"])
	last, ok2 := parseStamp(v["last.0"])
	if mean := last.Served().Sub(first.Served()).Seconds() / 49; !ok1 || !ok2 || mean < 15 || mean > 17 {
		t.Errorf("the mean interval is %.1f s, want 16 but for rounding: %v", mean, v)
	}
	// A client cannot have been heard before the start.
	l.state.Started = labNow(noon.Add(-100 * time.Second)).Mono
	v = l.ask(opReadMRU, 0, nonce+", frags=1").variables()
	if first, _ = parseStamp(v["first.0"]); first.Wall() != labNow(noon.Add(-100*time.Second)).Wall {
		t.Errorf("first heard %s, want the start", v["first.0"])
	}
}

// TestParameters: what makes no sense is met with silence or an error.
func TestParameters(t *testing.T) {
	l := newLab(t)
	nonce := strings.TrimSpace(l.ask(opNonce, 0, "").data)
	for _, tt := range []struct {
		body string
		code failure
		ok   bool
	}{
		{"frags=32", 0, true},
		{"limit=256", 0, true},
		{"frags=128, limit=9999", 0, true},
		{"frags=32, something=else, limit=x", 0, true},
		{"frags=32, addr.16=1.2.3.4:5", 0, true},
		{"frags=32, last.-1=0x0.0", 0, true},
		{"", badValue, true},
		{"limit=257", badValue, true},
		{"frags=129", badValue, true},
		{"frags=32, laddr=192.0.2.1", badFormat, true},
		{"frags=32, minscore=1.5", badFormat, true},
		{"frags=65536", 0, false},
		{"frags=-1", 0, false},
		{"frags=", 0, false},
		{"frags", 0, false},
		{"frags=32, last.0=1.2", 0, false},
		{"frags=32, last.0=0x0000000g.00000000", 0, false},
		{"frags=32, addr.0=" + strings.Repeat("[", 200), 0, false},
		{"frags=32, addr.0=1.2.3.4", 0, false},
		{"frags=32, mincount=99999999999999999999", 0, false},
		{"frags=32, resall=0xfffffffff", 0, false},
	} {
		m := l.ask(opReadMRU, 0, nonce+", "+tt.body)
		if m.frags != 0 != tt.ok || m.code != tt.code {
			t.Errorf("%s: %v, want an answer: %v, error %d", tt.body, m, tt.ok, tt.code)
		}
	}
	l.list = nil
	if v := l.ask(opReadMRU, 0, nonce+", frags=32").variables(); v["now"] == "" || v["addr.0"] != "" {
		t.Errorf("without records: %v", v)
	}
	for _, a := range []netip.AddrPort{here6} {
		l.from = a
		if l.ask(opReadMRU, 0, nonce+", frags=32").frags != 0 {
			t.Error("the nonce of another address is taken")
		}
	}
}
