// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"io"
	"os"

	"foliot/internal/clientlog"
	"foliot/internal/control"
)

// openControl opens the socket of foliotctl.
func (d *daemon) openControl(ctx context.Context, lp *loop) (stop func(), err error) {
	if d.opts.OneShot() {
		return func() {}, nil
	}
	s, err := control.Listen(d.socketPath(), lp.ask)
	if err != nil {
		return func() {}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	// Waiting lets Run remove the socket before the process ends.
	return func() {
		cancel()
		<-done
	}, nil
}

// socketPath is where foliotctl looks; a variable moves it for tests and for
// several daemons on one machine.
func (d *daemon) socketPath() string {
	if p := os.Getenv("FOLIOT_SOCKET"); p != "" {
		return under(d.opts.Dir, p)
	}
	return control.DefaultPath
}

// busiest is how many clients foliotctl is told of.
const busiest = 20

// describe writes all that the daemon shows, beside the loop: asking the threads
// for their clients takes time.
func (l *loop) describe(ctx context.Context, out io.Writer) error {
	s, err := l.view.State(ctx, viewAge)
	if err != nil {
		return err
	}
	var top []clientlog.Record
	total := 0
	if !s.Config.NoLog {
		top, total = l.view.clients(busiest)
	}
	return json.NewEncoder(out).Encode(s.Document(top, total))
}
