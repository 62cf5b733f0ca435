// SPDX-License-Identifier: Apache-2.0

// Package web is the daemon's one HTTP listener: the status page, metrics, and a
// word on whether the daemon is alive. It only shows; there is nothing to send to
// it, and nothing that is sent comes back.
//
// The one concept is that the page is the tables: the server renders the
// [state.State] as plain HTML with plots as SVG, and the script fetches the same
// page again and again and takes over what changed. So nothing is rendered twice,
// and the page is whole without the script.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"foliot/internal/clientlog"
	"foliot/internal/state"
)

// Config is what a Server is made with.
type Config struct {
	Listen  netip.AddrPort
	Host    string                    // name of this machine, for people
	State   func() *state.State       // any goroutine may call it; nil is returned when the daemon ends
	Clients func() []clientlog.Record // records of all clients; nil: none are kept
	Metrics http.Handler              // of /metrics
	Log     *slog.Logger
}

// Limits of the listener. A page or a scrape takes milliseconds; who needs longer
// holds a connection that others want.
const (
	maxConns    = 64
	maxHeader   = 8 << 10 // octets
	headerTime  = 5 * time.Second
	readTime    = 10 * time.Second
	writeTime   = 30 * time.Second
	idleTime    = 90 * time.Second // longer than the pause between two scrapes
	closingTime = time.Second
)

// Server answers on the listener.
type Server struct {
	cfg     Config
	mu      sync.Mutex // guards ln
	ln      net.Listener
	http    *http.Server
	history history
	clients clientCache
	once    sync.Once
}

// New binds the listener, so that trouble with it is known before the daemon is
// ready. Connections wait until Run.
func New(c Config) (*Server, error) {
	ln, err := net.Listen("tcp", c.Listen.String())
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w", err)
	}
	s := &Server{cfg: c, ln: bounded(ln, maxConns)}
	s.clients.all = c.Clients
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(c.Log.Handler(), slog.LevelWarn),
	}
	return s, nil
}

// Addr returns where the server listens.
func (s *Server) Addr() netip.AddrPort { return s.listener().Addr().(*net.TCPAddr).AddrPort() }

func (s *Server) listener() net.Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ln
}

// Move lets the server listen at another address, with its history. If that cannot
// be, it stays where it is. An address may be in the way of the other, as that of
// every interface is of all: then the one gives way first.
func (s *Server) Move(to netip.AddrPort) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ln, err := net.Listen("tcp", to.String())
	if errors.Is(err, syscall.EADDRINUSE) {
		from := s.ln.Addr().String()
		s.ln.Close()
		if ln, err = net.Listen("tcp", to.String()); err != nil {
			if back, berr := net.Listen("tcp", from); berr == nil {
				s.ln = bounded(back, maxConns)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("listen for metrics: %w", err)
	}
	s.ln.Close()
	s.ln = bounded(ln, maxConns)
	return nil
}

// Run answers until ctx ends, then closes everything and returns nil.
func (s *Server) Run(ctx context.Context) error {
	defer s.Close()
	defer context.AfterFunc(ctx, s.Close)()
	go s.record(ctx)
	for {
		ln := s.listener()
		err := s.http.Serve(ln)
		switch {
		case errors.Is(err, http.ErrServerClosed):
			return nil
		case s.listener() == ln:
			return err
		}
	}
}

// Close ends the listener and its connections; what is being answered has a
// moment to finish.
func (s *Server) Close() {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closingTime)
		defer cancel()
		if s.http.Shutdown(ctx) != nil {
			s.http.Close()
		}
		s.listener().Close()
	})
}

// Record takes a state into the history. Run does so every few seconds.
func (s *Server) Record(now *state.State) { s.history.add(now) }

// record keeps the history until ctx ends.
func (s *Server) record(ctx context.Context) {
	t := time.NewTicker(pace)
	defer t.Stop()
	for {
		if now := s.cfg.State(); now != nil {
			s.Record(now)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}
