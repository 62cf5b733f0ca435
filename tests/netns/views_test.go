// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"context"
	"io"
	"net"
	"net/http"
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
