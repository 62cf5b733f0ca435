// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
)

// Recent holds the newest messages, for whoever asks for them when the log is out
// of reach. Goroutines may share it.
type Recent struct {
	mu    sync.Mutex
	lines [256][]byte
	n     int // messages ever
}

// Write takes one message, as [NewHandler] writes them.
func (r *Recent) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines[r.n%len(r.lines)] = slices.Clone(line)
	r.n++
	return len(line), nil
}

// WriteTo writes the messages to w, the oldest first.
func (r *Recent) WriteTo(w io.Writer) (total int64, err error) {
	r.mu.Lock()
	var all []byte
	for i := max(0, r.n-len(r.lines)); i < r.n; i++ {
		all = append(all, r.lines[i%len(r.lines)]...)
	}
	r.mu.Unlock()
	n, err := w.Write(all)
	return int64(n), err
}

// Both returns a handler that hands every message to two.
func Both(a, b slog.Handler) slog.Handler { return both{a, b} }

type both [2]slog.Handler

// Enabled implements slog.Handler.
func (t both) Enabled(ctx context.Context, l slog.Level) bool {
	return t[0].Enabled(ctx, l) || t[1].Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (t both) Handle(ctx context.Context, r slog.Record) error {
	var errs [2]error
	for i, h := range t {
		if h.Enabled(ctx, r.Level) {
			errs[i] = h.Handle(ctx, r.Clone())
		}
	}
	return errors.Join(errs[:]...)
}

// WithAttrs implements slog.Handler.
func (t both) WithAttrs(attrs []slog.Attr) slog.Handler {
	return both{t[0].WithAttrs(attrs), t[1].WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (t both) WithGroup(name string) slog.Handler {
	return both{t[0].WithGroup(name), t[1].WithGroup(name)}
}
