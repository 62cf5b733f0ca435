// SPDX-License-Identifier: Apache-2.0

package cmdmon

import (
	"encoding/hex"
	"math"
	"net/netip"
	"strings"
	"testing"

	"foliot/internal/clock"
)

func TestTimespec(t *testing.T) {
	for _, tc := range []struct {
		hex  string
		want Timespec
		back string
	}{
		{"000000006b03fed90f9f0bc1", Timespec{0x6b03fed9, 0x0f9f0bc1}, ""},
		{"7fffffff6b03fed900000000", Timespec{0x6b03fed9, 0}, "000000006b03fed900000000"},
		{"000000010000000000000000", Timespec{1 << 32, 0}, ""},
		{"ffffffffffffffff3b9ac9ff", Timespec{-1, 999_999_999}, ""},
		{"0000000000000001ffffffff", Timespec{1, 999_999_999}, "00000000000000013b9ac9ff"},
	} {
		b, err := hex.DecodeString(tc.hex)
		if err != nil {
			t.Fatal(err)
		}
		var got Instant
		if tc.back == "" {
			tc.back = tc.hex
		}
		if !decodeBody(b, &got) || got.Time != tc.want || hex.EncodeToString(appendBody(nil, &got)) != tc.back {
			t.Errorf("%s: %+v, and back %x, want %+v, %s", tc.hex, got.Time, appendBody(nil, &got), tc.want, tc.back)
		}
	}
}

func TestTimespecInstants(t *testing.T) {
	for _, ns := range []int64{0, 1, -1, 1_500_000_000, -1_500_000_000, 1_795_000_000_123_456_789} {
		w := clock.At[clock.Realtime](ns)
		if got := ToTimespec(w); got.Wall() != w || got.Nsec > maxNsec {
			t.Errorf("%d ns: %+v, and back %v", ns, got, got.Wall())
		}
	}
	for _, sec := range []int64{math.MaxInt64, math.MinInt64} {
		got := Timespec{Sec: sec, Nsec: maxNsec}.Wall().Nanos()
		if (got > 0) != (sec > 0) || max(got, -got) < math.MaxInt64-3e9 {
			t.Errorf("%d s: %d ns", sec, got)
		}
	}
}

func TestFloat(t *testing.T) {
	largest, lowest := math.Ldexp(coefMax, expMax-coefBits), -math.Ldexp(1, 62)
	for _, tc := range []struct {
		v    float64
		bits Float
		back float64
	}{
		{0, 0, 0}, {math.Copysign(0, -1), 0, 0}, {1, 0x04800000, 1}, {-1, 0x03000000, -1}, {-1.5, 0x05400000, -1.5}, {1.5, 0x04c00000, 1.5}, {10, 0x0aa00000, 10},
		{0.1, 0xfccccccd, 13421773.0 / (1 << 27)}, {math.NaN(), 0, 0}, {math.Inf(1), 0x7effffff, largest},
		{math.Inf(-1), 0x7f000000, lowest}, {1e300, 0x7effffff, largest}, {-1e300, 0x7f000000, lowest},
		{1e-100, 0, 0}, {5e-324, 0, 0}, {math.Ldexp(1, -89), 0x80000001, math.Ldexp(1, -89)},
		{math.Ldexp(-1, -89), 0x81ffffff, math.Ldexp(-1, -89)}, {math.Ldexp(1, -91), 0, 0},
		{16777215.7, 0x34800000, 16777216},
	} {
		if got := ToFloat(tc.v); got != tc.bits || got.Value() != tc.back {
			t.Errorf("ToFloat(%v) = %08x, that is %v; want %08x, %v", tc.v, uint32(got), got.Value(), uint32(tc.bits), tc.back)
		}
	}
}

func FuzzFloat(f *testing.F) {
	for _, v := range []float64{0, 1, -0.1, 1e-26, 1e-28, 1e19, 1e12, math.Inf(1), math.NaN(), 5e-324} {
		f.Add(v, uint32(math.Float64bits(v)>>32))
	}
	largest := math.Ldexp(coefMax, expMax-coefBits)
	f.Fuzz(func(t *testing.T, v float64, bits uint32) {
		if x := Float(bits).Value(); ToFloat(x).Value() != x {
			t.Errorf("%08x is %v, and that %v", bits, x, ToFloat(x).Value())
		}
		got := ToFloat(v).Value()
		switch abs := math.Abs(v); {
		case math.IsNaN(v):
			if got != 0 {
				t.Errorf("NaN became %v", got)
			}
		case abs > largest:
			if math.Abs(got) < largest || math.Signbit(got) != math.Signbit(v) {
				t.Errorf("%v became %v, want the largest", v, got)
			}
		case math.Abs(got-v) > max(abs/(1<<24), math.Ldexp(1, -90)):
			t.Errorf("%v became %v", v, got)
		}
	})
}

func TestAddresses(t *testing.T) {
	for _, tc := range []struct {
		a    IPAddr
		want string
	}{
		{IPAddr{}, strings.Repeat("00", 20)},
		{IPAddr{Addr: netip.MustParseAddr("192.0.2.1")}, "c0000201" + strings.Repeat("00", 12) + "00010000"},
		{IPAddr{Addr: netip.MustParseAddr("2001:db8::1")}, "20010db8000000000000000000000001" + "00020000"},
		{IPAddr{Addr: netip.MustParseAddr("::ffff:192.0.2.1")}, "00000000000000000000ffffc0000201" + "00020000"},
		{IPAddr{ID: 7}, "00000007" + strings.Repeat("00", 12) + "00030000"},
	} {
		b := tc.a.AppendTo(nil)
		var back IPAddr
		if back.Decode(b); hex.EncodeToString(b) != tc.want || back != tc.a {
			t.Errorf("%v: %x, and back %v, want %s", tc.a, b, back, tc.want)
		}
	}
	var a IPAddr
	b := IPAddr{Addr: netip.MustParseAddr("192.0.2.1")}.AppendTo(nil)
	b[17] = 9
	if a.Decode(b); a != (IPAddr{}) {
		t.Errorf("unknown family: %v", a)
	}
}
