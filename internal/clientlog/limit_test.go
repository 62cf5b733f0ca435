// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	"foliot/internal/clock"
)

// epoch is the wall time at which the tests begin, nanoseconds.
const epoch = int64(1_800_000_000_000_000_000)

func wall(ns int64) clock.Wall { return clock.At[clock.Realtime](epoch + ns) }

var somebody = PrefixOf(netip.MustParseAddr("192.0.2.1"))

// never are random bits with which nothing leaks and nobody is kissed.
func never() uint64 { return math.MaxUint64 }

// bucket is what a limit does, said with floating tokens and logarithms.
type bucket struct {
	period, size, tokens float64 // nanoseconds, tokens, tokens
	leak, kod            int
	last                 int64
	begun, silent        bool
	mean                 [2]float64 // log2 of the interval after an answer, after none
	known                [2]bool
}

// ask returns what becomes of a request at now and whether that is too close to
// call in floating point.
func (b *bucket) ask(now int64, bits uint64) (d Decision, close bool) {
	since := float64(now - b.last)
	b.learn(since)
	b.tokens += since / b.period
	if !b.begun || b.tokens < -1e-6 { // the clock was set back by more than the bucket holds
		b.tokens = b.size
	}
	b.tokens, b.last, b.begun = min(b.tokens, b.size), now, true
	close = math.Abs(b.tokens-1) < 1e-5 || math.Abs(b.tokens) < 1e-5
	if b.tokens >= 1 {
		return Pass, close
	}
	answer := bits%(1<<b.leak) == 0
	const sixteenth = 25.8973528 // log2 of 1/16 s: faster is all the same
	if gain := max(b.mean[0], sixteenth) - max(b.mean[1], sixteenth); b.known[0] && b.known[1] {
		close = close || math.Abs(gain-1) < 0.25 // the bound of pace, twice
		if gain > 1 {
			answer = !answer
		}
	}
	switch {
	case answer:
		return Pass, close
	case b.kod > 0 && bits>>32%(1<<b.kod) == 0:
		return Kiss, close
	}
	return Drop, close
}

func (b *bucket) learn(since float64) {
	i := 0
	if b.silent {
		i = 1
	}
	switch l := math.Log2(since); {
	case !b.begun || since <= 0:
	case b.known[i]:
		b.mean[i] += (l - b.mean[i]) / 4
	default:
		b.mean[i], b.known[i] = l, true
	}
}

// done takes over what became of the request.
func (b *bucket) done(d Decision) {
	if d == Pass {
		b.tokens = max(b.tokens-1, 0) // what leaks empties the bucket
	}
	b.silent = d == Drop
}

// TestLimitAgainstModel compares the limit with floating tokens: every interval,
// leak and kod, any burst, traffic of any pace, and a clock that is set.
func TestLimitAgainstModel(t *testing.T) {
	const seed = 11
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, seed))
	compared, calls := 0, [3]int{}
	for interval := -19; interval <= 12; interval++ {
		for leak := 1; leak <= 4; leak++ {
			for kod := 0; kod <= 4; kod++ {
				burst := 1 + rng.IntN(min(1<<rng.IntN(9), 255))
				l, table := NewLimit(interval, burst, leak, kod), New(RecordSize*ways, HashKey{})
				b := bucket{period: math.Floor(math.Ldexp(1e9, interval)), size: float64(burst), leak: leak, kod: kod}
				now := int64(0)
				for i := range 400 {
					bits := rng.Uint64()
					now += step(rng, b.period, b.size)
					want, close := b.ask(now, bits)
					got := table.Hit(somebody, wall(now), 4, l, func() uint64 { return bits })
					if got != want && !close {
						t.Fatalf("interval %d, burst %d, leak %d, kod %d, request %d: %d, want %d with %+v",
							interval, burst, leak, kod, i, got, want, b)
					}
					if close {
						b.tokens = table.Lookup(somebody).tokens(l, now)
					} else {
						compared++
						calls[got]++
						b.done(got)
					}
					b.silent = got == Drop
				}
			}
		}
	}
	if compared < 200_000 || min(calls[Pass], calls[Drop], calls[Kiss]) < 10_000 {
		t.Errorf("%d decisions compared, pass, drop and kiss %d times: not enough of each", compared, calls)
	}
}

// tokens is what is in the bucket of r.
func (r *Record) tokens(l *Limit, now int64) float64 {
	lacks := max(r.full-epoch-now, 0)
	if lacks > l.size {
		lacks = 0
	}
	return float64(l.size-lacks) / float64(l.period)
}

// step is the time to the next request: mostly around the period, in bursts or
// after a pause, and now and then the clock is set, either way.
func step(rng *rand.Rand, period, burst float64) int64 {
	switch rng.IntN(40) {
	case 0:
		return int64((rng.Float64()*4 - 2) * period * burst)
	case 1:
		return int64(rng.Float64() * 2 * period * burst)
	case 2:
		return int64(-rng.Float64() * period)
	}
	return int64(period * rng.ExpFloat64() * math.Exp2(rng.Float64()*8-7))
}

// TestRate: without luck a client gets exactly its burst and one answer more a
// period, however fast it asks, and after a pause of a whole bucket again.
func TestRate(t *testing.T) {
	for interval := -19; interval <= 12; interval++ {
		for _, burst := range []int{1, 2, 8, 255} {
			l, table := NewLimit(interval, burst, 1, 4), New(RecordSize*ways, HashKey{})
			period := math.Ldexp(1e9, interval)
			now, answers := 0.0, 0
			ask := func() {
				if r := table.Lookup(somebody); r != nil {
					r.calm, r.hasty = 0, 0 // or a pause before a burst would look like impatience
				}
				if table.Hit(somebody, wall(int64(now)), 4, l, never) == Pass {
					answers++
				}
			}
			for range 2 {
				answers = 0
				for range 2 * burst {
					ask()
				}
				if answers != burst {
					t.Errorf("interval %d: %d answers at once, want the burst of %d", interval, answers, burst)
				}
				const periods = 500
				for range 32 * periods {
					now += period / 32
					ask()
				}
				// A full bucket of one loses what comes in until the next request.
				if n := answers - burst; n < periods*32/33-1 || n > periods+1 {
					t.Errorf("interval %d, burst %d: %d answers in %d periods", interval, burst, n, periods)
				}
				now += period * float64(burst+2)
			}
			if got := (1 << 10) * float64(l.period) / period; math.Abs(got-(1<<10)) > 0.3 {
				t.Errorf("interval %d: a period is %d ns", interval, l.period)
			}
		}
	}
}

// share runs a client that asks every pause after an answer and pause/hurry after
// none, far above the limit, and returns what part of its requests is answered,
// and kissed.
func share(leak, kod int, hurry float64) (answered, kissed float64) {
	rng := rand.New(rand.NewPCG(uint64(leak), uint64(kod)))
	l, table := NewLimit(12, 4, leak, kod), New(RecordSize*ways, HashKey{})
	const n, pause = 20_000, 1e9
	counts, now := [3]int{}, 0.0
	for i := range n + 1000 {
		d := table.Hit(somebody, wall(int64(now)), 4, l, rng.Uint64)
		if i >= 1000 {
			counts[d]++
		}
		if d == Drop {
			now += pause / hurry
		} else {
			now += pause
		}
	}
	return float64(counts[Pass]) / n, float64(counts[Kiss]) / n
}

// TestShares: one in 2^leak gets through and of the others one in 2^kod a kiss.
// For a client that asks more than twice as fast when it is not answered the
// sense is the other way round: it is quieter when it gets what it wants.
func TestShares(t *testing.T) {
	for leak := 1; leak <= 4; leak++ {
		for kod := 0; kod <= 4; kod++ {
			for _, tt := range []struct {
				hurry    float64
				inverted bool
			}{{1, false}, {0.25, false}, {1.8, false}, {2.4, true}, {16, true}} {
				answered, kissed := share(leak, kod, tt.hurry)
				want := math.Ldexp(1, -leak)
				if tt.inverted {
					want = 1 - want
				}
				if math.Abs(answered-want) > 0.015 {
					t.Errorf("leak %d, kod %d, %v times as fast without an answer: %.4f answered, want %.4f",
						leak, kod, tt.hurry, answered, want)
				}
				wantKiss := 0.0
				if kod > 0 {
					wantKiss = (1 - want) * math.Ldexp(1, -kod)
				}
				if math.Abs(kissed-wantKiss) > 0.015 {
					t.Errorf("leak %d, kod %d, %v times as fast without an answer: %.4f kissed, want %.4f",
						leak, kod, tt.hurry, kissed, wantKiss)
				}
			}
		}
	}
}

// TestLimitChanges: a limit that replaces another finds buckets that it could have
// made, or fills them.
func TestLimitChanges(t *testing.T) {
	table := New(RecordSize*ways, HashKey{})
	slow, fast := NewLimit(12, 255, 1, 0), NewLimit(0, 2, 1, 0)
	for range 256 {
		table.Hit(somebody, wall(0), 4, slow, never)
	}
	if d := table.Hit(somebody, wall(1), 4, slow, never); d != Drop {
		t.Fatalf("the bucket is not empty: %d", d)
	}
	for i, want := range []Decision{Pass, Pass, Drop} {
		if d := table.Hit(somebody, wall(2), 4, fast, never); d != want {
			t.Errorf("request %d after a change of the limit: %d, want %d", i, d, want)
		}
	}
	if d := table.Hit(somebody, wall(3), 4, nil, never); d != Pass {
		t.Errorf("without a limit: %d", d)
	}
}

// TestPace compares the mean interval with logarithms in floating point. The
// straight line between powers of two is 0.09 below at most, and what division
// cuts off adds up to four units.
func TestPace(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for n := clock.Interval(1); n < 1<<16; n++ {
		checkPace(t, paceOf(n), math.Log2(float64(n)), 0)
	}
	for range 200 {
		var p pace
		mean := 0.0
		lowest, width := rng.Float64()*50, rng.Float64()*12
		for i := range 200 {
			d := clock.Interval(math.Exp2(lowest + width*rng.Float64()))
			if l := math.Log2(float64(d)); i == 0 {
				mean = l
			} else {
				mean += (l - mean) / paceGain
			}
			p.add(d)
			checkPace(t, p, mean, 4.0/paceUnit)
		}
	}
	if p := paceOf(math.MaxInt64); p <= paceOf(math.MaxInt64/2) {
		t.Errorf("the longest interval has pace %d", p)
	}
}

func checkPace(t *testing.T, p pace, want, slack float64) {
	t.Helper()
	got, ok := p.log2()
	if d := got + math.Log2(1e9) - want; !ok || d < -0.09-slack || d > slack+1.0/paceUnit {
		t.Fatalf("log2 of the interval is %.4f, told as %.4f too much", want, d)
	}
}
