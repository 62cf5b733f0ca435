// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"errors"
	"net"
	"os"
	"testing"

	"github.com/cilium/ebpf"

	"foliot/internal/acl"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/responder"
	"foliot/internal/traffic"
)

// Actions of linux/bpf.h.
const (
	xdpDrop = 1
	xdpPass = 2
	xdpTX   = 3
)

// lo is the interface that packets of a test run seem to come by.
const lo = 1

// bench is a set of loaded programs, for one test. Nothing is attached: packets
// are put into the programs.
type bench struct {
	testing.TB
	*Fastpath
	snap responder.Snapshot
}

// able skips a test that cannot run because of err. In continuous integration
// as root it must be able to.
func able(t testing.TB, err error) {
	t.Helper()
	var refused *RefusedError
	if err == nil {
		return
	}
	if !errors.As(err, &refused) && !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
	if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
		t.Fatalf("cannot run although CI=true: %v", err)
	}
	t.Skip(err)
}

func newBench(t testing.TB, c Config) *bench {
	t.Helper()
	if c.Clients == 0 {
		c.Clients = 1 << 20
	}
	c.Key = clientlog.HashKey{1, 2}
	f, err := Load(c)
	able(t, err)
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bench{TB: t, Fastpath: f}
	b.ifaces[0] = &attached{iface: net.Interface{Name: "lo", Index: lo, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}, mode: Native}
	b.must(b.note(0, &b.ifaces[0].iface, true))
	b.snap = responder.Snapshot{
		Correction: clock.Correction{Offset: 0.25}, Leap: ntp.LeapInsert, Stratum: 2, RefID: 0xc0000201,
		RootDelay: 0.010, RootDisp: 0.001, DispRate: 1e-5, Precision: -24,
	}
	r, err := readTAI()
	b.must(err)
	b.snap.Correction.Since = r.wall
	b.snap.RefTime = clock.ServedAt(r.wall, 0.25).Add(-100 * clock.Second)
	left, err := b.SetAddrs([]Own{{Addr: server4.Addr()}, {Addr: server6.Addr(), Interface: lo}})
	b.must(err)
	if left != 0 {
		t.Fatalf("%d own addresses have no place", left)
	}
	b.policy(nil, "0.0.0.0/0", "::/0")
	b.publish()
	return b
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// policy allows some prefixes.
func (b *bench) policy(limit *clientlog.Limit, allow ...string) {
	b.Helper()
	b.must(b.SetPolicy(access(allow...), limit))
}

func (b *bench) publish() {
	b.Helper()
	b.must(b.Publish(&b.snap, maxLease, Leads{}))
}

// run puts a frame into the ingress program.
func (b *bench) run(data []byte) (action uint32, out []byte) {
	b.Helper()
	out = make([]byte, len(data)+256)
	opts := ebpf.RunOptions{Data: data, DataOut: out}
	action, err := b.objs.NtpIngress.Run(&opts)
	b.must(err)
	return action, opts.DataOut
}

// verdict puts a frame into the ingress program and returns what became of it, by
// the counters.
func (b *bench) verdict(data []byte) (Verdict, uint32, []byte) {
	b.Helper()
	before := b.traffic()
	action, out := b.run(data)
	after := b.traffic()
	found := Verdict(traffic.Verdicts)
	for v := range Verdict(traffic.Verdicts) {
		switch after.In.Verdict(v) - before.In.Verdict(v) {
		case 0:
		case 1:
			found = v
		default:
			b.Fatalf("%v is counted twice", v)
		}
	}
	if found != Verdict(traffic.Verdicts) && after.In.Packets()-before.In.Packets() != 1 {
		b.Fatalf("a packet is counted %d times", after.In.Packets()-before.In.Packets())
	}
	return found, action, out
}

func (b *bench) traffic() Interface {
	b.Helper()
	list, err := b.Counters()
	b.must(err)
	return list[0]
}

func access(allow ...string) *acl.Table {
	rules := make([]acl.Rule, len(allow))
	for i, s := range allow {
		rules[i] = rule(true, s)
	}
	return acl.New(rules)
}
