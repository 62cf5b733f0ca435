// SPDX-License-Identifier: Apache-2.0

//go:build clknetsim

package clknetsim

import (
	"fmt"
	"math/rand/v2"
	"os"

	"foliot/internal/clock"
	"foliot/internal/engine"
)

// Options says what runs on the node, and who hears of it. Functions may be nil.
type Options struct {
	// Engine configures the engine. With Clock.Controlled off the node's clock
	// is never changed. CLKNETSIM_RANDOM_SEED, if set, replaces Seed.
	Engine engine.Config
	// Port is the server port, 0 for 123.
	Port uint16
	// ClientPort is the port of all client sockets, 0 for a random one each.
	ClientPort uint16
	// Prepare is called once, when the node's time has begun and before the
	// engine starts.
	Prepare func(now clock.Now)
	// OnEvent hears what people should know. The event is valid during the call.
	OnEvent func(now clock.Now, ev *engine.Event)
	// OnEnd is called when the run is over, before the node leaves the
	// simulation: whoever runs it may look at the output as soon as it has left.
	OnEnd func(now clock.Now)
	// OnDrift gets what the drift file should hold.
	OnDrift func(d engine.Drift)
}

// ntpPort is the port of NTP servers (RFC 5905 section 7.2).
const ntpPort = 123

func (o *Options) port() uint16 {
	if o.Port == 0 {
		return ntpPort
	}
	return o.Port
}

// Run joins the simulation that the environment names and runs an engine on the
// node until the simulation is over, which gives the reason 0, or until the
// engine wants to stop. The node has left the simulation when Run returns
// without an error.
func Run(o Options) (engine.ExitReason, error) {
	env, err := readEnvironment(os.Getenv)
	if err != nil {
		return 0, err
	}
	conn, err := Dial(env.socket, env.patience)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if env.seeded {
		o.Engine.Seed = env.seed
	}
	w := &World{
		conn: conn, env: env, opt: &o,
		rng: rand.New(rand.NewPCG(o.Engine.Seed, 0x706f727473)),
	}
	if err := w.join(); err != nil {
		return 0, err
	}
	if err := w.run(); err != nil {
		return 0, err
	}
	if o.OnEnd != nil {
		o.OnEnd(w.Now())
	}
	return w.exit, conn.Deregister()
}

// join registers the node and reads its clock.
func (w *World) join() error {
	if _, _, err := w.conn.Register(w.env.node); err != nil {
		return fmt.Errorf("register node %d: %w", w.env.node+1, err)
	}
	if !w.readTimes() {
		return w.err
	}
	return w.readRate()
}

// run starts the engine and lets it live.
func (w *World) run() error {
	if w.opt.Prepare != nil {
		w.opt.Prepare(w.Now())
	}
	w.engine = engine.New(w.opt.Engine)
	w.engine.Start(w.Now(), w.freq, &w.acts)
	w.perform()
	for pause := shortest; w.err == nil && w.exit == 0; {
		before := w.times.Raw
		wake, err := w.conn.Select(w.timeout(pause), true)
		if err != nil {
			return fmt.Errorf("wait: %w", err)
		}
		w.times = wake.Times
		if wake.Reason == Terminated {
			break
		}
		pause = nextPause(pause, wake.Reason == TimedOut && w.times.Raw == before)
		if err := w.handle(wake.Reason); err != nil {
			return err
		}
	}
	w.engine.Stop(w.Now(), &w.acts)
	w.engine.Perform(w, &w.acts)
	return w.err
}

// shortest is added to each timeout, in seconds: enough for the clock to be seen
// past the deadline in nanoseconds, and for a message that is queued to be
// returned before the timeout is. The clock of the simulation is a float64; when
// so little no longer moves it, the addition is doubled until it does.
const shortest = 1e-9

// nextPause doubles the addition if the last wait did not move the clock.
func nextPause(pause float64, stuck bool) float64 {
	if stuck {
		return 2 * pause
	}
	return shortest
}

// forever is the timeout that the server takes for none.
const forever = 1e20

// timeout returns how long to wait for the engine's next deadline, in seconds of
// CLOCK_MONOTONIC, which runs at the rate that was set. Deadlines are on the raw
// clock.
func (w *World) timeout(pause float64) float64 {
	d := w.engine.Deadline()
	if d.IsZero() {
		return forever
	}
	left := max(d.Sub(w.Now().Mono).Seconds(), 0)
	return left*(1+float64(w.freq)) + pause
}

// handle tells the engine why the wait ended.
func (w *World) handle(r Reason) error {
	if r == Unicast || r == Broadcast {
		if err := w.receive(); err != nil {
			return err
		}
	} else if d := w.engine.Deadline(); !d.IsZero() && !w.Now().Mono.Before(d) {
		w.engine.Tick(w.Now(), &w.acts)
	}
	w.perform()
	return w.err
}

// perform carries out what the engine wants, and tells it what follows at once:
// transmit timestamps and the addresses of names.
func (w *World) perform() {
	w.engine.Perform(w, &w.acts)
	for len(w.sent) > 0 || len(w.looked) > 0 {
		sent, looked := w.sent, w.looked
		w.sent, w.looked = nil, nil
		for i := range sent {
			w.engine.Transmitted(w.Now(), &sent[i], &w.acts)
		}
		for i := range looked {
			w.engine.Resolved(w.Now(), &looked[i], &w.acts)
		}
		w.engine.Perform(w, &w.acts)
	}
}
