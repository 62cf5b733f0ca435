// SPDX-License-Identifier: Apache-2.0

package udpstamp

import (
	"testing"
	"time"
)

// TestWaiter waits for a datagram, a transmit stamp, a call and nothing.
func TestWaiter(t *testing.T) {
	l := newBatchLab(t, loopback4, Probe(), 4, 16)
	w, err := NewWaiter(l.server)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	begin := time.Now()
	for time.Since(begin) < 5*time.Second { // a signal of the Go runtime may cut one short
		if something, stamps := w.Glance(2 * time.Millisecond); stamps {
			t.Fatal("stamps are there before anything was sent")
		} else if !something {
			break
		}
	}
	if d := time.Since(begin); d < 2*time.Millisecond || d > 5*time.Second {
		t.Errorf("a glance of 2 ms at nothing takes %v", d)
	}
	l.send("x")
	if something, stamps := w.Glance(5 * time.Second); !something || stamps {
		t.Errorf("a datagram is there: something %v, stamps %v", something, stamps)
	}
	if w.Wait() {
		t.Error("stamps are there before any was asked for")
	}
	l.batch.Recv()
	l.batch.Answer(0, 1, 5)
	l.batch.Flush()
	if !w.Wait() {
		t.Error("Wait does not see the transmit stamp")
	}
	l.stamps(1)
	for range 2 {
		time.AfterFunc(10*time.Millisecond, w.Wake)
		if w.Wait() {
			t.Error("a call is taken for a stamp")
		}
	}
	w.Wake()
	w.Wake()
	if something, _ := w.Glance(5 * time.Second); !something {
		t.Error("a call before the glance was not seen")
	}
	if something, _ := w.Glance(0); something {
		t.Error("two calls were seen as two")
	}
	w.Close()
	w.Wake() // after Close it does nothing
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func TestPause(t *testing.T) {
	longest := time.Duration(0)
	for range 20 { // a signal of the Go runtime may cut some short
		begin := time.Now()
		Pause(200 * time.Microsecond)
		longest = max(longest, time.Since(begin))
	}
	if longest < 200*time.Microsecond {
		t.Errorf("the longest of 20 pauses of 200 us took %v", longest)
	}
}
