// SPDX-License-Identifier: Apache-2.0

package chronyc

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
)

// lineLen is the longest line that is read at once, as in chronyc.
const lineLen = 2047

// Converse reads commands until the end, or a signal. The exit code is the last
// command's.
func (s *Session) Converse(in io.Reader, prompt bool) int {
	s.Typed = true
	program := filepath.Base(s.o.Program)
	if prompt {
		fmt.Fprintf(s.Out, "%s (foliot) version %s\nType \"help\" for the commands.\n\n", program, s.o.Version)
	}
	wanted := make(chan struct{})
	defer close(wanted)
	lines := readLines(in, wanted)
	code := ExitOK
	for !s.Quit && s.Ctx.Err() == nil {
		if prompt {
			fmt.Fprintf(s.Out, "%s> ", program)
		}
		s.Out.Flush()
		line, ok := s.next(wanted, lines)
		if !ok {
			if prompt {
				fmt.Fprintln(s.Out)
			}
			break
		}
		if code = ExitOK; !s.Command(line) {
			code = max(s.Code, ExitRefused)
		}
	}
	return code
}

// next waits for a line. It reports false at the end, and after a signal.
func (s *Session) next(wanted chan<- struct{}, lines <-chan string) (line string, ok bool) {
	select {
	case wanted <- struct{}{}:
	case <-s.Ctx.Done():
		return "", false
	}
	select {
	case line, ok = <-lines:
		return line, ok
	case <-s.Ctx.Done():
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
