// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/slogtest"
	"time"
)

func TestHandler(t *testing.T) {
	moment := time.Date(2026, 11, 23, 21, 15, 0, 5e8, time.FixedZone("CET", 3600))
	for _, tc := range []struct {
		name   string
		config HandlerConfig
		log    func(*slog.Logger)
		want   string
	}{
		{"plain", HandlerConfig{}, func(l *slog.Logger) { l.Info("Selected source 192.0.2.1") },
			"2026-11-23T20:15:00Z Selected source 192.0.2.1\n"},
		{"attributes", HandlerConfig{}, func(l *slog.Logger) {
			l.Info("m", "n", 3, "d", time.Second, "s", "two words", "e", "", "q", `a"b`, "t", moment, "eq", "a=b")
		}, "2026-11-23T20:15:00Z m n=3 d=1s s=\"two words\" e=\"\" q=\"a\\\"b\" t=2026-11-23T20:15:00.5Z eq=\"a=b\"\n"},
		{"groups", HandlerConfig{}, func(l *slog.Logger) {
			l.With("a", 1).WithGroup("g").With("b", 2).Info("m", slog.Group("h", "c", 3), slog.Group("", "d", 4), slog.Group("none"))
		}, "2026-11-23T20:15:00Z m a=1 g.b=2 g.h.c=3 g.d=4\n"},
		{"no forged lines", HandlerConfig{}, func(l *slog.Logger) { l.Info("a\nb\x1b[1m\xff", "k\n", "c\nd") },
			"2026-11-23T20:15:00Z a\\nb\\x1b[1m\ufffd k\\n=\"c\\nd\"\n"},
		{"level", HandlerConfig{Level: Level(1)}, func(l *slog.Logger) { l.Debug("d"); l.Info("i"); l.Warn("w"); l.Error("e") },
			"2026-11-23T20:15:00Z w\n2026-11-23T20:15:00Z e\n"},
		{"simulated time", HandlerConfig{Now: func() time.Time { return time.Unix(1262304000, 0) }},
			func(l *slog.Logger) { l.Info("m") }, "2010-01-01T00:00:00Z m\n"},
		{"journal", HandlerConfig{Journal: true, Level: Level(-1)}, func(l *slog.Logger) {
			l.Debug("d")
			l.Info("i")
			l.Warn("w")
			l.Error("e")
			l.Log(context.Background(), LevelFatal, "f")
		}, "<7>d\n<6>i\n<4>w\n<3>e\n<2>f\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			tc.config.Output = &out
			tc.log(slog.New(fixedTime{NewHandler(tc.config), moment}))
			if out.String() != tc.want {
				t.Errorf("\n got %q\nwant %q", out.String(), tc.want)
			}
		})
	}
}

// fixedTime gives every record the same time.
type fixedTime struct {
	slog.Handler
	at time.Time
}

func (f fixedTime) Handle(ctx context.Context, r slog.Record) error {
	r.Time = f.at
	return f.Handler.Handle(ctx, r)
}

func (f fixedTime) WithAttrs(a []slog.Attr) slog.Handler {
	return fixedTime{f.Handler.WithAttrs(a), f.at}
}

func (f fixedTime) WithGroup(n string) slog.Handler {
	return fixedTime{f.Handler.WithGroup(n), f.at}
}

// TestHandlerContract runs the standard library's checks of a handler.
func TestHandlerContract(t *testing.T) {
	var out bytes.Buffer
	h := NewHandler(HandlerConfig{Output: &out})
	err := slogtest.TestHandler(h, func() []map[string]any {
		var records []map[string]any
		for line := range strings.Lines(out.String()) {
			records = append(records, parseLine(strings.TrimSuffix(line, "\n")))
		}
		return records
	})
	if err != nil {
		t.Error(err)
	}
}

// parseLine turns a line into what slogtest wants to see. The messages of
// slogtest are single words; the layout shows no level, so one is made up.
func parseLine(line string) map[string]any {
	m := map[string]any{slog.LevelKey: "INFO"}
	f := strings.Fields(line)
	if _, err := time.Parse("2006-01-02T15:04:05Z", f[0]); err == nil {
		m[slog.TimeKey], f = f[0], f[1:]
	}
	m[slog.MessageKey] = f[0]
	for _, kv := range f[1:] {
		path, v, _ := strings.Cut(kv, "=")
		keys, at := strings.Split(path, "."), m
		for _, k := range keys[:len(keys)-1] {
			next, ok := at[k].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[k] = next
			}
			at = next
		}
		at[keys[len(keys)-1]] = v
	}
	return m
}

func TestLevel(t *testing.T) {
	want := map[int]slog.Level{-9: slog.LevelDebug, -1: slog.LevelDebug, 0: slog.LevelInfo, 1: slog.LevelWarn, 2: slog.LevelError, 3: LevelFatal, 9: LevelFatal}
	for n, l := range want {
		if got := Level(n); got != l {
			t.Errorf("Level(%d) = %v, want %v", n, got, l)
		}
	}
}

func TestHandlerReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "foliot.log")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	log := slog.New(NewHandler(HandlerConfig{Output: f, Journal: true}))
	log.Info("one")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	log.Info("two")
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	log.Info("three")
	for p, want := range map[string]string{path + ".1": "<6>one\n<6>two\n", path: "<6>three\n"} {
		if b, err := os.ReadFile(p); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v, want %q", p, b, err, want)
		}
	}
}

func TestIsJournal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "stream"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	env := fmt.Sprintf("%d:%d", st.Dev, st.Ino)
	if !IsJournal(f, env) {
		t.Errorf("IsJournal(%q) = false, want true", env)
	}
	for _, other := range []string{"", "1:1", env + "0"} {
		if IsJournal(f, other) {
			t.Errorf("IsJournal(%q) = true, want false", other)
		}
	}
}
