// SPDX-License-Identifier: Apache-2.0

// Command tally runs the `go test -json` command that its arguments are, prints
// what a person wants to see of it (a line a package, and everything about what
// failed), and ends with the counts and the reason of each skip. Its exit status
// is 1 if anything failed, or if there were no tests at all.
//
// With -again, up to three tests that failed run once more, alone: those of a
// daemon in real time fail when the machine stands still for a moment. What
// passes then is counted as passed, and named as unsteady at the end.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// maxAgain bounds the tests that get a second chance: more are no accident.
const maxAgain = 3

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
	skips  []string
	broken int                        // packages that failed beside their tests: build, panic, timeout
	failed map[string]map[string]bool // package -> tests
}

func newTally(out io.Writer) *tally {
	return &tally{out: out, output: make(map[string][]string), failed: make(map[string]map[string]bool)}
}

func main() {
	again := flag.Bool("again", false, "run up to three tests that failed once more, alone")
	flag.Parse()
	t := newTally(os.Stdout)
	if err := t.run(flag.Args()); err != nil {
		fmt.Fprintf(os.Stderr, "tally: %s\n", err)
		os.Exit(1)
	}
	if *again {
		if err := t.again(); err != nil {
			fmt.Fprintf(os.Stderr, "tally: %s\n", err)
			os.Exit(1)
		}
	}
	if !t.end() {
		os.Exit(1)
	}
}

// run runs a command and reads its events. That the command's own status is a
// failure is no error: the events say why, or the counts are empty.
func (t *tally) run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no command")
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := t.read(out); err != nil {
		return err
	}
	cmd.Wait()
	return nil
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
		if t.failed[e.Package] == nil {
			t.failed[e.Package] = make(map[string]bool)
		}
		t.failed[e.Package][e.Test] = true
		fmt.Fprint(t.out, strings.Join(t.output[key], ""))
	}
}

// packageDone prints the package's last line, or all that it printed if it
// failed without a test that did.
func (t *tally) packageDone(e *event, key string) {
	all := t.output[key]
	if e.Action == "fail" && t.failed[e.Package] == nil {
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

// again runs the few tests that failed once more, each package's by themselves,
// and takes those that pass now from the failed.
func (t *tally) again() error {
	tops := make(map[string][]string)
	n := 0
	for pkg, tests := range t.failed {
		for name := range tests {
			if !strings.Contains(name, "/") {
				tops[pkg] = append(tops[pkg], name)
				n++
			}
		}
	}
	if n == 0 || n > maxAgain || t.broken > 0 {
		return nil
	}
	for _, pkg := range slices.Sorted(maps.Keys(tops)) {
		fmt.Fprintf(t.out, "again, alone: %s %s\n", pkg, strings.Join(tops[pkg], " "))
		second := newTally(t.out)
		pattern := "^(" + strings.Join(tops[pkg], "|") + ")$"
		if err := second.run([]string{"go", "test", "-json", "-count=1", "-run", pattern, pkg}); err != nil {
			return err
		}
		if len(second.failed) > 0 || second.broken > 0 || second.passed == 0 {
			continue
		}
		t.passed += len(t.failed[pkg])
		delete(t.failed, pkg)
		t.skips = append(t.skips, second.skips...)
		fmt.Fprintf(t.out, "unsteady: %s %s failed, and passed when run alone\n", pkg, strings.Join(tops[pkg], " "))
	}
	return nil
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
	failed := 0
	for _, tests := range t.failed {
		failed += len(tests)
	}
	fmt.Fprintf(t.out, "%d tests passed, %d failed, %d skipped", t.passed, failed, len(t.skips))
	if t.broken > 0 {
		fmt.Fprintf(t.out, "; %d packages failed to build or to finish", t.broken)
	}
	fmt.Fprintln(t.out)
	return failed == 0 && t.broken == 0 && t.passed > 0
}
