// SPDX-License-Identifier: Apache-2.0

package source

import (
	"net/netip"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/stats"
)

// spacing returns the seconds from the request before to the next one.
func (l *lab) spacing() float64 {
	l.t.Helper()
	before := l.sent
	l.request()
	return (l.sent - before).Seconds()
}

func within(t *testing.T, what string, got, least, most float64) {
	t.Helper()
	if got < least || got > most {
		t.Errorf("%s: %v s, want %v to %v", what, got, least, most)
	}
}

func TestFirstRequest(t *testing.T) {
	l := newLab(t, baseConfig())
	if !l.a.Deadline().IsZero() || l.a.State() != Offline {
		t.Error("a new association has a deadline")
	}
	if got := l.a.OnDeadline(l.now(), &l.env, &l.req); got != Nothing {
		t.Errorf("offline: outcome %v", got)
	}
	l.a.Online(l.now(), &l.env)
	if got := l.a.OnDeadline(l.now(), &l.env, &l.req); got != Nothing {
		t.Errorf("before the deadline: outcome %v", got)
	}
	l.request()
	within(t, "first request", l.time.Seconds(), 0.2, 0.2041)
}

func TestPollSpacing(t *testing.T) {
	for poll := int8(-6); poll <= 17; poll++ {
		cfg := baseConfig()
		cfg.MinPoll, cfg.MaxPoll = poll, poll
		l := online(t, cfg)
		l.there, l.back = 100*clock.Microsecond, 100*clock.Microsecond
		l.want(Accepted, "first")
		least, most := 1e9, 0.0
		for range 50 {
			d := l.spacing() / clock.Pow2(poll)
			least, most = min(least, d), max(most, d)
			l.receive(l.reply())
		}
		if least < 0.999 || most > 1.021 || most-least < 0.01 {
			t.Errorf("poll %d: intervals of %v to %v polls, want them spread over 1 to 1.02", poll, least, most)
		}
		if l.a.Poll() != poll || l.req.Packet.Poll != poll {
			t.Errorf("poll %d became %d, sent %d", poll, l.a.Poll(), l.req.Packet.Poll)
		}
	}
}

func TestBurst(t *testing.T) {
	tests := []struct {
		name     string
		poll     int8
		offline  bool
		good     int
		total    int
		answered func(i int) bool
		requests int     // in the burst
		samples  int     // of the burst
		spacing  float64 // seconds
	}{
		{"iburst", 6, false, 4, 8, func(int) bool { return true }, 4, 4, 2},
		{"iburst without answers", 6, false, 4, 8, func(int) bool { return false }, 8, 0, 2},
		{"every other answer is lost", 6, false, 4, 8, func(i int) bool { return i%2 == 1 }, 8, 4, 2},
		{"short poll", 1, false, 4, 8, func(int) bool { return true }, 4, 4, 0.5},
		{"offline", 6, true, 4, 8, func(int) bool { return true }, 4, 4, 2},
		{"offline, no spare requests", 6, true, 4, 4, func(int) bool { return true }, 4, 4, 2},
		{"offline, the last answer counts", 6, true, 2, 3, func(i int) bool { return i > 0 }, 3, 2, 2},
		{"offline without answers", 6, true, 2, 3, func(int) bool { return false }, 3, 0, 2},
	}
	for _, tt := range tests {
		cfg := baseConfig()
		cfg.MinPoll, cfg.MaxPoll = tt.poll, tt.poll
		cfg.IBurst = !tt.offline
		l := newLab(t, cfg)
		if tt.offline {
			l.a.StartBurst(tt.good, tt.total, l.now(), &l.env)
		} else {
			l.a.Online(l.now(), &l.env)
		}
		for i := range tt.requests {
			d := l.spacing()
			if i > 0 {
				within(t, tt.name, d, tt.spacing, tt.spacing*1.021)
			}
			if !tt.answered(i) {
				continue
			}
			if v := l.receive(l.reply()); v != Accepted {
				t.Errorf("%s: answer %d: %v", tt.name, i, v)
			}
		}
		if got := l.a.Register().Held(); got != tt.samples {
			t.Errorf("%s: %d samples, want %d", tt.name, got, tt.samples)
		}
		if !tt.offline {
			if l.a.State() != Online {
				t.Errorf("%s: state %v after the burst", tt.name, l.a.State())
			}
			within(t, tt.name+", after the burst", l.spacing(), clock.Pow2(tt.poll)*0.999, clock.Pow2(tt.poll)*1.021)
			continue
		}
		for !l.a.Deadline().IsZero() {
			if l.until() == Transmit {
				t.Fatalf("%s: a request after the burst", tt.name)
			}
		}
		if l.a.State() != Offline {
			t.Errorf("%s: state %v after the burst, want offline", tt.name, l.a.State())
		}
	}
}

func TestOnlineOffline(t *testing.T) {
	l := online(t, baseConfig())
	l.want(Accepted, "first")
	l.request()
	b := l.reply()
	l.a.Offline()
	if l.a.State() != Offline {
		t.Fatalf("state %v, want offline", l.a.State())
	}
	if v := l.receive(b); v != Unexpected {
		t.Errorf("an answer while offline: %v", v)
	}
	if reach, n := l.a.Reach(); reach != 0 || n != 0 {
		t.Errorf("offline, reach %b of %d bits", reach, n)
	}
	if got := l.until(); got != Hangup || !l.a.Deadline().IsZero() {
		t.Errorf("the open socket: outcome %v, then deadline %v", got, l.a.Deadline())
	}
	if l.a.Register().Held() != 1 {
		t.Error("going offline drops the statistics")
	}
	l.a.Online(l.now(), &l.env)
	l.want(Accepted, "online again")

	l.a.StartBurst(4, 8, l.now(), &l.env)
	if l.a.State() != BurstOnline {
		t.Fatalf("state %v, want a burst", l.a.State())
	}
	l.a.Offline()
	if l.a.State() != BurstOffline {
		t.Errorf("offline in a burst: state %v", l.a.State())
	}
	l.want(Accepted, "in the burst")
	l.a.Online(l.now(), &l.env)
	if l.a.State() != BurstOnline {
		t.Errorf("online in a burst: state %v", l.a.State())
	}
	for range 3 {
		l.want(Accepted, "in the burst")
	}
	if l.a.State() != Online {
		t.Errorf("after the burst: state %v", l.a.State())
	}
}

func TestReach(t *testing.T) {
	l := online(t, baseConfig())
	steps := []struct {
		what  string // Answered, Lost, Unsynchronised
		reach uint8
		bits  int
	}{
		{"A", 0b1, 1}, {"A", 0b11, 2}, {"L", 0b11, 2}, {"A", 0b1101, 4}, {"U", 0b11010, 5}, {"A", 0b110101, 6},
		{"L", 0b110101, 6}, {"L", 0b1101010, 7}, {"L", 0b11010100, 8}, {"L", 0b10101000, 8}, {"A", 0b10100001, 8},
	}
	for i, s := range steps {
		l.snap.Leap = ntp.LeapNone
		if s.what == "U" {
			l.snap.Leap = ntp.LeapUnsync
		}
		l.request()
		if s.what != "L" {
			l.receive(l.reply())
		}
		if reach, bits := l.a.Reach(); reach != s.reach || bits != s.bits {
			t.Errorf("step %d (%s): reach %08b of %d bits, want %08b of %d", i, s.what, reach, bits, s.reach, s.bits)
		}
	}
	if l.a.Unanswered() != 0 {
		t.Errorf("%d unanswered after an answer", l.a.Unanswered())
	}
	for i := range 12 {
		l.request()
		if l.a.Unanswered() != i+1 {
			t.Errorf("%d unanswered, want %d", l.a.Unanswered(), i+1)
		}
	}
	if reach, _ := l.a.Reach(); reach != 0 {
		t.Errorf("reach %08b after silence", reach)
	}
}

// TestPresend: a warm-up packet precedes each request by two seconds, two of
// them in interleaved mode, and their answers are not used.
func TestPresend(t *testing.T) {
	for _, xleave := range []bool{false, true} {
		cfg := baseConfig()
		cfg.Presend, cfg.XLeave = 6, xleave
		warmups := 1
		if xleave {
			warmups = 2
		}
		l := online(t, cfg)
		for round := range 4 {
			for i := range warmups {
				d := l.spacing()
				if round > 0 && i == 0 {
					within(t, "interval", d, 64*0.9, 64*1.021)
				}
				if v := l.receive(l.reply()); v != Synced {
					t.Errorf("xleave %v, round %d: warm-up: %v, want %v", xleave, round, v, Synced)
				}
			}
			within(t, "warm-up", l.spacing(), 2, 2.05)
			want := Accepted
			if xleave && round == 0 {
				want = Synced // the first answer in interleaved mode is of a warm-up
			}
			if v := l.receive(l.reply()); v != want {
				t.Errorf("xleave %v, round %d: %v, want %v", xleave, round, v, want)
			}
			if _, bits := l.a.Reach(); bits != round+1 {
				t.Errorf("xleave %v, round %d: %d bits of reach", xleave, round, bits)
			}
		}
		// An unanswered warm-up does not count as a loss.
		for range warmups {
			l.request()
		}
		l.want(Accepted, "after lost warm-ups")
		if reach, bits := l.a.Reach(); reach != 0b11111 || bits != 5 {
			t.Errorf("xleave %v: reach %b of %d bits, want 11111 of 5", xleave, reach, bits)
		}
	}
	cfg := baseConfig()
	cfg.Presend = 7
	l := online(t, cfg)
	l.want(Accepted, "presend above the poll")
}

func TestDelayAndHurry(t *testing.T) {
	l := newLab(t, baseConfig())
	l.a.Delay(l.now(), 5)
	l.a.Hurry(l.now())
	if !l.a.Deadline().IsZero() {
		t.Error("an offline association got a deadline")
	}
	l.a.Online(l.now(), &l.env)
	at := l.a.Deadline()
	l.a.Delay(l.now(), 0.1)
	if l.a.Deadline() != at {
		t.Error("a delay shorter than the wait moved the deadline")
	}
	l.a.Delay(l.now(), 0.3)
	if got := l.a.Deadline().Sub(l.now().Mono); got != 300*clock.Millisecond {
		t.Errorf("delayed by 0.3 s: %d", got)
	}
	l.want(Accepted, "first")
	l.a.Hurry(l.now())
	if got := l.a.Deadline().Sub(l.now().Mono); got != 200*clock.Millisecond {
		t.Errorf("hurried: %d", got)
	}
	l.a.Hurry(clock.Now{Mono: l.now().Mono.Add(clock.Second)})
	if got := l.a.Deadline().Sub(l.now().Mono); got != 200*clock.Millisecond {
		t.Errorf("a hurry never postpones: %d", got)
	}
}

// TestPollAdapts: a steady clock behind a noisy network is asked more and more
// rarely, down to maxpoll; a surprise brings the pace back.
func TestPollAdapts(t *testing.T) {
	cfg := baseConfig()
	cfg.MinPoll, cfg.MaxPoll = 4, 8
	l := newLab(t, cfg)
	l.a = New(cfg, stats.NewTracker(stats.Prior{}))
	l.a.Online(l.now(), &l.env)
	noise := l.env.Rand
	for range 400 {
		l.there = 5*clock.Millisecond + clock.Interval(noise.Int64N(1e6))
		l.back = 5*clock.Millisecond + clock.Interval(noise.Int64N(1e6))
		l.exchange()
		if p := l.a.Poll(); p < 4 || p > 8 {
			t.Fatalf("poll %d is out of 4..8", p)
		}
	}
	if l.a.Poll() != 8 {
		t.Errorf("a steady clock is polled at %d, want 8", l.a.Poll())
	}
	l.behind = 10 * clock.Second
	for range 3 {
		l.exchange()
	}
	if l.a.Poll() >= 8 {
		t.Errorf("after a jump of 10 s the poll is still %d", l.a.Poll())
	}
}

// TestSubSecond: polling faster than once a second is for servers that are near
// and answer.
func TestSubSecond(t *testing.T) {
	for _, tt := range []struct {
		name  string
		delay clock.Interval
		want  int8
	}{{"near", clock.Millisecond, -4}, {"far", 20 * clock.Millisecond, 0}} {
		cfg := baseConfig()
		cfg.MinPoll, cfg.MaxPoll = -4, 6
		l := online(t, cfg)
		l.there, l.back = tt.delay/2, tt.delay/2
		for range 3 {
			l.want(Accepted, tt.name)
		}
		if l.a.Poll() != tt.want {
			t.Errorf("%s: poll %d, want %d", tt.name, l.a.Poll(), tt.want)
		}
		if tt.want == 0 {
			within(t, tt.name, l.spacing(), 0.99, 1.021)
		}
	}
}

func TestRedirectAndForget(t *testing.T) {
	l := online(t, baseConfig())
	for range 5 {
		l.want(Accepted, "")
	}
	l.request()
	b := l.reply()
	l.a.Forget()
	if l.a.Register().Held() != 0 {
		t.Error("the samples are still there")
	}
	if v := l.receive(b); v != Unexpected {
		t.Errorf("the exchange that was open: %v", v)
	}
	l.want(Accepted, "after forgetting")
	to := netip.AddrPortFrom(localAddr, 7)
	l.a.Redirect(to, l.now(), &l.env)
	if reach, bits := l.a.Reach(); l.a.Config().Addr != to || reach != 0 || bits != 0 || l.a.Register().Held() != 0 {
		t.Errorf("redirected: %v, reach %b of %d, %d samples", l.a.Config().Addr, reach, bits, l.a.Register().Held())
	}
	within(t, "first request to the new address", l.a.Deadline().Sub(l.now().Mono).Seconds(), 0, 7)
	l.want(Accepted, "at the new address")
}
