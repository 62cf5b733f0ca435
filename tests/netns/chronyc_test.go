// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// outcome is what a control program printed and returned.
type outcome struct {
	stdout, stderr string
	code           int
}

// control runs chronyc, or foliotctl, in the namespace of d and against it.
func (b *bench) control(d *Daemon, program string, args ...string) outcome {
	b.Helper()
	cmd := d.Space.Command(append([]string{program, "-h", d.Commands}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.Fatalf("%s %q: %v", program, args, err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// named is a configuration with a source of each kind, and the hosts file where
// one of them has a name that is too long for a table.
func named(b *bench) string {
	long := "a-name-that-is-longer-than-the-table-has-room-for.example"
	b.must(b.a.Hosts(b.link.B4.String()+" "+long, b.link.B6.String()+" short.example"))
	keys, err := b.lab.Write("7 AES128 HEX:000102030405060708090A0B0C0D0E0F\n", "keys")
	b.must(err)
	return fmt.Sprintf("server %s iburst key 7 trust\nserver %s iburst prefer xleave\nserver short.example port 1 offline noselect\n"+
		"server no.such.name.invalid\npeer 127.0.0.3 noselect\nrefclock SHM 77 refid GPS noselect\nkeyfile %s\n"+
		"cmdport 323\nallow\nmanual\nsmoothtime 400 0.01 leaponly\nlocal stratum 10\n", long, b.link.B6, keys)
}

// moving are reports in which numbers change all the time: only their form is
// compared here. Package tests/chronyc compares the numbers.
var moving = regexp.MustCompile(`^(tracking|serverstats|smoothing|waitsync|sources|sourcestats|selectdata|ntpdata|clients)`)

var figures = regexp.MustCompile(`[-+ ]*[0-9][0-9.]*([num]?s|[mhdy])?`)

func form(command, text string) string {
	if strings.HasSuffix(command, " -a") {
		text = sorted(unresolved.ReplaceAllString(text, "ID#n"))
	}
	if !moving.MatchString(command) {
		return text
	}
	return figures.ReplaceAllString(text, "#")
}

// unresolved are sources without an address. Which of those of a pool gets the
// first address is chance.
var unresolved = regexp.MustCompile(`ID#[0-9]+`)

func sorted(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// TestChronycReports holds foliotctl against stock chronyc, with a stock chronyd
// that has sources.
func TestChronycReports(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	config := named(b)
	b.chronyd(b.b, "server", "local stratum 3\nallow\nkeyfile "+b.lab.Path("keys")+"\n")
	d := b.chronyd(b.a, "client", config)
	b.chronySelected(d, b.link.B4, 20*time.Second)
	for _, options := range []string{"", "-n", "-N", "-n -N", "-c", "-c -N"} {
		for _, command := range []string{
			"tracking", "sources", "sources -a", "sources -v", "sourcestats", "sourcestats -a -v", "selectdata", "selectdata -v",
			"authdata", "authdata -a -v", "activity", "ntpdata", "serverstats", "clients", "clients -k", "smoothing", "rtcdata",
			"manual list", "waitsync 1", "accheck 10.0.0.1", "cmdaccheck 10.0.0.1", "sourcename short.example", "sourcename ID#0000000001",
			"ntpdata short.example", "ntpdata no.such.name.invalid", "allow no.such.name.invalid", "delete no.such.name.invalid",
			"minpoll no.such.name.invalid 3", "online no.such.name.invalid", "accheck no.such.name.invalid", "add server no.such.name.invalid",
		} {
			args := append(strings.Fields(options), command)
			want, got := b.control(d, "chronyc", args...), b.control(d, binaries.Foliotctl, args...)
			if form(command, got.stdout) != form(command, want.stdout) || got.stderr != want.stderr || got.code != want.code {
				t.Errorf("%q: exit %d\n%s%s\nwant exit %d\n%s%s", args, got.code, got.stdout, got.stderr, want.code, want.stdout, want.stderr)
			}
		}
	}
	for _, args := range [][]string{
		{"-h", "127.0.0.1", "activity"}, {"-h", "127.0.0.1", "makestep"}, {"-h", "127.0.0.1", "serverstats"}, {"-h", "localhost", "rtcdata"},
		{"-h", "::1", "activity"}, {"-4", "-h", "::1", "activity"}, {"-h", "no.such.name.invalid", "activity"},
		{"-h", b.lab.Path("none") + ",127.0.0.1", "activity"}, {"-h", b.link.B4.String(), "-m", "timeout 100", "retries 0", "activity"},
	} {
		if want, got := b.control(d, "chronyc", args...), b.control(d, binaries.Foliotctl, args...); got != want {
			t.Errorf("%q: %+v, want %+v", args, got, want)
		}
	}
}

// TestChronycChanges gives the same commands to two stock daemons, by stock
// chronyc and by foliotctl.
func TestChronycChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	config := named(b) + "cmdport 0\nport 0\n"
	theirs, ours := b.chronyd(b.a, "theirs", config), b.chronyd(b.a, "ours", config)
	for _, d := range []*Daemon{theirs, ours} {
		b.until(10*time.Second, "chronyd listens", func() bool { return exists(d.Commands) })
	}
	link := filepath.Join(b.lab.Dir, "chronyc")
	b.must(os.Symlink(binaries.Foliotctl, link))
	for _, line := range []string{
		"makestep 1 3", "maxupdateskew 50", "reselectdist 0.001", "reselect", "add server 127.0.0.44", "add server 127.0.0.44",
		"add server 127.0.0.45 key 99 offline", "add peer 127.0.0.46", "add pool localhost maxsources 2", "sources -a", "delete 127.0.0.44",
		"delete 127.0.0.44", "burst 1/2 127.0.0.45", "burst 1/2", "online 127.0.0.45", "online 127.0.0.0/8", "offline 255.255.255.255/127.0.0.46",
		"offline 9.9.9.9", "offline ID#0000000001", "onoffline", "maxdelay 127.0.0.45 0.5", "maxdelayratio 127.0.0.45 3", "maxdelaydevratio 127.0.0.45 3",
		"minpoll 127.0.0.45 4", "maxpoll 127.0.0.45 5", "minstratum 127.0.0.45 1", "polltarget 127.0.0.45 9", "minpoll 127.0.0.99 4",
		"sources -a", "refresh", "reload sources", "reset sources", "rekey", "dump", "cyclelogs", "allow 1.2.3.4", "deny all 1.2/16",
		"accheck 1.2.3.4", "allow 1.2.3.0/33", "allow ::/0", "accheck 1.2.4.4", "accheck ::5", "cmddeny all", "cmdaccheck 1.2.3.4", "cmdallow 1.2.3.4",
		"cmdaccheck 1.2.3.4", "local off", "local stratum 4 orphan", "smoothtime activate", "smoothtime reset", "manual reset", "manual off",
		"manual delete 3", "manual list", "trimrtc", "writertc", "dfreq 0", "doffset 0", "clients", "activity", "authdata -a", "shutdown",
	} {
		args := []string{"-n", line}
		want, got := b.control(theirs, "chronyc", args...), b.control(ours, link, args...)
		if form(line, got.stdout) != form(line, want.stdout) || got.stderr != want.stderr || got.code != want.code {
			t.Errorf("%s: exit %d\n%s%s\nwant exit %d\n%s%s", line, got.code, got.stdout, got.stderr, want.code, want.stdout, want.stderr)
		}
	}
	for _, d := range []*Daemon{theirs, ours} {
		if _, err := d.Wait(5 * time.Second); err != nil {
			t.Errorf("%s after shutdown: %v", d.Name, err)
		}
		left, err := os.ReadDir(filepath.Dir(d.Commands))
		if b.must(err); len(left) != 0 {
			t.Errorf("%s: %v is left beside the socket", d.Name, left)
		}
	}
}

// TestChronycOtherUser asks a daemon that is not root: it must be able to answer.
// It ends by a signal while it waits, and leaves nothing.
func TestChronycOtherUser(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	dir := b.lab.Path("nobody")
	b.must(os.Chmod(b.lab.Dir, 0o755))
	b.must(errors.Join(os.MkdirAll(dir, 0o770), os.Chmod(dir, 0o770), os.Chown(dir, 65534, 65534)))
	socket := filepath.Join(dir, "chronyd.sock")
	d := b.chronyd(b.a, "client", fmt.Sprintf("bindcmdaddress %s\nuser nobody\nserver %s\n", socket, b.link.B4))
	d.Commands = socket
	b.until(10*time.Second, "chronyd listens", func() bool { return exists(socket) })
	for range 3 {
		if got := b.control(d, binaries.Foliotctl, "-m", "timeout 3000", "reselect", "reselect"); got.code != 0 || got.stdout != "200 OK\n200 OK\n" {
			t.Fatalf("reselect: %+v", got)
		}
	}
	if got := b.control(d, binaries.Foliotctl, "-u", "nobody", "reselect"); got.code != 0 || got.stdout != "200 OK\n" {
		t.Errorf("-u nobody: %+v", got)
	}
	p, err := b.lab.Start("waitsync", d.Space.Command(binaries.Foliotctl, "-h", socket, "waitsync"))
	b.must(err)
	b.until(10*time.Second, "waitsync tries", func() bool { return strings.Contains(p.Log(), "try: 1") })
	b.must(p.Signal(os.Interrupt))
	if code, err := p.Wait(5 * time.Second); err != nil || code != 1 {
		t.Errorf("waitsync after a signal: exit %d, %v", code, err)
	}
	left, err := os.ReadDir(dir)
	if b.must(err); len(left) != 1 {
		t.Errorf("left beside the socket: %v", left)
	}
}
