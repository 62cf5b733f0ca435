// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/guard"
	"foliot/internal/logfile"
	"foliot/internal/manual"
	"foliot/internal/narrate"
	"foliot/internal/process"
	"foliot/internal/setup"
	"foliot/internal/sysclock"
	"foliot/internal/udpstamp"
)

// Version is set when the program is linked.
var Version = "development"

// Exit codes.
const (
	exitOK    = 0
	exitFatal = 1
	exitUsage = 2
)

// daemon is one run of the program.
type daemon struct {
	opts    *Options
	log     *slog.Logger
	logFile *logfile.File
	recent  logfile.Recent // the last messages, for bug reports
	launch  *process.Launch
	quantum float64
	control bool // the clock may be set
	seed    uint64
	signals *process.Signals

	inForce *Loaded // nil = nothing yet
	budget  *budget // nil = not counted
}

// Main is foliotd. It returns the exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	if code, ran := simulated(args, stdout, stderr); ran {
		return code
	}
	o, err := ParseOptions(args)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "foliotd: %s\n%s", err, manual.DaemonHelp())
		return exitUsage
	case o.Help:
		fmt.Fprint(stdout, manual.DaemonHelp())
		return exitOK
	case o.Version:
		fmt.Fprintf(stdout, "foliotd (foliot) version %s (+CMDMON +NTP -REFCLOCK -RTC +PRIVDROP -SCFILTER -SIGND +ASYNCDNS -NTS +SECHASH +IPV6 -DEBUG)\n", Version)
		return exitOK
	case o.Key != nil:
		return o.Key.generate(rand.Reader, stdout, stderr)
	case o.Check:
		return check(o, stdout, stderr)
	case o.Print:
		return print(o, stdout, stderr)
	}
	o.Dir, _ = os.Getwd() // without one, paths stay as they are
	d := &daemon{opts: o}
	if !o.Foreground && !o.OneShot() {
		launch, code := process.Detach(stderr)
		if launch == nil {
			return code
		}
		d.launch = launch
	}
	if err := d.run(); err != nil {
		return d.fail(err, stderr)
	}
	return exitOK
}

// fail tells why the daemon ends.
func (d *daemon) fail(err error, stderr io.Writer) int {
	var quiet *endError
	if errors.As(err, &quiet) {
		return quiet.code
	}
	told := d.launch != nil && d.launch.Fail(err) == nil
	if d.log != nil {
		d.log.Log(context.Background(), logfile.LevelFatal, "Fatal error : "+err.Error())
	} else if !told {
		fmt.Fprintf(stderr, "foliotd: %s\n", err)
	}
	return exitFatal
}

// endError ends the daemon with a code after everything was said.
type endError struct{ code int }

func (e *endError) Error() string { return fmt.Sprintf("exit %d", e.code) }

// run is the daemon from start to end.
func (d *daemon) run() error {
	if err := d.readMachine(); err != nil {
		return err
	}
	loaded, err := d.load()
	if err != nil {
		return err
	}
	if loaded.Config.Clock.NoControl {
		d.control = false
	}
	if err := d.openLog(); err != nil {
		return err
	}
	cfg := d.engineConfig(loaded)
	d.announce(loaded)
	// Whoever asks for the end once more, while the daemon is about to end, must
	// not keep it from doing so in good order.
	d.signals = process.NotifySignals()
	defer d.signals.Close()
	if err := d.prepareDirs(loaded.Config); err != nil {
		return err
	}
	pid, err := d.claim(loaded.Config)
	if err != nil {
		return err
	}
	defer pid.remove(d.log)
	err = d.serve(loaded, cfg)
	d.log.Info(d.name() + " exiting")
	return err
}

// readMachine learns what the machine can do.
func (d *daemon) readMachine() error {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return fmt.Errorf("read random seed: %w", err)
	}
	d.seed = binary.NativeEndian.Uint64(b[:])
	d.quantum = float64(sysclock.Precision())
	if d.opts.NoControl {
		return nil
	}
	if !d.opts.NoRoot && os.Geteuid() != 0 {
		return errors.New("not superuser: start as root, or with -x (no clock control) and -U")
	}
	ok, err := sysclock.Settable()
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("not allowed to set the clock (CAP_SYS_TIME is missing): start with -x to run without clock control")
	}
	d.control = true
	if !d.opts.OneShot() {
		d.budget = openBudget(filepath.Dir(d.socketPath()))
	}
	return nil
}

func (d *daemon) load() (*Loaded, error) {
	l, err := Load(d.opts)
	if err != nil {
		return nil, err
	}
	d.budget.lessen(l.Config)
	if !d.opts.Check {
		l.stay(os.Geteuid())
	}
	if err := l.Config.Validate(); err != nil {
		return nil, err
	}
	if d.inForce != nil {
		if err := l.usable(d.inForce); err != nil {
			return nil, err
		}
	}
	d.inForce = l
	return l, nil
}

func (d *daemon) machine() *setup.Machine {
	return &setup.Machine{Quantum: d.quantum, Controlled: d.control, Seed: d.seed}
}

func (d *daemon) engineConfig(l *Loaded) engine.Config {
	cfg := setup.Engine(l.Config, &l.Files, d.machine())
	cfg.OneShot = d.opts.OneShot()
	return cfg
}

// openLog opens the message log: a file, the system's log in the background,
// else standard error or what the service manager collects it into.
func (d *daemon) openLog() error {
	h := logfile.HandlerConfig{Output: os.Stderr, Level: logfile.Level(d.opts.LogLevel)}
	if err := d.openLogFile(); err != nil {
		return err
	}
	switch {
	case d.logFile != nil:
		h.Output = d.logFile
	case d.launch != nil:
		s, err := logfile.NewSyslog(logfile.SyslogPath)
		if err != nil {
			return err
		}
		h.Output, h.Syslog = s, fmt.Sprintf("%s[%d]", d.name(), os.Getpid())
	default:
		h.Journal = logfile.IsJournal(os.Stderr, os.Getenv("JOURNAL_STREAM"))
	}
	recent := logfile.NewHandler(logfile.HandlerConfig{Output: &d.recent, Level: h.Level})
	d.log = slog.New(logfile.Both(logfile.NewHandler(h), recent))
	return nil
}

// openLogFile opens the log file that is asked for. One that the configuration names
// and that cannot be opened is a warning: ntpd goes on without.
func (d *daemon) openLogFile() (err error) {
	if d.opts.LogFile != "" {
		d.logFile, err = logfile.OpenFile(under(d.opts.Dir, d.opts.LogFile))
		return err
	}
	path := d.inForce.Config.Log.File
	if path == "" || d.opts.Stderr {
		return nil
	}
	f, err := logfile.OpenFile(path)
	if err != nil {
		d.inForce.warn("Could not open log file: %s", err)
		return nil
	}
	d.logFile = f
	return nil
}

// name is what the daemon is called in the log: by scripts that wait for what
// chronyd says, in whose place it was installed, by that name.
func (d *daemon) name() string {
	if filepath.Base(os.Args[0]) == "chronyd" {
		return "chronyd"
	}
	return "foliotd"
}

// announce says what this run is.
func (d *daemon) announce(l *Loaded) {
	d.log.Info(d.name() + " version " + Version + " starting")
	if l.ntp {
		d.log.Info("Configuration " + d.opts.File + " is in the language of ntp.conf")
	}
	for _, w := range l.Warnings {
		d.log.Warn(w)
	}
	if !d.control {
		d.log.Info("Disabled control of system clock")
	}
	if b := d.budget; b != nil {
		if b.log = d.log; b.before > 0 {
			d.log.Warn(fmt.Sprintf("The last run ended without order after %d updates, which count for makestep and maxchange", b.before))
		}
	}
	if f := l.Files.Drift; f != nil {
		d.log.Info(fmt.Sprintf("Frequency %.3f +/- %.3f ppm read from %s", -f.Frequency.PPM(), f.Skew.PPM(), l.Config.Clock.DriftFile))
	}
}

// claimed is the pid file, or nothing.
type claimed struct{ file *process.Pidfile }

func (d *daemon) claim(c *config.Config) (*claimed, error) {
	if c.Process.PIDFile == "" || d.opts.OneShot() {
		return &claimed{}, nil
	}
	if err := os.MkdirAll(filepath.Dir(c.Process.PIDFile), 0o755); err != nil {
		return nil, fmt.Errorf("create directory of pid file: %w", err)
	}
	f, err := process.CreatePidfile(c.Process.PIDFile)
	if err != nil {
		return nil, err
	}
	return &claimed{file: f}, nil
}

func (c *claimed) remove(log *slog.Logger) {
	if c.file == nil {
		return
	}
	if err := c.file.Remove(); err != nil {
		log.Warn(err.Error())
	}
}

// openWorld opens clock, guard and poller.
func (d *daemon) openWorld(c *config.Config) (*world, error) {
	w := &world{
		log: d.log, cfg: c, budget: d.budget, clients: make(map[engine.SourceID]*udpstamp.Socket), watched: make(map[engine.SourceID]bool),
		options: udpstamp.Options{DSCP: c.Client.DSCP, Precision: clock.Dispersion(d.quantum)},
	}
	d.applyLogs(c, w)
	w.clock = sysclock.NewDisabled()
	if d.control {
		g, err := d.startGuard(c)
		if err != nil {
			return nil, err
		}
		w.clock, w.guard = sysclock.New(), g
	}
	if c.Clock.DriftFile != "" && !d.opts.Query {
		w.setDriftFile(&c.Clock)
	}
	switch p := c.Client.AcquisitionPort; {
	case p > 0:
		w.acqPort = uint16(p)
	case p == 0:
		w.acqPort = uint16(32768 + d.seed%28000)
	}
	if keep, err := udpstamp.KeepStamping(); err != nil {
		d.log.Warn("kernel timestamps: " + err.Error())
	} else {
		w.stamping = keep
	}
	var err error
	w.poller, err = udpstamp.NewPoller()
	return w, err
}

// startGuard starts the process that restores the clock's rate if this one dies
// in the middle of a slew.
func (d *daemon) startGuard(c *config.Config) (*guard.Guard, error) {
	g := guard.Config{}
	if c.Process.User != "" {
		id, err := process.LookupUser(c.Process.User)
		if err != nil {
			return nil, err
		}
		g.UID, g.GID = uint32(id.UID), uint32(id.GID)
	}
	g.Quiet = d.launch != nil
	started, err := guard.Start(g)
	if err == nil {
		go d.watchGuard(started)
	}
	return started, err
}

// watchGuard tells that the guard has ended before the daemon closed it.
func (d *daemon) watchGuard(g *guard.Guard) {
	<-g.Exited()
	if !g.Closed() {
		d.log.Error("The guard process has ended: until a restart, a crash would leave the clock at the rate of an unfinished slew")
	}
}

func (w *world) closeGuard(log *slog.Logger) {
	if w.guard != nil {
		if err := w.guard.Close(); err != nil {
			log.Warn(err.Error())
		}
	}
}

// applyLogs opens the statistics logs that c asks for.
func (d *daemon) applyLogs(c *config.Config, w *world) {
	if w.narrator != nil {
		w.narrator.Stats.Close()
		w.narrator.NTP.Close()
	}
	if d.logFile != nil {
		if err := d.logFile.Reopen(); err != nil {
			d.log.Warn(err.Error())
		}
	}
	g := &c.Log
	w.narrator = &narrate.Narrator{Log: d.log, NTP: logfile.NewNTPStats(&g.NTP, d.log), Stats: logfile.NewStats(logfile.StatsConfig{
		Dir: g.Dir, Banner: g.Banner, Warn: d.log,
		Measurements: g.Measurements, RawMeasurements: g.RawMeasurements, Statistics: g.Statistics,
		Selection: g.Selection, Tracking: g.Tracking, RefClocks: g.Refclocks, TempComp: g.TempComp,
	})}
}

// sameServer tells whether a and b want the same of the server's sockets and
// threads.
func sameServer(a, b *config.Config) bool {
	x, y := &a.Server, &b.Server
	return x.Port == y.Port && x.BindDevice == y.BindDevice && slices.Equal(x.BindAddresses, y.BindAddresses) &&
		x.Workers == y.Workers && x.ClientLogLimit == y.ClientLogLimit && x.NoClientLog == y.NoClientLog &&
		a.Client.DSCP == b.Client.DSCP
}
