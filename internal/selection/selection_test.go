// SPDX-License-Identifier: Apache-2.0

package selection

import (
	"math"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/source"
	"foliot/internal/stats"
)

func TestStatuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		cfg    func(*Config)
		all    []*Source
		want   string // letters
		result Outcome
	}{
		{"one", nil, []*Source{good(0, 0.01)}, "*", Update},
		{"none", nil, nil, "", NoSelectable},
		{"the nearest of three", nil, []*Source{good(0, 0.03), good(0, 0.01), good(0, 0.02)}, "+*+", Update},
		{"two that agree, one far", nil, []*Source{good(0, 0.01), good(1e-3, 0.01), good(1, 2)}, "*+D", Update},
		{"two that contradict each other", nil, []*Source{good(0, 0.01), good(1, 0.01)}, "xx", NoMajority},
		{"a falseticker among four", nil, []*Source{good(0, 0.01), good(1, 0.012), good(1e-3, 0.012), good(-1e-3, 0.012)}, "*x++", Update},
		{"two falsetickers among five", nil, []*Source{good(0, 0.01), good(1, 0.012), good(1, 0.012), good(1e-3, 0.012), good(-1e-3, 0.012)}, "*xx++", Update},
		{"noselect", nil, []*Source{with(good(0, 0.001), func(s *Source) { s.Options = source.NoSelect }), good(0, 0.01)}, "N*", Update},
		{"no samples", nil, []*Source{with(good(0, 0.01), func(s *Source) { s.Have = false }), good(0, 0.01)}, "M*", Update},
		{"not synchronised", nil, []*Source{with(good(0, 0.01), func(s *Source) { s.Leap = ntp.LeapUnsync })}, "s", NoSelectable},
		{"stratum too high", func(c *Config) { c.MaxStratum = 3 }, []*Source{with(good(0, 0.01), func(s *Source) { s.Stratum = 4 })}, "r", NoSelectable},
		{"stratum too low", func(c *Config) { c.MinStratum = 2 }, []*Source{with(good(0, 0.01), func(s *Source) { s.Stratum = 1 })}, "r", NoSelectable},
		{"reference clock of a low stratum", func(c *Config) { c.MinStratum = 2 },
			[]*Source{with(good(0, 0.01), func(s *Source) { s.Stratum, s.Refclock = 0, true })}, "*", Update},
		{"distance at the limit", nil, []*Source{good(0, 3)}, "*", Update},
		{"too far", nil, []*Source{good(0, 3.001)}, "d", NoSelectable},
		{"too far by the round trip", nil, []*Source{with(good(0, 2), func(s *Source) { s.RootDelay = 2.1 })}, "d", NoSelectable},
		{"distance not a number", nil, []*Source{good(0, math.NaN())}, "d", NoSelectable},
		{"jittery", nil, []*Source{with(good(0, 0.01), func(s *Source) { s.SD = 1.1 })}, "~", NoSelectable},
		{"unreachable, and older than the others", nil,
			[]*Source{good(0, 0.01), with(good(0, 0.001), func(s *Source) { s.Reach, s.FirstAge, s.LastAge = 0, 3000, 700 })}, "*S", Update},
		{"unreachable, not older yet", nil,
			[]*Source{good(0, 0.01), with(good(0, 0.005), func(s *Source) { s.Reach, s.FirstAge, s.LastAge = 0, 1000, 500 })}, "+*", Update},
		{"all unreachable", nil, []*Source{with(good(0, 0.01), func(s *Source) { s.Reach, s.LastAge = 0, 1e4 })}, "S", NoSelectable},
		{"unreachable for longer than maxunreach", nil,
			[]*Source{with(good(0, 0.01), func(s *Source) { s.Reach, s.Unreached, s.MaxUnread = 0, 11, 10 })}, "S", NoSelectable},
		{"orphans: the least wins", orphanage, []*Source{orphan(0, 40, 50), orphan(1, 30, 50)}, "O*", Update},
		{"orphans: we are the least", orphanage, []*Source{orphan(0, 40, 20)}, "O", NoSelectable},
		{"orphans: we do not know what we are called", orphanage, []*Source{orphan(0, 40, 0)}, "O", NoSelectable},
		{"orphans: less than we at one address, more at the other", orphanage,
			[]*Source{orphan(0, 30, 20), orphan(0, 40, 50)}, "OO", NoSelectable},
		{"orphans: the least does not answer", orphanage,
			[]*Source{with(orphan(0, 30, 50), func(s *Source) { s.Reach = 0 }), orphan(1, 40, 50)}, "O*", Update},
		{"orphans: one that follows an orphan", orphanage,
			[]*Source{with(orphan(0, 30, 50), func(s *Source) { s.Stratum = 11 })}, "O", NoSelectable},
		{"orphan beside a server", orphanage, []*Source{orphan(1, 40, 50), good(0, 0.01)}, "O*", Update},
		{"an orphan to one without orphan mode", nil, []*Source{orphan(0, 40, 20)}, "*", Update},
		{"too few", func(c *Config) { c.MinSources = 3 }, []*Source{good(0, 0.01), good(0, 0.01)}, "WW", TooFew},
		{"enough", func(c *Config) { c.MinSources = 2 }, []*Source{good(0, 0.01), good(0, 0.02)}, "*+", Update},
		{"the required one is a falseticker", nil,
			[]*Source{good(0, 0.01), good(0, 0.01), with(good(1, 0.01), func(s *Source) { s.Options = source.Require })}, "WWx", TooFew},
		{"the required one is there", nil,
			[]*Source{good(0, 0.01), with(good(0, 0.02), func(s *Source) { s.Options = source.Require })}, "*+", Update},
		{"required and never selected", nil,
			[]*Source{good(0, 0.01), with(good(0, 0.02), func(s *Source) { s.Options = source.Require | source.NoSelect })}, "*N", Update},
		{"preferred", nil, []*Source{good(0, 0.01), with(good(0, 0.5), func(s *Source) { s.Options = source.Prefer })}, "P*", Update},
		{"the preferred one is a falseticker", nil,
			[]*Source{good(0, 0.01), good(0, 0.02), with(good(1, 0.01), func(s *Source) { s.Options = source.Prefer })}, "*+x", Update},
		{"trusted against a majority", nil, []*Source{trusted(good(0, 0.01)), good(1, 0.01), good(1, 0.01)}, "*xx", Update},
		{"trusted that contradict each other", nil, []*Source{trusted(good(0, 0.01)), trusted(good(1, 0.01)), good(1, 0.01)}, "xxx", NoMajority},
		{"untrusted that claims more", nil, []*Source{trusted(good(0, 0.01)), good(0, 0.02), good(0.001, 0.005)}, "+T*", Update},
		{"untrusted that lies within but beside the best", nil,
			[]*Source{trusted(good(5, 2)), good(4.5, 1), good(5.5, 1)}, "-**", Update},
		{"about to be ready", nil,
			[]*Source{with(good(0, 0.01), func(s *Source) { s.Reach, s.ReachSize = 0b111, 3 }), with(good(0, 0.01), func(s *Source) { s.Have, s.Reach, s.ReachSize = false, 0b011, 2 })}, "wM", Wait},
		{"far from being ready", nil,
			[]*Source{with(good(0, 0.01), func(s *Source) { s.Reach, s.ReachSize = 0b111, 3 }), with(good(0, 0.01), func(s *Source) { s.Have, s.Reach, s.ReachSize = false, 0b001, 1 })}, "*M", Update},
		{"waited long enough", nil,
			[]*Source{good(0, 0.01), with(good(0, 0.01), func(s *Source) { s.Have, s.Reach = false, 0o177 })}, "*M", Update},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := defaults()
			if tc.cfg != nil {
				tc.cfg(&cfg)
			}
			s := New(cfg)
			r := s.Run(tc.all, nil)
			// Whoever has not been in the combination yet waits for a while.
			for range outlierPenalty {
				freshen(tc.all)
				if r.Outcome == Update {
					r = s.Run(tc.all, nil)
				}
			}
			if tc.name == "untrusted that lies within but beside the best" {
				for i, c := range tc.all {
					if c.Status == Untrusted || c.Status == Falseticker {
						t.Errorf("source %d is %c, want it left:%s", i, c.Status, show(tc.all))
					}
				}
				return
			}
			if got := letters(tc.all); got != tc.want || r.Outcome != tc.result {
				t.Errorf("statuses %q, outcome %d; want %q, %d:%s", got, r.Outcome, tc.want, tc.result, show(tc.all))
			}
			if (r.Selected >= 0) != (s.Selected() != nil) {
				t.Errorf("Result.Selected = %d, Selected() = %v", r.Selected, s.Selected())
			}
		})
	}
}

// orphanage turns orphan mode on.
func orphanage(c *Config) { c.OrphanStratum = 10 }

// orphan is a source of the orphan stratum that has the reference ID id and calls
// us own.
func orphan(offset float64, id, own ntp.RefID) *Source {
	return with(good(offset, 0.01), func(s *Source) { s.Stratum, s.RefID, s.OwnRefID = 10, id, own })
}

// Old samples widen the interval once they are older than half their span.
func TestInterval(t *testing.T) {
	for _, tc := range []struct {
		name              string
		first, last, want float64
	}{{"fresh", 600, 10, 0.06}, {"old", 600, 500, 0.06 + 400e-6}} {
		s := with(good(1, 0.01), func(s *Source) { s.RootDelay, s.FirstAge, s.LastAge = 0.1, tc.first, tc.last })
		New(defaults()).Run([]*Source{s}, nil)
		margin := tc.want + 3*s.Estimate.OffsetSD
		if math.Abs(s.Distance-tc.want) > 1e-12 || math.Abs(s.Lo-(1-margin)) > 1e-12 || math.Abs(s.Hi-(1+margin)) > 1e-12 {
			t.Errorf("%s: distance %g, interval [%g, %g]; want distance %g, interval 1 +- %g", tc.name, s.Distance, s.Lo, s.Hi, tc.want, margin)
		}
	}
}

// Sources of equal quality must not take turns.
func TestHysteresis(t *testing.T) {
	rng := seeded(t)
	s := New(defaults())
	all := []*Source{good(0, 0.01), good(0, 0.01), good(0, 0.01), good(0, 0.01)}
	changes := 0
	for range 5000 {
		c := all[rng.IntN(len(all))]
		c.RootDisp, c.Fresh = 0.01*(0.7+0.6*rng.Float64()), true
		if s.Run(all, c).Changed {
			changes++
		}
	}
	// A product of ratios does a random walk: it may cross ten, rarely.
	if changes > 250 {
		t.Errorf("%d changes of the selected source in 5000 samples of equal sources, want few", changes)
	}
	for _, c := range all {
		c.RootDisp = 0.01
	}
	s = New(defaults())
	for i := range 5000 {
		c := all[i%len(all)]
		c.Fresh = true
		if r := s.Run(all, c); r.Changed != (i == 0) {
			t.Fatalf("sample %d of equal sources changed the selection: %v", i, r.Changed)
		}
	}
}

// A source that is much nearer takes over after some of its samples, at once
// none does, and runs without samples do not count.
func TestTakeover(t *testing.T) {
	s := New(defaults())
	a, b := good(0, 0.02), good(0, 0.04)
	all := []*Source{a, b}
	s.Run(all, a)
	if s.Selected() != a {
		t.Fatal("the nearer of two is not selected")
	}
	b.RootDisp = 0.01
	for i := range 100 {
		if s.Run(all, nil); s.Selected() != a {
			t.Fatalf("run %d without a new sample changed the selection", i)
		}
	}
	n := 0
	for ; s.Selected() == a && n < 50; n++ {
		b.Fresh = true
		s.Run(all, b)
	}
	if n < 2 || n > 10 {
		t.Errorf("a source at half the distance took over after %d samples, want 2 to 10", n)
	}
	if b.Score != 1 || a.Score != 1 {
		t.Errorf("scores %g and %g after the takeover, want 1", a.Score, b.Score)
	}
	// One that is lost is replaced at once.
	b.Leap = ntp.LeapUnsync
	a.Fresh = true
	if r := s.Run(all, a); s.Selected() != a || !r.Changed || r.Outcome != Update {
		t.Errorf("the selected source lost its reference: result %+v, want a change to the other", r)
	}
}

// The stratum counts as distance.
func TestStratumWeight(t *testing.T) {
	for _, tc := range []struct {
		weight float64
		want   int
	}{{0, 1}, {1e-3, 1}, {0.1, 0}} {
		cfg := defaults()
		cfg.StratumWeight = tc.weight
		all := []*Source{good(0, 0.02), with(good(0, 0.01), func(s *Source) { s.Stratum = 3 })}
		if r := New(cfg).Run(all, nil); r.Selected != tc.want {
			t.Errorf("weight %g: source %d is selected of stratum 2 at 20 ms and stratum 3 at 10 ms, want %d", tc.weight, r.Selected, tc.want)
		}
	}
}

// The clock is updated only by a fresh sample of the selected source, and
// between its samples it stays the selected one.
func TestFresh(t *testing.T) {
	s := New(defaults())
	a, b := good(0, 0.01), good(0, 0.02)
	a.Fresh = false
	all := []*Source{a, b}
	if r := s.Run(all, b); r.Outcome != Wait || r.Selected != 0 || a.Status != WaitUpdate {
		t.Fatalf("selected without a fresh sample: %+v, %q; want to wait, U", r, letters(all))
	}
	a.Fresh = true
	if r := s.Run(all, a); r.Outcome != Update || r.Selected != 0 || a.Status != Selected {
		t.Fatalf("a fresh sample: %+v, %q; want an update", r, letters(all))
	}
	if a.Fresh || b.Fresh {
		t.Errorf("fresh after the update: %v, %v; want false", a.Fresh, b.Fresh)
	}
	b.Fresh = true
	if r := s.Run(all, b); r.Outcome != Wait || r.Selected != 0 || a.Status != Selected || r.Changed {
		t.Errorf("a sample of another source: %+v, %q; want to wait, and * for the selected", r, letters(all))
	}
}

func TestCombine(t *testing.T) {
	est := func(offset, sd, freq, freqSD float64) *Source {
		s := good(offset, 0.01)
		s.Estimate.OffsetSD, s.Estimate.FreqSD = sd, freqSD
		s.Estimate.Freq = clock.Frequency(freq)
		return s
	}
	run := func(all ...*Source) Result {
		s := New(defaults())
		var r Result
		for range outlierPenalty + 2 {
			freshen(all)
			r = s.Run(all, nil)
		}
		return r
	}
	if r := run(est(1e-4, 1e-5, 1e-7, 1e-8), est(3e-4, 1e-5, 3e-7, 1e-8)); r.Combined != 2 ||
		math.Abs(float64(r.Estimate.Offset)-2e-4) > 1e-12 || math.Abs(float64(r.Estimate.Freq)-2e-7) > 1e-15 {
		t.Errorf("two equal sources: %+v, want the mean of both", r)
	}
	r := run(est(1e-4, 1e-6, 1e-7, 1e-9), est(3e-4, 1e-4, 3e-7, 1e-7))
	if o, f := float64(r.Estimate.Offset), float64(r.Estimate.Freq); o < 1e-4 || o > 1.2e-4 || f < 1e-7 || f > 1.02e-7 {
		t.Errorf("a sure and an unsure source: offset %g, frequency %g; want nearly those of the sure one", o, f)
	}
	// What contradicts in the offset makes the result unsure.
	if r := run(est(-1e-3, 1e-6, 0, 1e-8), est(1e-3, 1e-6, 0, 1e-8)); r.Estimate.OffsetSD < 0.5e-3 || r.Estimate.OffsetSD > 2e-3 {
		t.Errorf("two sources 2 ms apart: OffsetSD = %g, want about 1e-3", r.Estimate.OffsetSD)
	}
	// More sources know the frequency better.
	if r := run(est(0, 1e-5, 0, 1e-8), est(0, 1e-5, 0, 1e-8), est(0, 1e-5, 0, 1e-8), est(0, 1e-5, 0, 1e-8)); math.Abs(r.Estimate.FreqSD-0.5e-8) > 1e-10 || r.Combined != 4 {
		t.Errorf("four equal sources: %d combined, FreqSD = %g; want 4, half of 1e-8", r.Combined, r.Estimate.FreqSD)
	}
	// One with another frequency is none of them.
	if r := run(est(0, 1e-5, 0, 1e-8), est(0, 1e-5, 50e-6, 1e-8)); r.Combined != 1 || r.Estimate.Freq != 0 {
		t.Errorf("a source 50 ppm off: %+v, want it left out", r)
	}
}

func TestCombineLimit(t *testing.T) {
	for _, tc := range []struct {
		limit float64
		want  string
	}{{3, "*+D"}, {0, "*DD"}, {100, "*++"}} {
		cfg := defaults()
		cfg.CombineLimit = tc.limit
		s := New(cfg)
		all := []*Source{good(0, 0.01), good(0, 0.02), good(0, 0.5)}
		for range outlierPenalty + 2 {
			freshen(all)
			s.Run(all, nil)
		}
		if got := letters(all); got != tc.want {
			t.Errorf("combinelimit %g: %q for distances 10, 20, 500 ms, want %q", tc.limit, got, tc.want)
		}
	}
}

// A source that did not fit in stays out for a while.
func TestOutlierPenalty(t *testing.T) {
	s := New(defaults())
	a, b := good(0, 0.01), good(0, 0.02)
	all := []*Source{a, b}
	run := func() Status {
		freshen(all)
		s.Run(all, nil)
		return b.Status
	}
	for range 2 * outlierPenalty {
		run()
	}
	b.RootDisp = 0.5
	if got := run(); got != Outlier {
		t.Fatalf("status %c at 50 times the distance, want D", got)
	}
	b.RootDisp = 0.02
	n := 1
	for ; run() == Outlier && n < 1000; n++ {
	}
	if n < outlierPenalty/2 || n > 2*outlierPenalty {
		t.Errorf("combined again after %d updates, want about %d", n, outlierPenalty)
	}
}

func TestLeapVote(t *testing.T) {
	no, in, del := ntp.LeapNone, ntp.LeapInsert, ntp.LeapDelete
	for _, tc := range []struct {
		name    string
		leaps   []ntp.Leap
		trusted int // so many first ones are trusted
		want    ntp.Leap
	}{
		{"nobody", []ntp.Leap{no, no, no}, 0, no},
		{"one of one", []ntp.Leap{in}, 0, in},
		{"one of two", []ntp.Leap{in, no}, 0, no},
		{"two of three", []ntp.Leap{no, in, in}, 0, in},
		{"two of three delete", []ntp.Leap{del, del, no}, 0, del},
		{"no agreement", []ntp.Leap{in, del, in, del}, 0, no},
		{"the trusted one", []ntp.Leap{in, no, no}, 1, in},
		{"the others", []ntp.Leap{no, in, in}, 1, no},
	} {
		var all []*Source
		for i, l := range tc.leaps {
			s := good(0, 0.01)
			s.Leap = l
			if i < tc.trusted {
				trusted(s)
			}
			all = append(all, s)
		}
		if r := New(defaults()).Run(all, nil); r.Leap != tc.want {
			t.Errorf("%s: leap %d, want %d", tc.name, r.Leap, tc.want)
		}
	}
}

// The numbers that the message tells.
func TestResultNumbers(t *testing.T) {
	unreachable := func(s *Source) { s.Have, s.Reach = false, 0 }
	for _, tc := range []struct {
		name                         string
		all                          []*Source
		agreeing, total, unreachable int
	}{
		{"two of five", []*Source{good(0, 0.1), good(0, 0.1), good(1, 0.1), good(2, 0.1), good(3, 0.1)}, 2, 5, 0},
		{"no agreement", []*Source{good(0, 0.1), good(1, 0.1), good(2, 0.1)}, 0, 3, 0},
		{"unreachable", []*Source{with(good(0, 0.1), unreachable), with(good(0, 0.1), unreachable)}, 0, 2, 2},
	} {
		r := New(defaults()).Run(tc.all, nil)
		if r.Agreeing != tc.agreeing || r.Total != tc.total || r.Unreachable != tc.unreachable || r.Selected != -1 || r.Changed {
			t.Errorf("%s: %+v, want %d of %d agreeing, %d unreachable", tc.name, r, tc.agreeing, tc.total, tc.unreachable)
		}
	}
}

// Bad counts successive failures of the source itself.
func TestBad(t *testing.T) {
	s := New(defaults())
	all := []*Source{good(0, 0.01), good(0, 0.01), good(1, 0.01)}
	for i := range 5 {
		freshen(all)
		s.Run(all, nil)
		if all[2].Bad != i+1 || all[0].Bad != 0 {
			t.Fatalf("run %d: a falseticker has Bad = %d, a good one %d; want %d, 0", i, all[2].Bad, all[0].Bad, i+1)
		}
	}
	all[2].Estimate.Offset = 0
	if s.Run(all, nil); all[2].Bad != 0 {
		t.Errorf("Bad = %d once it agrees, want 0", all[2].Bad)
	}
}

func TestLosingAll(t *testing.T) {
	s := New(defaults())
	a := good(0, 0.01)
	all := []*Source{a}
	s.Run(all, a)
	a.Leap = ntp.LeapUnsync
	if r := s.Run(all, a); !r.Changed || r.Outcome != NoSelectable || s.Selected() != nil {
		t.Errorf("the only source is lost: %+v, want a change to none", r)
	}
	if r := s.Run(all, a); r.Changed {
		t.Errorf("the only source is still lost: %+v, want no change", r)
	}
}

func TestConfigureAndReset(t *testing.T) {
	s := New(defaults())
	all := []*Source{good(0, 0.01), good(0, 0.02)}
	s.Run(all, nil)
	s.Configure(defaults())
	if s.Selected() != all[0] {
		t.Error("Configure forgot the selected source")
	}
	s.Reset()
	if s.Selected() != nil {
		t.Error("Reset kept the selected source")
	}
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := New(defaults())
	all := []*Source{good(0, 0.01), good(1e-3, 0.02), trusted(good(0, 0.01)), good(5, 0.1), with(good(0, 0.01), func(s *Source) { s.Have = false })}
	sum := stats.Estimate{}
	step := func(i int) {
		all[i%4].Fresh = true
		all[3].Estimate.Offset = clock.Offset(float64(i % 7))
		sum.Offset += s.Run(all, all[i%4]).Estimate.Offset
	}
	step(0)
	if got := allocations(func() {
		for i := range 10000 {
			step(i)
		}
	}); got != 0 {
		t.Errorf("10000 runs make %g allocations, want 0", got)
	}
}

// allocations runs f a few times and returns the least number of allocations:
// now and then the runtime itself makes one.
func allocations(f func()) float64 {
	least := testing.AllocsPerRun(1, f)
	for i := 0; i < 2 && least > 0; i++ {
		least = min(least, testing.AllocsPerRun(1, f))
	}
	return least
}
