// SPDX-License-Identifier: Apache-2.0

// Command tally reads the output of `go test -json` from standard input, prints
// what a person wants to see of it (a line a package, and everything about what
// failed), and ends with the counts and the reason of each skip. Its exit status
// is 1 if anything failed, or if there were no tests at all.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is a line of `go test -json` (cmd/test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build that failed
	Test       string
	Output     string
}

// tally counts.
type tally struct {
	out    io.Writer
	output map[string][]string // package and test -> what it printed
	passed int
	failed int
	skips  []string
	broken int // packages that failed beside their tests: build, panic, timeout
	failIn map[string]bool
}

func main() {
	t := &tally{out: os.Stdout, output: make(map[string][]string), failIn: make(map[string]bool)}
	if err := t.read(os.Stdin); err != nil {
		fmt.Fprintf(os.Stderr, "tally: %s\n", err)
		os.Exit(1)
	}
	if !t.end() {
		os.Exit(1)
	}
}

func (t *tally) read(r io.Reader) error {
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		var e event
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			// Complaints of the go command itself come between.
			fmt.Fprintln(t.out, in.Text())
			continue
		}
		t.take(&e)
	}
	return in.Err()
}

func (t *tally) take(e *event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		t.output[key] = append(t.output[key], e.Output)
	case "build-output":
		fmt.Fprint(t.out, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.packageDone(e, key)
		} else {
			t.testDone(e, key)
		}
		delete(t.output, key)
	}
}

func (t *tally) testDone(e *event, key string) {
	switch e.Action {
	case "pass":
		t.passed++
	case "skip":
		t.skips = append(t.skips, e.Package+" "+e.Test+": "+reason(t.output[key]))
	case "fail":
		t.failed++
		t.failIn[e.Package] = true
		fmt.Fprint(t.out, strings.Join(t.output[key], ""))
	}
}

// packageDone prints the package's last line, or all that it printed if it
// failed without a test that did.
func (t *tally) packageDone(e *event, key string) {
	all := t.output[key]
	if e.Action == "fail" && !t.failIn[e.Package] {
		t.broken++
		t.unfinished(e.Package)
		fmt.Fprint(t.out, strings.Join(all, ""))
		return
	}
	if len(all) > 0 {
		fmt.Fprint(t.out, all[len(all)-1])
	}
}

// unfinished prints the output of tests that a panic or timeout cut off.
func (t *tally) unfinished(pkg string) {
	for key, all := range t.output {
		if strings.HasPrefix(key, pkg+" ") && key != pkg+" " {
			fmt.Fprint(t.out, strings.Join(all, ""))
		}
	}
}

// reason is the text that a test gave when it skipped itself.
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			return line
		}
	}
	return "no reason given"
}

// end prints the counts and reports whether all is well.
func (t *tally) end() bool {
	slices.Sort(t.skips)
	for _, s := range t.skips {
		fmt.Fprintf(t.out, "skipped %s\n", s)
	}
	fmt.Fprintf(t.out, "%d tests passed, %d failed, %d skipped", t.passed, t.failed, len(t.skips))
	if t.broken > 0 {
		fmt.Fprintf(t.out, "; %d packages failed to build or to finish", t.broken)
	}
	fmt.Fprintln(t.out)
	return t.failed == 0 && t.broken == 0 && t.passed > 0
}
