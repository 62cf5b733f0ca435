// SPDX-License-Identifier: Apache-2.0

// Command page looks at the status page in a real browser, headless Chromium, as
// people would: light and dark, wide and narrow, with and without JavaScript, with
// the keyboard alone; and so at the report of foliotctl racks. It prints what is wrong, and leaves screenshots to be looked
// at.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"foliot/internal/metrics"
	"foliot/internal/state"
	"foliot/internal/web"
)

func main() {
	out := flag.String("out", "bin/page", "directory for the screenshots")
	browser := flag.String("browser", "chromium", "the browser")
	racks := flag.Bool("racks", false, "look at the report of racks instead")
	flag.Parse()
	look := check
	if *racks {
		look = checkReport
	}
	wrong, err := look(*browser, *out)
	if err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(2)
	}
	for _, w := range wrong {
		fmt.Println("WRONG", w)
	}
	fmt.Printf("%d things are wrong; the screenshots are in %s\n", len(wrong), *out)
	if len(wrong) > 0 {
		os.Exit(1)
	}
}

// site is the server under test, with a clock that moves when it is told to.
type site struct {
	*web.Server
	ticks atomic.Int64 // states made so far, ten seconds each
	empty atomic.Bool  // show a daemon that has just started
}

func (s *site) state() *state.State {
	if s.empty.Load() {
		return justStarted()
	}
	return demo(int(s.ticks.Load()))
}

// start serves a page with hours of history.
func start(ctx context.Context) (*site, error) {
	s := &site{}
	const hours = 6 * 360
	m := metrics.New(metrics.Config{State: s.state, CompatChrony: true})
	srv, err := web.New(web.Config{
		Listen: netip.MustParseAddrPort("127.0.0.1:0"), Host: "clock1.dc2.example.net",
		State: s.state, Clients: demoClients, Metrics: m, Log: slog.Default(),
	})
	if err != nil {
		return nil, err
	}
	s.Server = srv
	for range hours {
		s.ticks.Add(1)
		srv.Record(s.state())
	}
	go srv.Run(ctx)
	return s, nil
}

func check(program, out string) (wrong []string, err error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	s, err := start(ctx)
	if err != nil {
		return nil, err
	}
	b, err := open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer b.close()
	v := &visitor{b: b, site: s, url: fmt.Sprintf("http://%s/", s.Addr())}
	for _, look := range []func() error{v.withoutScript, v.withScript, v.accessible, v.keyboard, v.pointer, v.live, v.policy} {
		if err := look(); err != nil {
			return nil, err
		}
	}
	for _, shot := range shots {
		if err := v.shoot(shot, filepath.Join(out, shot.name+".png")); err != nil {
			return nil, err
		}
	}
	return v.wrong, nil
}
