// SPDX-License-Identifier: Apache-2.0

//go:build clknetsim

package daemon

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"

	"foliot/internal/clknetsim"
	"foliot/internal/clock"
	"foliot/internal/engine"
	"foliot/internal/logfile"
)

// simulated runs the daemon as a node of clknetsim when the environment says
// so. There is no process to manage and no clock of a machine: the time of the
// simulation is the only one.
func simulated(args []string, stdout, stderr io.Writer) (code int, ran bool) {
	if !clknetsim.Active() {
		return 0, false
	}
	o, err := ParseOptions(args)
	if err == nil {
		err = simulate(o, stderr)
	}
	switch e := err.(type) {
	case nil:
		return exitOK, true
	case *endError:
		return e.code, true
	}
	fmt.Fprintf(stderr, "foliotd: %s\n", err)
	return exitFatal, true
}

func simulate(o *Options, stderr io.Writer) error {
	d := &daemon{opts: o, quantum: 1e-9, control: !o.NoControl}
	node, _ := strconv.ParseUint(os.Getenv("CLKNETSIM_NODE"), 10, 32)
	seed, _ := strconv.ParseUint(os.Getenv("CLKNETSIM_RANDOM_SEED"), 10, 64)
	d.seed = seed<<16 + node
	l, err := d.load()
	if err != nil {
		return err
	}
	cfg := d.engineConfig(l)
	var now time.Time
	log := slog.New(logfile.NewHandler(logfile.HandlerConfig{
		Output: stderr, Level: logfile.Level(o.LogLevel), Now: func() time.Time { return now },
	}))
	d.log = log
	w := &world{}
	d.applyLogs(l.Config, w)
	var drift *logfile.DriftFile
	if l.Config.Clock.DriftFile != "" && !o.Query {
		drift = logfile.NewDriftFile(l.Config.Clock.DriftFile, log)
	}
	exit, err := clknetsim.Run(clknetsim.Options{
		Engine: cfg, Port: l.Config.Server.Port, ClientPort: uint16(max(0, l.Config.Client.AcquisitionPort)),
		Prepare: func(at clock.Now) {
			now = clock.Time(at.Wall)
			d.announce(l)
		},
		OnEvent: func(at clock.Now, ev *engine.Event) {
			now = clock.Time(at.Wall)
			w.narrator.Event(ev)
		},
		OnEnd: func(at clock.Now) {
			now = clock.Time(at.Wall)
			w.narrator.Stats.Close()
			log.Info("foliotd exiting")
		},
		OnDrift: func(f engine.Drift) {
			if drift != nil {
				drift.Write(logfile.Drift{Frequency: f.Frequency, Skew: f.Skew})
			}
		},
	})
	if err == nil && (exit == engine.ExitMaxChange || exit == engine.ExitNoSource) {
		return &endError{exitFatal}
	}
	return err
}
