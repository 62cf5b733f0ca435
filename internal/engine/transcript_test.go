// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/ntp"
	"foliot/internal/sim"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// TestTranscripts plays the commands in testdata/*.txt (lines that begin with
// "> ") and compares what the engine did with what is written below them. After a
// change, run it with -update and read the difference.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d transcripts, %v; want at least 6", len(files), err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			want, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, want)
			if *update {
				if err := os.WriteFile(f, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s: the engine did\n%s\nwant\n%s\n(go test -update rewrites it)", f, got, want)
			}
		})
	}
}

// stage is where a transcript is played.
type stage struct {
	t     *testing.T
	out   bytes.Buffer
	w     *sim.World
	all   map[netip.Addr]*sim.Server
	off   map[netip.Addr]float64
	dead  map[netip.Addr]bool
	lab   *lab
	cfg   *config.Config // as it will be at the next reload
	setup options
	heard *[]heard // broadcasts since the last news
}

// play returns the transcript with the output of today.
func play(t *testing.T, script []byte) []byte {
	s := &stage{
		t: t, w: sim.New(2), cfg: config.Default(),
		all: make(map[netip.Addr]*sim.Server), off: make(map[netip.Addr]float64), dead: make(map[netip.Addr]bool),
		setup: options{osc: sim.Oscillator{Rate: 20e-6, Wander: 1e-10}},
	}
	s.cfg.Clock.StepThreshold, s.cfg.Clock.StepLimit = 1, 3
	s.cfg.Server.Access = []config.AccessRule{{Allow: true, Everything: true}}
	s.heard = hear(s.w, func() *sim.Node { return s.lab.node })
	lines := bufio.NewScanner(bytes.NewReader(script))
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "#"), line == "":
			fmt.Fprintln(&s.out, line)
		case strings.HasPrefix(line, "> "):
			fmt.Fprintln(&s.out, line)
			s.command(strings.Fields(line[2:]))
		}
	}
	return s.out.Bytes()
}

func (s *stage) command(words []string) {
	verb, args := words[0], words[1:]
	do, ok := map[string]func([]string){
		"server": s.server, "server-step": s.serverStep, "server-leap": s.serverLeap, "drop": s.drop, "answer": s.answer, "name": s.name,
		"add-source": s.addSource, "remove-source": s.removeSource, "set": s.set, "start": s.start, "reload": s.reload,
		"broadcast": s.broadcast, "remove-broadcast": s.removeBroadcast,
		"advance": s.advance, "jump": s.jump, "sleep": s.sleep, "print": s.print, "stop": s.stop, "chronyc": s.chronyc,
	}[verb]
	if !ok {
		s.t.Fatalf("unknown command %q", verb)
	}
	do(args)
}

func (s *stage) addr(word string) netip.Addr {
	a, err := netip.ParseAddr(word)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *stage) number(word string) float64 {
	if d, err := time.ParseDuration(word); err == nil {
		return d.Seconds()
	}
	v, err := strconv.ParseFloat(word, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// server ADDR [OFFSET] adds a server, whose clock is off by OFFSET.
func (s *stage) server(args []string) {
	a := s.addr(args[0])
	if len(args) > 1 {
		s.off[a] = s.number(args[1])
	}
	s.all[a] = s.w.Serve(&sim.Server{
		Addr:   a,
		Offset: func(float64) float64 { return s.off[a] },
		Dead:   func(float64) bool { return s.dead[a] },
	})
	l := sim.Link{Delay: sim.Exponential(50e-6, 5e-6)}
	s.w.Connect(nodeAddr, a, l, l)
}

// server-step ADDR BY steps a server's clock: a lie, from then on.
func (s *stage) serverStep(args []string) { s.off[s.addr(args[0])] += s.number(args[1]) }

func (s *stage) serverLeap(args []string) {
	s.all[s.addr(args[0])].Leap = ntp.Leap(s.number(args[1]))
}

func (s *stage) drop(args []string)   { s.dead[s.addr(args[0])] = true }
func (s *stage) answer(args []string) { s.dead[s.addr(args[0])] = false }

func (s *stage) name(args []string) {
	var addrs []netip.Addr
	for _, a := range args[1:] {
		addrs = append(addrs, s.addr(a))
	}
	s.w.Name(args[0], addrs...)
}

// add-source KIND NAME [xleave] adds a source to the configuration.
func (s *stage) addSource(args []string) {
	kind := map[string]config.SourceKind{"server": config.KindServer, "pool": config.KindPool, "peer": config.KindPeer}[args[0]]
	c := config.DefaultSource(kind, args[1])
	c.IBurst, c.MinPoll, c.MaxPoll = true, 4, 6
	c.XLeave = len(args) > 2 && args[2] == "xleave"
	s.cfg.Sources = append(s.cfg.Sources, c)
}

func (s *stage) removeSource(args []string) {
	for i := range s.cfg.Sources {
		if s.cfg.Sources[i].Name == args[0] {
			s.cfg.Sources = append(s.cfg.Sources[:i:i], s.cfg.Sources[i+1:]...)
			return
		}
	}
	s.t.Fatalf("no source %q", args[0])
}

// broadcast INTERVAL DEST adds a broadcast directive to the configuration.
func (s *stage) broadcast(args []string) {
	dest, err := netip.ParseAddrPort(args[1])
	if err != nil {
		s.t.Fatal(err)
	}
	broadcasts(int(s.number(args[0])), dest)(s.cfg)
}

// remove-broadcast N removes the Nth such directive.
func (s *stage) removeBroadcast(args []string) {
	n := int(s.number(args[0]))
	s.cfg.Server.Broadcasts = slices.Delete(slices.Clone(s.cfg.Server.Broadcasts), n-1, n)
}

// set WHAT VALUES... changes the configuration.
func (s *stage) set(args []string) {
	v := make([]float64, len(args)-1)
	for i := range v {
		v[i] = s.number(args[i+1])
	}
	switch args[0] {
	case "makestep":
		s.cfg.Clock.StepThreshold, s.cfg.Clock.StepLimit = v[0], int(v[1])
	case "maxchange":
		s.cfg.Clock.MaxChange = config.MaxChange{Set: true, Offset: v[0], Start: int(v[1]), Ignore: int(v[2])}
	case "minsources":
		s.cfg.Select.MinSources = int(v[0])
	case "waitunsynced":
		s.cfg.Local.WaitUnsynced = v[0]
	case "local":
		s.cfg.Local.Enabled, s.cfg.Local.Stratum, s.cfg.Local.Distance = true, uint8(v[0]), v[1]
	default:
		s.t.Fatalf("unknown setting %q", args[0])
	}
}

func (s *stage) copyConfig(c *config.Config) { *c = *s.cfg }

// start [OFFSET] starts the engine with a clock that is off by OFFSET.
func (s *stage) start(args []string) {
	o := s.setup
	o.config = s.copyConfig
	if len(args) > 0 {
		o.offset = s.number(args[0])
	}
	s.lab = newLab(s.t, s.w, o)
	s.tellNews()
}

func (s *stage) reload([]string) {
	s.lab.reload(s.copyConfig)
	s.tellNews()
}

func (s *stage) advance(args []string) {
	s.w.Run(s.w.Now() + s.number(args[0]))
	s.tellNews()
}

func (s *stage) jump(args []string)  { s.lab.node.Push(s.number(args[0])) }
func (s *stage) sleep(args []string) { s.lab.node.Suspend(s.number(args[0])) }

func (s *stage) stop([]string) {
	s.lab.tell(func(e *engine.Engine, now clock.Now, out *engine.Actions) { e.Stop(now, out) })
	s.tellNews()
}

// tellNews writes the events since the last time, but the measurements.
func (s *stage) tellNews() {
	for _, h := range s.lab.events {
		if line := describe(&h.ev); line != "" {
			fmt.Fprintf(&s.out, "%6.0f s  %s\n", h.at, line)
		}
	}
	s.lab.events = s.lab.events[:0]
	for _, h := range *s.heard {
		fmt.Fprintf(&s.out, "%6.0f s  broadcast to %v: leap %d, stratum %d, reference %08X, poll %d\n", h.at, h.to, h.Leap, h.Stratum, uint32(h.RefID), h.Poll)
	}
	*s.heard = nil
	if x := s.lab.node.Exit; x != 0 {
		fmt.Fprintf(&s.out, "          exit: %d\n", x)
		s.lab.node.Exit = 0
	}
}

// print writes what is served, how good the clock is, and the sources.
func (s *stage) print([]string) {
	n := s.lab.node
	snap := n.Snapshot
	fmt.Fprintf(&s.out, "%6.0f s  serving leap %d, stratum %d; kernel synchronised %v, leap %d; clock within %s\n",
		s.w.Now(), snap.Leap, snap.Stratum, n.Status.Synchronized, n.Status.Leap, decade(n.Error()))
	rows := n.Engine.Rows()
	i := 0
	for ref, a := range n.Engine.Associations() {
		reach, _ := a.Reach()
		fmt.Fprintf(&s.out, "          %c %s (%s), reach %o\n", byte(rows[i].Status), ref.Addr.Addr(), ref.Name, reach)
		i++
	}
}

// decade writes the power of ten seconds that is not below |v|, 10 us at least.
func decade(v float64) string {
	return fmt.Sprintf("1e%d s", int(math.Ceil(math.Log10(math.Max(math.Abs(v), 1e-5)))))
}
