// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"foliot/tests/vm/wire"
)

// spec says what machine a test wants.
type spec struct {
	name  string
	image string   // directory of the disk
	host  int      // the last octet of its address on the lab's network, 0 = no network
	extra []string // arguments of qemu
	port  int32    // of its network, the same for machines that start together
}

// machine is a running virtual machine.
type machine struct {
	spec
	dir    string
	cmd    *exec.Cmd
	mu     sync.Mutex
	conn   net.Conn
	in     *bufio.Reader
	nextID int
	qmp    net.Conn
}

// start boots a machine and waits for it.
func start(t *testing.T, s spec) *machine {
	t.Helper()
	return startAll(t, s)[0]
}

// launch starts a machine, which shares the disk and keeps what it writes to
// itself.
func launch(t *testing.T, s spec) *machine {
	t.Helper()
	m := &machine{spec: s, dir: t.TempDir()}
	args := []string{
		"-n", "10", "qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-accel", accel(), "-m", "512", "-smp", "1", "-display", "none",
		"-nodefaults", "-serial", "file:" + filepath.Join(m.dir, "console"), "-rtc", "base=utc,clock=vm",
		"-kernel", filepath.Join(s.image, "vmlinuz"), "-initrd", filepath.Join(s.image, "initrd"),
		// The rate of this clock is exact, that of the emulated TSC is measured at boot.
		"-append", "console=ttyS0 root=/dev/vda rw quiet clocksource=hpet tsc=unstable nokaslr mitigations=off systemd.hostname=" + s.name,
		"-drive", "file=" + filepath.Join(s.image, "disk.img") + ",if=none,id=root,format=raw,cache=unsafe,snapshot=on",
		"-device", "virtio-blk-pci,drive=root",
		"-drive", "file=" + lab.payload + ",if=none,id=payload,format=raw,readonly=on,file.locking=off",
		"-device", "virtio-blk-pci,drive=payload,serial=payload",
		"-device", "virtio-serial-pci", "-chardev", "socket,id=agent,server=on,wait=off,path=" + m.dir + "/agent",
		"-device", "virtserialport,chardev=agent,name=foliot",
		"-qmp", "unix:" + m.dir + "/qmp,server=on,wait=off",
	}
	if s.host > 0 {
		args = append(args,
			"-netdev", fmt.Sprintf("socket,id=net,mcast=230.0.0.7:%d,localaddr=127.0.0.1", s.port),
			"-device", fmt.Sprintf("virtio-net-pci,netdev=net,mac=52:54:00:00:00:%02x", s.host))
	}
	m.cmd = exec.Command("nice", append(args, s.extra...)...)
	m.cmd.Stderr = os.Stderr
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.stop(t) })
	m.connect(t)
	return m
}

// network gives the machine its address.
func (m *machine) network(t *testing.T) {
	t.Helper()
	if m.host > 0 {
		m.sh(t, "dev=$(ls /sys/class/net | grep -v lo | head -1); [ $dev = eth0 ] || { ip link set $dev down; ip link set $dev name eth0; }; "+
			"ip link set eth0 up; ip addr add "+m.addr()+"/24 dev eth0")
	}
}

// accel is how a machine is run. Emulation is the same everywhere, and works where
// the hypervisor that is there does not: FOLIOT_VM_ACCEL=kvm for others.
func accel() string {
	if a := os.Getenv("FOLIOT_VM_ACCEL"); a != "" {
		return a
	}
	return "tcg"
}

func (m *machine) addr() string { return fmt.Sprintf("192.168.4.%d", m.host) }

// stop ends the machine and shows its journal if the test failed.
func (m *machine) stop(t *testing.T) {
	if t.Failed() && m.conn != nil {
		r, err := m.ask(&wire.Request{Do: wire.Run, Seconds: 20, Script: "journalctl --no-pager -o short-monotonic -n 60 -u foliotd -u chrony"}, 25*time.Second)
		if err == nil {
			t.Logf("journal of %s:\n%s", m.name, r.Out)
		} else {
			b, _ := os.ReadFile(filepath.Join(m.dir, "console"))
			t.Logf("console of %s: ...%s", m.name, b[max(0, len(b)-4000):])
		}
	}
	m.cmd.Process.Kill()
	m.cmd.Wait()
}

// connect opens the lines to the agent and to qemu itself.
func (m *machine) connect(t *testing.T) {
	t.Helper()
	for _, to := range []struct {
		path string
		conn *net.Conn
	}{{"agent", &m.conn}, {"qmp", &m.qmp}} {
		var err error
		for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(50 * time.Millisecond) {
			if *to.conn, err = net.Dial("unix", filepath.Join(m.dir, to.path)); err == nil {
				break
			}
		}
		if err != nil {
			t.Fatalf("connect to %s of %s: %v", to.path, m.name, err)
		}
	}
	m.in = bufio.NewReader(m.conn)
	m.monitor(t, `{"execute":"qmp_capabilities"}`)
}

// monitor tells qemu something (QEMU Machine Protocol).
func (m *machine) monitor(t *testing.T, line string) {
	t.Helper()
	if _, err := m.qmp.Write([]byte(line + "\n")); err != nil {
		t.Fatalf("monitor of %s: %v", m.name, err)
	}
}

// pause holds the machine for d, its own clocks included.
func (m *machine) pause(t *testing.T, d time.Duration) {
	t.Helper()
	m.monitor(t, `{"execute":"stop"}`)
	time.Sleep(d)
	m.monitor(t, `{"execute":"cont"}`)
}

// await waits until the agent answers.
func (m *machine) await(t *testing.T) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < 4*time.Minute; {
		if _, err := m.ask(&wire.Request{Do: wire.Clock}, time.Second); err == nil {
			t.Logf("%s is up after %.0f s", m.name, time.Since(begin).Seconds())
			return
		}
	}
	b, _ := os.ReadFile(filepath.Join(m.dir, "console"))
	t.Fatalf("%s does not answer; its console: ...%s", m.name, b[max(0, len(b)-4000):])
}

// ask sends a request and returns the answer to it.
func (m *machine) ask(q *wire.Request, limit time.Duration) (*wire.Reply, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nextID++
	q.ID = m.nextID
	b, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	m.conn.SetDeadline(time.Now().Add(limit))
	if _, err := m.conn.Write(append(b, '\n')); err != nil {
		return nil, err
	}
	for {
		line, err := m.in.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		var r wire.Reply
		if json.Unmarshal(line, &r) != nil || r.ID != q.ID {
			continue // of a request that was given up
		}
		if r.Error != "" {
			return nil, fmt.Errorf("%s: %s", m.name, r.Error)
		}
		return &r, nil
	}
}

// try runs a script and returns what it says and its exit status.
func (m *machine) try(t *testing.T, script string) (string, int) {
	t.Helper()
	r, err := m.ask(&wire.Request{Do: wire.Run, Script: script, Seconds: 240}, 250*time.Second)
	if err != nil {
		t.Fatalf("%s: %s: %v", m.name, script, err)
	}
	return strings.TrimSpace(r.Out), r.Code
}

// sh runs a script that must succeed.
func (m *machine) sh(t *testing.T, script string) string {
	t.Helper()
	out, code := m.try(t, script)
	if code != 0 {
		t.Fatalf("%s: %s: exit status %d: %s", m.name, script, code, out)
	}
	return out
}

// write makes a file in the machine.
func (m *machine) write(t *testing.T, path, text string) {
	t.Helper()
	m.sh(t, "mkdir -p $(dirname "+path+") && cat >"+path+" <<'END_OF_FILE'\n"+text+"\nEND_OF_FILE")
}

// clock asks the kernel about its clock, or sets it.
func (m *machine) clock(t *testing.T, q wire.Request) wire.State {
	t.Helper()
	if q.Do == "" {
		q.Do = wire.Clock
	}
	r, err := m.ask(&q, 10*time.Second)
	if err != nil {
		t.Fatalf("%s: %s: %v", m.name, q.Do, err)
	}
	return r.Clock
}

// reading is how far a machine's clock is from the clock out here, in seconds,
// and by how much that may be wrong: half of the shortest exchange.
func (m *machine) reading(t *testing.T, tries int) (offset, bound float64) {
	t.Helper()
	bound = math.Inf(1)
	for range tries {
		begin := time.Now()
		s := m.clock(t, wire.Request{})
		took := time.Since(begin)
		if half := took.Seconds() / 2; half < bound {
			bound = half
			middle := lab.epoch.Add(begin.Sub(lab.epoch) + took/2)
			offset = float64(s.Wall-middle.UnixNano()) / 1e9
		}
	}
	return offset, bound
}

// apart is the offset of m's clock from that of the machine o, positive if m is
// ahead, and its uncertainty, in seconds.
func (m *machine) apart(t *testing.T, o *machine) (offset, bound float64) {
	t.Helper()
	a, ea := m.reading(t, 60)
	b, eb := o.reading(t, 60)
	return a - b, ea + eb
}

// eventually waits until f is true, and says how long that took.
func eventually(t *testing.T, limit time.Duration, what string, f func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for time.Since(begin) < limit {
		if f() {
			return time.Since(begin)
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Fatalf("not within %v: %s", limit, what)
	return 0
}
