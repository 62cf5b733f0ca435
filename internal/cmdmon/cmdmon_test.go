// SPDX-License-Identifier: Apache-2.0

package cmdmon

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestLengths holds the table against the lengths of chrony's protocol.
func TestLengths(t *testing.T) {
	type row struct {
		request int
		reply   ReplyType
		length  int
	}
	want := map[Command]row{
		1: {60, 1, 28}, 2: {60, 1, 28}, 3: {68, 1, 28}, 6: {28, 1, 28}, 9: {28, 1, 28}, 11: {40, 17, 40}, 13: {28, 1, 28},
		14: {32, 2, 32}, 15: {76, 3, 76}, 25: {40, 1, 28}, 26: {40, 1, 28}, 29: {40, 1, 28}, 31: {28, 1, 28},
		71: {28, 1, 28}, 33: {104, 5, 104}, 34: {84, 6, 84}, 35: {56, 7, 56}, 41: {416, 18, 416}, 42: {28, 1, 28},
		44: {48, 12, 48}, 49: {28, 1, 28}, 50: {28, 1, 28}, 51: {52, 13, 52}, 52: {28, 1, 28}, 54: {196, 25, 196},
		56: {36, 1, 28}, 57: {172, 26, 172}, 64: {372, 1, 28}, 65: {284, 19, 284}, 67: {52, 20, 52}, 68: {520, 21, 520},
		69: {76, 23, 76}, 72: {52, 1, 28}, 73: {48, 1, 28}, 74: {48, 1, 28},
	}
	for _, c := range []Command{4, 5, 7, 8, 45, 46, 47, 17, 18, 19, 20, 21, 22, 23, 24} {
		want[c] = row{44, 1, 28}
	}
	for _, c := range []Command{16, 30, 36, 37, 43, 48, 53, 62, 63, 66, 70} {
		want[c] = row{28, 1, 28}
	}
	longest := 0
	for c := range Command(1 << 12) {
		got := row{RequestLen(c), c.Reply(), ReplyLen(c.Reply())}
		w, live := want[c]
		if !live {
			w = row{0, 0, 28}
		}
		if got != w || c.Known() != live {
			t.Errorf("command %d: %+v, known %v, want %+v, %v", c, got, c.Known(), w, live)
		}
		longest = max(longest, got.length)
		if got.request > MaxRequest || live && got.request < max(MinRequest, got.length) {
			t.Errorf("command %d: request of %d octets for a reply of %d", c, got.request, got.length)
		}
	}
	if longest != MaxReply {
		t.Errorf("MaxReply = %d, want %d", MaxReply, longest)
	}
}

// The data of each message has the length that the tables say.
func TestBodyLengths(t *testing.T) {
	kinds := requests()
	for c, known := range commands {
		kind, ok := dataOf[c]
		if !ok {
			if known.data != 0 {
				t.Errorf("%v has %d octets of data and no type", c, known.data)
			}
			continue
		}
		if got := len(appendBody(nil, kinds[kind])); got != known.data {
			t.Errorf("%v: %T has %d octets, want %d", c, kinds[kind], got, known.data)
		}
		if got := len(AppendRequest(nil, RequestHeader{Command: c}, kinds[kind])); got != RequestLen(c) {
			t.Errorf("%v: request of %d octets, want %d", c, got, RequestLen(c))
		}
	}
	for _, m := range replies() {
		if got := len(AppendReply(nil, ReplyHeader{}, m)); got != ReplyLen(m.ReplyType()) {
			t.Errorf("%T: %d octets, want %d", m, got, ReplyLen(m.ReplyType()))
		}
	}
}

func TestAccess(t *testing.T) {
	want := map[Access][]Command{
		Open:     {NSources, SourceData, Tracking, SourceStats, RTCReport, ManualList, Activity, Smoothing, SourceName},
		Openable: {ServerStats, NTPData, AuthData, Clients, SelectData},
	}
	for c := range commands {
		access := UnixOnly
		for a, all := range want {
			if slices.Contains(all, c) {
				access = a
			}
		}
		if c.Access() != access {
			t.Errorf("%v: access %d, want %d", c, c.Access(), access)
		}
	}
	seen := map[Command]bool{}
	for word := range opened {
		for _, c := range Opened(word) {
			if seen[c] = true; c.Access() == UnixOnly {
				t.Errorf("opencommands %s opens %v", word, c)
			}
		}
	}
	if n := len(want[Open]) + len(want[Openable]); len(seen) != n {
		t.Errorf("opencommands opens %d commands, want %d", len(seen), n)
	}
	if Opened("shutdown") != nil {
		t.Error("opencommands opens shutdown")
	}
}

func TestOlderReply(t *testing.T) {
	for _, tc := range []struct {
		c    Command
		n    int
		want ReplyType
	}{
		{ServerStats, 72, ReplyServerStats3}, {ServerStats, 195, ReplyServerStats3}, {ServerStats, 71, 0}, {ServerStats, 196, 0},
		{NTPData, 152, ReplyNTPData1}, {NTPData, 151, 0}, {NTPData, 172, 0}, {Tracking, 103, 0}, {99, 500, 0},
	} {
		got, ok := OlderReply(tc.c, tc.n)
		if ok != (tc.want != 0) || ok && got != tc.want {
			t.Errorf("OlderReply(%v, %d) = %d, %v, want %d", tc.c, tc.n, got, ok, tc.want)
		}
	}
}

//go:embed testdata/vectors.txt
var vectors string

// TestVectors decodes what chronyd answered and encodes it again.
func TestVectors(t *testing.T) {
	byType := map[ReplyType]Reply{}
	for _, m := range replies() {
		byType[m.ReplyType()] = m
	}
	n := 0
	for line := range strings.Lines(vectors) {
		var name, text string
		var request, kind, status, length int
		if _, err := fmt.Sscanf(line, "%s req %d reply %d status %d len %d %s", &name, &request, &kind, &status, &length, &text); err != nil {
			if !strings.HasSuffix(line, "no reply\n") {
				t.Fatalf("%q: %v", line, err)
			}
			continue
		}
		n++
		digits, cut := strings.CutSuffix(text, "...")
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		if b = append(b, make([]byte, length-len(b))...); cut && kind == int(ReplyNull) {
			t.Fatalf("%s: an empty reply that is cut", name)
		}
		var h ReplyHeader
		want := ReplyHeader{Version, h.Command, ReplyType(kind), Status(status), 0x11223344}
		ok := h.Decode(b)
		if want.Command = h.Command; !ok || h != want || ReplyLen(h.Type) != length {
			t.Errorf("%s: header %+v, %v, length %d, want %+v, %d", name, h, ok, ReplyLen(h.Type), want, length)
		}
		var m Reply
		if h.Type != ReplyNull {
			if m = byType[h.Type]; m == nil || !DecodeReply(b, m) || h.Command.Reply() != h.Type || RequestLen(h.Command) > request {
				t.Errorf("%s: %T of %v not decoded", name, m, h.Command)
				continue
			}
		}
		if got := AppendReply(nil, h, m); !bytes.Equal(got, b) {
			t.Errorf("%s: %+v\n%x, want\n%x", name, m, got, b)
		}
	}
	if n != 16 {
		t.Errorf("%d vectors with a reply, want 16", n)
	}
}

func TestTrackingVector(t *testing.T) {
	var text string
	for line := range strings.Lines(vectors) {
		if rest, ok := strings.CutPrefix(line, "TRACKING req 104 "); ok {
			text = strings.Fields(rest)[6]
		}
	}
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	var got TrackingReply
	want := TrackingReply{RefID: 0x7f7f0101, Stratum: 1, RefTime: Timespec{Sec: 0x6b03fed9, Nsec: 0x0f9f0bc1}}
	if !DecodeReply(b, &got) || got != want {
		t.Errorf("tracking = %+v, want %+v", got, want)
	}
}

// TestRequests encodes what chronyc 4.3 was seen to send.
func TestRequests(t *testing.T) {
	v4 := func(s string) IPAddr { return IPAddr{Addr: netip.MustParseAddr(s)} }
	for _, tc := range []struct {
		c    Command
		m    Request
		want string
	}{
		{ModifyMakeStep, &StepLimit{Limit: 3, Threshold: 1.5}, "0000000304c00000"},
		{Offline, &Masked{Mask: v4("255.255.255.0"), Addr: v4("1.2.3.0")},
			"ffffff00000000000000000000000000000100000102030000000000000000000000000000010000"},
		{Burst, &BurstRequest{Good: 2, Total: 4}, strings.Repeat("00", 40) + "0000000200000004"},
		{AllowAll, &Subnet{Addr: v4("10.0.0.0"), Bits: 8}, "0a0000000000000000000000000000000001000000000008"},
		{CmdAccessCheck, &Address{IPAddr{Addr: netip.MustParseAddr("::1")}}, "0000000000000000000000000000000100020000"},
		{ModifyMaxDelay, &SourceFloat{v4("127.0.0.1"), 0.5}, "7f000001000000000000000000000000" + "00010000" + "02800000"},
		{ReselectDistance, &Number{0.1}, "fccccccd"},
		{ModifyUpdateSkew, &Number{10}, "0aa00000"},
		{Clients, &ClientsRequest{N: 8}, "00000000000000080000000000000000"},
		{Local2, &LocalOlder{Local{On: true, Stratum: 5, Distance: 1}}, "00000001000000050480000000000000"},
		{SetTime, &Instant{Timespec{Sec: 0x6b06cdc0}}, "000000006b06cdc000000000"},
	} {
		got := hex.EncodeToString(AppendRequest(nil, RequestHeader{Command: tc.c, Attempt: 2, Sequence: 0xa1b2c3d4}, tc.m))
		head := fmt.Sprintf("06010000%04x0002a1b2c3d40000000000000000", int(tc.c))
		if !strings.HasPrefix(got, head+tc.want) || len(got) != 2*RequestLen(tc.c) || strings.Trim(got[len(head+tc.want):], "0") != "" {
			t.Errorf("%v: %s, want %s", tc.c, got, head+tc.want)
		}
	}
}

func TestHeaders(t *testing.T) {
	good := RequestHeader{Version: 5, Command: 999, Attempt: 3, Sequence: 77}
	b := good.AppendTo(nil)
	var h RequestHeader
	if !h.Decode(b) || h != good {
		t.Errorf("decoded %+v, want %+v", h, good)
	}
	for i := 1; i < 4; i++ {
		bad := slices.Clone(b)
		if bad[i]++; h.Decode(bad) {
			t.Errorf("octet %d is %d: decoded", i, bad[i])
		}
	}
	for n := range RequestHeaderLen {
		if h.Decode(b[:n]) {
			t.Errorf("%d octets: decoded", n)
		}
	}
	reply := AppendReply(nil, ReplyHeader{Command: Tracking, Sequence: 1}, new(TrackingReply))
	var r ReplyHeader
	for n := range len(reply) {
		if r.Decode(reply[:n]) || DecodeReply(reply[:n], new(TrackingReply)) {
			t.Errorf("tracking of %d octets: decoded", n)
		}
	}
	if DecodeReply(reply, new(SourceStatsReply)) {
		t.Error("tracking decoded as sourcestats")
	}
}

func TestEncodingLeavesMessageAlone(t *testing.T) {
	m := TrackingReply{Skew: 0.1}
	AppendReply(nil, ReplyHeader{}, &m)
	if m.Skew != 0.1 {
		t.Errorf("skew is %v after encoding, want 0.1", m.Skew)
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, tc := range []struct{ name, want string }{{"ntp.example.net", "ntp.example.net"}, {"", ""}, {long, long[:255]}} {
		var got AddSourceRequest
		b := AppendRequest(nil, RequestHeader{Command: AddSource}, &AddSourceRequest{Name: tc.name})
		if !DecodeRequest(b, &got) || got.Name != tc.want {
			t.Errorf("name %q: %q", tc.name, got.Name)
		}
	}
	b := AppendRequest(nil, RequestHeader{Command: AddSource}, &AddSourceRequest{Name: long})
	b[RequestHeaderLen+4+255] = 'x'
	if got := (AddSourceRequest{}); !DecodeRequest(b, &got) || got.Name != "" {
		t.Errorf("a name without end is %q", got.Name)
	}
}

// FuzzMessages decodes octets as each message, encodes that, and decodes it again.
func FuzzMessages(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0xff}, MaxReply))
	f.Add(make([]byte, 100))
	for line := range strings.Lines(vectors) {
		words := strings.Fields(line)
		if b, err := hex.DecodeString(words[len(words)-1]); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		new(RequestHeader).Decode(b)
		new(ReplyHeader).Decode(b)
		for _, m := range requests() {
			stable(t, b, m)
		}
		for _, m := range replies() {
			DecodeReply(b, m)
			stable(t, b, m)
		}
	})
}

func stable(t *testing.T, b []byte, m body) {
	t.Helper()
	if !decodeBody(b, m) {
		return
	}
	first := appendBody(nil, m)
	again := reflect.New(reflect.TypeOf(m).Elem()).Interface().(body)
	if !decodeBody(first, again) || !reflect.DeepEqual(m, again) {
		t.Errorf("%x: %+v, again %+v", b, m, again)
	}
	if second := appendBody(nil, again); !bytes.Equal(first, second) {
		t.Errorf("%T: %x, again %x", m, first, second)
	}
}
