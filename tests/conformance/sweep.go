// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"foliot/internal/ntp"
)

// Longest is the longest request of a sweep, octets: an Ethernet frame's.
const Longest = 1500

// Tail is what follows the header in the requests of a sweep.
type Tail func(b []byte, r *rand.Rand)

// Tails, by name: zeros behind a header of zeros, or behind a random header random
// octets, a field or two fields.
var Tails = map[string]Tail{
	"zeros": func(b []byte, _ *rand.Rand) { clear(b) },
	"any": func(b []byte, r *rand.Rand) {
		[...]Tail{scramble, oneField, twoFields}[r.IntN(3)](b, r)
	},
}

// twoFields fills b with the field F323 as clients send it and another one.
func twoFields(b []byte, r *rand.Rand) {
	scramble(b, r)
	const n = 4 + ntp.MonoRootLen
	if len(b) >= n {
		binary.BigEndian.PutUint32(b, uint32(ntp.FieldMonoRoot)<<16|n)
		binary.BigEndian.PutUint32(b[4:], ntp.MonoRootMagic)
		oneField(b[n:], r)
	}
}

// oneField fills b with a field of random content.
func oneField(b []byte, r *rand.Rand) {
	scramble(b, r)
	if len(b) >= 4 {
		binary.BigEndian.PutUint16(b, uint16(unknown))
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	}
}

func scramble(b []byte, r *rand.Rand) {
	var w [8]byte
	for len(b) > 0 {
		binary.NativeEndian.PutUint64(w[:], r.Uint64())
		b = b[copy(b, w[:]):]
	}
}

// Load is how many octets went each way.
type Load struct {
	Requests, Answers int
	In, Out           int64   // octets of UDP payload
	Worst             float64 // octets of an answer per octet of its request, at most
}

// Add adds what o went.
func (l *Load) Add(o Load) {
	l.Requests, l.Answers = l.Requests+o.Requests, l.Answers+o.Answers
	l.In, l.Out, l.Worst = l.In+o.In, l.Out+o.Out, max(l.Worst, o.Worst)
}

func (l Load) String() string {
	return fmt.Sprintf("%d requests of %d octets, %d answers of %d octets: ratio %.6f, at most %.3f",
		l.Requests, l.In, l.Answers, l.Out, float64(l.Out)/float64(l.In), l.Worst)
}

// Sweep sends requests of each length from 0 to Longest in every mode and version
// from an address that may ask, and checks that those are answered that should be,
// none with more octets than it has.
func Sweep(t Target, from netip.AddrPort, tail Tail, r *rand.Rand) (total Load, err error) {
	for first := range 64 {
		asked := make([]Exchanged, Longest+1)
		requests := make([][]byte, len(asked))
		for n := range asked {
			requests[n] = sweeping(byte(first), n, tail, r)
			asked[n].Request = requests[n]
		}
		replies, err := t.Exchange(from, requests...)
		if err != nil {
			return total, err
		}
		l, err := weigh(asked, replies, from.Port())
		total.Add(l)
		if err != nil {
			return total, fmt.Errorf("version %d mode %d from port %d: %w", first>>3, first&7, from.Port(), err)
		}
	}
	return total, nil
}

// sweeping makes a request of n octets with a first octet.
func sweeping(first byte, n int, tail Tail, r *rand.Rand) []byte {
	b := make([]byte, ntp.HeaderLen, Longest+ntp.HeaderLen)
	tail(b[1:40], r)
	b[0] = first
	binary.BigEndian.PutUint64(b[40:], r.Uint64())
	if n <= len(b) {
		return b[:n]
	}
	b = b[:n]
	tail(b[ntp.HeaderLen:], r)
	return b
}

// weigh checks the replies to requests of a sweep.
func weigh(asked []Exchanged, replies [][]byte, port uint16) (l Load, err error) {
	for _, b := range replies {
		l.Out += int64(len(b))
	}
	whole := asked[ntp.HeaderLen:] // the others have no transmit timestamp to answer
	if err := match(whole, replies); err != nil {
		return l, err
	}
	l.Requests, l.Answers = len(asked), len(replies)
	for i := range asked {
		x := &asked[i]
		l.In += int64(len(x.Request))
		switch want := answered(x.Request, port); {
		case want != (x.Reply != nil):
			return l, fmt.Errorf("%d octets are answered: %v, want %v%s", len(x.Request), !want, want, x)
		case len(x.Reply) > len(x.Request):
			return l, fmt.Errorf("%d octets are answered with %d%s", len(x.Request), len(x.Reply), x)
		case want:
			l.Worst = max(l.Worst, float64(len(x.Reply))/float64(len(x.Request)))
		}
	}
	return l, nil
}

// answered tells whether a request of a sweep is answered: one with the length of
// a packet, in a mode that asks, and nothing behind the header but fields, of which
// the last has 28 octets or more (RFC 7822). No MAC of a sweep is valid.
func answered(b []byte, port uint16) bool {
	if len(b) < 48 || len(b) > 1140 || len(b)%4 != 0 {
		return false
	}
	version, mode, rest := b[0]>>3&7, b[0]&7, b[48:]
	asks := mode == 3 || mode == 1 || mode == 0 && version == 1 && port != 123
	if version < 1 || version > 4 || !asks {
		return false
	}
	for version == 4 && len(rest) >= 28 {
		n := int(rest[2])<<8 | int(rest[3])
		if n < 16 || n%4 != 0 || n > len(rest) {
			return false
		}
		rest = rest[n:]
	}
	return len(rest) == 0
}
