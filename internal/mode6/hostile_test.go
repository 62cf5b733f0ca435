// SPDX-License-Identifier: Apache-2.0

package mode6

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"foliot/internal/acl"
	"foliot/internal/clientlog"
)

// longest is more than any answer without nonce has, octets: all associations that
// are listed, or all variables once.
const longest = 60 * (headerLen + maxData)

// judge checks what must hold of every answer to b.
func judge(t *testing.T, r *Responder, b []byte, out [][]byte) {
	n := total(out)
	limit := longest
	if r.proven {
		limit = maxFragments * (headerLen + maxData)
	}
	if n > limit {
		t.Fatalf("%d octets answer %x", n, b)
	}
	at := 0
	for i, f := range out {
		if len(f) < headerLen || len(f) > headerLen+maxData || len(f)%4 != 0 {
			t.Fatalf("datagram %d of %d octets answers %x", i, len(f), b)
		}
		if f[1]&flagResponse == 0 || f[1]&0x1f != b[1]&0x1f || !slices.Equal(f[2:4], b[2:4]) || !slices.Equal(f[6:8], b[6:8]) {
			t.Fatalf("%x is no answer to %x", f[:headerLen], b)
		}
		count := int(binary.BigEndian.Uint16(f[10:]))
		if offset := int(binary.BigEndian.Uint16(f[8:])); offset != at || count > len(f)-headerLen || f[1]&flagMore != 0 != (i < len(out)-1) {
			t.Fatalf("datagram %d of %d is at %d, want %d: %x", i, len(out), offset, at, f[:headerLen])
		}
		at += count
		if f[1]&flagError != 0 && (len(f) != headerLen || len(out) != 1) {
			t.Fatalf("an error of %d octets in %d datagrams answers %x", len(f), len(out), b)
		}
	}
}

// shapes are the data of attacks on ntpd's parsers.
func shapes(nonce string) []string {
	return []string{
		"",
		strings.Repeat("A", maxData),          // CVE-2014-9295
		"stratum=" + strings.Repeat("9", 400), // ntpdx, CVE-2001-0414
		nonce + ", laddr=[]:" + strings.Repeat("H", 300) + ", frags=32", // CVE-2015-7855
		nonce + ", frags=32, addr.0=[::1]%" + strings.Repeat("a", 100),  // CVE-2019-6443
		"frags=32, last.0=, addr.0=",                                    // CVE-2016-7434
		"nonce, laddr=[]:Hragsfrags=32, laddr=[]:WOP",                   // CVE-2016-7434
		nonce + ", frags=4294967295, limit=4294967295",                  // CVE-2016-2519
		nonce + ", mincount=-1, resall=0xffffffff, frags=1",             //
		nonce + ", frags=32, last.15=0x00000001.00000001, addr.15=1.2.3.4:5, last.16=0x0.0, addr.99999999999=x",
		"addr.0=" + strings.Repeat("1.", 200),
		"%n%n%s%x=%s,%d",
		strings.Repeat(",", maxData), strings.Repeat("=", maxData), strings.Repeat("\x00", maxData), strings.Repeat("\xff", maxData),
		strings.Repeat("sys_var_list,", 36), strings.Repeat("peer_var_list,", 33),
		"setvar foo=bar default", "mru initmem 17433588", // CVE-2017-6464, CVE-2016-2517
		"saveconfig ../../../etc/passwd",   // CVE-2015-7851
		"pidfile /tmp/x\ndriftfile /tmp/y", // CVE-2015-7703
		"config=\"a\\\"b", "leap,\"stratum", "\"leap\"=\"\"",
	}
}

// TestEveryLength sends every length from 0 to 1500 with every opcode, and counts
// what comes back: to strangers nothing at all.
func TestEveryLength(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	l := newLab(t)
	all := acl.New([]acl.Rule{{Allow: true, Everything: true}})
	open := newLab(t)
	open.from = there
	const surplus = 1000
	open.r.SetPolicy(Policy{Access: all, Surplus: surplus})
	b := make([]byte, 1500)
	in, out := 0, 0
	for n := range 1501 {
		for op := range 32 {
			for i := range b {
				b[i] = byte(random.Uint32())
			}
			b[0], b[1] = b[0]&^7|6, byte(op)
			b[8], b[9] = 0, 0
			if op&1 == 0 {
				binary.BigEndian.PutUint16(b[6:], uint16(n%8))
			}
			if n%3 == 0 {
				b[0] = 2<<3 | 6
				binary.BigEndian.PutUint16(b[10:], uint16(n%2*max(0, n-headerLen)))
			}
			q := slices.Clone(b[:n])
			l.from = here
			judge(t, l.r, q, l.send(q))
			l.from = there
			if got := l.send(q); len(got) != 0 {
				t.Fatalf("a stranger is answered: %x", q)
			}
			judge(t, open.r, q, open.send(q))
			in, out = in+n, out+total(open.frags())
		}
	}
	// All this happens within a moment: the purse was filled once.
	if limit := in + purseSeconds*surplus; out > limit {
		t.Errorf("%d octets went out for %d, want up to %d", out, in, limit)
	}
	if l.r.Counters.Verdicts[Answered] == 0 || l.r.Counters.Verdicts[Failed] == 0 || open.r.Counters.Verdicts[Throttled] == 0 {
		t.Errorf("verdicts %v and %v: the test missed something", l.r.Counters.Verdicts, open.r.Counters.Verdicts)
	}
	var sum uint64
	for _, n := range l.r.Counters.Verdicts {
		sum += n
	}
	if sum != l.r.Counters.Received {
		t.Errorf("%d verdicts on %d datagrams", sum, l.r.Counters.Received)
	}
}

// frags are the datagrams of the last answer.
func (l *lab) frags() [][]byte { return l.r.frags }

// TestShapes sends the data of old attacks with every opcode.
func TestShapes(t *testing.T) {
	l := newLab(t)
	nonce := strings.TrimSpace(l.ask(opNonce, 0, "").data)
	for _, body := range shapes(nonce) {
		for op := range 32 {
			for assoc := range uint16(8) {
				for _, version := range []uint8{1, 2, 3, 4} {
					b := encode(version, operation(op), assoc, body[:min(len(body), maxData)])
					judge(t, l.r, b, l.send(b))
				}
			}
		}
	}
}

// FuzzRespond: no octets do harm, whoever sends them and whatever is the state.
func FuzzRespond(f *testing.F) {
	seed := newLab(&testing.T{})
	nonce := strings.TrimSpace(string(seed.send(encode(2, opNonce, 0, ""))[0][headerLen:]))
	nonce = strings.TrimRight(nonce, "\r\n\x00")
	for _, body := range shapes(nonce) {
		for _, op := range []operation{opReadStatus, opReadVariables, opReadClock, opConfigure, opReadMRU, opOrderedList, opNonce} {
			f.Add(encode(2, op, 0, body[:min(len(body), maxData)]), uint8(0))
			f.Add(encode(4, op, 1, body[:min(len(body), maxData)]), uint8(7))
		}
	}
	f.Add(encode(2, opReadMRU, 0, nonce+", frags=32"), uint8(0))
	f.Add(encode(2, opReadMRU, 0, nonce+", frags=2, addr.0=10.0.0.1:0, last.0=0xed5fcc3e.40000000"), uint8(0))
	states := fuzzStates()
	records := labClients(40, noon)
	shared := New(Config{Secret: [32]byte{1, 2, 3}})
	others := New(Config{Policy: Policy{Access: acl.New([]acl.Rule{{Allow: true, Everything: true}})}})
	f.Fuzz(func(t *testing.T, b []byte, mix uint8) {
		q := Request{Octets: b, From: here, Now: labNow(noon), State: states[int(mix)%len(states)]}
		if mix&0x40 == 0 {
			q.Clients = func() []clientlog.Record { return slices.Clone(records) }
		}
		before := slices.Clone(b)
		judge(t, shared, b, shared.Respond(&q))
		if !slices.Equal(before, b) {
			t.Fatalf("the request %x was changed", before)
		}
		q.From = there
		if len(shared.Respond(&q)) != 0 {
			t.Fatal("a stranger is answered")
		}
		q.Now = labNow(noon.Add(time.Duration(mix) * time.Second))
		judge(t, others, b, others.Respond(&q))
	})
}

// FuzzData: what the parsers take in, the header left aside.
func FuzzData(f *testing.F) {
	l := newLab(&testing.T{})
	first := l.send(encode(2, opNonce, 0, ""))[0][headerLen:]
	nonce := string(first[:len("nonce=")+nonceLen])
	for _, body := range shapes("") {
		f.Add(body)
	}
	f.Add("frags=32, recent=2, mincount=1")
	f.Add("limit=1, addr.0=10.0.0.1:0")
	f.Add("frags=1, addr.0=10.0.0.1:0, last.0=0xed5fcc3e.40000000, addr.1=[2001:db8::]:0, last.1=0xed5fcc3f.40000000")
	f.Add("leap, stratum,peer_var_list")
	records := labClients(40, noon)
	l.list = func() []clientlog.Record { return slices.Clone(records) }
	f.Fuzz(func(t *testing.T, body string) {
		for _, q := range [][]byte{
			encode(2, opReadMRU, 0, clip(nonce+", "+body)), encode(2, opReadVariables, 0, clip(body)),
			encode(2, opReadVariables, 2, clip(body)), encode(2, opReadClock, 6, clip(body)),
		} {
			judge(t, l.r, q, l.send(q))
		}
		if a, err := netip.ParseAddrPort(body); err == nil && a.Addr().Zone() == "" {
			p := clientlog.PrefixOf(a.Addr())
			if !p.Netip().Contains(a.Addr().Unmap()) {
				t.Fatalf("%s is not in %s", a, p.Netip())
			}
		}
		if ts, ok := parseStamp(body); ok && strings.ToLower(body) != string(appendStamp(nil, ts)) {
			t.Fatalf("%q reads as %s", body, appendStamp(nil, ts))
		}
	})
}

func clip(s string) string { return s[:min(len(s), maxData)] }
