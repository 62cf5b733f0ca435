// SPDX-License-Identifier: Apache-2.0

//go:build clknetsim

package clknetsim

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// unhex decodes octets written in groups; "0*N" stands for N zero octets.
func unhex(t *testing.T, s string) []byte {
	t.Helper()
	var b []byte
	for _, f := range strings.Fields(s) {
		if n, ok := strings.CutPrefix(f, "0*"); ok {
			var count int
			for _, c := range n {
				count = count*10 + int(c-'0')
			}
			b = append(b, make([]byte, count)...)
			continue
		}
		x, err := hex.DecodeString(f)
		if err != nil {
			t.Fatalf("bad test octets %q: %v", f, err)
		}
		b = append(b, x...)
	}
	return b
}

func littleEndian(t *testing.T) {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("expected octets are those of a little-endian machine")
	}
}

// pair returns a connection and the server's end of it.
func pair(t *testing.T) (*Conn, int) {
	t.Helper()
	fd, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET, 0)
	if err != nil {
		t.Fatalf("socketpair: %v", err)
	}
	c := &Conn{fd: fd[0], in: make([]byte, maxReply+1)}
	t.Cleanup(func() { c.Close(); syscall.Close(fd[1]) })
	return c, fd[1]
}

const (
	half   = "000000000000e03f" // 0.5
	one    = "000000000000f03f"
	two    = "0000000000000040"
	three  = "0000000000000840"
	clocks = half + " " + one + " " + two + " " + three + " 0000000000000000"
)

var shown = Times{Real: 0.5, Monotonic: 1, Raw: 2, Network: 3}

// frames has one exchange for each kind of request.
var frames = []struct {
	name    string
	request string
	reply   string // empty: none
	do      func(c *Conn) (any, error)
	want    any
}{
	{"register", "01000000 00000000 03000000", "02000000 01000000",
		func(c *Conn) (any, error) { a, b, err := c.Register(3); return [2]uint32{a, b}, err }, [2]uint32{2, 1}},
	{"gettime", "02000000 00000000 01000000", clocks,
		func(c *Conn) (any, error) { return c.Times(1) }, shown},
	{"settime", "03000000 00000000 01000000 00000000 " + two, "",
		func(c *Conn) (any, error) { return nil, c.SetTime(1, 2) }, nil},
	{"adjtimex",
		"04000000 00000000 01000000 00000000" +
			" 16210000 00000000 0200000000000000 0300000000000000 0400000000000000 0500000000000000" +
			" 40000000 00000000 0600000000000000 0*16 ffffffffffffffff 0700000000000000 1127000000000000" +
			" 0*64 08000000 0*44",
		"05000000 00000000" +
			" 00000000 00000000 0c00000000000000 0d00000000000000 0e00000000000000 0f00000000000000" +
			" 40200000 00000000 1000000000000000 0*16 1100000000000000 1200000000000000 1027000000000000" +
			" 0*64 25000000 0*44",
		func(c *Conn) (any, error) {
			tx := Timex{Modes: 0x2116, Offset: 2, Freq: 3, MaxError: 4, EstError: 5, Status: 0x40,
				Constant: 6, Sec: -1, Frac: 7, Tick: 10001, TAI: 8}
			state, err := c.Adjust(1, &tx)
			if state != 5 {
				return state, err
			}
			return tx, err
		},
		Timex{Offset: 12, Freq: 13, MaxError: 14, EstError: 15, Status: 0x2040, Constant: 16,
			Sec: 17, Frac: 18, Tick: 10000, TAI: 37}},
	{"select timed out", "06000000 00000000 " + half + " 01000000 00000000", "00000000 0*20 " + clocks,
		func(c *Conn) (any, error) { return c.Select(0.5, true) }, Wake{Reason: TimedOut, Times: shown}},
	{"select without reading", "06000000 00000000 " + half + " 00000000 00000000", "03000000 ffffffff 0*16 " + clocks,
		func(c *Conn) (any, error) { return c.Select(0.5, false) }, Wake{Reason: Terminated, Times: shown}},
	{"select with a message", "06000000 00000000 " + half + " 01000000 00000000",
		"01000000 01000000 02000000 03000000 7b000000 00800000 " + clocks,
		func(c *Conn) (any, error) { return c.Select(0.5, true) },
		Wake{Reason: Unicast, Times: shown, Next: Message{Kind: KindUDP, Host: Host{2, 3}, SrcPort: 123, DstPort: 32768}}},
	{"send", "07000000 00000000 01000000 01000000 ffffffff 7b000000 7c000000 03000000 61 62 63", "",
		func(c *Conn) (any, error) {
			return nil, c.Send(&Message{Kind: KindUDP, Host: Host{1, everyNode}, SrcPort: 123, DstPort: 124, Data: []byte("abc")})
		}, nil},
	{"recv", "08000000 00000000", "01000000 01000000 02000000 7b000000 7c000000 02000000 68 69",
		func(c *Conn) (any, error) { return c.Receive() },
		Message{Kind: KindUDP, Host: Host{1, 2}, SrcPort: 123, DstPort: 124, Data: []byte("hi")}},
	{"recv of nothing", "08000000 00000000", "0*24",
		func(c *Conn) (any, error) { return c.Receive() }, Message{Data: []byte{}}},
	{"getrefsample", "09000000 00000000", one + " " + half + " 01000000 00000000",
		func(c *Conn) (any, error) { return c.ReferenceSample() }, Sample{Time: 1, Offset: 0.5, Valid: true}},
	{"getrefoffsets", "0a000000 00000000", "02000000 00000000 " + one + " " + half,
		func(c *Conn) (any, error) { return c.ReferenceOffsets() }, []float64{1, 0.5}},
	{"deregister", "0b000000 00000000", "",
		func(c *Conn) (any, error) { return nil, c.Deregister() }, nil},
}

func TestFrames(t *testing.T) {
	littleEndian(t)
	for _, tt := range frames {
		t.Run(tt.name, func(t *testing.T) {
			c, peer := pair(t)
			if tt.reply != "" {
				if _, err := syscall.Write(peer, unhex(t, tt.reply)); err != nil {
					t.Fatalf("write reply: %v", err)
				}
			}
			got, err := tt.do(c)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("reply %s:\n got %+v, %v\nwant %+v", tt.reply, got, err, tt.want)
			}
			b := make([]byte, 8192)
			n, err := syscall.Read(peer, b)
			if err != nil {
				t.Fatalf("read request: %v", err)
			}
			if want := unhex(t, tt.request); !bytes.Equal(b[:n], want) {
				t.Errorf("request\n got %x\nwant %x", b[:n], want)
			}
		})
	}
}

// TestWrongLength cuts and extends each reply by an octet.
func TestWrongLength(t *testing.T) {
	littleEndian(t)
	for _, tt := range frames {
		if tt.reply == "" {
			continue
		}
		b := unhex(t, tt.reply)
		for _, bad := range [][]byte{b[:len(b)-1], append(b[:len(b):len(b)], 0)} {
			c, peer := pair(t)
			if _, err := syscall.Write(peer, bad); err != nil {
				t.Fatalf("write reply: %v", err)
			}
			if got, err := tt.do(c); !errors.Is(err, errMalformed) {
				t.Errorf("%s with %d octets: got %+v, error %v, want %v", tt.name, len(bad), got, err, errMalformed)
			}
		}
	}
}

func TestServerGone(t *testing.T) {
	c, peer := pair(t)
	syscall.Close(peer)
	for _, tt := range frames {
		if _, err := tt.do(c); err == nil {
			t.Errorf("%s without a server: no error", tt.name)
		}
	}
}

func TestSendTooLong(t *testing.T) {
	c, _ := pair(t)
	if err := c.Send(&Message{Data: make([]byte, MaxData+1)}); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("%d octets: error %v, want %v", MaxData+1, err, syscall.EMSGSIZE)
	}
	if err := c.Send(&Message{Data: make([]byte, MaxData)}); err != nil {
		t.Errorf("%d octets: %v", MaxData, err)
	}
}

// FuzzReplies gives any octets to every decoder. What one accepts it must have
// read completely: encoded again it has the same length and meaning.
func FuzzReplies(f *testing.F) {
	for _, n := range []int{0, 7, 8, 24, 27, 40, 64, timexReplyLen, maxReply} {
		f.Add(make([]byte, n))
	}
	f.Add(append(append([]byte{1, 0, 0, 0}, make([]byte, 19)...), 1, 'x'))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeMessage(b); err == nil {
			if got := appendMessage(nil, &m); !bytes.Equal(got, b) {
				t.Errorf("message %x became %x", b, got)
			}
		}
		var tx, again Timex
		if state, err := decodeAdjusted(b, &tx); err == nil {
			reply := appendTimex(put32(nil, uint32(state), 0), &tx)
			if s, err := decodeAdjusted(reply, &again); err != nil || s != state || again != tx {
				t.Errorf("timex %x: got %+v, then %+v (%v)", b, tx, again, err)
			}
		}
		if w, err := decodeWake(b); err == nil {
			checkShown(t, w.Times)
		}
		if c, err := decodeTimes(b); err == nil {
			checkShown(t, c)
		}
		if v, err := decodeOffsets(b); err == nil && 8+8*len(v) != len(b) {
			t.Errorf("%d offsets from %d octets", len(v), len(b))
		}
		if _, err := decodeSample(b); (err == nil) != (len(b) == sampleLen) {
			t.Errorf("sample of %d octets: error %v", len(b), err)
		}
		if _, _, err := decodeRegistered(b); (err == nil) != (len(b) == registeredLen) {
			t.Errorf("registration of %d octets: error %v", len(b), err)
		}
	})
}

// checkShown demands times that a 64-bit count of nanoseconds can hold.
func checkShown(t *testing.T, c Times) {
	t.Helper()
	for _, v := range []float64{c.Real, c.Monotonic, c.Raw} {
		if got := float64(nanos(v)); math.Abs(got-v*1e9) > 1+math.Abs(v)*1e-6 {
			t.Errorf("%g s became %g ns", v, got)
		}
	}
}
