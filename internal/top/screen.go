// SPDX-License-Identifier: Apache-2.0

package top

import (
	"bytes"
	"os"
	"strings"
	"unicode/utf8"

	"foliot/internal/process"
)

// Control sequences of ECMA-48 terminals, and xterm's for a second screen, which
// leaves what was on the first.
const (
	enter    = "\x1b[?1049h\x1b[?25l" // the second screen, no cursor
	leave    = "\x1b[0m\x1b[?25h\x1b[?1049l"
	home     = "\x1b[H"
	eraseEnd = "\x1b[K" // to the end of the line
	erase    = "\x1b[J" // to the end of the screen
)

// styles are how lines look.
var styles = map[Style]string{
	Head: "\x1b[7m", Good: "\x1b[1;32m", Used: "\x1b[32m", Bad: "\x1b[1;31m", Dim: "\x1b[2m", Caption: "\x1b[1m",
}

const normal = "\x1b[0m"

// screen is a terminal that is drawn on.
type screen struct {
	out     *os.File
	restore func() error
	rows    int
	ascii   bool
	color   bool
	frame   bytes.Buffer
}

func open(in, out *os.File, ascii, color bool) (*screen, error) {
	restore, err := process.ReadKeys(in)
	if err != nil {
		return nil, err
	}
	s := &screen{out: out, restore: restore, ascii: ascii, color: color}
	if _, err := out.WriteString(enter); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// close leaves the terminal as it was found.
func (s *screen) close() error {
	_, err := s.out.WriteString(leave)
	if rerr := s.restore(); err == nil {
		err = rerr
	}
	return err
}

// A terminal that does not know its size has the usual one.
const (
	usualWidth = 80
	usualRows  = 24
)

// draw shows a view at the size that the terminal has now, with one write, so that
// nobody sees half of it.
func (s *screen) draw(v *View) error {
	width, rows, err := process.TerminalSize(s.out)
	if err != nil || width < 1 || rows < 1 {
		width, rows = usualWidth, usualRows
	}
	s.rows = rows
	s.frame.Reset()
	s.frame.WriteString(home)
	for i, l := range v.Lines(width, rows) {
		if i > 0 {
			s.frame.WriteString("\r\n")
		}
		s.line(l, width)
	}
	s.frame.WriteString(erase)
	_, err = s.out.Write(s.frame.Bytes())
	return err
}

func (s *screen) line(l Line, width int) {
	text := cut(translate(l.Text, s.ascii), width)
	style := styles[l.Style]
	if !s.color && l.Style != Head {
		style = ""
	}
	s.frame.WriteString(style)
	s.frame.WriteString(text)
	if l.Style == Head {
		s.frame.WriteString(strings.Repeat(" ", width-utf8.RuneCountInString(text)))
	}
	if style != "" {
		s.frame.WriteString(normal)
	}
	// Not after the last column: some terminals would erase it.
	if utf8.RuneCountInString(text) < width && l.Style != Head {
		s.frame.WriteString(eraseEnd)
	}
}

// ascii are replacements for terminals that show nothing else.
var ascii = strings.NewReplacer("µ", "u", "−", "-", "±", "+-", "–", "-",
	"▁", "_", "▂", ".", "▃", "-", "▄", "~", "▅", "=", "▆", "+", "▇", "*", "█", "#")

// translate makes a text of a terminal's characters.
func translate(s string, plain bool) string {
	if plain {
		return ascii.Replace(s)
	}
	return s
}

// key is what somebody pressed.
type key int

const (
	keyOther key = iota
	keyQuit
	keyUp
	keyDown
	keyPageUp
	keyPageDown
	keyHome
)

// sequences are what keys send that are no letters.
var sequences = map[string]key{
	"\x1b[A": keyUp, "\x1b[B": keyDown, "\x1bOA": keyUp, "\x1bOB": keyDown,
	"\x1b[5~": keyPageUp, "\x1b[6~": keyPageDown, "\x1b[H": keyHome, "\x1bOH": keyHome, "\x1b[1~": keyHome,
}

var letters = map[byte]key{
	'q': keyQuit, 'Q': keyQuit, 3: keyQuit /* Ctrl-C */, 4: keyQuit, /* Ctrl-D */
	'k': keyUp, 'j': keyDown, ' ': keyPageDown, 'b': keyPageUp, 'g': keyHome,
}

// nextKey takes a key off what the terminal sent.
func nextKey(b []byte) (key, []byte) {
	if b[0] != '\x1b' || len(b) == 1 {
		return letters[b[0]], b[1:]
	}
	for text, k := range sequences {
		if rest, ok := bytes.CutPrefix(b, []byte(text)); ok {
			return k, rest
		}
	}
	return keyOther, nil // some sequence of a key that means nothing here
}
