// SPDX-License-Identifier: Apache-2.0

package chronyc

import (
	"context"
	"fmt"
	"io"
	"testing"
)

// A signal ends the program although it waits for a line.
func TestInterrupted(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	s := New(ctx, &Options{Program: "foliotctl"}, io.Discard, io.Discard)
	done := make(chan int)
	go func() { done <- s.Converse(r, false) }()
	fmt.Fprintln(w, "# the reader waits for the next line now")
	cancel()
	if code := <-done; code != ExitOK {
		t.Errorf("exit %d, want %d", code, ExitOK)
	}
}

func TestNumbers(t *testing.T) {
	for _, tc := range []struct {
		s, rest string
		n       int
		ok      bool
	}{
		{"12", "", 12, true}, {" -3x", "x", -3, true}, {"+4 5", " 5", 4, true}, {"x", "x", 0, false}, {"", "", 0, false},
		{"-", "-", 0, false}, {"0x10", "x10", 0, true}, {"4294967295", "", -1, true}, {"99999999999999999999", "", -1, true},
	} {
		if n, rest, ok := tryInt(tc.s); n != tc.n || rest != tc.rest || ok != tc.ok {
			t.Errorf("tryInt(%q) = %d, %q, %v", tc.s, n, rest, ok)
		}
	}
	for _, tc := range []struct {
		s, rest string
		v       float64
		ok      bool
	}{
		{"1.5", "", 1.5, true}, {" 1e-3 4", " 4", 1e-3, true}, {"3x", "x", 3, true}, {"1e", "e", 1, true}, {".5.5", ".5", .5, true},
		{"x", "x", 0, false}, {"", "", 0, false}, {"-2", "", -2, true}, {"1_0", "_0", 1, true},
	} {
		if v, rest, ok := tryFloat(tc.s); v != tc.v || rest != tc.rest || ok != tc.ok {
			t.Errorf("tryFloat(%q) = %v, %q, %v", tc.s, v, rest, ok)
		}
	}
}

func FuzzCommand(f *testing.F) {
	for _, line := range []string{"activity", "burst 1/2 ::/0", "add server 192.0.2.1 key 1", "manual delete 3", "selectopts GPS +trust",
		"selectopts GPS -", "clients -p 3 -k", "local stratum 3", "settime 12:00", "allow 1.2/7", "online 1/2"} {
		f.Add(line)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // nothing is sent, no name is looked up
	f.Fuzz(func(t *testing.T, line string) {
		s := New(ctx, &Options{Hosts: []string{"127.0.0.1"}, Help: func() string { return "" }}, io.Discard, io.Discard)
		s.Command(line)
		s.Close()
	})
}
