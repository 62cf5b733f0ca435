// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
)

// lineLen is the longest line that is read at once, as in chronyc.
const lineLen = 2047

// converse reads commands until the end. The exit code is the last command's.
func (s *session) converse(std Streams) int {
	in := bufio.NewReaderSize(std.In, lineLen)
	program := filepath.Base(s.o.program)
	if std.Terminal {
		fmt.Fprintf(s.out, "%s (foliot) version %s\nType \"help\" for the commands.\n\n", program, Version)
	}
	code := ExitOK
	for !s.quit && s.ctx.Err() == nil {
		if std.Terminal {
			fmt.Fprintf(s.out, "%s> ", program)
		}
		s.out.Flush()
		line, err := in.ReadSlice('\n')
		if len(line) > 0 {
			code = ExitOK
			if !s.command(string(line)) {
				code = max(s.code, ExitRefused)
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if std.Terminal && errors.Is(err, io.EOF) {
				fmt.Fprintln(s.out)
			}
			break
		}
	}
	return code
}
