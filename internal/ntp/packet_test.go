// SPDX-License-Identifier: Apache-2.0

package ntp

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
)

// A server's answer, octet by octet.
const exampleHex = "24" + "02" + "06" + "e9" + "00000100" + "00000288" + "c0000201" +
	"dda7c4b0a1b2c3d4" + "dda7c4f000000001" + "dda7c4f0deadbeef" + "dda7c4f0deadbf00"

var example = Packet{
	Leap: LeapNone, Version: 4, Mode: ModeServer, Stratum: 2, Poll: 6, Precision: -23,
	RootDelay: 0x100, RootDisp: 0x288, RefID: 0xc0000201,
	Reference: 0xdda7c4b0a1b2c3d4, Origin: 0xdda7c4f000000001,
	Receive: 0xdda7c4f0deadbeef, Transmit: 0xdda7c4f0deadbf00,
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestHeader(t *testing.T) {
	b := unhex(t, exampleHex)
	var p Packet
	if !p.Decode(b) || p != example {
		t.Errorf("Decode(%x) = %+v, want %+v", b, p, example)
	}
	if got := example.AppendTo([]byte("x")); !bytes.Equal(got[1:], b) || got[0] != 'x' {
		t.Errorf("AppendTo = %x, want %x", got, b)
	}
	if s := p.RootDisp.Seconds(); s != 0x288/65536.0 {
		t.Errorf("root dispersion = %v s", s)
	}
}

func TestDecodeLengths(t *testing.T) {
	b := make([]byte, 1600)
	b[0] = Version<<3 | byte(ModeClient)
	var p Packet
	for n := range len(b) {
		want := n >= 48 && n <= 1140 && n%4 == 0
		if got := p.Decode(b[:n]); got != want {
			t.Errorf("%d octets: decoded %v, want %v", n, got, want)
		}
	}
}

func TestDecodeFirstOctet(t *testing.T) {
	b := make([]byte, HeaderLen)
	for first := range 256 {
		b[0] = byte(first)
		var p Packet
		version := uint8(first >> 3 & 7)
		ok := p.Decode(b)
		if want := version >= 1 && version <= 4; ok != want {
			t.Errorf("first octet %#x: decoded %v, want %v", first, ok, want)
		}
		if ok && (p.Version != version || p.Leap != Leap(first>>6) || p.Mode != Mode(first&7)) {
			t.Errorf("first octet %#x: leap %d version %d mode %d", first, p.Leap, p.Version, p.Mode)
		}
	}
}

// TestEncodeMasks: fields that are too wide do not spill into each other.
func TestEncodeMasks(t *testing.T) {
	p := Packet{Leap: 7, Version: 12, Mode: 11}
	if got, want := p.AppendTo(nil)[0], byte(3<<6|4<<3|3); got != want {
		t.Errorf("first octet = %#x, want %#x", got, want)
	}
}

func FuzzPacket(f *testing.F) {
	f.Add(unhex(f, exampleHex))
	f.Add(make([]byte, HeaderLen))
	f.Add(bytes.Repeat([]byte{0xff}, MaxLen))
	f.Add(append(unhex(f, exampleHex), make([]byte, 20)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p, q Packet
		if !p.Decode(b) {
			if len(b) >= HeaderLen && len(b) <= MaxLen && len(b)%4 == 0 && b[0]>>3&7 >= 1 && b[0]>>3&7 <= 4 {
				t.Fatalf("%x does not decode", b)
			}
			return
		}
		out := p.AppendTo(nil)
		if !bytes.Equal(out, b[:HeaderLen]) {
			t.Fatalf("%x decodes and encodes as %x", b[:HeaderLen], out)
		}
		if !q.Decode(out) || q != p {
			t.Fatalf("%+v encodes and decodes as %+v", p, q)
		}
	})
}

func TestRefIDOf(t *testing.T) {
	tests := []struct {
		addr string
		want RefID
	}{
		{"192.0.2.1", 0xc0000201},
		{"127.127.1.1", RefIDLocal},
		{"::ffff:192.0.2.1", 0xc0000201},
		// The first octets of the MD5 digest of the 16 octets, by md5sum(1).
		{"::1", 0xcf404dc8},
		{"2001:db8::1", 0x39ab9b37},
		{"::", 0x4ae71336},
		{"fe80::1%eth0", 0x89e5301f},
	}
	for _, tt := range tests {
		if got := RefIDOf(netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("RefIDOf(%s) = %#08x, want %#08x", tt.addr, got, tt.want)
		}
	}
}

var sinkBytes [MaxLen]byte

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	b := example.AppendTo(make([]byte, 0, MaxLen))
	b = AppendField(b, FieldMonoRoot, make([]byte, 24), 0)
	b = append(b, make([]byte, MaxMACLen)...)
	addr := netip.MustParseAddr("2001:db8::1")
	n := testing.AllocsPerRun(1, func() {
		for range 10000 {
			var p Packet
			if !p.Decode(b) {
				t.Fatal("no packet")
			}
			tr, ok := SplitTrailer(b, p.Version)
			typ, body, _, more := NextField(tr.Fields)
			if !ok || !more || typ != FieldMonoRoot || len(tr.MAC) != 20 {
				t.Fatalf("trailer %+v %v", tr, ok)
			}
			p.RefID = RefIDOf(addr)
			p.Transmit = FromInstant(p.Receive.Served())
			out := p.AppendTo(sinkBytes[:0])
			AppendField(out, typ, body, 28)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations in 10000 packets, want 0", n)
	}
}
