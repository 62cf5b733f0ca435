// SPDX-License-Identifier: Apache-2.0

package responder

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"testing"

	"foliot/internal/acl"
	"foliot/internal/auth"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// benchmark answers req over and over, from one client; change prepares each
// request.
func benchmark(b *testing.B, req []byte, p *Policy, want Verdict, change func(req []byte, last *Reply)) {
	b.ReportAllocs()
	s := NewServer(Config{Stamps: 4096, Log: 1 << 19, Key: clientlog.HashKey{3, 4}, Random: random()})
	snap := snapshot()
	buf := make([]byte, len(req))
	in := Arrival{From: netip.MustParseAddrPort("10.0.0.1:40000"), Stamp: clock.Stamp{Kind: clock.StampKernel}}
	var out Reply
	var n int64
	for b.Loop() {
		n++
		copy(buf, req)
		if change != nil {
			change(buf, &out)
		}
		in.Stamp.Time = wall(n * 1000)
		if v := s.Receive(buf, &in, p, snap, &out); v == Answer {
			tag := s.Seal(&out, buf[:out.Len], in.Stamp.Time.Add(10), snap)
			s.Transmitted(tag, clock.Stamp{Time: in.Stamp.Time.Add(50), Kind: clock.StampKernel}, snap)
		}
	}
	if s.Counters.Verdicts[want] < uint64(n)*9/10 {
		b.Fatalf("of %d requests %v have verdict %v", n, s.Counters.Verdicts, want)
	}
}

func BenchmarkServe(b *testing.B) {
	basic := packet(4, ntp.ModeClient, 48)
	b.Run("basic", func(b *testing.B) { benchmark(b, basic, everybody, Answer, nil) })
	b.Run("field", func(b *testing.B) { benchmark(b, withField(monoBody(24), 0), everybody, Answer, nil) })
	b.Run("interleaved", func(b *testing.B) {
		n := uint64(0)
		benchmark(b, basic, everybody, Answer, func(req []byte, last *Reply) {
			n++
			binary.BigEndian.PutUint64(req[24:], uint64(last.receive))
			binary.BigEndian.PutUint64(req[32:], n)
		})
	})
	closed := &Policy{Access: acl.New([]acl.Rule{{Allow: true, Prefix: netip.MustParsePrefix("192.0.2.0/24")}})}
	b.Run("denied", func(b *testing.B) { benchmark(b, basic, closed, Denied, nil) })
	limited := *everybody
	limited.Limit = clientlog.NewLimit(12, 1, 4, 0)
	b.Run("limited", func(b *testing.B) { benchmark(b, basic, &limited, Limited, nil) })
	b.Run("bad mode", func(b *testing.B) { benchmark(b, packet(4, ntp.ModeControl, 48), everybody, BadMode, nil) })
	for typ := auth.MD5; typ <= auth.AES256; typ++ {
		k := macTypes[typ]
		p := &Policy{Access: everybody.Access, Keys: auth.Ring{k.ID(): k}}
		req := k.AppendMAC(binary.BigEndian.AppendUint32(basic[:48:48], k.ID()), basic)
		b.Run(fmt.Sprint("MAC ", typ), func(b *testing.B) { benchmark(b, req, p, Answer, nil) })
	}
}

// TestNoAllocationsForAnyKind: neither a MAC of any type nor turning away costs
// memory.
func TestNoAllocationsForAnyKind(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	limited := strict()
	limited.Limit = clientlog.NewLimit(12, 1, 4, 4)
	s := NewServer(Config{Stamps: 64, Log: 1 << 14, Random: func() uint64 { return math.MaxUint64 >> 1 }})
	snap := snapshot()
	for _, k := range slices.AppendSeq([]auth.Key{{}}, maps.Values(macTypes)) {
		req := packet(4, ntp.ModeClient, 48)
		if k.ID() != 0 {
			limited.Keys[k.ID()] = k
			req = k.AppendMAC(binary.BigEndian.AppendUint32(req, k.ID()), req)
		}
		for _, tt := range []struct {
			from string
			p    *Policy
			want Verdict
		}{
			{"192.0.2.1:123", &Policy{Access: limited.Access, Keys: limited.Keys}, Answer},
			{"192.0.2.1:123", limited, Limited}, {"198.51.100.1:123", limited, Denied},
		} {
			b := make([]byte, len(req))
			in := Arrival{From: netip.MustParseAddrPort(tt.from), Stamp: clock.Stamp{Time: wall(0)}}
			var out Reply
			wrong := 0
			n := testing.AllocsPerRun(1, func() {
				for i := range 1000 {
					copy(b, req)
					v := s.Receive(b, &in, tt.p, snap, &out)
					if v == Answer {
						s.Seal(&out, b, wall(0), snap)
					}
					if v != tt.want && i > 0 {
						wrong++
					}
				}
			})
			if n != 0 || wrong != 0 {
				t.Errorf("%v, key %v: %v allocations in 1000 requests, %d other verdicts", tt.want, k, n, wrong)
			}
		}
	}
}
