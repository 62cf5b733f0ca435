// SPDX-License-Identifier: Apache-2.0

// Package logfile writes and reads the text files that people and their tools
// know from chronyd: the message log, the statistics logs (measurements.log and
// its siblings, chrony.conf(5) under "log"), the drift file and the dumped
// sample histories. It decides nothing and computes nothing but the layout.
//
// The one concept: foliot has one sign, where a positive offset or frequency
// means that the local clock is slow (package clock). Some columns of these
// files have that sign and some the opposite; each field says which, and the
// values in the structs always have foliot's sign.
package logfile

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"
)

// LevelFatal is the level of the message with which the daemon gives up.
const LevelFatal = slog.LevelError + 4

// Level returns the level that chronyd's option -L n asks for: -1 debug, 0
// informational, 1 warnings, 2 errors, 3 fatal errors. Others count as the
// nearest of these.
func Level(n int) slog.Level {
	levels := [...]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError, LevelFatal}
	return levels[min(max(n, -1), 3)+1]
}

// HandlerConfig says where messages go and what they look like.
type HandlerConfig struct {
	// Output receives one Write per message.
	Output io.Writer
	// Level is the least severe level that is written.
	Level slog.Leveler
	// Now, if set, gives the time of a message instead of the record: the
	// simulated worlds have a time of their own.
	Now func() time.Time
	// Journal replaces the time by a <N> priority, sd-daemon(3): the journal
	// has its own clock and understands these.
	Journal bool
	// Syslog, if set, replaces the time by a <N> priority with the facility
	// "daemon" and this tag (RFC 3164 section 4.1; the log daemon adds time and
	// host): a program name and, in brackets, a process number.
	Syslog string
}

// NewHandler returns a handler for lines of the form
//
//	2026-11-23T20:15:00Z message key=value
//
// in UTC. Control characters are escaped, so that one message is one line
// whatever it quotes.
func NewHandler(c HandlerConfig) slog.Handler {
	if c.Level == nil {
		c.Level = slog.LevelInfo
	}
	return &handler{config: c, mu: new(sync.Mutex)}
}

type handler struct {
	config HandlerConfig
	mu     *sync.Mutex // guards Output, shared by derived handlers
	attrs  []byte      // attributes of WithAttrs, ready to append
	prefix string      // groups of WithGroup, each with a dot
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.config.Level.Level() }

// Handle implements slog.Handler.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	b := make([]byte, 0, 256)
	at := r.Time
	if h.config.Now != nil {
		at = h.config.Now()
	}
	switch {
	case h.config.Syslog != "":
		b = append(b, '<')
		b = strconv.AppendInt(b, facilityDaemon+int64(priority(r.Level)-'0'), 10)
		b = append(b, '>')
		b = append(b, h.config.Syslog...)
		b = append(b, ": "...)
	case h.config.Journal:
		b = append(b, '<', priority(r.Level), '>')
	case !at.IsZero():
		b = at.UTC().AppendFormat(b, "2006-01-02T15:04:05Z ")
	}
	b = appendMessage(b, r.Message)
	b = append(b, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		b = appendAttr(b, h.prefix, a)
		return true
	})
	b = append(b, '\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.config.Output.Write(b)
	return err
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	d := *h
	d.attrs = append([]byte(nil), h.attrs...)
	for _, a := range attrs {
		d.attrs = appendAttr(d.attrs, h.prefix, a)
	}
	return &d
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	d := *h
	d.prefix = h.prefix + name + "."
	return &d
}

// facilityDaemon is LOG_DAEMON of syslog(3), ready to be added to a priority.
const facilityDaemon = 3 << 3

// priority is the digit of syslog(3) for a level.
func priority(l slog.Level) byte {
	switch {
	case l >= LevelFatal:
		return '2' // LOG_CRIT
	case l >= slog.LevelError:
		return '3' // LOG_ERR
	case l >= slog.LevelWarn:
		return '4' // LOG_WARNING
	case l >= slog.LevelInfo:
		return '6' // LOG_INFO
	}
	return '7' // LOG_DEBUG
}

// appendMessage appends text with control characters escaped.
func appendMessage(b []byte, text string) []byte {
	if !strings.ContainsFunc(text, isControl) && utf8.ValidString(text) {
		return append(b, text...)
	}
	for _, r := range text {
		if isControl(r) || r == utf8.RuneError {
			q := strconv.QuoteRune(r)
			b = append(b, q[1:len(q)-1]...)
			continue
		}
		b = utf8.AppendRune(b, r)
	}
	return b
}

func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }

// appendAttr appends " key=value", with the value quoted if it would not read
// as one word. Groups become dotted keys.
func appendAttr(b []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, g := range v.Group() {
			b = appendAttr(b, prefix, g)
		}
		return b
	}
	if a.Key == "" {
		return b
	}
	b = append(b, ' ')
	b = appendMessage(b, prefix)
	b = appendMessage(b, a.Key)
	b = append(b, '=')
	text := v.String()
	if v.Kind() == slog.KindTime {
		text = v.Time().UTC().Format(time.RFC3339Nano)
	}
	if needsQuotes(text) {
		return strconv.AppendQuote(b, text)
	}
	return append(b, text...)
}

func needsQuotes(s string) bool {
	return s == "" || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
		return r == ' ' || r == '"' || r == '=' || isControl(r)
	})
}

// IsJournal tells whether f is connected to the journal, as the service manager
// says in JOURNAL_STREAM, given as env: device and inode number.
func IsJournal(f *os.File, env string) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && env == strconv.FormatUint(st.Dev, 10)+":"+strconv.FormatUint(st.Ino, 10)
}
