// SPDX-License-Identifier: Apache-2.0

// Package top is the live view of a daemon in a terminal: the clock, the sources
// with what their offsets were, the server, and who asks it. Where there is no
// terminal it prints the same as text. It measures nothing: it renders
// [document.Document] after document, and only rates are differences of two.
//
// The one concept is the [View]: documents go in, lines of a given width come out.
// The screen around it only puts them where they belong.
package top

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"foliot/internal/document"
	"foliot/internal/process"
)

// Config is what is shown, and where.
type Config struct {
	Fetch   func(ctx context.Context) (*document.Document, error)
	In, Out *os.File
	Host    string        // name of the machine, "" if it is not known
	Pause   time.Duration // between two rounds
	Rounds  int           // 0: until somebody quits
	Plain   bool          // text, also on a terminal
	ASCII   bool          // the terminal shows nothing else
	Color   bool
}

// Run shows the daemon until the rounds are over, a key or ctx ends it. It returns
// an error if there was nothing to show at all.
func Run(ctx context.Context, c Config) error {
	first, err := c.Fetch(ctx)
	if err != nil {
		return err
	}
	v := &View{Host: c.Host}
	v.Take(first)
	if c.Plain || !process.Terminal(c.In) || !process.Terminal(c.Out) {
		return c.print(ctx, v)
	}
	s, err := open(c.In, c.Out, c.ASCII, c.Color)
	if err != nil {
		return err
	}
	err = c.watch(ctx, v, s)
	if cerr := s.close(); err == nil {
		err = cerr
	}
	return err
}

// plainWidth is the width of a line that goes to no terminal.
const plainWidth = 100

// print writes every round as text. One round is enough for whom no number of them
// was said.
func (c *Config) print(ctx context.Context, v *View) error {
	for round := 1; ; round++ {
		var text []byte
		for _, l := range v.Lines(plainWidth, 0) {
			text = append(append(text, translate(l.Text, c.ASCII)...), '\n')
		}
		if _, err := c.Out.Write(text); err != nil {
			return err
		}
		if round >= c.Rounds || !wait(ctx, c.Pause) {
			return nil
		}
		d, err := c.Fetch(ctx)
		if err != nil {
			return err
		}
		v.Take(d)
		if _, err := fmt.Fprintln(c.Out); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// watch draws until the end. A daemon that is gone is said to be, and asked again.
func (c *Config) watch(ctx context.Context, v *View, s *screen) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	keys := readKeys(c.In)
	fresh := c.follow(ctx)
	for round := 1; c.Rounds == 0 || round <= c.Rounds; {
		if err := s.draw(v); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-resized:
		case k, ok := <-keys:
			if !ok || k == keyQuit {
				return nil
			}
			v.scroll(k, s.rows)
		case got := <-fresh:
			round++
			if v.Trouble = ""; got.err != nil {
				v.Trouble = got.err.Error()
				continue
			}
			v.Take(got.doc)
		}
	}
	return nil
}

type fetched struct {
	doc *document.Document
	err error
}

// follow asks the daemon again and again, beside the keys.
func (c *Config) follow(ctx context.Context) <-chan fetched {
	out := make(chan fetched)
	go func() {
		for wait(ctx, c.Pause) {
			d, err := c.Fetch(ctx)
			select {
			case out <- fetched{d, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// readKeys reads keys until the terminal is gone. A reader that waits cannot be
// stopped, and does not keep the program from ending.
func readKeys(in io.Reader) <-chan key {
	keys := make(chan key)
	go func() {
		defer close(keys)
		buf := make([]byte, 64)
		for {
			n, err := in.Read(buf)
			if n == 0 || err != nil {
				return
			}
			for rest := buf[:n]; len(rest) > 0; {
				var k key
				k, rest = nextKey(rest)
				keys <- k
			}
		}
	}()
	return keys
}
