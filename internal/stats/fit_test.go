// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"foliot/internal/clock"
)

// The published quantiles of Student's t distribution at 0.9995.
func TestStudentT(t *testing.T) {
	for _, tc := range []struct {
		dof  int
		want float64
	}{
		{1, 636.619}, {2, 31.599}, {3, 12.924}, {4, 8.610}, {5, 6.869}, {6, 5.959}, {7, 5.408}, {8, 5.041},
		{10, 4.587}, {15, 4.073}, {20, 3.850}, {30, 3.646}, {40, 3.551},
	} {
		if got := studentT(tc.dof); !near(got, tc.want, 0.01*tc.want) {
			t.Errorf("studentT(%d) = %.4f, want %.4f within 1 %%", tc.dof, got, tc.want)
		}
	}
	for dof := 2; dof < 200; dof++ {
		if a, b := studentT(dof-1), studentT(dof); b > a {
			t.Errorf("studentT(%d) = %g is above studentT(%d) = %g", dof, b, dof-1, a)
		}
	}
}

func TestCriticalRuns(t *testing.T) {
	for _, tc := range []struct{ n, want int }{{0, 0}, {3, 0}, {7, 0}, {8, 2}, {10, 3}, {53, 21}, {64, 26}, {128, 55}} {
		if got := criticalRuns(tc.n); got != tc.want {
			t.Errorf("criticalRuns(%d) = %d, want %d", tc.n, got, tc.want)
		}
	}
	// What it claims: residuals that are independent exceed it about 95 times of 100.
	rng := fixed(4)
	for _, n := range []int{16, 32, 64, 128} {
		const trials = 4000
		exceeded := 0
		for range trials {
			runs, last := 1, rng.IntN(2)
			for range n - 1 {
				if s := rng.IntN(2); s != last {
					runs, last = runs+1, s
				}
			}
			if runs > criticalRuns(n) {
				exceeded++
			}
		}
		if share := float64(exceeded) / trials; share < 0.90 || share > 0.99 {
			t.Errorf("%d independent residuals exceed %d runs in %.3f of the cases, want about 0.95", n, criticalRuns(n), share)
		}
	}
}

// oracle is the fit by the book, with 300 bits and without regard to cost.
type oracle struct {
	limits  Limits
	samples []Sample
	fitted  int
	line    oracleLine
}

type oracleLine struct {
	offset, freq, skew, offsetSD, sd float64
	runs                             int
}

func num(v float64) *big.Float { return new(big.Float).SetPrec(300).SetFloat64(v) }

func (o *oracle) add(s Sample) {
	o.samples = append(o.samples, s)
	if len(o.samples) > 128 {
		o.samples = o.samples[1:]
	}
	o.fitted = min(o.fitted+1, o.limits.MaxSamples)
	if o.fitted < 3 {
		return
	}
	w := o.weights()
	for {
		o.line = o.regress(w)
		residuals := min(len(o.samples), 2*o.fitted)
		critical := 0
		if residuals >= 8 {
			m := float64(residuals - 1)
			critical = int(math.Round(1 + m/2 - 1.645*math.Sqrt(m)/2))
		}
		if o.line.runs > critical || o.fitted <= max(3, o.limits.MinSamples) {
			return
		}
		o.fitted--
	}
}

// weights follow the description: 1 / (1 + excess distance / typical excess)^2.
func (o *oracle) weights() []float64 {
	dist := func(s Sample) float64 { return float64(s.Delay)/2 + float64(s.Disp) }
	var d []float64
	for _, s := range o.samples[len(o.samples)-o.fitted:] {
		d = append(d, dist(s))
	}
	slices.Sort(d)
	median := d[len(d)/2]
	if len(d)%2 == 0 {
		median = (d[len(d)/2-1] + d[len(d)/2]) / 2
	}
	sd := max(min(max((median-d[0])/0.7, o.limits.Precision), d[0]), o.limits.Precision)
	var w []float64
	for _, s := range o.samples {
		w = append(w, math.Pow(1+max(0, dist(s)-d[0]-o.limits.Precision)/sd, -2))
	}
	return w
}

func (o *oracle) points() (x, y []float64) {
	least := math.Inf(1)
	for _, s := range o.samples {
		least = min(least, float64(s.Delay))
	}
	if o.limits.MinDelay > 0 {
		least = float64(o.limits.MinDelay)
	}
	last := o.samples[len(o.samples)-1].Time
	for _, s := range o.samples {
		x = append(x, float64(s.Time.Nanos()-last.Nanos())*1e-9)
		y = append(y, float64(s.Offset)-o.limits.Asymmetry*(float64(s.Delay)-least))
	}
	return x, y
}

// regress solves the normal equations.
func (o *oracle) regress(w []float64) (l oracleLine) {
	x, y := o.points()
	first := len(x) - o.fitted
	var sums [5]*big.Float // w, wx, wy, wxx, wxy
	for i := range sums {
		sums[i] = num(0)
	}
	mul := func(a, b *big.Float) *big.Float { return new(big.Float).SetPrec(300).Mul(a, b) }
	sub := func(a, b *big.Float) *big.Float { return new(big.Float).SetPrec(300).Sub(a, b) }
	quo := func(a, b *big.Float) float64 { f, _ := new(big.Float).SetPrec(300).Quo(a, b).Float64(); return f }
	for i := first; i < len(x); i++ {
		wi, xi, yi := num(w[i]), num(x[i]), num(y[i])
		for j, term := range []*big.Float{wi, mul(wi, xi), mul(wi, yi), mul(wi, mul(xi, xi)), mul(wi, mul(xi, yi))} {
			sums[j].Add(sums[j], term)
		}
	}
	det := sub(mul(sums[0], sums[3]), mul(sums[1], sums[1]))
	l.freq = quo(sub(mul(sums[0], sums[4]), mul(sums[1], sums[2])), det)
	l.offset = quo(sub(mul(sums[2], sums[3]), mul(sums[1], sums[4])), det)
	n, ss, total := float64(o.fitted), 0.0, 0.0
	for i := first; i < len(x); i++ {
		r := y[i] - l.offset - l.freq*x[i]
		ss += w[i] * r * r
		total += w[i]
	}
	s2 := ss / (n - 2)
	// The variances are s2 times the diagonal of the inverse matrix.
	slopeSD := math.Sqrt(s2 * quo(sums[0], det))
	l.offsetSD = math.Sqrt(s2 * quo(sums[3], det))
	l.skew = slopeSD * studentT(o.fitted-2)
	l.sd = math.Sqrt(s2 * n / total)
	above := false
	for i := max(0, len(x)-2*o.fitted); i < len(x); i++ {
		sign := y[i]-l.offset-l.freq*x[i] > 0
		if l.runs == 0 || sign != above {
			l.runs++
		}
		above = sign
	}
	return l
}

// history makes a random but plausible sequence of samples.
func history(rng *rand.Rand, n int) []Sample {
	noise := math.Pow(10, -7+4*rng.Float64())
	least := noise * (1 + 100*rng.Float64())
	freq := 1e-4 * rng.NormFloat64()
	wander := math.Pow(10, -10+3*rng.Float64())
	var out []Sample
	t, x := 0.0, rng.NormFloat64()
	for range n {
		dt := 16 * (0.5 + rng.Float64())
		t, x = t+dt, x+freq*dt
		freq += wander * math.Sqrt(dt) * rng.NormFloat64()
		a, b := noise*rng.ExpFloat64(), noise*rng.ExpFloat64()
		s := sampleAt(t, x+(a-b)/2, least+a+b)
		s.Disp = clock.Dispersion(noise * rng.Float64() / 10)
		out = append(out, s)
	}
	return out
}

func TestFitAgainstOracle(t *testing.T) {
	rng := seeded(t)
	for trial := range 12 {
		l := Limits{Precision: 1e-9, FixedAsym: true}
		if trial%2 == 1 {
			l.Asymmetry = rng.Float64() - 0.5
		}
		if trial%3 == 1 {
			l.MinSamples, l.MaxSamples = 3+rng.IntN(8), 8+rng.IntN(40)
		}
		if trial%4 == 3 {
			l.MinDelay = 1e-8
		}
		r := NewRegister(l)
		o := oracle{limits: r.limits}
		for i, s := range history(rng, 150) {
			r.Add(s)
			o.add(s)
			got, want := r.Line(), &o.line
			if i < 2 {
				if got.OK || got.Skew != worstSkew || got.SD != worstSD || got.Offset != s.Offset {
					t.Fatalf("trial %d: line of %d samples = %+v, want none, with skew %g and SD %g at the newest", trial, i+1, got, worstSkew, worstSD)
				}
				continue
			}
			if r.Len() != o.fitted || got.Runs != want.runs || !got.OK || got.Time != s.Time {
				t.Fatalf("trial %d, sample %d: %d fitted with %d runs at %v (ok %v), want %d with %d at %v",
					trial, i, r.Len(), got.Runs, got.Time, got.OK, o.fitted, want.runs, s.Time)
			}
			const part = 1e-6 // of the standard deviations
			slopeSD := want.skew / studentT(o.fitted-2)
			if !near(float64(got.Offset), want.offset, part*want.offsetSD+1e-14) ||
				!near(float64(got.Freq), want.freq, part*slopeSD+1e-15) ||
				!near(got.OffsetSD, want.offsetSD, 1e-5*want.offsetSD+1e-14) ||
				!near(float64(got.Skew), max(want.skew, minSkew), 1e-5*want.skew+1e-15) ||
				!near(got.SD, max(want.sd, 1e-9), 1e-5*want.sd+1e-14) {
				t.Fatalf("trial %d, sample %d of %d:\n got %+v\nwant %+v", trial, i, o.fitted, got, *want)
			}
		}
	}
}

// A change of the frequency must shorten the history, and a steady one fill it.
func TestFitLength(t *testing.T) {
	rng := fixed(11)
	r := NewRegister(Limits{})
	add := func(i int, offset float64) {
		r.Add(sampleAt(16*float64(i), offset+1e-6*rng.NormFloat64(), 1e-3))
	}
	for i := range 64 {
		add(i, 0)
	}
	if r.Len() < 32 {
		t.Errorf("%d of 64 samples of a steady clock are fitted, want at least 32", r.Len())
	}
	before := r.Len()
	for i := range 8 {
		add(64+i, 50e-6*16*float64(i+1))
	}
	if r.Len() > 16 || r.Len() >= before {
		t.Errorf("8 samples after a step of the frequency by 50 ppm %d samples are fitted (%d before), want at most 16", r.Len(), before)
	}
}

func TestAsymmetry(t *testing.T) {
	for _, tc := range []struct {
		name       string
		out, back  float64 // mean queues, seconds
		limits     Limits
		want, give float64
	}{
		{"on the way to the source", 1e-3, 0, Limits{}, 0.5, 0.05},
		{"on the way from the source", 0, 1e-3, Limits{}, -0.5, 0.05},
		{"on both ways", 1e-3, 1e-3, Limits{}, 0, 0},
		{"fixed", 1e-3, 0, Limits{FixedAsym: true, Asymmetry: 0.2}, 0.2, 0},
		{"fixed to none", 1e-3, 0, Limits{FixedAsym: true}, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rng := fixed(5)
			r := NewRegister(tc.limits)
			for i := range 80 {
				a, b := tc.out*rng.ExpFloat64(), tc.back*rng.ExpFloat64()
				r.Add(sampleAt(16*float64(i), (a-b)/2+1e-6*rng.NormFloat64(), 1e-3+a+b))
			}
			if got := r.Asymmetry(); !near(got, tc.want, tc.give) {
				t.Errorf("Asymmetry() = %.3f after %d samples, want %.2f", got, r.Held(), tc.want)
			}
			if tc.want == 0 || tc.limits.FixedAsym {
				return
			}
			if got := math.Abs(float64(r.Line().Offset)); got > 2e-5 {
				t.Errorf("offset of the line = %g with the asymmetry taken out, want under 2e-5", got)
			}
			// A turn of the sign must not be believed for ten samples.
			for i := range 3 {
				a := 5e-3 * rng.ExpFloat64()
				r.Add(sampleAt(16*float64(80+i), -a/2*math.Copysign(1, tc.want), 1e-3+a))
			}
			if got := r.Asymmetry(); got*tc.want < 0 {
				t.Errorf("Asymmetry() = %.3f soon after the queue changed sides, want no turn yet", got)
			}
		})
	}
}

func TestAsymmetryNeedsTenFits(t *testing.T) {
	rng := fixed(6)
	r := NewRegister(Limits{})
	for i := range 40 {
		a := 1e-3 * rng.ExpFloat64()
		r.Add(sampleAt(16*float64(i), a/2, 1e-3+a))
		if run, asym := r.AsymmetryRun(), r.Asymmetry(); (run < 10) != (asym == 0) {
			t.Fatalf("sample %d: asymmetry %.2f after a run of %d fits, want none before the tenth", i, asym, run)
		}
	}
	if r.AsymmetryRun() < 10 {
		t.Errorf("a run of %d fits after 40 samples, want at least 10", r.AsymmetryRun())
	}
}
