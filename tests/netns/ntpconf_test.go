// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// alone gives a daemon a /run of its own, since ntp.conf has no word for where the
// sockets of commands are.
const alone = `mount -t tmpfs none /run && exec "$0" "$@"`

// ntpDaemon starts foliotd on a text in the language of ntp.conf.
func (b *bench) ntpDaemon(s *Space, name, text string) *Daemon {
	b.Helper()
	dir := b.lab.Path(name)
	path, err := b.lab.Write(text+"pidfile "+dir+"/pid\n", name, "etc", "ntp.conf")
	b.must(err)
	d := &Daemon{Space: s, Dir: dir, Config: path, Socket: filepath.Join(dir, "ctl.sock"), bins: binaries}
	cmd := s.Command("sh", "-c", alone, binaries.Foliotd, "-d", "-x", "-f", path)
	cmd.Env = append(os.Environ(), "FOLIOT_SOCKET="+d.Socket)
	d.Process, err = b.lab.Start(name, cmd)
	b.must(err)
	b.all = append(b.all, d)
	return d
}

// ntpSeed returns a configuration of a cluster that runs ntpd, with the directories
// of one test.
func ntpSeed(b *bench, file, name string, swap ...string) string {
	b.Helper()
	text, err := os.ReadFile("../../internal/convert/testdata/" + file)
	b.must(err)
	return strings.NewReplacer(append(swap, "/var/lib/ntp/", b.lab.Path(name)+"/", "/etc/ntp/", b.lab.Path(name)+"/")...).Replace(string(text))
}

// TestNTPCluster runs the ntp.conf of an existing cluster whose server has only its
// own clock: its clients follow it, and ntpq shows on both what it showed of ntpd.
func TestNTPCluster(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ntpq := b.peer("ntpq")
	stats := b.lab.Path("client") + "/"
	server := b.ntpDaemon(b.b, "server", ntpSeed(b, "seed-ntp-server.conf", "server"))
	client := b.ntpDaemon(b.a, "client", ntpSeed(b, "seed-ntp-client.conf", "client", "192.168.0.1", b.link.B4.String())+
		"statsdir "+stats+"\nstatistics loopstats peerstats\nfilegen peerstats type none\n")
	b.selected(client, b.link.B4, 25*time.Second)

	ask := func(from *Space, args ...string) string {
		out, _ := from.Run(append([]string{ntpq}, args...)...)
		return out
	}
	row := func(what, pattern string, from *Space) {
		t.Helper()
		if out := ask(from, "-pn", "127.0.0.1"); !regexp.MustCompile(`(?m)^` + pattern).MatchString(out) {
			t.Errorf("ntpq on the %s does not show %s:\n%s", what, pattern, out)
		}
	}
	row("server", `\*LOCAL\(0\) +\.LOCL\. +3 l +\S+ +64 +377 +0\.0+ +[+-]?0\.0+ +0\.0+$`, b.b)
	row("client", `\*`+regexp.QuoteMeta(b.link.B4.String())+` +(LOCAL\(0\)|127\.127\.1\.0) +4 u +\S+ +64 +\d+ +0\.\d+ +[+-]?0\.\d+ +0\.\d+$`, b.a)
	if out := ask(b.a, "-c", "rv", b.link.B4.String()); strings.Contains(out, "stratum=") {
		t.Errorf("the server tells others about itself in spite of noquery:\n%s", out)
	}
	if out := ask(b.b, "-c", "rv", "127.0.0.1"); !strings.Contains(out, "stratum=4") || !strings.Contains(out, "leap_none") {
		t.Errorf("ntpq -c rv on the server:\n%s", out)
	}
	for _, d := range []*Daemon{server, client} {
		if !listens(d) {
			t.Errorf("%s has no socket at port 123", d.Name)
		}
		for _, w := range []string{"includefile directive at line ", "read key file"} {
			if !strings.Contains(d.Log(), w) {
				t.Errorf("%s says nothing of a missing file (%s):\n%s", d.Name, w, d.Log())
			}
		}
	}
	line := regexp.MustCompile(`^\d{5} \d+\.\d{3} ` + regexp.QuoteMeta(b.link.B4.String()) + ` [0-9a-f]{4} -?0\.\d{9} 0\.\d{9} 0\.\d{9} 0\.\d{9}\n`)
	b.until(5*time.Second, "peerstats are written", func() bool {
		text, _ := os.ReadFile(stats + "peerstats")
		return line.Match(text)
	})
	loop := regexp.MustCompile(`^\d{5} \d+\.\d{3} -?0\.\d{9} -?\d+\.\d{3} 0\.\d{9} \d+\.\d{6} 6\n`)
	if text, _ := os.ReadFile(stats + "loopstats"); !loop.Match(text) {
		t.Errorf("loopstats: %q", text)
	}
}

// TestRestrict: what restrict takes away is gone, for those who ask and for our own
// servers.
func TestRestrict(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ntpq := b.peer("ntpq")
	b.chronyd(b.b, "server", serving)
	const options = " iburst minpoll 0 maxpoll 0\n"
	text := "server " + b.link.B4.String() + options + "server " + b.link.B6.String() + options + "restrict 127.0.0.1\nrestrict default noquery\n"
	d := b.ntpDaemon(b.a, "client", text+"restrict "+b.link.B6.String()+" ignore\nrestrict "+b.link.B4.String()+" noserve\n"+"restrict "+b.link.B4.String()+"/31\n")
	reached := func(addr string) bool {
		status, _ := d.Ctl("status")
		return reach(status, addr) != 0
	}
	time.Sleep(4 * time.Second)
	if reached(b.link.B4.String()) || reached(b.link.B6.String()) {
		t.Error("a server is heard although restrict has noserve, or ignore, for it")
	}
	if n := strings.Count(d.Log(), "is never heard: restrict has"); n != 2 {
		t.Errorf("%d warnings about servers that are never heard, want 2:\n%s", n, d.Log())
	}
	if out, _ := b.b.Run(ntpq, "-pn", b.link.A4.String()); !strings.Contains(out, b.link.B4.String()+" ") {
		t.Errorf("noserve keeps ntpq out:\n%s", out)
	}
	b.must(os.WriteFile(d.Config, []byte(text), 0o644))
	if out, err := d.Ctl("reload"); err != nil {
		t.Fatalf("reload: %v: %s", err, out)
	}
	b.until(15*time.Second, "both servers are heard", func() bool { return reached(b.link.B4.String()) && reached(b.link.B6.String()) })
	if out, _ := b.b.Run(ntpq, "-pn", b.link.A4.String()); strings.Contains(out, b.link.B4.String()+" ") {
		t.Errorf("noquery does not keep ntpq out:\n%s", out)
	}
	b.must(os.WriteFile(d.Config, []byte(text+"restrict 10.0.0.0 mask 255.0.300.0\n"), 0o644))
	if out, err := d.Ctl("reload"); err == nil || !strings.Contains(out, "line 5 in file "+d.Config) {
		t.Errorf("reload of a bad file: %v: %s", err, out)
	}
}
