// SPDX-License-Identifier: Apache-2.0

package mode6

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"foliot/internal/clientlog"
)

// ntpq always asks port 123, so the test runs itself again in a network namespace
// of its own, which ends with it.
const inside = "FOLIOT_MODE6_INSIDE"

// ntpq finds the one of NTPsec: unpacked by tests/peers.sh, or installed.
func ntpq() (string, error) {
	if cache, err := os.UserCacheDir(); err == nil {
		path := filepath.Join(cache, "foliot-peers", "bin", "ntpq")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return exec.LookPath("ntpq")
}

// TestStockNtpq shows a state with the stock ntpq.
func TestStockNtpq(t *testing.T) {
	program, err := ntpq()
	if os.Geteuid() != 0 {
		err = errors.New("a network namespace needs root")
	}
	if err != nil {
		if os.Getenv("CI") == "true" && os.Geteuid() == 0 {
			t.Fatalf("cannot run although CI=true: %v", err)
		}
		t.Skip(err)
	}
	if os.Getenv(inside) == "" {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "unshare", "--net", "--kill-child", os.Args[0], "-test.run", "^TestStockNtpq$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1")
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	h := serve(t)
	for _, tt := range ntpqCases {
		t.Run(tt.name, func(t *testing.T) { h.show(t, program, tt.args, tt.want, tt.not) })
	}
}

// harness is a server of control messages on port 123 of both families, with a
// state made now, so that what ntpq counts from the clock is known.
type harness struct {
	mu sync.Mutex
	r  *Responder
}

func serve(t *testing.T) *harness {
	t.Helper()
	h := &harness{r: New(Config{Secret: [32]byte{7}, Machine: Machine{"x86_64", "Linux", "6.1.0"}})}
	for _, at := range []string{"127.0.0.1:123", "[::1]:123"} {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at)))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.answer(conn)
		}()
		t.Cleanup(func() { conn.Close(); <-done })
	}
	return h
}

func (h *harness) answer(conn *net.UDPConn) {
	b := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		now := time.Now()
		h.mu.Lock()
		for _, f := range h.r.Respond(&Request{
			Octets: b[:n], From: from, Now: labNow(now), State: labState(now),
			Clients: func() []clientlog.Record { return labClients(300, now.Truncate(time.Hour)) },
		}) {
			conn.WriteToUDPAddrPort(f, from)
		}
		h.mu.Unlock()
	}
}

// show runs ntpq and compares what it prints.
func (h *harness) show(t *testing.T, program string, args, want []string, not string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, append(args, "127.0.0.1")...).CombinedOutput()
	t.Logf("ntpq %s\n%s", strings.Join(args, " "), out)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		if !regexp.MustCompile(`(?m)` + w).Match(out) {
			t.Errorf("no line like %s", w)
		}
	}
	if regexp.MustCompile(`Traceback|\?\?\?|Unknown variable|\*\*\*|(?i)warning` + not).Match(out) {
		t.Error("ntpq complains")
	}
}

// billboard are the lines of "ntpq -pn" but for what is between name and st.
const (
	line1 = ` 1 u   1[78]   64  377  10\.5000   0\.1235   0\.0150$`
	line2 = ` 2 u   4[01]   64  357  10\.5000  -2\.3400   0\.0150$`
	line3 = ` 1 u    [34]   64  377  10\.5000 -1500\.00   0\.0150$`
	line4 = ` 1 s 100\d   64  377  10\.5000   0\.1000   0\.0150$`
	line5 = `16 u    -   64    0   0\.0000   0\.0000   0\.0000$`
	line6 = ` 0 l    [56]   16  377   0\.0000   0\.1000   0\.0020$`
)

var ntpqCases = []struct {
	name string
	args []string
	want []string
	not  string
}{
	{"billboard", []string{"-pn"}, []string{
		`^\*192\.0\.2\.1 +\.PPS\. +` + line1, `^\+2001:db8::123 +203\.0\.113\.9 +` + line2, `^x192\.0\.2\.3 +\.PPS\. +` + line3,
		`^-192\.0\.2\.4 +\.PPS\. +` + line4, `^ 192\.0\.2\.5 +\.INIT\. +` + line5, `^ GPS\(0\) +\.GPS\. +` + line6,
		`^ ntp\.example\.in.* +\.DNS\. +16 u    -   64    0`,
	}, ""},
	{"names as given", []string{"-n", "-c", "hostnames hostnum", "-c", "pe"}, []string{`^\*ntp1\.example\.ne`, `^x192\.0\.2\.3 `}, ""},
	{"lpeers", []string{"-n", "-c", "lpe"}, []string{`^\*192\.0\.2\.1 +\.PPS\. +` + line1}, ""},
	{"opeers", []string{"-n", "-c", "opeer"}, []string{`^\*192\.0\.2\.1 +192\.0\.2\.99 +1 u .* 0\.4000$`, `^\+2001:db8::123 +2001:db8::99 `}, ""},
	{"apeers", []string{"-n", "-c", "apeers"}, []string{`^\*192\.0\.2\.1 +\.PPS\. +1 +` + line1, `^ GPS\(0\) +\.GPS\. +6 +` + line6}, ""},
	{"rpeers", []string{"-n", "-c", "rpeers"}, []string{`^  1 u +\d+   64  377  10\.5000   0\.1235   0\.0150$`}, ""},
	{"units", []string{"-nu", "-c", "pe"}, []string{`^\*192\.0\.2\.1 .* 10\.500ms 123\.46us 15\.000us`}, ""},
	{"associations", []string{"-c", "as"}, []string{
		`^  1     1  961a   yes   yes  none  sys\.peer    sys_peer  1$`, `^  2     2  1414    no   yes  none candidate   reachable  1$`,
		`^  3     3  f114   yes   yes   ok  falsetick   reachable  1$`, `^  4     4  9314   yes   yes  none   outlier   reachable  1$`,
		`^  5     5  8011   yes    no  none    reject    mobilize  1$`, `^  7 65535  8011   yes    no  none    reject`,
	}, ""},
	{"rv", []string{"-c", "rv"}, []string{
		`^associd=0 status=0615 leap_none, sync_ntp, 1 event, clock_sync,$`, `leap=00, stratum=2, precision=-25, rootdelay=10\.5, rootdisp=2\.1,`,
		`refid=192\.0\.2\.1,`, `reftime=\w+\.\w+ 20\d\d-\d\d-\d\dT`, `offset=0\.012345, frequency=-12\.345, sys_jitter=0\.015,`, `system="Linux"`, `version="foliotd 1\.2"`, `tai=37`,
	}, ""},
	{"rv of an association", []string{"-n", "-c", "rv 2"}, []string{
		`^associd=2 status=1414 reach, sel_candidate, 1 event, reachable,$`, `srcadr=2001:db8::123, srcport=123, dstadr=2001:db8::99`,
		`reach=357`, `delay=10\.5, offset=-2\.34`, `flash=00 ok`, `srchost="ntp2\.example\.net"`,
	}, ""},
	{"rv of all associations", []string{"-n", "-c", "mrv &1 &6"}, []string{`^associd=6 status=9014`, `flash=1000 peer_unreach`}, `|No information`},
	{"named variables", []string{"-c", "rv 0 offset stratum"}, []string{`offset=0\.012345`, `stratum=2`}, ""},
	{"clock", []string{"-c", "cv 6"}, []string{`name="GPS\(0\)"`, `refid=GPS`}, ""},
	{"raw", []string{"-c", "raw", "-c", "rv"}, []string{`^leap=0, stratum=2,`}, ""},
	{"pstats", []string{"-n", "-c", "pstats 3"}, []string{`remote host:\s+192\.0\.2\.3`, `time last received:\s+00:00:0[34]`, `packets sent:\s+100`, `duplicate:\s+1$`}, ""},
	{"sysinfo", []string{"-n", "-c", "sysinfo"}, []string{
		`system peer:\s+192\.0\.2\.1:123`, `system peer mode:\s+client`, `leap indicator:\s+00`, `stratum:\s+2$`, `log2 precision:\s+-25`,
		`root delay:\s+10\.5`, `root dispersion:\s+2\.1`, `reference ID:\s+192\.0\.2\.1`, `reference time:\s+\w+\.\w+ 20`, `system jitter:\s+0\.015`,
	}, ""},
	{"kerninfo", []string{"-c", "kerninfo"}, []string{`pll offset:\s+0\.0015`, `pll frequency:\s+-12\.345`, `maximum error:\s+12\.3`, `kernel status:\s+pll nano`, `pll time constant:\s+7`}, ""},
	{"iostats", []string{"-c", "iostats"}, []string{`time since reset:\s+1D 00:00:00`, `received packets:\s+1615`, `packets sent:\s+1009`}, ""},
	{"sysstats", []string{"-c", "sysstats"}, []string{
		`uptime:\s+1D 00:00:00`, `control requests:\s+\d+$`, `packets received:\s+1615\s+1615`, `current version:\s+1000\s+1000`, `rate limited:\s+511\s+511`, `KoD responses:\s+11\s+11`,
	}, ""},
	{"monstats", []string{"-c", "monstats"}, []string{`enabled:\s+1$`, `addresses in use:\s+3$`, `alloc: recycle full:\s+7$`}, ""},
	{"authinfo", []string{"-c", "authinfo", "-c", "timerstats", "-c", "ntsinfo"}, nil, ""},
	{"mrulist", []string{"-n", "-c", "mrulist"}, []string{
		`^ +\d+ +0 +0 \. 3 3 +1 +- +0 +0 10\.0\.0\.0$`, `2001:db8:0:2::$`, `^# Collected 300 slots in`,
	}, ""},
	{"mrulist of the limited", []string{"-n", "-c", "mrulist limited sort=count"}, []string{` 20 L 3 4 `, `^# Collected 75 slots in`}, ""},
	{"several commands", []string{"-n", "-c", "as", "-c", "rv &1", "-c", "pe"}, []string{`associd=1 status=961a`}, ""},
}
