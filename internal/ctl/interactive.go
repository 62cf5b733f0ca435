// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
)

// lineLen is the longest line that is read at once, as in chronyc.
const lineLen = 2047

// converse reads commands until the end, or a signal. The exit code is the last
// command's.
func (s *session) converse(std Streams) int {
	s.typed = true
	program := filepath.Base(s.o.program)
	if std.Terminal {
		fmt.Fprintf(s.out, "%s (foliot) version %s\nType \"help\" for the commands.\n\n", program, Version)
	}
	wanted := make(chan struct{})
	defer close(wanted)
	lines := readLines(std.In, wanted)
	code := ExitOK
	for !s.quit && s.ctx.Err() == nil {
		if std.Terminal {
			fmt.Fprintf(s.out, "%s> ", program)
		}
		s.out.Flush()
		line, ok := s.next(wanted, lines)
		if !ok {
			if std.Terminal {
				fmt.Fprintln(s.out)
			}
			break
		}
		if code = ExitOK; !s.command(line) {
			code = max(s.code, ExitRefused)
		}
	}
	return code
}

// next waits for a line. It reports false at the end, and after a signal.
func (s *session) next(wanted chan<- struct{}, lines <-chan string) (line string, ok bool) {
	select {
	case wanted <- struct{}{}:
	case <-s.ctx.Done():
		return "", false
	}
	select {
	case line, ok = <-lines:
		return line, ok
	case <-s.ctx.Done():
		return "", false
	}
}

// readLines reads one line each time that one is wanted. A reader that is waiting
// in Read cannot be stopped, and does not keep the program from ending.
func readLines(r io.Reader, wanted <-chan struct{}) <-chan string {
	lines := make(chan string, 1)
	go func() {
		defer close(lines)
		in := bufio.NewReaderSize(r, lineLen)
		for range wanted {
			line, err := in.ReadSlice('\n')
			if len(line) == 0 && err != nil {
				return
			}
			lines <- string(line)
		}
	}()
	return lines
}
