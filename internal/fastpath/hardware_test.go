// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"errors"
	"os"
	"testing"
	"unsafe"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/traffic"
)

// TestHardware: the program that asks the card for its stamp loads, takes the place of
// the other, and answers as it did where there is none, as of veth. What a card's
// stamp is worth cannot be seen here: no device of this kind has any.
func TestHardware(t *testing.T) {
	if unsafe.Sizeof(ntpHardware{}) != uintptr(hardwareSize) || unsafe.Sizeof(ntpHardware{}.Lines[0]) != hardwareLineSize {
		t.Fatal("the layout is not that of bpf/hardware.h")
	}
	if os.Getenv("FOLIOT_DEVICE_BOUND") == "" {
		t.Skip("FOLIOT_DEVICE_BOUND is not set: a kernel (6.18) crashed when an interface went that such a program was bound to")
	}
	l := newLab(t)
	if err := l.Hardware(l.link.BDev); err == nil {
		t.Error("an interface that is not attached has a card")
	}
	l.attach(Native)
	err := l.server.Inside(func() error { return l.Hardware(l.link.BDev) })
	if errors.Is(err, errors.ErrUnsupported) {
		able(t, err) // Linux 6.6 has it for veth
	}
	l.must(err)
	l.must(l.SetHardware(l.link.BDev, HardwareLine{Clock: 1, Wall: wallNow(), Rate: 1e-6, Lease: clock.Second}))
	l.serve(l.link.B4) // where it goes if it is not answered in the driver
	const requests = 20
	conn := l.dial(false)
	for i := range uint64(requests) {
		before := wallNow()
		var got ntp.Packet
		if !got.Decode(l.ask(conn, plainRequest(i+1))) {
			t.Fatal("no answer")
		}
		if d := got.Receive.Wall().Sub(before); d < 0 || d > clock.Second {
			t.Errorf("received %d ns after it was sent", d)
		}
	}
	in := &l.traffic().In
	if in.Verdict(traffic.Answered) != requests || in.Hardware != 0 {
		t.Errorf("%d of %d answered, %d with stamps of a card that veth has not", in.Verdict(traffic.Answered), requests, in.Hardware)
	}
	l.must(l.Serve(l.link.BDev, false))
	if l.ask(conn, plainRequest(99)) == nil || l.traffic().In.Verdict(traffic.Seen) != 1 {
		t.Error("the other program does not share what it is told")
	}
}
