// SPDX-License-Identifier: Apache-2.0

package udpstamp

import (
	"testing"
	"time"
)

// both runs a test with nanosecond timeouts and with the older call.
func both(t *testing.T, test func(*testing.T, *Poller)) {
	for name, nano := range map[string]bool{"epoll_pwait2": true, "epoll_wait": false} {
		t.Run(name, func(t *testing.T) {
			if nano && !Probe().Nanowait {
				t.Skip("kernel has no epoll_pwait2 (5.11)")
			}
			p, err := newPoller(nano)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			test(t, p)
		})
	}
}

func TestWakeFromAnotherGoroutine(t *testing.T) {
	both(t, func(t *testing.T, p *Poller) {
		work := make(chan int, 1)
		for i := range 200 {
			go func() {
				work <- i
				p.Wake()
			}()
			// The runtime's own signals may end a Wait before.
			var events []Event
			var woken bool
			var err error
			for begin := time.Now(); !woken && err == nil && time.Since(begin) < 5*time.Second; {
				events, woken, err = p.Wait(5 * time.Second)
			}
			if err != nil || !woken || len(events) != 0 {
				t.Fatalf("round %d: Wait() = %v, %v, %v, want woken", i, events, woken, err)
			}
			if got := <-work; got != i {
				t.Fatalf("round %d: got work %d", i, got)
			}
		}
	})
}

func TestWakesAreMerged(t *testing.T) {
	both(t, func(t *testing.T, p *Poller) {
		for range 1000 {
			p.Wake()
		}
		if _, woken, err := p.Wait(0); !woken || err != nil {
			t.Errorf("Wait after Wake = %v, %v, want woken", woken, err)
		}
		if _, woken, err := p.Wait(0); woken || err != nil {
			t.Errorf("second Wait = %v, %v, want not woken", woken, err)
		}
	})
}

func TestWaitTimesOut(t *testing.T) {
	both(t, func(t *testing.T, p *Poller) {
		for _, d := range []time.Duration{0, 300 * time.Microsecond, 3 * time.Millisecond} {
			begin := time.Now()
			events, woken, err := p.Wait(d)
			if took := time.Since(begin); err != nil || woken || len(events) != 0 || took < d {
				t.Errorf("Wait(%v) = %v, %v, %v after %v", d, events, woken, err, took)
			}
		}
	})
}

func TestPollerReportsSockets(t *testing.T) {
	both(t, func(t *testing.T, p *Poller) {
		pr := newPair(t, loopback4, Probe())
		const token = 0xfeedfacecafebeef
		if err := p.Add(pr.client.FD(), token); err != nil {
			t.Fatal(err)
		}
		send(t, pr.client, Datagram{Data: []byte("x"), TxID: 1})
		events, _, err := p.Wait(5 * time.Second)
		if Probe().Stamps && (err != nil || len(events) != 1 || events[0] != Event{Token: token, Errors: true}) {
			t.Fatalf("Wait() = %+v, %v, want the error queue of %#x", events, err, uint64(token))
		}
		pr.transmitted(t, pr.client, 1)
		m := pr.receive(t, pr.server)
		send(t, pr.server, Datagram{To: m.From, Data: []byte("y")})
		events, _, err = p.Wait(5 * time.Second)
		if err != nil || len(events) != 1 || events[0] != (Event{Token: token, Readable: true}) {
			t.Fatalf("Wait() = %+v, %v, want %#x readable", events, err, uint64(token))
		}
		if err := p.Remove(pr.client.FD()); err != nil {
			t.Fatal(err)
		}
		if events, _, err := p.Wait(0); err != nil || len(events) != 0 {
			t.Errorf("Wait() after Remove = %+v, %v, want nothing", events, err)
		}
	})
}

func TestWakeAfterClose(t *testing.T) {
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p.Wake()
	if err := p.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestWaitAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	both(t, func(t *testing.T, p *Poller) {
		// The runtime may start a thread meanwhile, which allocates; what Wait
		// itself allocates shows each time.
		n := 1.0
		for try := 0; try < 3 && n != 0; try++ {
			n = testing.AllocsPerRun(1, func() {
				for range 10000 {
					p.Wake()
					if _, woken, err := p.Wait(time.Second); !woken || err != nil {
						t.Fatalf("Wait() = %v, %v", woken, err)
					}
				}
			})
		}
		if n != 0 {
			t.Errorf("10000 Wait allocate %v times, want 0", n)
		}
	})
}

func TestMilliseconds(t *testing.T) {
	tests := []struct {
		in   time.Duration
		want int
	}{{-1, -1}, {0, 0}, {1, 1}, {time.Millisecond, 1}, {time.Millisecond + 1, 2}, {1 << 62, 1<<31 - 1}}
	for _, tt := range tests {
		if got := milliseconds(tt.in); got != tt.want {
			t.Errorf("milliseconds(%v) = %d, want %d", tt.in, got, tt.want)
		}
	}
}
