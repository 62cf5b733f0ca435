// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestNtpq lets stock ntpq look at a foliotd, from the machine itself, from one that
// may monitor it and from one that may not.
func TestNtpq(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ntpq := b.peer("ntpq")
	b.chronyd(b.b, "server", serving)
	d := b.foliotd(b.a, "client", "server "+b.link.B4.String()+" "+fast+"\nallow all\n")
	b.selected(d, b.link.B4, 12*time.Second)
	b.measured(d, b.link.B4, 4, 12*time.Second)
	ask := func(from *Space, args ...string) string {
		out, _ := from.Run(append([]string{ntpq}, args...)...)
		return out
	}
	if out := ask(b.a, "-pn", "127.0.0.1"); !strings.Contains(out, "*"+b.link.B4.String()+" ") {
		t.Errorf("ntpq -pn on the machine itself shows no selected source:\n%s", out)
	}
	if out := ask(b.a, "-c", "rv", "127.0.0.1"); !strings.Contains(out, "stratum=4") || !strings.Contains(out, "sync_ntp") {
		t.Errorf("ntpq -c rv shows no synchronised clock of stratum 4:\n%s", out)
	}
	if out := ask(b.b, "-pn", b.link.A4.String()); strings.Contains(out, b.link.B4.String()+" ") {
		t.Errorf("another machine, which may not ask, gets\n%s", out)
	}
	b.must(d.Rewrite("server " + b.link.B4.String() + " " + fast + "\nallow all\ncmdallow " + b.link.B4.String() + "\n"))
	if out, err := d.Ctl("reload"); err != nil {
		t.Fatalf("reload: %v: %s", err, out)
	}
	if out := ask(b.b, "-pn", b.link.A4.String()); !strings.Contains(out, "*"+b.link.B4.String()+" ") {
		t.Errorf("another machine, which may ask now, gets\n%s", out)
	}
}

// TestNtpqAfterCommands: who may ask by chronyc after a cmdallow may ask by ntpq.
func TestNtpqAfterCommands(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ntpq := b.peer("ntpq")
	d := b.foliotd(b.a, "server", "local stratum 3\nallow all\n")
	ask := func() string {
		out, _ := b.b.Run(ntpq, "-c", "rv", b.link.A4.String())
		return out
	}
	b.until(10*time.Second, "the server answers", func() bool {
		status, _ := d.Ctl("status")
		return strings.Contains(status, "stratum 3")
	})
	for _, step := range []struct {
		order string
		heard bool
	}{{"cmddeny all", false}, {"cmdallow " + b.link.B4.String(), true}, {"cmddeny all", false}} {
		if out, err := d.Chronyc(strings.Fields(step.order)...); err != nil {
			t.Fatalf("%s: %v: %s", step.order, err, out)
		}
		if out := ask(); strings.Contains(out, "stratum=3") != step.heard {
			t.Errorf("after %s ntpq prints\n%s", step.order, out)
		}
	}
}

// TestMovePages moves the listener for metrics by a reload.
func TestMovePages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.foliotd(b.a, "daemon", "local stratum 3\n")
	there := func(at, text string) bool {
		body, _, err := b.a.get(at, "/metrics")
		return err == nil && strings.Contains(body, text)
	}
	b.until(10*time.Second, "the daemon listens", func() bool { return exists(d.Socket) })
	at := ""
	for _, step := range []struct{ config, at string }{
		{"", "127.0.0.1:9923"}, {"metrics listen 127.0.0.1:9924", "127.0.0.1:9924"},
		{"metrics listen [::]:9924\nmetrics compat chrony", "127.0.0.1:9924"}, {"metrics listen off", ""}, {"metrics listen 127.0.0.1:9925", "127.0.0.1:9925"},
	} {
		b.must(d.Rewrite("local stratum 3\n" + step.config + "\n"))
		if out, err := d.Ctl("reload"); err != nil {
			t.Fatalf("reload: %v: %s", err, out)
		}
		if step.at != "" && !there(step.at, "\nfoliot_build_info") {
			t.Errorf("with %q nobody is at %s", step.config, step.at)
		}
		if at != step.at && at != "" && there(at, "foliot") {
			t.Errorf("with %q somebody is still at %s", step.config, at)
		}
		if strings.Contains(step.config, "compat") && !there(step.at, "\nchrony_up") {
			t.Errorf("with %q there are no names of chrony_exporter", step.config)
		}
		at = step.at
	}
	if log := d.Log(); strings.Contains(log, "Could not") {
		t.Errorf("the daemon complains:\n%s", log)
	}
}

// TestDiag: the text for a bug report has what the daemon says, and no key.
func TestDiag(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const secret = "5EC2E70123456789ABCDEF"
	keys, err := b.lab.Write("7 SHA1 HEX:"+secret+"\n", "client", "chrony.keys")
	b.must(err)
	b.must(os.Chmod(keys, 0o600))
	b.chronyd(b.b, "server", serving+"keyfile "+keys+"\n")
	d := b.foliotd(b.a, "client", "server "+b.link.B4.String()+" "+fast+" key 7\nkeyfile "+keys+"\n")
	b.selected(d, b.link.B4, 12*time.Second)
	out, err := d.Space.Command(d.bins.Foliotctl, "-s", d.Socket, "-h", d.Commands, "diag").CombinedOutput()
	if err != nil {
		t.Fatalf("diag: %v: %s", err, out)
	}
	text := string(out)
	for _, want := range []string{"Selected source " + b.link.B4.String(), "Reference ID    : ", "^* " + b.link.B4.String(),
		"\"process_id\": ", "Name: foliotd", "key (left out)", "keyfile " + keys} {
		if !strings.Contains(text, want) {
			t.Errorf("the bundle lacks %q", want)
		}
	}
	if strings.Contains(text, secret) || strings.Contains(text, "HEX:") {
		t.Error("the bundle has a key")
	}
	if t.Failed() {
		t.Logf("%.20000s", text)
	}
}

// TestPages reads metrics and the status page.
func TestPages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.chronyd(b.b, "server", serving)
	d := b.foliotd(b.a, "client", "server "+b.link.B4.String()+" "+fast+"\nmetrics compat chrony\n")
	b.selected(d, b.link.B4, 12*time.Second)
	b.measured(d, b.link.B4, 4, 12*time.Second)
	for path, want := range map[string][]string{
		"/metrics": {
			"\nfoliot_tracking_synchronised 1\n", "\nfoliot_tracking_stratum 4\n", "\nchrony_tracking_stratum 4",
			`address="` + b.link.B4.String(), "foliot_measurement_offset_seconds_count",
		},
		"/":        {b.link.B4.String(), "The clock is synchronised to"},
		"/healthz": {""},
	} {
		body, code, err := b.a.get("127.0.0.1:9923", path)
		if err != nil || code != http.StatusOK {
			t.Errorf("%s: status %d, %v", path, code, err)
			continue
		}
		for _, text := range want {
			if !strings.Contains(body, text) {
				t.Errorf("%s lacks %q", path, text)
			}
		}
		if t.Failed() {
			t.Logf("%s:\n%.3000s", path, body)
		}
	}
	if _, _, err := b.b.get(b.link.A4.String()+":9923", "/metrics"); err == nil {
		t.Error("another machine reads the metrics")
	}
}

// get asks a web server from within the namespace.
func (s *Space) get(host, path string) (body string, code int, err error) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
			err = s.Inside(func() error {
				conn, err = new(net.Dialer).DialContext(ctx, network, addr)
				return err
			})
			return conn, err
		},
	}}
	resp, err := client.Get("http://" + host + path)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), resp.StatusCode, err
}
