// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"

	"foliot/internal/fastpath"
	"foliot/tests/netns"
)

// binaries are the programs under test, nil where daemons cannot be started.
var binaries *netns.Binaries

func TestMain(m *testing.M) { os.Exit(mainCode(m)) }

func mainCode(m *testing.M) int {
	if netns.Ready() != nil {
		return m.Run() // tests say themselves why they skip
	}
	dir, err := os.MkdirTemp("", "foliot")
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Chmod(dir, 0o755)
	}
	if err == nil {
		binaries, err = netns.Build("../..", dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// daemon returns a daemon as a target.
func daemon(t *testing.T, make func() (*Daemon, error)) *Daemon {
	t.Helper()
	if err := netns.Ready(); err != nil {
		skip(t, err)
	}
	d, err := make()
	if errors.Is(err, fs.ErrNotExist) {
		skip(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s printed:\n%s", d.Name(), d.Log())
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// skip skips the test because of err, which continuous integration as root does
// not put up with.
func skip(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
		t.Fatalf("cannot run although CI=true: %v", err)
	}
	t.Skip(err)
}

func foliotd() (*Daemon, error) { return NewFoliotd(binaries, "") }

func TestCore(t *testing.T) {
	core := NewCore()
	table(t, core)
	sweep(t, core, slices.Collect(maps.Keys(Tails))...)
}

func TestFoliotd(t *testing.T) {
	t.Parallel()
	d := daemon(t, foliotd)
	table(t, d)
	sweep(t, d, "any")
}

// TestKernel: the programs in the kernel, and the workers behind them.
func TestKernel(t *testing.T) {
	t.Parallel()
	if err := netns.Ready(); err != nil {
		skip(t, err)
	}
	k, err := NewKernel()
	var refused *fastpath.RefusedError
	if errors.As(err, &refused) || errors.Is(err, errors.ErrUnsupported) {
		skip(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	}()
	table(t, k)
	sweep(t, k, "any")
	list, err := k.Counters()
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	in := &list[0].In
	for _, v := range []fastpath.Verdict{
		fastpath.Answered, fastpath.Kissed, fastpath.Denied, fastpath.Limited, fastpath.UpInterleaved, fastpath.UpLength, fastpath.UpVersion,
	} {
		if in.Verdict(v) == 0 {
			t.Errorf("no request met the verdict %v", v)
		}
		t.Logf("kernel: %v: %d", v, in.Verdict(v))
	}
}

func TestChronyd(t *testing.T) {
	t.Parallel()
	d := daemon(t, func() (*Daemon, error) { return NewChronyd(netns.Stock) })
	table(t, d)
	sweep(t, d, "any")
}

// TestNewerChronyd has what the stock one may not know yet, kisses of death.
func TestNewerChronyd(t *testing.T) {
	t.Parallel()
	table(t, daemon(t, func() (*Daemon, error) {
		c, err := netns.Newer()
		if err != nil {
			return nil, err
		}
		return NewChronyd(c)
	}))
}

// sweep sends whatever the length, mode and version with each kind of tail, from
// an ordinary port and the NTP port: nothing is amplified.
func sweep(t *testing.T, target Target, tails ...string) {
	if err := target.Enter(&State{Name: "sweep", Config: "local stratum 5\n", Says: local(5)}); err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	var total Load
	for _, name := range tails {
		for i, port := range []uint16{20123, 123} {
			l, err := Sweep(target, netip.AddrPortFrom(client(Clients4, 0x7000+i), port), Tails[name], r)
			if err != nil {
				t.Errorf("%s: tail of %s, seed %d: %v", target.Name(), name, seed, err)
			}
			total.Add(l)
		}
	}
	if total.Worst > 1 || total.Answers == 0 {
		t.Errorf("%s: a ratio above 1, or nothing is answered", target.Name())
	}
	t.Logf("%s: %v", target.Name(), total)
}

// table runs the whole table against a target.
func table(t *testing.T, target Target) {
	clients := 0
	for _, s := range States() {
		rows := 0
		report := func(name string, err error) {
			rows++
			if err != nil {
				t.Errorf("%s: %s: %s: %v", target.Name(), s.Name, name, err)
			}
		}
		err := Run(target, &s, &clients, report)
		if err == nil {
			RunLimits(target, &s, &clients, report)
		}
		switch {
		case Skipped(err):
			t.Logf("%s: %s: %v", target.Name(), s.Name, err)
		case err != nil:
			t.Errorf("%s: %s: %v", target.Name(), s.Name, err)
		default:
			t.Logf("%s: %s: %d rows", target.Name(), s.Name, rows)
		}
	}
}
