// SPDX-License-Identifier: Apache-2.0

package chronyc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"foliot/internal/cmdmon"
)

// Programs that are compared.
var (
	stock = "chronyc" // another one is chosen with FOLIOT_STOCK_CHRONYC
	ours  string
	old   bool // stock is older than 4.6
)

func TestMain(m *testing.M) { os.Exit(mainCode(m)) }

func mainCode(m *testing.M) int {
	if s := os.Getenv("FOLIOT_STOCK_CHRONYC"); s != "" {
		stock = s
	}
	os.Setenv("TZ", "UTC")
	dir, err := os.MkdirTemp("", "foliot-chronyc-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	ours = filepath.Join(dir, "foliotctl")
	build := exec.Command("go", "build", "-o", ours, "./cmd/foliotctl")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v: %s\n", err, out)
		return 1
	}
	return m.Run()
}

// bench is a daemon that both programs can ask.
func bench(t *testing.T) *Daemon {
	t.Helper()
	out, err := exec.Command(stock, "--version").Output()
	version := regexp.MustCompile(`version (\d+)\.(\d+)`).FindSubmatch(out)
	if err != nil || version == nil {
		if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
			t.Fatalf("cannot run although CI=true: %s --version: %v %s", stock, err, out)
		}
		t.Skipf("no stock chronyc: %s --version: %v %s", stock, err, out)
	}
	major, _ := strconv.Atoi(string(version[1]))
	minor, _ := strconv.Atoi(string(version[2]))
	old = major < 4 || major == 4 && minor < 6
	d, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	d.Set(func(d *Daemon) { d.Old = old })
	t.Cleanup(d.Close)
	return d
}

// result is what a run of a program gave.
type result struct {
	stdout, stderr string
	code           int
	requests       []Request
}

// run runs a program against the daemon.
func run(t *testing.T, d *Daemon, program, stdin string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(d.Port())}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %q: %v", program, args, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), common(d.Requests())}
}

// common leaves out what a stock chronyc may be too old for: the last fields of
// sources and of local, and the request that an old daemon refuses and that is
// then sent in its older form.
func common(all []Request) []Request {
	ends := map[cmdmon.Command]int{cmdmon.AddSource: 348, cmdmon.Local3: 20}
	for i, r := range all {
		if end, ok := ends[r.Command]; ok {
			all[i].Data = strings.TrimRight(r.Data[:min(len(r.Data), end)], "\x00")
		}
	}
	return slices.DeleteFunc(all, func(r Request) bool { return old && r.Command == cmdmon.Local3 })
}

// compare runs both programs.
func compare(t *testing.T, d *Daemon, stdin string, args ...string) {
	t.Helper()
	want, got := printed(t, d, stdin, args...)
	if !slices.Equal(got.requests, want.requests) {
		t.Errorf("%q sends\n%s\nwant\n%s", args, show(got.requests), show(want.requests))
	}
}

// printed is compare without what is sent.
func printed(t *testing.T, d *Daemon, stdin string, args ...string) (want, got result) {
	t.Helper()
	want, got = run(t, d, stock, stdin, args...), run(t, d, ours, stdin, args...)
	if got.stdout != want.stdout || got.stderr != want.stderr || got.code != want.code {
		t.Errorf("%q: exit %d\n%s\n%s\nwant exit %d\n%s\n%s", args, got.code, got.stdout, got.stderr, want.code, want.stdout, want.stderr)
	}
	return want, got
}

func show(all []Request) string {
	var b strings.Builder
	for _, r := range all {
		fmt.Fprintf(&b, "%v attempt %d: %x\n", r.Command, r.Attempt, r.Data)
	}
	return b.String()
}

// seeds is how many daemons are invented for each report.
const seeds = 5

func TestReports(t *testing.T) {
	d := bench(t)
	for _, report := range []string{
		"tracking", "sources", "sources -a", "sources -v", "sources -a -v", "sourcestats", "sourcestats -a -v", "selectdata",
		"selectdata -a -v", "authdata", "authdata -a -v", "activity", "ntpdata", "ntpdata 192.0.2.1", "serverstats",
		"clients", "clients -k", "clients -r -p 3", "sourcename 192.0.2.1", "smoothing", "rtcdata", "manual list", "waitsync 1",
		"waitsync 2 0.1 100 0.1", "settime 12:00",
	} {
		all := []string{"-n", "-n -N", "-c", "-c -N"}
		if !old {
			all = append(all, "-n -e")
		}
		for _, options := range all {
			for seed := range uint64(seeds) {
				d.Set(func(d *Daemon) { d.Seed = seed })
				args := append(strings.Fields(options), report)
				if compare(t, d, "", args...); t.Failed() {
					t.Fatalf("daemon %d", seed)
				}
			}
		}
	}
}

// lines are commands whose requests, words and exit codes are compared. None
// looks a name up.
const lines = `
foo
tracking extra
Tracking
sources -x
sources x -v
authdata x
ntpdata ID#0000000001
ntpdata ID#1
ntpdata ID#99x
ntpdata 192.0.2.1 x
sourcename
sourcename 2001:db8::1
sourcename ID#0000000001
makestep
makestep 1
makestep a b
makestep 1.5 2
makestep 1 2 3
makestep 0.5 -1
maxupdateskew
maxupdateskew x
maxupdateskew 100x
reselect
reselectdist
reselectdist 0.0001
reselectdist abc
reselectdist 1e-30
reselectdist 1e30
reselectdist -1e30
reselectdist -1
reselectdist inf
activity x
add
add foo
add server
add Server 192.0.2.1
add server 192.0.2.1
add peer 192.0.2.1 IBurst
add pool 192.0.2.1 maxsources 2 iburst
add client 192.0.2.1
add server 192.0.2.1 minpoll
add server 192.0.2.1 foo
add server 192.0.2.1 key 12345 minpoll -6 maxpoll 99 minpoll 3
add server 192.0.2.1 minpoll 3x
add server 192.0.2.1 key 0
add server 192.0.2.1 key -1
add server 192.0.2.1 port 1123 presend 7 minstratum 2 polltarget 12 version 3
add server 192.0.2.1 minsamples 3 maxsamples 9 ntsport 4461 nts certset 3
add server 192.0.2.1 maxdelay 1e-3 maxdelayratio 2.5 maxdelaydevratio 4 mindelay 0.0001 asymmetry 0.5 offset -0.25
add server 192.0.2.1 filter 5 maxdelayquant 0.3 offline auto_offline
add server 192.0.2.1 prefer noselect trust require xleave burst copy extfield F323
delete
delete 192.0.2.1
delete 192.0.2.1 x
delete ID#0000000007
burst
burst 1
burst 1/2
burst 1/2 192.0.2.1
burst 1/2 127.0.0.0/8
burst 1/2 255.0.0.0/127.0.0.0
burst a/b
burst 1/2/3
burst -1/-2
burst 0/0 ::/0
online
online 192.0.2.1
online ID#0000000003
online 1.2.3.4/33
online 1.2.3.4/20
online 1.2.3.4/255.0.0.0
online 1.2.3.4/-1
online ::1/64
online ::1/67
online ::/0
online 0/0
online /8
online a/b
online 1.2.3.4/x
offline 2001:db8::1
onoffline
onoffline x
maxdelay
maxdelay 192.0.2.1
maxdelay 192.0.2.1 x
maxdelay 192.0.2.1 0.5
maxdelayratio 192.0.2.1 3
maxdelaydevratio 192.0.2.1 3x y
minpoll 192.0.2.1 0
minpoll 192.0.2.1 0x3
minpoll 192.0.2.1 x
minpoll 192.0.2.1
minpoll
minpoll 192.0.2.1 1 2
minpoll 192.0.2.1 99999999999
maxpoll ::1 -3
minstratum 192.0.2.1 1
polltarget 192.0.2.1 9
refresh
rekey x
reload sources
reload foo
reload sources x
reset
reset sources
reset foo
dump
dump x
cyclelogs
allow
allow all
allow All 1.2
allow 1.2.3.4
allow 1.2.3.4/24
allow 1.2.3
allow 1.2
allow 1
allow 0/0
allow 1.2.3.0/33
allow 1.2.3/x
allow 1.2.3.0/24x
allow all 1.2.3.0/24
allow ::1
allow ::/0
allow 2001:db8::/129
allow 2001:db8::/32 x
allow all all
allow 1.2.3.4 5
deny 0/0
deny all ::/0
cmdallow 1.2.3.0/24
cmdallow all
cmddeny
cmddeny all 10
accheck
accheck 1.2.3.4
accheck 2001:db8::5
cmdaccheck 1.2.3.4
cmdaccheck
clients -p
clients -p x
clients -p 3 -k -r
clients -x 3
local
local off
local off x
local stratum 3
local stratum
local stratum 16
local stratum 0
local foo
local orphan
local Orphan distance 0.5 stratum 7
smoothtime
smoothtime reset
smoothtime activate
smoothtime foo
smoothtime reset x
manual
manual on
manual off
manual off x
manual reset
manual foo
manual listx
manual delete
manual delete 3
manual deletex 3
manual delete x
manual delete -1
settime foo
trimrtc
writertc
dfreq
dfreq x
dfreq -2.5
doffset
doffset 0.125
doffset x
dns
dns -n
dns +n
dns -4
dns -46
dns foo
dns -n x
timeout
timeout 99
timeout 100
timeout x
timeout 1000 2
retries
retries -1
retries 3
password
password foo
authhash MD5
exit
quit x
shutdown
keygen x
keygen 1 FOO
keygen 1 sha1
keygen 1 AES128 256 x
keygen 1 MD5 x
serverstats x

   activity   x
# foo
! foo
`

// recent are commands that chronyc has since 4.6.
const recent = `
add server 192.0.2.1 ipv4 extfield F324
add pool 2001:db8::1 ipv6
local activate 0.1
selectopts
selectopts 192.0.2.1
selectopts 192.0.2.1 +trust -prefer
selectopts GPS +noselect +require -noselect
selectopts PPS0 trust
selectopts 192.0.2.1 +foo
selectopts 192.0.2.1 +Trust
selectopts TOOLONG +trust
selectopts ID#0000000002 +trust
offset
offset 192.0.2.1
offset 192.0.2.1 x
offset 192.0.2.1 0.5
offset GPS -0.25 x
`

func TestCommands(t *testing.T) {
	d := bench(t)
	all := lines
	if !old {
		all += recent
	}
	for line := range strings.Lines(all) {
		compare(t, d, "", "-n", strings.TrimSuffix(line, "\n"))
	}
}

// Every status is worded alike, whatever was asked.
func TestStatuses(t *testing.T) {
	d := bench(t)
	for status := cmdmon.Failed; status < 24; status++ {
		d.Set(func(d *Daemon) { d.Status = status })
		for _, line := range []string{"tracking", "sources", "accheck 1.2.3.4", "onoffline", "clients", "settime 12:00", "ntpdata 1.2.3.4"} {
			compare(t, d, "", line)
			compare(t, d, "", "-c", line)
		}
	}
}

// A report about every source may be open where what it asks about each is not.
func TestRefusedAmongReports(t *testing.T) {
	d := bench(t)
	d.Set(func(d *Daemon) { d.Refused = cmdmon.NTPData })
	for seed := range uint64(8) {
		d.Set(func(d *Daemon) { d.Seed = seed })
		compare(t, d, "", "-n", "ntpdata")
		compare(t, d, "", "-n", "-c", "ntpdata")
	}
}

func TestKeygen(t *testing.T) {
	d := bench(t)
	hex := regexp.MustCompile(`[0-9A-F]{20,}`)
	for _, line := range []string{"keygen", "keygen 73 SHA1 256", "keygen 1 AES128", "keygen 1 AES256 80", "keygen 1 MD5 8",
		"keygen 1 SHA3-256 100", "keygen -1 SHA512 5000", "keygen 4294967295 MD5 81", "keygen 5000000000"} {
		want, got := run(t, d, stock, "", line), run(t, d, ours, "", line)
		mask := func(s string) string {
			return hex.ReplaceAllStringFunc(s, func(s string) string { return strings.Repeat("*", len(s)) })
		}
		if mask(got.stdout) != mask(want.stdout) || got.code != want.code || got.stdout == want.stdout {
			t.Errorf("%s: %d %s want %d %s", line, got.code, got.stdout, want.code, want.stdout)
		}
	}
}

func TestOptions(t *testing.T) {
	d := bench(t)
	for _, args := range [][]string{
		{"-m", "sourcename 192.0.2.1", "activity"},
		{"-m", "sourcename 192.0.2.1", "foo", "activity"},
		{"-m", "-c", "activity", "exit", "tracking"},
		{"-m"}, {""}, {"-cn", "activity"}, {"-n", "--", "activity"}, {"-a", "-ffoo", "-d", "activity"}, {"-n", "activity", "-c"},
		{"sources", "--", "-v", "-n"}, {"-n", "sources", "-v"}, {"-h", "", "activity"}, {"-h", "/nonexistent/sock", "activity"},
		{"-h", "/nonexistent/sock,127.0.0.1", "activity"}, {"-4", "-h", "::1", "activity"}, {"-6", "activity"},
		{"-p", "1", "activity"}, {"-p", "x", "activity"}, {"activity\ntracking"}, {"sourcename", "192.0.2.1"},
	} {
		compare(t, d, "", args...)
	}
	if !old {
		compare(t, d, "", "-m", "-e", "sourcename 192.0.2.1", "foo", "", "#", "dns -n", "activity")
	}
}

func TestInput(t *testing.T) {
	d := bench(t)
	for _, text := range []string{
		"sourcename 192.0.2.1\nfoo\nactivity\n", "foo", "\n\nactivity\nquit\nfoo\n", "", "foo\nexit\n", "foo\n\n", "foo\nactivity",
		"dns -n\nsources\ntimeout 200\nretries 0\nactivity", strings.Repeat("x", 3000) + "\n", "# a\n  activity  \n; b\n",
	} {
		compare(t, d, text, "-n")
		if !old {
			compare(t, d, text, "-n", "-e")
		}
	}
}

// Replies that are none are passed over, and what gets no answer is asked again.
func TestBadReplies(t *testing.T) {
	d := bench(t)
	keep := func(b []byte, change func(b []byte)) []byte {
		b = slices.Clone(b)
		change(b)
		return b
	}
	for name, mangle := range map[string]func(attempt uint16, reply []byte) [][]byte{
		"silence":      func(uint16, []byte) [][]byte { return nil },
		"second":       func(n uint16, b []byte) [][]byte { return [][]byte{b}[:min(n, 1)] },
		"sequence":     func(_ uint16, b []byte) [][]byte { return [][]byte{keep(b, func(b []byte) { b[17]++ })} },
		"command":      func(_ uint16, b []byte) [][]byte { return [][]byte{keep(b, func(b []byte) { b[5]++ })} },
		"reserved":     func(_ uint16, b []byte) [][]byte { return [][]byte{keep(b, func(b []byte) { b[2]++ })} },
		"request":      func(_ uint16, b []byte) [][]byte { return [][]byte{keep(b, func(b []byte) { b[1] = 1 })} },
		"version":      func(_ uint16, b []byte) [][]byte { return [][]byte{keep(b, func(b []byte) { b[0] = 5 })} },
		"other type":   func(_ uint16, b []byte) [][]byte { return [][]byte{keep(b, func(b []byte) { b[7] = 2 })} },
		"unknown type": func(_ uint16, b []byte) [][]byte { return [][]byte{keep(b, func(b []byte) { b[6] = 9 })} },
		"null type":    func(_ uint16, b []byte) [][]byte { return [][]byte{keep(b, func(b []byte) { b[7] = 1 })} },
		"short":        func(_ uint16, b []byte) [][]byte { return [][]byte{b[:len(b)-1]} },
		"empty":        func(_ uint16, b []byte) [][]byte { return [][]byte{{}} },
		"long":         func(_ uint16, b []byte) [][]byte { return [][]byte{append(b, 0, 0, 0, 0)} },
		"first bad, then good": func(_ uint16, b []byte) [][]byte {
			return [][]byte{keep(b, func(b []byte) { b[17]++ }), b[:20], b}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d.Set(func(d *Daemon) { d.Mangle = mangle })
			compare(t, d, "", "-n", "-m", "timeout 100", "retries 1", "tracking")
			compare(t, d, "", "-n", "-m", "timeout 100", "retries 0", "onoffline")
		})
	}
}

// A daemon of another version says so, and only to that stock chronyc has a second
// try.
func TestOtherVersion(t *testing.T) {
	d := bench(t)
	d.Set(func(d *Daemon) {
		d.Mangle = func(_ uint16, b []byte) [][]byte {
			b = slices.Clone(b[:cmdmon.ReplyHeaderLen])
			b[0], b[7], b[9] = cmdmon.Version-1, byte(cmdmon.ReplyNull), byte(cmdmon.BadPacketVersion)
			return [][]byte{b}
		}
	})
	printed(t, d, "", "-n", "tracking")
	printed(t, d, "", "-n", "onoffline")
}
