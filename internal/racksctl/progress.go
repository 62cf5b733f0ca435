// SPDX-License-Identifier: Apache-2.0

package racksctl

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"foliot/internal/clock"
	"foliot/internal/probe"
	"foliot/internal/rackstat"
)

// Paces and sizes of what is shown during a run.
const (
	lookEvery  = 100 * time.Millisecond
	hostsALook = 64 // whose results are looked at anew each time
	drawEvery  = 5  // looks, on a terminal
	lineEvery  = 100
	ranked     = 5
	barWidth   = 24
)

// progress shows how a run is getting on. The loop that measures calls look, which
// examines a few hosts each time; a goroutine of its own writes, so that a slow
// terminal delays no request.
type progress struct {
	out      io.Writer
	terminal bool
	plan     *plan
	looks    int
	next     int
	offsets  []float64 // NaN if not measured
	list     []standing
	began    clock.Mono
	lines    chan string
	done     chan struct{}
}

// standing is a host in the ranking.
type standing struct {
	host   int
	offset float64
}

func newProgress(std Streams, p *plan) *progress {
	s := &progress{out: std.Err, terminal: std.Terminal, plan: p, lines: make(chan string, 1), done: make(chan struct{})}
	s.offsets = make([]float64, len(p.specs))
	for i := range s.offsets {
		s.offsets[i] = math.NaN()
	}
	go s.write()
	return s
}

// write draws one picture after the other. On a terminal each takes the place of
// the last.
func (s *progress) write() {
	defer close(s.done)
	height := 0
	for text := range s.lines {
		if s.terminal && height > 0 {
			fmt.Fprintf(s.out, "\x1b[%dA\x1b[J", height)
		}
		fmt.Fprint(s.out, text)
		height = strings.Count(text, "\n")
	}
	if s.terminal && height > 0 {
		fmt.Fprintf(s.out, "\x1b[%dA\x1b[J", height)
	}
}

// end waits until all is written.
func (s *progress) end() {
	close(s.lines)
	<-s.done
}

// look is called by the loop.
func (s *progress) look(f *probe.Fleet, now clock.Now) {
	if s.looks == 0 {
		s.began = now.Mono
	}
	s.looks++
	for range min(hostsALook, f.Len()) {
		i := s.next % f.Len()
		s.next++
		if r := f.Result(i, clock.Correction{}.Served(now.Wall)); r.Samples > 0 {
			s.offsets[i] = float64(r.Offset)
		}
	}
	every := lineEvery
	if s.terminal {
		every = drawEvery
	}
	if s.looks%every != 0 {
		return
	}
	select {
	case s.lines <- s.text(now.Mono.Sub(s.began).Duration()):
	default: // the last one is not written yet
	}
}

// text is the picture.
func (s *progress) text(passed time.Duration) string {
	var b strings.Builder
	measured := s.rank()
	whole := s.plan.length()
	line := fmt.Sprintf("%s of %s, %d of %s answer", passed.Round(time.Second), whole.Round(time.Second), measured, plural(len(s.plan.hosts), "host"))
	if !s.terminal {
		return line + "\n"
	}
	share := min(1, float64(passed)/float64(whole))
	full := int(share * barWidth)
	fmt.Fprintf(&b, "%s%s %s\n", strings.Repeat("█", full), strings.Repeat("░", barWidth-full), line)
	for _, x := range s.list[:min(ranked, len(s.list))] {
		h := &s.plan.hosts[s.plan.of[x.host]]
		fmt.Fprintf(&b, "  %-12.12s %-32.32s %12s\n", h.Rack, h.Name, signed(x.offset))
	}
	return b.String()
}

// rank sorts the hosts by how far they are from the median, and returns how many
// there are.
func (s *progress) rank() int {
	s.list = s.list[:0]
	for i, o := range s.offsets {
		if !math.IsNaN(o) {
			s.list = append(s.list, standing{i, o})
		}
	}
	slices.SortFunc(s.list, func(a, b standing) int { return cmp.Compare(a.offset, b.offset) })
	if len(s.list) == 0 {
		return 0
	}
	middle := s.list[len(s.list)/2].offset
	for i := range s.list {
		s.list[i].offset -= middle
	}
	slices.SortFunc(s.list, func(a, b standing) int { return cmp.Compare(math.Abs(b.offset), math.Abs(a.offset)) })
	return len(s.list)
}

// length is how long the run will take.
func (p *plan) length() time.Duration {
	d := time.Duration(p.count)*p.interval + time.Second
	if p.duration > 0 && (p.count == 0 || p.duration < d) {
		d = p.duration
	}
	return d
}

func signed(v float64) string {
	if v > 0 {
		return "+" + rackstat.Span(v)
	}
	return rackstat.Span(v)
}
