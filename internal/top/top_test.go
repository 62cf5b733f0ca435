// SPDX-License-Identifier: Apache-2.0

package top

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"foliot/internal/state"
)

// document is a daemon with so many sources and clients, after so many seconds.
func document(sources, clients int, uptime float64) *state.Document {
	d := &state.Document{
		Version: "1.2", Time: time.Unix(1.8e9, 0), Uptime: uptime,
		Tracking:   state.TrackingDocument{Synchronized: true, Source: "ntp0.example", Address: "192.0.2.1", Stratum: 3, LastOffset: -2e-6},
		Unresolved: []string{"nowhere.example"},
		Server: state.ServerDocument{Open: true, Depths: []state.DepthDocument{
			{Name: "xdp"}, {Name: "worker", Answered: uint64(1000 * uptime), Refused: uint64(uptime)}, {Name: "engine"}}},
		ClientCount: clients,
	}
	for i := range sources {
		d.Sources = append(d.Sources, state.SourceDocument{
			Name: fmt.Sprintf("ntp%d.a-name-that-is-longer-than-the-room-there-is.example", i), Letter: "+", State: "combined",
			Stratum: 2, Poll: 6, Reach: 0o377, Age: 12, Offset: 1.5e-6, Error: 2e-3, Recent: []float64{-1, 0, 0.5, 1},
		})
	}
	for i := range clients {
		d.Clients = append(d.Clients, state.ClientDocument{Name: fmt.Sprintf("198.51.100.%d", i), Hits: 1000, Version: 4, Age: 3, Pause: 64})
	}
	return d
}

// TestLinesFit: whatever the size, no line is too long and there are not too many;
// from 60 by 20 up, sources, the server and clients all have their place.
func TestLinesFit(t *testing.T) {
	for _, many := range []int{0, 3, 500} {
		v := &View{Host: "host"}
		v.Take(document(many, min(many, 20), 100))
		v.Take(document(many, min(many, 20), 102))
		for width := 1; width <= 160; width += 3 {
			for rows := 1; rows <= 60; rows++ {
				list := v.Lines(width, rows)
				if len(list) > rows {
					t.Fatalf("%d sources: %d lines at %dx%d", many, len(list), width, rows)
				}
				var text strings.Builder
				for _, l := range list {
					if n := utf8.RuneCountInString(l.Text); n > width {
						t.Fatalf("%d sources: a line of %d characters at %dx%d: %s", many, n, width, rows, l.Text)
					}
					fmt.Fprintln(&text, l.Text)
				}
				if many > 0 && width >= 60 && rows >= 20 {
					for _, want := range []string{"synchronised to", "+ ntp2.", "answers/s: worker 1000, engine 0; refused/s: 1", "198.51.100.2"} {
						if !strings.Contains(text.String(), want) {
							t.Fatalf("%d sources: no %q at %dx%d:\n%s", many, want, width, rows, &text)
						}
					}
				}
			}
		}
	}
}

// TestClauses: a line has whole numbers only, however narrow it is.
func TestClauses(t *testing.T) {
	for width, want := range map[int]string{
		1: "offset 165 ms", 13: "offset 165 ms", 31: "offset 165 ms", 32: "offset 165 ms, RMS of all 165 ms", 40: "offset 165 ms, RMS of all 165 ms",
	} {
		if got := clauses(width, "offset 165 ms", "RMS of all 165 ms"); got != want {
			t.Errorf("in %d characters: %q, want %q", width, got, want)
		}
	}
}

func TestScroll(t *testing.T) {
	v := &View{}
	v.Take(document(100, 0, 1))
	shown := func() string {
		for _, l := range v.Lines(80, 24) {
			if strings.HasPrefix(l.Text, "+ ") {
				return l.Text[2:9]
			}
		}
		return ""
	}
	for _, step := range []struct {
		k    key
		want string
	}{{keyOther, "ntp0.a-"}, {keyDown, "ntp1.a-"}, {keyPageDown, "ntp13.a"}, {keyUp, "ntp12.a"}, {keyPageUp, "ntp0.a-"}, {keyUp, "ntp0.a-"}} {
		v.scroll(step.k, 24)
		if got := shown(); got != step.want {
			t.Errorf("after key %d the first source is %s, want %s", step.k, got, step.want)
		}
	}
	for range 30 {
		v.scroll(keyPageDown, 24)
	}
	var last string
	for _, l := range v.Lines(80, 24) {
		if strings.HasPrefix(l.Text, "? ") {
			last = l.Text
		}
	}
	if !strings.Contains(last, "nowhere.example") {
		t.Errorf("the end of the list shows %q, want the name that did not resolve", last)
	}
}

// A name is text, whatever its owner put into it.
func TestNamesAreText(t *testing.T) {
	v := &View{Host: "\x1b[2Jhost", Trouble: "a\x1b[31m"}
	d := document(1, 1, 1)
	d.Sources[0].Name, d.Sources[0].Rack, d.Tracking.Source = "a\x1b]0;x\x07", "\x9b31m", "b\nc"
	d.Unresolved[0], d.Clients[0].Name, d.Version = "\x1bc", "\r", "\x00"
	v.Take(d)
	for _, l := range v.Lines(80, 24) {
		if strings.ContainsFunc(l.Text, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
			t.Errorf("a control character in %q", l.Text)
		}
	}
}

// Counters of another daemon give no rate.
func TestRestart(t *testing.T) {
	v := &View{}
	v.Take(document(1, 1, 100))
	v.Take(document(1, 1, 2))
	if _, ok := v.rate(func(x *state.DepthDocument) uint64 { return x.Answered }); ok {
		t.Error("a restarted daemon has a rate after one look")
	}
}

func TestPictures(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{curve([]float64{-1, 0, 1}), "▁▅█"}, {curve([]float64{0, 0}), "▄▄"}, {curve([]float64{2, 2}), "██"}, {curve(nil), ""},
		{bars([]float64{0, 1, 2}), "▁▅█"}, {bars([]float64{0}), "▁"}, {ascii.Replace("−1.5 µs ▁█"), "-1.5 us _#"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestKeys(t *testing.T) {
	b := []byte("x\x1b[A\x1b[6~q\x1b")
	var got []key
	for len(b) > 0 {
		var k key
		k, b = nextKey(b)
		got = append(got, k)
	}
	if want := fmt.Sprint([]key{keyOther, keyUp, keyPageDown, keyQuit, keyOther}); fmt.Sprint(got) != want {
		t.Errorf("keys %v, want %v", got, want)
	}
}

// terminal returns both ends of a pseudo-terminal.
func terminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { ours.Close() })
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	return ours, theirs
}

// TestScreen runs it in a terminal, makes that smaller, quits and looks whether
// everything is as before.
func TestScreen(t *testing.T) {
	ours, theirs := terminal(t)
	size := func(width, rows uint16) {
		if err := unix.IoctlSetWinsize(int(ours.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: rows}); err != nil {
			t.Fatal(err)
		}
	}
	size(80, 24)
	before, err := unix.IoctlGetTermios(int(theirs.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan string, 100)
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := ours.Read(buf)
			if n > 0 {
				out <- string(buf[:n])
			}
			if err != nil {
				close(out)
				return
			}
		}
	}()
	var seen strings.Builder
	until := func(text string) {
		t.Helper()
		late := time.After(20 * time.Second)
		for !strings.Contains(seen.String(), text) {
			select {
			case s := <-out:
				seen.WriteString(s)
			case <-late:
				t.Fatalf("no %q in %.3000q", text, seen.String())
			}
		}
	}
	done := make(chan error, 1)
	uptime := 1.0
	go func() {
		done <- Run(t.Context(), Config{In: theirs, Out: theirs, Pause: 20 * time.Millisecond,
			Fetch: func(context.Context) (*state.Document, error) {
				uptime++
				return document(3, 3, uptime), nil
			}})
	}()
	until(enter + home)
	until("offsets\x1b[K") // the column that 80 have room for
	size(60, 20)
	seen.Reset()
	until("   error\r") // the last one at 60
	if _, err := ours.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	until(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
	after, err := unix.IoctlGetTermios(int(theirs.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal was left at %+v, found at %+v (%v)", after, before, err)
	}
}

// Without a terminal it is text, one round or as many as are asked for.
func TestText(t *testing.T) {
	for _, rounds := range []int{0, 1, 3} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		uptime := 1.0
		err = Run(t.Context(), Config{In: r, Out: w, Pause: time.Millisecond, Rounds: rounds,
			Fetch: func(context.Context) (*state.Document, error) { uptime++; return document(2, 1, uptime), nil }})
		w.Close()
		buf := make([]byte, 1<<16)
		n, _ := r.Read(buf)
		r.Close()
		text := string(buf[:n])
		if err != nil || strings.Contains(text, "\x1b") || strings.Count(text, "foliotd 1.2") != max(1, rounds) {
			t.Errorf("%d rounds: %v, %q", rounds, err, text)
		}
	}
}
