// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"foliot/internal/clientlog"
	"foliot/internal/responder"
)

// role is the environment variable that makes this program a child of its tests.
const role = "FOLIOT_FASTPATH_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "load":
		fmt.Println(loadOnly())
	case "stay":
		fmt.Println(attachAndStay(os.Args[1]))
	case "drop":
		fmt.Println(dropAndGoOn(os.Args[1]))
	default:
		os.Exit(m.Run())
	}
}

// loadOnly loads the programs and says how that went.
func loadOnly() string {
	f, err := Load(Config{})
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		return "refused:" + strings.Join(refused.Missing, ",") + ": " + err.Error()
	case err != nil:
		return "error: " + err.Error()
	}
	return fmt.Sprint("loaded:", f.Close())
}

// attachAndStay attaches the programs to an interface and waits for its end.
func attachAndStay(name string) string {
	f, err := Load(Config{})
	if err == nil {
		_, err = f.Attach(name, Native)
	}
	if err != nil {
		return "error: " + err.Error()
	}
	fmt.Println("attached")
	time.Sleep(time.Minute)
	runtime.KeepAlive(f)
	return "nobody came"
}

// dropAndGoOn gives up all privileges once the programs are attached, and does
// what a daemon does from then on.
func dropAndGoOn(name string) string {
	f, err := Load(Config{})
	if err == nil {
		_, err = f.Attach(name, Native)
	}
	if err != nil {
		return "error: " + err.Error()
	}
	const nobody = 65534
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
		return "error: drop: " + err.Error()
	}
	if have := capabilities(); have != 0 {
		return fmt.Sprintf("error: capabilities %#x are left", have)
	}
	if _, err := Load(Config{}); err == nil {
		return "error: what is dropped still loads programs"
	}
	_, addrs := f.SetAddrs([]Own{{Addr: server4.Addr()}})
	list, counters := f.Counters()
	_, histograms := f.Histograms()
	for range f.Clients() {
		return "error: a client"
	}
	snap := responder.Snapshot{Stratum: 1}
	err = errors.Join(addrs, counters, histograms, f.Publish(&snap, maxLease, Leads{}),
		f.SetPolicy(access("10.0.0.0/8", "fd00::/8"), clientlog.NewLimit(3, 8, 2, 0)), f.SetPolicy(access("::/0"), nil),
		f.OneStep(true), f.AddSocket(1), f.Serve(name, false), f.Detach(name), f.Close())
	if err != nil {
		return "error: after the drop: " + err.Error()
	}
	return fmt.Sprintf("went on with %d interface", len(list))
}

// TestRefused: without privileges the reason is typed, and says what is missing.
func TestRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		if got := loadOnly(); !strings.HasPrefix(got, "refused:CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON") {
			t.Errorf("without privileges: %s", got)
		}
		return
	}
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ caps, want string }{
		{"-all", "refused:CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON"},
		{"-all,+net_admin", "refused:CAP_BPF,CAP_PERFMON"},
		{"-all,+net_admin,+bpf", "refused:CAP_PERFMON"},
		{"-all,+net_admin,+bpf,+perfmon", "loaded:"},
		{"-all,+net_admin,+sys_admin", "loaded:"},
	} {
		cmd := exec.Command("setpriv", "--bounding-set="+tt.caps, "--inh-caps="+tt.caps, path)
		cmd.Env = append(os.Environ(), role+"=load")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), tt.want) {
			t.Errorf("capabilities %s: %v: %s, want %s", tt.caps, err, out, tt.want)
		}
	}
	cmd := exec.Command("/proc/self/exe") // nobody may not go where this program lies
	cmd.Env = append(os.Environ(), role+"=load")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.HasPrefix(out, []byte("refused:CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON")) {
		t.Errorf("as nobody: %v: %s", err, out)
	}
}

// inServer is a child in the namespace of the server, without the right to set the
// clock.
func (l *lab) inServer(as string) *exec.Cmd {
	l.Helper()
	path, err := os.Executable()
	l.must(err)
	cmd := l.server.Command(path, l.link.BDev)
	cmd.Env = append(os.Environ(), role+"="+as)
	return cmd
}

// TestDropped: when all privileges are gone, everything but attaching goes on.
func TestDropped(t *testing.T) {
	l := newLab(t)
	out, err := l.inServer("drop").CombinedOutput()
	if got := strings.TrimSpace(string(out)); err != nil || got != "went on with 1 interface" {
		t.Errorf("%v: %s", err, got)
	}
}

// TestKilled: of a process that is killed nothing stays attached.
func TestKilled(t *testing.T) {
	l := newLab(t)
	before := l.attachedPrograms()
	p, err := l.lab.Start("stay", l.inServer("stay"))
	l.must(err)
	for end := time.Now().Add(20 * time.Second); !strings.Contains(p.Log(), "attached"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) || !p.Running() {
			t.Fatalf("not attached: %s", p.Log())
		}
	}
	if got := l.attachedPrograms(); got == before {
		t.Fatalf("attached are %s, as before", got)
	}
	p.Kill()
	var got string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if got = l.attachedPrograms(); got == before {
			return
		}
	}
	t.Errorf("10 s after the process was killed %s are attached, want %s", got, before)
}

// attachedPrograms says what hangs at the server's interface.
func (l *lab) attachedPrograms() string {
	l.Helper()
	var list []string
	l.must(l.server.Inside(func() error {
		iface, err := net.InterfaceByName(l.link.BDev)
		if err != nil {
			return err
		}
		for _, at := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
			r, err := link.QueryPrograms(link.QueryOptions{Target: iface.Index, Attach: at})
			if err != nil {
				return err
			}
			list = append(list, fmt.Sprint(at, len(r.Programs)))
		}
		return nil
	}))
	return strings.Join(append(list, strconv.FormatBool(strings.Contains(l.ip(), "xdp"))), " ")
}

// TestFeatures: a kernel that should have a feature has it, by our probes.
func TestFeatures(t *testing.T) {
	f := probe()
	able(t, f.refused())
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	running := unix.ByteSliceToString(u.Release[:])
	for x := range featureCount {
		if !f.Has(x) && !older(running, x.Since()) {
			t.Errorf("Linux %s does not have %v, which came with %s", running, x, x.Since())
		}
	}
	some := f.without([]Feature{TAI, TCX})
	if list := some.Missing(); len(list) < 2 || !errors.Is(list[0], errors.ErrUnsupported) || !strings.Contains(list[0].Error(), "6.1") {
		t.Errorf("missing: %v", list)
	}
}

// older tells whether a release is older than a version.
func older(release, version string) bool {
	var a, b [2]int
	fmt.Sscanf(release, "%d.%d", &a[0], &a[1])
	fmt.Sscanf(version, "%d.%d", &b[0], &b[1])
	return a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
}

// TestOldKernels: what older kernels lack costs what it must and no more.
func TestOldKernels(t *testing.T) {
	b := newBench(t, Config{Without: []Feature{TAI, Frags, TCX}})
	for range 3 {
		f := plain(false)
		if v, action, _ := b.verdict(f.bytes()); v != Seen || action != xdpPass {
			t.Errorf("without CLOCK_TAI: %v", v)
		}
	}
	if b.objs.NtpEgress != nil || b.objs.NtpWatch != nil {
		t.Error("without tcx its programs are loaded")
	}
	n := 0
	for c := range b.Clients() {
		if n++; c.Hits != 3 || !c.Last.IsZero() {
			t.Errorf("record %+v", c)
		}
	}
	if n != 1 {
		t.Errorf("%d records, want 1", n)
	}
	if arrived, _ := b.Stamps(Exchange{Peer: client4.Addr(), Port: client4.Port(), Transmit: 0x123456789abcdef1}); !arrived.IsZero() {
		t.Error("a stamp of another clock")
	}
}
