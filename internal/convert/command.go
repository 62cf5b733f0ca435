// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"foliot/internal/chronyconf"
	"foliot/internal/ntpconf"
)

// Usage is how the command is called.
const Usage = "foliotctl convert [--ntp-conf] FILE [-o OUT]"

// request is the command line.
type request struct {
	in, out string
	ntp     bool
}

func parseRequest(args []string) (r request, err error) {
	for len(args) > 0 {
		switch a := args[0]; {
		case a == "--ntp-conf":
			r.ntp = true
		case a == "-o" && len(args) > 1:
			r.out, args = args[1], args[1:]
		case len(a) > 1 && a[0] == '-':
			return r, fmt.Errorf("unknown option %s", a)
		case r.in != "":
			return r, fmt.Errorf("one file is expected, %s is a second", a)
		default:
			r.in = a
		}
		args = args[1:]
	}
	if r.in == "" {
		err = errors.New("no file is named")
	}
	return r, err
}

// Command is the command convert of foliotctl: it reads a configuration in either
// language and writes it as foliot.conf. Nothing is written if there is an error,
// and a file that exists is not written over. It returns the exit code.
func Command(args []string, stdout, stderr io.Writer) int {
	r, err := parseRequest(args)
	if err != nil {
		fmt.Fprintf(stderr, "foliotctl: error: %v\nfoliotctl: hint: %s\n", err, Usage)
		return 2
	}
	if err := r.run(stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "foliotctl: error: %v\n", err)
		return 1
	}
	return 0
}

func (r *request) run(stdout, stderr io.Writer) error {
	c, warnings, _, err := ntpconf.Read(chronyconf.OS{}, r.in, r.ntp)
	if err != nil {
		return err
	}
	var notes []string
	for _, w := range warnings {
		notes = append(notes, w.Text)
		fmt.Fprintf(stderr, "foliotctl: note: %s\n", w.Text)
	}
	for line := range strings.Lines(Text(c, "", nil)) {
		if _, rest, lost := strings.Cut(line, Lost); lost {
			fmt.Fprintf(stderr, "foliotctl: note: %s%s", Lost, rest)
		}
	}
	if !filepath.IsAbs(r.in) {
		if abs, err := filepath.Abs(r.in); err == nil {
			r.in = abs
		}
	}
	text := Text(c, "foliot.conf, made by foliotctl convert from "+r.in, slices.Compact(notes))
	if r.out == "" {
		_, err := io.WriteString(stdout, text)
		return err
	}
	f, err := os.OpenFile(r.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if _, err = io.WriteString(f, text); err != nil {
		f.Close()
		return fmt.Errorf("write configuration: %w", err)
	}
	return f.Close()
}
