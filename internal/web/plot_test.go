// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"foliot/internal/clock"
	"foliot/internal/state"
)

var noon = time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)

// track returns n points every ten seconds whose offset is f of the number.
func track(n int, f func(i int) float64) []point {
	list := make([]point, n)
	for i := range list {
		list[i] = point{at: 1000 + 10*float64(i), offset: f(i), synced: true}
		list[i].answered[1] = uint64(50 * i)
	}
	return list
}

func draw(t *testing.T, id string, list []point) plot {
	t.Helper()
	for _, p := range plots(list, noon) {
		if p.ID == id {
			return p
		}
	}
	t.Fatalf("no plot %s", id)
	return plot{}
}

func TestPlot(t *testing.T) {
	p := draw(t, "offset", track(361, func(i int) float64 { return float64(i-180) * 1e-6 }))
	if math.Abs(p.Low+216) > 1e-9 || math.Abs(p.High-216) > 1e-9 || p.Unit != "µs" || p.Zero != 50 || p.Current != "+180 µs" {
		t.Errorf("range %g to %g %s, zero at %g, now %s, want ±216 µs, 50 and +180 µs", p.Low, p.High, p.Unit, p.Zero, p.Current)
	}
	if p.Top != "+216 µs" || p.Mid != "0 µs" || p.Bottom != "−216 µs" || p.Past != "−1.0 h" {
		t.Errorf("labels %q %q %q %q", p.Top, p.Mid, p.Bottom, p.Past)
	}
	// In the first column the last value is -179, in the last it is 180; 216 is
	// 50 rows from the middle.
	if !strings.HasPrefix(p.Line, "M0 91.4L1 ") || !strings.HasSuffix(p.Line, "L359 8.3") || strings.Count(p.Line, "M") != 1 {
		t.Errorf("line %.40s ... %s", p.Line, p.Line[len(p.Line)-20:])
	}
	if p.Length != 3_600_000 || p.Start != noon.Add(-time.Hour).UnixMilli() {
		t.Errorf("%d ms from %d, want an hour to noon", p.Length, p.Start)
	}
}

// TestPlotKeepsPeaks: what lies between two columns is not lost.
func TestPlotKeepsPeaks(t *testing.T) {
	list := track(size, func(i int) float64 {
		if i == size/2+1 {
			return 1
		}
		return 0
	})
	p := draw(t, "offset", list)
	if p.High < 1 || !strings.Contains(p.Band, "V") || p.Unit != "s" {
		t.Fatalf("a peak of 1 s is lost: up to %g %s", p.High, p.Unit)
	}
	top := fmt.Sprintf(" %.1fV", p.row(1)-0.2)
	if !strings.Contains(p.Band, top) {
		t.Errorf("the band does not begin at row%s: %s", top, p.Band)
	}
}

func TestPlotGaps(t *testing.T) {
	list := track(360, func(i int) float64 { return float64(i) })
	for i := 100; i < 200; i++ {
		list[i].synced = false
	}
	if p := draw(t, "offset", list); strings.Count(p.Line, "M") != 2 {
		t.Errorf("%d pieces of line, want 2 around the time without synchronisation", strings.Count(p.Line, "M"))
	}
}

func TestPlotRate(t *testing.T) {
	list := track(10, func(int) float64 { return 0 })
	list[5].answered = [3]uint64{} // the daemon's counters began anew
	p := draw(t, "rate", list)
	if p.Current != "5 /s" || p.Low != 0 || p.Zero != -1 {
		t.Errorf("rate %s, from %g, zero line at %g, want 5 /s from 0 and no line", p.Current, p.Low, p.Zero)
	}
}

func TestPlotOfNothing(t *testing.T) {
	nan := track(3, func(int) float64 { return math.NaN() })
	for name, list := range map[string][]point{"no points": nil, "never synchronised": make([]point, 5), "nothing finite": nan} {
		if p := draw(t, "offset", list); p.Line != "" || p.Current != "no data" {
			t.Errorf("%s: line %q, now %q", name, p.Line, p.Current)
		}
	}
	p := draw(t, "offset", track(1, func(int) float64 { return 0 }))
	if !(p.High > p.Low) || strings.Contains(p.Line, "NaN") {
		t.Errorf("a single 0: range %g to %g, line %q", p.Low, p.High, p.Line)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	var h history
	s := &state.State{}
	const n = 2*size + 7
	for i := range n {
		s.Now.Mono = clock.At[clock.Raw](int64(i+1) * int64(pace))
		h.add(s)
		h.add(s) // the same moment again is no point
	}
	list := h.points()
	if len(list) != size {
		t.Fatalf("%d points after %d, want %d", len(list), n, size)
	}
	for i := range list {
		if want := float64(n-size+i+1) * pace.Seconds(); math.Abs(list[i].at-want) > 1e-6 {
			t.Fatalf("point %d is of %g, want %g", i, list[i].at, want)
		}
	}
	if octets := reflect.TypeFor[history]().Size(); octets > 200_000 {
		t.Errorf("the history takes %d octets, want at most 200000", octets)
	}
}
