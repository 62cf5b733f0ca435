// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"foliot/internal/clock"
)

// The environment by which the test binary learns which part it plays. No part
// of it sets a clock: the guard writes what it would set to a file.
const (
	fileEnv = "GUARD_TEST_FILE"
	roleEnv = "GUARD_TEST_ROLE"
)

func TestMain(m *testing.M) {
	file := os.Getenv(fileEnv)
	switch {
	case len(os.Args) > 1 && os.Args[1] == Arg:
		if file == "" {
			os.Exit(3)
		}
		os.Exit(run(func(f clock.Frequency) error { return record(file, f) }))
	case os.Getenv(roleEnv) != "":
		os.Exit(playDaemon(os.Getenv(roleEnv), file))
	}
	os.Exit(m.Run())
}

// record writes the rate and the time at which it would have been set.
func record(file string, f clock.Frequency) error {
	line := fmt.Sprintf("%.9f %d\n", f.PPM(), monotonic())
	return os.WriteFile(file, []byte(line), 0o644)
}

func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return ts.Nano()
}

// playDaemon is a daemon in the middle of a slew: it reports the guard's process
// ID and then does what its role says when it reads a line.
func playDaemon(role, file string) int {
	g, err := Start(Config{env: []string{fileEnv + "=" + file}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if role != "no base" {
		g.SetBase(clock.FromPPM(99))
		g.SetBase(clock.FromPPM(-12.5))
	}
	fmt.Println(g.PID())
	bufio.NewReader(os.Stdin).ReadString('\n')
	switch role {
	case "close":
		if err := g.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	case "panic":
		panic("a bug")
	}
	return 0
}

// daemon is a running process that plays one.
type daemon struct {
	cmd   *exec.Cmd
	guard int
	file  string
	stdin interface{ Write([]byte) (int, error) }
}

func startDaemon(t *testing.T, role string) *daemon {
	t.Helper()
	d := &daemon{file: filepath.Join(t.TempDir(), "rate")}
	d.cmd = exec.Command("/proc/self/exe")
	d.cmd.Env = append(os.Environ(), roleEnv+"="+role, fileEnv+"="+d.file)
	in, err := d.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.cmd.Process.Kill()
		d.cmd.Wait()
	})
	d.stdin = in
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("daemon did not start its guard: %v", err)
	}
	if d.guard, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		t.Fatal(err)
	}
	return d
}

// recorded waits for what the guard set, and returns when.
func (d *daemon) recorded(t *testing.T) (ppm float64, at int64) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < 5*time.Second; time.Sleep(time.Millisecond) {
		b, err := os.ReadFile(d.file)
		if err == nil && strings.HasSuffix(string(b), "\n") {
			if _, err := fmt.Sscan(string(b), &ppm, &at); err != nil {
				t.Fatal(err)
			}
			return ppm, at
		}
	}
	t.Fatal("the guard set nothing within 5 s")
	return 0, 0
}

// quiet waits until the guard has ended and checks that it set nothing.
func (d *daemon) quiet(t *testing.T) {
	t.Helper()
	for begin := time.Now(); alive(d.guard); time.Sleep(time.Millisecond) {
		if time.Since(begin) > 5*time.Second {
			t.Fatal("the guard did not end within 5 s")
		}
	}
	if b, err := os.ReadFile(d.file); err == nil {
		t.Errorf("the guard set %q, want nothing", b)
	}
}

// alive tells whether a process runs; one that nobody reaped does not.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

func TestKilledDaemon(t *testing.T) {
	const tries, limit = 5, 100 * time.Millisecond
	var took time.Duration
	// The limit is the guard's; a busy machine may exceed it now and then.
	for range tries {
		d := startDaemon(t, "kill")
		killed := monotonic()
		if err := d.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		ppm, at := d.recorded(t)
		if math.Abs(ppm+12.5) > 1e-6 {
			t.Fatalf("the guard set %v ppm, want the latest base of -12.5", ppm)
		}
		if took = time.Duration(at - killed); took <= limit {
			t.Logf("restored %v after the kill", took)
			return
		}
	}
	t.Errorf("the guard acted %v after the kill in the last of %d tries, want at most %v", took, tries, limit)
}

func TestGuardOutlivesSignals(t *testing.T) {
	d := startDaemon(t, "kill")
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT} {
		if err := syscall.Kill(d.guard, s); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(50 * time.Millisecond)
	if !alive(d.guard) {
		t.Fatal("the guard ended by a signal while the daemon lived")
	}
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	d.recorded(t)
}

func TestDaemonEnds(t *testing.T) {
	tests := []struct {
		role string
		acts bool
	}{
		{"close", false},
		{"exit without close", true},
		{"panic", true},
		{"no base", false},
	}
	for _, tt := range tests {
		t.Run(tt.role, func(t *testing.T) {
			d := startDaemon(t, tt.role)
			if _, err := d.stdin.Write([]byte("\n")); err != nil {
				t.Fatal(err)
			}
			d.cmd.Wait() // the exit status of a panic is not 0
			if !tt.acts {
				d.quiet(t)
				return
			}
			if ppm, _ := d.recorded(t); math.Abs(ppm+12.5) > 1e-6 {
				t.Errorf("the guard set %v ppm, want -12.5", ppm)
			}
		})
	}
}

func TestGuardIsRestricted(t *testing.T) {
	d := startDaemon(t, "close")
	if sid, err := unix.Getsid(d.guard); err != nil || sid != d.guard {
		t.Errorf("session of guard %d = %d, %v, want its own", d.guard, sid, err)
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.guard))
	if err != nil {
		t.Fatal(err)
	}
	status := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			status[name] = strings.TrimSpace(value)
		}
	}
	t.Logf("VmRSS %s, RssAnon %s, CapEff %s", status["VmRSS"], status["RssAnon"], status["CapEff"])
	if status["NoNewPrivs"] != "1" {
		t.Errorf("NoNewPrivs of the guard = %q, want 1", status["NoNewPrivs"])
	}
	for _, set := range []string{"CapEff", "CapPrm", "CapInh", "CapAmb"} {
		mask, err := strconv.ParseUint(status[set], 16, 64)
		if err != nil || mask&^(1<<unix.CAP_SYS_TIME) != 0 {
			t.Errorf("%s of the guard = %q, %v, want nothing but CAP_SYS_TIME", set, status[set], err)
		}
	}
}

func TestRestrictionStaysInItsThread(t *testing.T) {
	if already := restrictedThreads(t); len(already) == len(threads(t)) {
		t.Skip("the whole test runs with no_new_privs")
	}
	before, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_NET_ADMIN, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	g, err := Start(Config{env: []string{fileEnv + "=" + filepath.Join(t.TempDir(), "rate")}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	// The restricted thread takes a moment to end.
	left := restrictedThreads(t)
	for begin := time.Now(); len(left) > 0 && time.Since(begin) < 5*time.Second; left = restrictedThreads(t) {
		time.Sleep(time.Millisecond)
	}
	after, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_NET_ADMIN, 0, 0, 0)
	if err != nil || before != after || len(left) > 0 {
		t.Errorf("after Start: bounding set bit %d, want %d; restricted threads %v, want none; %v", after, before, left, err)
	}
}

func threads(t *testing.T) []os.DirEntry {
	t.Helper()
	list, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Skipf("no proc file system: %v", err)
	}
	return list
}

// restrictedThreads lists the threads of this process with no_new_privs.
func restrictedThreads(t *testing.T) (ids []string) {
	t.Helper()
	for _, e := range threads(t) {
		b, err := os.ReadFile("/proc/self/task/" + e.Name() + "/status")
		if err == nil && strings.Contains(string(b), "NoNewPrivs:\t1") {
			ids = append(ids, e.Name())
		}
	}
	return ids
}

// The tests run without CAP_SYS_TIME, so another capability shows that exactly
// the one to keep arrives in the guard.
func TestGuardKeepsOneCapability(t *testing.T) {
	const keep = unix.CAP_NET_BIND_SERVICE
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for name, uid := range map[string]uint32{"as root": 0, "as another user": 65534} {
		t.Run(name, func(t *testing.T) {
			g, err := Start(Config{UID: uid, GID: uid, keep: keep,
				env: []string{fileEnv + "=" + filepath.Join(t.TempDir(), "rate")}})
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.PID()))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{
				fmt.Sprintf("Uid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n", uid),
				fmt.Sprintf("CapPrm:\t%016x\n", 1<<keep),
				fmt.Sprintf("CapEff:\t%016x\n", 1<<keep),
				fmt.Sprintf("CapBnd:\t%016x\n", 1<<keep),
			} {
				if !strings.Contains(string(b), want) {
					t.Errorf("status of the guard lacks %q:\n%s", want, b)
				}
			}
			for range 2 {
				if err := g.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
			g.SetBase(0) // harmless after Close
		})
	}
}

func TestExitedTellsOfALostGuard(t *testing.T) {
	g, err := Start(Config{env: []string{fileEnv + "=" + filepath.Join(t.TempDir(), "rate")}})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-g.Exited():
		t.Fatal("Exited while the guard runs")
	default:
	}
	if err := syscall.Kill(g.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-g.Exited():
	case <-time.After(5 * time.Second):
		t.Fatal("Exited did not tell of the guard's death")
	}
	if err := g.Close(); err != nil {
		t.Errorf("Close after the guard's death: %v", err)
	}
}

func TestStartReportsAGuardThatIsNone(t *testing.T) {
	// Without its file the test binary's guard exits at once.
	if g, err := Start(Config{}); err == nil {
		g.Close()
		t.Error("Start() of a process that exits at once: no error")
	}
}

func TestPack(t *testing.T) {
	for _, ppm := range []float64{0, 1, -1, 499.99, -500, 83333, 100000, -100000, 2e5} {
		want := clock.ToKernel(clock.FromPPM(ppm))
		if got, ok := unpack(pack(want)); !ok || got != want {
			t.Errorf("unpack(pack(%+v)) = %+v, %v", want, got, ok)
		}
	}
	for _, w := range []int64{0, -1, 1, 8999 << 32, 11001 << 32, 10000<<32 | 500<<16 + 1, math.MaxInt64} {
		if k, ok := unpack(w); ok {
			t.Errorf("unpack(%#x) = %+v, want it refused", w, k)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(int64(0))
	f.Add(pack(clock.ToKernel(0)))
	f.Add(pack(clock.ToKernel(-0.1)))
	f.Fuzz(func(t *testing.T, w int64) {
		k, ok := unpack(w)
		if ok && pack(k) != w {
			t.Errorf("pack(unpack(%#x)) = %#x", w, pack(k))
		}
		if f := clock.FromKernel(k); ok && (f > 0.1006 || f < -0.1006) {
			t.Errorf("unpack(%#x) accepts %v ppm", w, f.PPM())
		}
	})
}
