// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"foliot/internal/control"
	"foliot/internal/document"
	"foliot/internal/top"
)

// Pauses between two rounds of top.
const (
	usualPause    = time.Second
	shortestPause = 100 * time.Millisecond
)

// top shows the daemon until somebody quits: top [-n ROUNDS] [-i SECONDS] [-b].
func (s *session) top(line string) bool {
	c := top.Config{Pause: usualPause, ASCII: !unicodeTerminal(), Color: os.Getenv("NO_COLOR") == "", Fetch: s.fetch}
	if err := topOptions(&c, strings.Fields(line)); err != nil {
		return s.fail(ExitUsage, err, "top [-b] [-n ROUNDS] [-i SECONDS]")
	}
	c.Plain = c.Plain || os.Getenv("TERM") == "dumb" || os.Getenv("TERM") == ""
	c.Host, _ = os.Hostname()
	var ok bool
	if c.In, ok = s.std.In.(*os.File); !ok || s.Typed {
		return s.fail(ExitUsage, errors.New("top is for the command line"), "foliotctl top")
	}
	if c.Out, ok = s.std.Out.(*os.File); !ok {
		return s.fail(ExitUsage, errors.New("top needs a file to write to"), "")
	}
	return s.reached(top.Run(s.Ctx, c))
}

func topOptions(c *top.Config, words []string) error {
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		if word == "-b" {
			c.Plain = true
			continue
		}
		if word != "-n" && word != "-i" || len(words) == 0 {
			return fmt.Errorf("unexpected argument %q", word)
		}
		value, err := strconv.ParseFloat(words[0], 64)
		if err != nil || !(value > 0 && value < 1e6) {
			return fmt.Errorf("invalid value %q of option %s", words[0], word)
		}
		words = words[1:]
		if word == "-n" {
			c.Rounds = int(value)
		} else {
			c.Pause = max(time.Duration(value*float64(time.Second)), shortestPause)
		}
	}
	return nil
}

// unicodeTerminal tells whether the terminal shows more than ASCII, by the locale.
func unicodeTerminal() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// fetch asks for the state of the daemon.
func (s *session) fetch(ctx context.Context) (*document.Document, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.wait)
	defer cancel()
	var text bytes.Buffer
	if err := control.Do(ctx, s.o.socket, control.VerbState, &text); err != nil {
		return nil, err
	}
	d := new(document.Document)
	if err := json.Unmarshal(text.Bytes(), d); err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	return d, nil
}
