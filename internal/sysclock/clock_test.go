// SPDX-License-Identifier: Apache-2.0

package sysclock

import (
	"errors"
	"math"
	"testing"

	"golang.org/x/sys/unix"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// steerer is what a daemon needs of either clock.
type steerer interface {
	Init() (State, error)
	SetFrequency(clock.Frequency) (Done, error)
	Step(clock.Offset) (Done, error)
	SetStatus(Status) error
	State() (State, error)
	Interference() (Foreign, error)
}

var _, _ steerer = (*Clock)(nil), (*Disabled)(nil)

func TestInitTakesOver(t *testing.T) {
	tests := []struct {
		name   string
		status int32
		want   int32
	}{
		{"idle and unsynchronised", unix.STA_UNSYNC, unix.STA_UNSYNC},
		{"synchronised by another daemon's PLL", unix.STA_PLL | unix.STA_NANO, 0},
		{"PLL with a leap second announced", unix.STA_PLL | unix.STA_INS | unix.STA_UNSYNC, unix.STA_UNSYNC},
		{"PPS discipline", unix.STA_PPSFREQ | unix.STA_PPSTIME, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newFakeKernel()
			k.status, k.adjtime, k.phase, k.freq, k.tick = tt.status, 1234, 555, 7*65536, 10001
			c := k.clock()
			s, err := c.Init()
			if err != nil {
				t.Fatalf("Init() with status %#x: %v", tt.status, err)
			}
			if got, want := s.Frequency.PPM(), 107.0; math.Abs(got-want) > 1e-9 {
				t.Errorf("Init() frequency = %v ppm, want %v", got, want)
			}
			if k.adjtime != 0 || k.phase != 0 {
				t.Errorf("after Init() adjtime = %d us, phase = %d, want 0 and 0", k.adjtime, k.phase)
			}
			if got := k.status &^ unix.STA_NANO; got != tt.want || k.status&unix.STA_NANO == 0 {
				t.Errorf("after Init() status = %#x, want %#x with STA_NANO", k.status, tt.want)
			}
			if k.tick != 10001 || k.freq != 7*65536 {
				t.Errorf("Init() changed the rate to tick %d freq %d", k.tick, k.freq)
			}
			if f, err := c.Interference(); err != nil || f.Found() {
				t.Errorf("Interference() after Init() = %+v, %v, want none", f, err)
			}
		})
	}
}

func TestSetFrequency(t *testing.T) {
	tests := []struct {
		name       string
		ppm        float64
		tick, freq int64
	}{
		{"nominal", 0, 10000, 0},
		{"fine", 1.5, 10000, 98304},
		{"negative fine", -20, 10000, -20 * 65536},
		{"slew at 1/12", 83333.333, 10833, 2184511},
		{"beyond the kernel", 150000, 11000, 500 * 65536},
		{"far below", -100000, 9000, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newFakeKernel()
			c := k.clock()
			before := Read()
			d, err := c.SetFrequency(clock.FromPPM(tt.ppm))
			if err != nil || !d.OK {
				t.Fatalf("SetFrequency(%v ppm) = %+v, %v", tt.ppm, d, err)
			}
			if k.tick != tt.tick || k.freq != tt.freq {
				t.Errorf("SetFrequency(%v ppm): tick %d freq %d, want %d %d", tt.ppm, k.tick, k.freq, tt.tick, tt.freq)
			}
			want := clock.FromKernel(clock.KernelFrequency{Tick: tt.tick, Freq: tt.freq})
			if d.Frequency != want {
				t.Errorf("SetFrequency(%v ppm).Frequency = %v, want %v", tt.ppm, d.Frequency, want)
			}
			if d.At.Mono.Before(before.Mono) {
				t.Errorf("SetFrequency(%v ppm).At = %v, before the call at %v", tt.ppm, d.At, before)
			}
			if m := k.calls[0].Modes; m != unix.ADJ_TICK|unix.ADJ_FREQUENCY {
				t.Errorf("SetFrequency(%v ppm) modes = %#x", tt.ppm, m)
			}
		})
	}
}

func TestStep(t *testing.T) {
	tests := []struct {
		offset    clock.Offset
		sec, nsec int64
	}{
		{1.5, 1, 500000000},
		{-0.25, -1, 750000000},
		{-2, -2, 0},
		{1e-9, 0, 1},
		{-1e-9, -1, 999999999},
		{86400.000000001, 86400, 1},
	}
	for _, tt := range tests {
		k := newFakeKernel()
		k.status = unix.STA_NANO
		d, err := k.clock().Step(tt.offset)
		if err != nil || !d.OK {
			t.Fatalf("Step(%v) = %+v, %v", tt.offset, d, err)
		}
		got := k.calls[0].Time
		if got.Sec != tt.sec || got.Usec != tt.nsec {
			t.Errorf("Step(%v) sent %d s %d ns, want %d s %d ns", tt.offset, got.Sec, got.Usec, tt.sec, tt.nsec)
		}
		if want := tt.sec*1e9 + tt.nsec; k.stepped != want {
			t.Errorf("Step(%v) moved the clock by %d ns, want %d", tt.offset, k.stepped, want)
		}
	}
}

func TestSetStatus(t *testing.T) {
	tests := []struct {
		name        string
		in          Status
		status      int32
		maxErr, est int64
		tai         int32
	}{
		{"synchronised", Status{Synchronized: true, MaxError: 0.0100001, EstError: 1e-7}, 0, 10001, 1, 30},
		{"unsynchronised", Status{MaxError: 0.5, EstError: 0.5}, unix.STA_UNSYNC, 500000, 500000, 30},
		{"bound too large", Status{Synchronized: true, MaxError: 16}, unix.STA_UNSYNC, 16000000, 0, 30},
		{"bound not a number", Status{Synchronized: true, MaxError: clock.Dispersion(math.NaN())}, unix.STA_UNSYNC, 16000000, 0, 30},
		{"insert", Status{Synchronized: true, Leap: ntp.LeapInsert, TAI: 37}, unix.STA_INS, 0, 0, 37},
		{"delete", Status{Synchronized: true, Leap: ntp.LeapDelete, TAI: 100001}, unix.STA_DEL, 0, 0, 30},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newFakeKernel()
			k.tai = 30
			c := k.clock()
			if err := c.SetStatus(tt.in); err != nil {
				t.Fatalf("SetStatus(%+v): %v", tt.in, err)
			}
			if k.status != tt.status|unix.STA_NANO || k.maxErr != tt.maxErr || k.est != tt.est || k.tai != tt.tai {
				t.Errorf("SetStatus(%+v): status %#x maxerror %d esterror %d tai %d, want %#x %d %d %d",
					tt.in, k.status, k.maxErr, k.est, k.tai, tt.status|unix.STA_NANO, tt.maxErr, tt.est, tt.tai)
			}
			s, err := c.State()
			if err != nil || s.Status.Leap != tt.in.Leap || s.Status.Synchronized != (tt.status&unix.STA_UNSYNC == 0) {
				t.Errorf("State() after SetStatus(%+v) = %+v, %v", tt.in, s, err)
			}
		})
	}
}

func TestInterference(t *testing.T) {
	tests := []struct {
		name   string
		change func(*fakeKernel)
		want   Foreign
	}{
		{"nothing", func(*fakeKernel) {}, Foreign{}},
		{"rounding of the kernel", func(k *fakeKernel) { k.freq++ }, Foreign{}},
		{"kernel lost trust", func(k *fakeKernel) { k.status |= unix.STA_UNSYNC }, Foreign{}},
		{"freq", func(k *fakeKernel) { k.freq += 2 }, Foreign{Frequency: true}},
		{"tick", func(k *fakeKernel) { k.tick-- }, Foreign{Frequency: true}},
		{"PLL", func(k *fakeKernel) { k.status |= unix.STA_PLL }, Foreign{Mode: true}},
		{"leap withdrawn", func(k *fakeKernel) { k.status &^= unix.STA_INS }, Foreign{Mode: true}},
		{"adjtime", func(k *fakeKernel) { k.adjtime = -5 }, Foreign{Adjtime: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newFakeKernel()
			c := k.clock()
			if f, err := c.Interference(); err != nil || f.Found() {
				t.Fatalf("Interference() before the first change = %+v, %v", f, err)
			}
			if _, err := c.SetFrequency(clock.FromPPM(12)); err != nil {
				t.Fatal(err)
			}
			if err := c.SetStatus(Status{Synchronized: true, Leap: ntp.LeapInsert}); err != nil {
				t.Fatal(err)
			}
			tt.change(k)
			f, err := c.Interference()
			f.Now = State{}
			if err != nil || f != tt.want {
				t.Errorf("Interference() = %+v, %v, want %+v", f, err, tt.want)
			}
			if f.Found() != (tt.want != Foreign{}) {
				t.Errorf("Found() = %v for %+v", f.Found(), f)
			}
		})
	}
}

func TestForeignRateSurvivesSetStatus(t *testing.T) {
	k := newFakeKernel()
	c := k.clock()
	if _, err := c.SetFrequency(0); err != nil {
		t.Fatal(err)
	}
	k.freq = 65536
	if err := c.SetStatus(Status{Synchronized: true}); err != nil {
		t.Fatal(err)
	}
	if f, err := c.Interference(); err != nil || !f.Frequency {
		t.Errorf("Interference() = %+v, %v, want a foreign frequency", f, err)
	}
}

func TestRefusedByKernel(t *testing.T) {
	k := newFakeKernel()
	k.unprivileged, k.freq = true, 65536
	c := k.clock()
	check := func(op string, d Done, err error) {
		t.Helper()
		if d.OK || !errors.Is(err, unix.EPERM) || math.Abs(d.Frequency.PPM()-1) > 1e-9 || d.At.Wall.IsZero() {
			t.Errorf("%s without privilege = %+v, %v, want not OK, 1 ppm, EPERM", op, d, err)
		}
	}
	d, err := c.SetFrequency(1e-4)
	check("SetFrequency", d, err)
	d, err = c.Step(1)
	check("Step", d, err)
	if err := c.SetStatus(Status{}); !errors.Is(err, unix.EPERM) {
		t.Errorf("SetStatus without privilege: %v, want EPERM", err)
	}
	if s, err := c.Init(); !errors.Is(err, unix.EPERM) || math.Abs(s.Frequency.PPM()-1) > 1e-9 {
		t.Errorf("Init without privilege = %+v, %v, want the state and EPERM", s, err)
	}
	if s, err := c.State(); err != nil || s.LeapState != unix.TIME_ERROR {
		t.Errorf("State() = %+v, %v, want TIME_ERROR as a state and no error", s, err)
	}
}

func TestDisabledNeverSets(t *testing.T) {
	k := newFakeKernel()
	k.freq = -3 * 65536
	d := &Disabled{clock: k.clock()}
	if s, err := d.Init(); err != nil || math.Abs(s.Frequency.PPM()+3) > 1e-9 {
		t.Errorf("Init() = %+v, %v, want -3 ppm", s, err)
	}
	for name, f := range map[string]func() (Done, error){
		"SetFrequency": func() (Done, error) { return d.SetFrequency(1e-5) },
		"Step":         func() (Done, error) { return d.Step(5) },
	} {
		done, err := f()
		if err != nil || done.OK || math.Abs(done.Frequency.PPM()+3) > 1e-9 || done.At.Mono.IsZero() {
			t.Errorf("%s() = %+v, %v, want not OK at -3 ppm", name, done, err)
		}
	}
	if err := d.SetStatus(Status{Synchronized: true}); err != nil {
		t.Errorf("SetStatus() = %v", err)
	}
	if f, err := d.Interference(); err != nil || f.Found() {
		t.Errorf("Interference() = %+v, %v, want none", f, err)
	}
	if len(k.calls) != 0 {
		t.Errorf("a disabled clock called adjtimex with modes: %+v", k.calls)
	}
}
