// SPDX-License-Identifier: Apache-2.0

package leap

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// history is every leap second so far: the days, as year and 6 or 12, that ended
// with one since 1972.
var history = []string{
	"1972-06", "1972-12", "1973-12", "1974-12", "1975-12", "1976-12", "1977-12", "1978-12", "1979-12",
	"1981-06", "1982-06", "1983-06", "1985-06", "1987-12", "1989-12", "1990-12", "1992-06", "1993-06",
	"1994-06", "1995-12", "1997-06", "1998-12", "2005-12", "2008-12", "2012-06", "2015-06", "2016-12",
}

// after returns the midnight that a month ends with.
func after(month string) int64 {
	t, err := time.Parse("2006-01", month)
	if err != nil {
		panic(err)
	}
	return t.AddDate(0, 1, 0).Unix()
}

func historical() *Table {
	t := &Table{Entries: []Entry{{utcStart, 10}}}
	for i, m := range history {
		t.Entries = append(t.Entries, Entry{after(m), 11 + i})
	}
	return t
}

// list writes a table as leap-seconds.list.
func list(t *Table) string {
	var b strings.Builder
	sum := sha1.New()
	num := func(v int64) string {
		s := fmt.Sprint(v)
		sum.Write([]byte(s))
		return s
	}
	if t.Updated != 0 {
		fmt.Fprintf(&b, "# comment\n#$\t%s\n", num(t.Updated+ntpToUnix))
	}
	if t.Expires != 0 {
		fmt.Fprintf(&b, "#@ %s\n#\n", num(t.Expires+ntpToUnix))
	}
	for _, e := range t.Entries {
		at := num(e.Unix + ntpToUnix)
		fmt.Fprintf(&b, "%s\t%s\t# comment\n", at, num(int64(e.TAI)))
	}
	if t.Verified {
		h := sum.Sum(nil)
		b.WriteString("\n#h")
		for i := 0; i < 20; i += 4 {
			fmt.Fprintf(&b, " %x", binary.BigEndian.Uint32(h[i:]))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// zone writes a table as a TZif file: version 1 has times of 4 octets; the later
// ones have an empty block of those before one with 8.
func zone(t *Table, version byte) []byte {
	block := func(records int, size int) []byte {
		b := append([]byte("TZif"), version)
		b = append(b, make([]byte, 15)...)
		for _, n := range []int{1, 1, records, 0, 1, 4} {
			b = binary.BigEndian.AppendUint32(b, uint32(n))
		}
		b = append(b, 0, 0, 0, 0, 0, 0, 'U', 'T', 'C', 0)
		appendTime := func(v int64) {
			if size == 8 {
				b = binary.BigEndian.AppendUint64(b, uint64(v))
			} else {
				b = binary.BigEndian.AppendUint32(b, uint32(v))
			}
		}
		sum := 0
		for _, e := range t.Entries[1:] {
			if records == 0 {
				break
			}
			at := e.Unix + int64(sum)
			if e.TAI-10 < sum {
				at--
			}
			sum = e.TAI - 10
			appendTime(at)
			b = binary.BigEndian.AppendUint32(b, uint32(int32(sum)))
		}
		if records > 0 && t.Expires != 0 {
			appendTime(t.Expires + int64(sum))
			b = binary.BigEndian.AppendUint32(b, uint32(int32(sum)))
		}
		return append(b, 0, 0)
	}
	n := len(t.Entries) - 1
	if t.Expires != 0 {
		n++
	}
	if version == 0 {
		return block(n, 4)
	}
	return append(append(block(0, 4), block(n, 8)...), "\nUTC0\n"...)
}

// sameTable compares what tables say.
func sameTable(t *testing.T, name string, got, want *Table) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s:\ngot  %v\nwant %v", name, got, want)
	}
}

func TestParse(t *testing.T) {
	withDeletion := historical()
	withDeletion.Entries = append(withDeletion.Entries,
		Entry{after("2029-06"), 36}, Entry{after("2029-12"), 35}, Entry{after("2030-06"), 36}, Entry{after("2038-12"), 37})
	onlyDeletion := &Table{Entries: []Entry{{utcStart, 10}, {after("1972-06"), 9}}}
	for i, table := range []*Table{historical(), withDeletion, onlyDeletion} {
		for _, expires := range []int64{0, after("2040-06")} {
			for _, verified := range []bool{false, true} {
				want := *table
				want.Expires, want.Updated, want.Verified = expires, 1234567, verified
				got, err := ParseList([]byte(list(&want)))
				if err != nil {
					t.Fatalf("table %d: %v\n%s", i, err, list(&want))
				}
				sameTable(t, fmt.Sprintf("list of table %d", i), got, &want)
			}
			want := *table
			want.Expires = expires
			for _, version := range []byte{0, '2', '3', '4'} {
				if expires != 0 && version != '4' || version == 0 && i == 1 {
					continue // cannot be expressed
				}
				got, err := ParseTZif(zone(&want, version))
				if err != nil {
					t.Fatalf("table %d: %v", i, err)
				}
				sameTable(t, fmt.Sprintf("zone of table %d, version %q", i, version), got, &want)
			}
		}
	}
}

// TestPublishedChecksum is the list that IERS published in July 2025, without
// the comments, which do not count.
func TestPublishedChecksum(t *testing.T) {
	table := historical()
	table.Updated, table.Expires = 3960835200-ntpToUnix, 3991593600-ntpToUnix
	text := list(table) + "#h\t49db2447 571e5e1b 2f002a53 9c8da8e4 39b8e49e\n"
	if got, err := ParseList([]byte(text)); err != nil || !got.Verified {
		t.Errorf("published list: %v, %v", got, err)
	}
}

func TestParseListErrors(t *testing.T) {
	good := historical()
	good.Verified = true
	text := list(good)
	tests := []struct{ name, text, want string }{
		{"empty", "", "leap second list: no data"},
		{"changed", strings.Replace(text, "3692217600\t37", "3723753600\t37", 1), "leap second list: checksum of the list is wrong"},
		{"line missing", strings.Replace(text, "3692217600\t37\t# comment\n", "", 1), "leap second list: checksum of the list is wrong"},
		{"one word", "2272060800\n", "leap second list, line 1: not a time and a number of seconds"},
		{"three words", "2272060800 10 1 # x\n", "leap second list, line 1: not a time and a number of seconds"},
		{"two seconds", "2272060800 10\n2287785600 12\n", "leap second list, line 2: 12 s from 78796800 on does not follow 10 s from 63072000 on"},
		{"not ascending", "2287785600 10\n2272060800 11\n", "leap second list, line 2: 11 s from 63072000 on does not follow 10 s from 78796800 on"},
		{"not midnight", "2272060801 10\n", "leap second list, line 1: 63072001 is not a midnight"},
		{"negative", "-5 10\n", `leap second list, line 1: time: strconv.ParseUint: parsing "-5": invalid syntax`},
		{"far away", "99999999999 10\n", "leap second list, line 1: time 99999999999 is too far away"},
		{"short checksum", "#h 1 2 3 4\n", "leap second list, line 1: checksum does not have five words"},
		{"bad checksum", "#h 1 2 3 4 x\n", `leap second list, line 1: checksum: strconv.ParseUint: parsing "x": invalid syntax`},
		{"bad expiry", "#@ soon\n", `leap second list, line 1: time: strconv.ParseUint: parsing "soon": invalid syntax`},
	}
	for _, tt := range tests {
		if _, err := ParseList([]byte(tt.text)); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	if _, err := ParseList([]byte(tests[1].text)); !errors.Is(err, ErrChecksum) {
		t.Errorf("a changed list: %v, want ErrChecksum", err)
	}
}

func TestParseTZifErrors(t *testing.T) {
	whole := zone(historical(), '2')
	for n := range len(whole) - len("\nUTC0\n") {
		if _, err := ParseTZif(whole[:n]); err == nil {
			t.Fatalf("the first %d of %d octets are read", n, len(whole))
		}
	}
	none := zone(&Table{Entries: []Entry{{utcStart, 10}}}, '2')
	if _, err := ParseTZif(none); err == nil || err.Error() != "time zone: no leap seconds in it" {
		t.Errorf("zone without leap seconds: %v", err)
	}
	odd := bytes.Clone(whole)
	odd[len(odd)-len("\nUTC0\n")-2-12+7]++ // the time of the last record
	if _, err := ParseTZif(odd); err == nil {
		t.Error("a leap second within the day is read")
	}
}

func TestAt(t *testing.T) {
	table := historical()
	table.Entries = append(table.Entries, Entry{after("2030-06"), 36})
	table.Expires = after("2030-12")
	tests := []struct {
		at      string
		leap    ntp.Leap
		tai     int
		expired bool
	}{
		{"1969-06-30T12:00:00Z", ntp.LeapNone, 0, false},
		{"1971-12-31T23:59:59Z", ntp.LeapNone, 0, false},
		{"1972-01-01T00:00:00Z", ntp.LeapNone, 10, false},
		{"1972-06-29T23:59:59Z", ntp.LeapNone, 10, false},
		{"1972-06-30T00:00:00Z", ntp.LeapInsert, 10, false},
		{"1972-06-30T23:59:59Z", ntp.LeapInsert, 10, false},
		{"1972-07-01T00:00:00Z", ntp.LeapNone, 11, false},
		{"2016-12-31T12:00:00Z", ntp.LeapInsert, 36, false},
		{"2026-01-01T00:00:00Z", ntp.LeapNone, 37, false},
		{"2030-06-30T00:00:00Z", ntp.LeapDelete, 37, false},
		{"2030-07-01T00:00:00Z", ntp.LeapNone, 36, false},
		{"2030-12-31T23:59:59Z", ntp.LeapNone, 36, false},
		{"2031-01-01T00:00:00Z", ntp.LeapNone, 36, true},
	}
	for _, tt := range tests {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		l, tai, expired := table.At(at.Unix())
		if l != tt.leap || tai != tt.tai || expired != tt.expired {
			t.Errorf("At(%s) = %d, %d, %v, want %d, %d, %v", tt.at, l, tai, expired, tt.leap, tt.tai, tt.expired)
		}
	}
	var none *Table
	if l, tai, expired := none.At(0); l != 0 || tai != 0 || !expired {
		t.Errorf("nil table: %d, %d, %v", l, tai, expired)
	}
}

func TestCheck(t *testing.T) {
	if err := historical().Check(); err != nil {
		t.Errorf("history: %v", err)
	}
	late, early := historical(), historical()
	late.Entries = late.Entries[:25] // ends in 2009
	for i := range early.Entries {
		early.Entries[i].TAI--
	}
	for i, table := range []*Table{{}, nil, late, early} {
		if err := table.Check(); !errors.Is(err, ErrNotLeap) {
			t.Errorf("table %d: %v, want ErrNotLeap", i, err)
		}
	}
}

func served(s string) clock.Served {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return clock.At[clock.Corrected](t.UnixNano())
}

func TestDate(t *testing.T) {
	for s, want := range map[string]bool{
		"2026-06-29T23:59:59.999999999Z": false, "2026-06-30T00:00:00Z": true,
		"2026-06-30T23:59:59.999999999Z": true, "2026-07-01T00:00:00Z": false,
		"2026-12-31T12:00:00Z": true, "2026-12-30T12:00:00Z": false, "2026-03-31T12:00:00Z": false,
		"1969-12-31T12:00:00Z": true,
	} {
		if got := Date(served(s)); got != want {
			t.Errorf("Date(%s) = %v", s, got)
		}
	}
}

func TestVote(t *testing.T) {
	for _, tt := range []struct {
		sources, insert, del int
		want                 ntp.Leap
	}{
		{0, 0, 0, ntp.LeapNone}, {1, 1, 0, ntp.LeapInsert}, {2, 1, 0, ntp.LeapNone}, {2, 1, 1, ntp.LeapNone},
		{3, 2, 1, ntp.LeapInsert}, {3, 0, 2, ntp.LeapDelete}, {5, 2, 2, ntp.LeapNone},
	} {
		if got := Vote(tt.sources, tt.insert, tt.del); got != tt.want {
			t.Errorf("Vote(%d, %d, %d) = %d, want %d", tt.sources, tt.insert, tt.del, got, tt.want)
		}
	}
}

// invariants are what any table that was read satisfies.
func invariants(t *testing.T, table *Table) {
	for i, e := range table.Entries {
		if e.Unix%day != 0 {
			t.Fatalf("%v: %d is not a midnight", table, e.Unix)
		}
		if i == 0 {
			continue
		}
		last := table.Entries[i-1]
		if d := e.TAI - last.TAI; d*d != 1 || e.Unix <= last.Unix {
			t.Fatalf("%v: bad step to entry %d", table, i)
		}
		want := ntp.LeapInsert
		if e.TAI < last.TAI {
			want = ntp.LeapDelete
		}
		if l, tai, _ := table.At(e.Unix - 1); l != want || tai != last.TAI {
			t.Fatalf("%v: before entry %d: %d, %d", table, i, l, tai)
		}
	}
}

func FuzzParseList(f *testing.F) {
	table := historical()
	table.Verified, table.Expires, table.Updated = true, after("2030-12"), after("2026-06")
	f.Add([]byte(list(table)))
	f.Add([]byte("#@ 1\n2272060800 10\n2287785600 9 # x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := ParseList(b)
		if err != nil {
			return
		}
		invariants(t, table)
		again, err := ParseList([]byte(list(table)))
		if err != nil {
			t.Fatalf("%v written is not read: %v", table, err)
		}
		sameTable(t, "written and read", again, table)
	})
}

func FuzzParseTZif(f *testing.F) {
	f.Add(zone(historical(), 0))
	f.Add(zone(historical(), '2'))
	table := historical()
	table.Expires = after("2030-12")
	f.Add(zone(table, '4'))
	f.Fuzz(func(t *testing.T, b []byte) {
		if table, err := ParseTZif(b); err == nil {
			invariants(t, table)
		}
	})
}
