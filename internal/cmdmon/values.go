// SPDX-License-Identifier: Apache-2.0

package cmdmon

import (
	"encoding/binary"
	"math"
	"net/netip"

	"foliot/internal/clock"
)

// Float is a number in 32 bits: coefficient * 2^(exponent-25). The upper 7 bits
// are the exponent, the lower 25 the coefficient, both in two's complement and
// without a hidden bit.
type Float uint32

const (
	coefBits = 25
	coefMax  = 1<<(coefBits-1) - 1 // of positive numbers
	expMin   = -64
	expMax   = 63
)

// ToFloat rounds v to the nearest number with 24 bits. What is too large becomes
// the largest, what is too small 0, and so does NaN.
func ToFloat(v float64) Float {
	if math.IsNaN(v) {
		return 0
	}
	if v = max(-math.MaxFloat64, min(v, math.MaxFloat64)); v == 0 {
		return 0
	}
	// |v| = frac * 2^exp with frac in [1/2, 1), so that the coefficient
	// frac * 2^24 uses all bits; below expMin it has fewer.
	_, exp := math.Frexp(v)
	exp = max(exp+1, expMin)
	coef := math.RoundToEven(math.Ldexp(v, coefBits-exp))
	switch {
	case coef > coefMax:
		exp, coef = exp+1, coef/2
	case coef == -(coefMax+1)/2 && exp > expMin:
		exp, coef = exp-1, coef*2 // two's complement has one more below, and chrony uses it
	}
	if exp > expMax {
		exp, coef = expMax, coefMax
		if v < 0 {
			coef = -coefMax - 1
		}
	}
	if coef == 0 {
		return 0
	}
	return Float(uint32(exp)<<coefBits | uint32(int32(coef))&(1<<coefBits-1))
}

// Value is the number that f stands for.
func (f Float) Value() float64 {
	exp := int32(f) >> coefBits
	coef := int32(f) << (32 - coefBits) >> (32 - coefBits)
	return math.Ldexp(float64(coef), int(exp)-coefBits)
}

// IPAddr is an address, or the number that the daemon gave to a source whose
// name has not resolved, or neither. A zone does not travel.
type IPAddr struct {
	Addr netip.Addr
	ID   uint32 // of an unresolved source; looked at if Addr is invalid
}

// Families of IPAddr on the wire.
const (
	familyNone  = 0
	familyINET4 = 1
	familyINET6 = 2
	familyID    = 3
)

// ipAddrLen is the length of an IPAddr: 16 octets of address, of which the
// family uses the first ones, the family, and two octets of zero.
const ipAddrLen = 20

// AppendTo appends the 20 octets of a to b.
func (a IPAddr) AppendTo(b []byte) []byte {
	var field [ipAddrLen]byte
	family := uint16(familyNone)
	switch {
	case a.Addr.Is4():
		family = familyINET4
		copy(field[:], a.Addr.AsSlice())
	case a.Addr.Is6():
		family = familyINET6
		copy(field[:], a.Addr.AsSlice())
	case a.ID != 0:
		family = familyID
		binary.BigEndian.PutUint32(field[:], a.ID)
	}
	binary.BigEndian.PutUint16(field[16:], family)
	return append(b, field[:]...)
}

// Decode reads a from b, which must hold 20 octets. A family that nobody knows
// reads as no address.
func (a *IPAddr) Decode(b []byte) {
	*a = IPAddr{}
	switch binary.BigEndian.Uint16(b[16:ipAddrLen]) {
	case familyINET4:
		a.Addr = netip.AddrFrom4([4]byte(b))
	case familyINET6:
		a.Addr = netip.AddrFrom16([16]byte(b))
	case familyID:
		a.ID = binary.BigEndian.Uint32(b)
	}
}

func (w *wire) addrs(all ...*IPAddr) {
	for _, a := range all {
		field := w.next(ipAddrLen)
		switch {
		case field == nil:
		case w.writing:
			a.AppendTo(field[:0])
		default:
			a.Decode(field)
		}
	}
}

// Timespec is an instant: seconds since 1970 and nanoseconds. On the wire these
// are the upper and the lower half of the seconds, and the nanoseconds. The zero
// value often means "never".
type Timespec struct {
	Sec  int64
	Nsec uint32
}

// noUpperHalf is in place of the upper half where the sender has none.
const noUpperHalf = 0x7fffffff

const maxNsec = 999_999_999

// ToTimespec is the instant t.
func ToTimespec[C any](t clock.Instant[C]) Timespec {
	sec, nsec := t.Nanos()/1e9, t.Nanos()%1e9
	if nsec < 0 {
		sec, nsec = sec-1, nsec+1e9
	}
	return Timespec{Sec: sec, Nsec: uint32(nsec)}
}

// Wall is the instant by the wall clock, at the limit of what that can hold (292
// years from 1970) if t is beyond.
func (t Timespec) Wall() clock.Wall {
	const limit = math.MaxInt64/1_000_000_000 - 1
	sec := max(-limit, min(t.Sec, limit))
	return clock.At[clock.Realtime](sec*1e9 + int64(t.Nsec))
}

func (w *wire) time(t *Timespec) {
	field := w.next(12)
	switch {
	case field == nil:
	case w.writing:
		binary.BigEndian.PutUint64(field, uint64(t.Sec))
		binary.BigEndian.PutUint32(field[8:], t.Nsec)
	default:
		upper := binary.BigEndian.Uint32(field)
		if upper == noUpperHalf {
			upper = 0
		}
		t.Sec = int64(uint64(upper)<<32 | uint64(binary.BigEndian.Uint32(field[4:])))
		t.Nsec = min(binary.BigEndian.Uint32(field[8:]), maxNsec)
	}
}
