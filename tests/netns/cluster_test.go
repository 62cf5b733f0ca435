// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"foliot/internal/control"
)

// TestCluster runs the configurations of an existing cluster: one node follows an
// upstream server and serves, others follow it. Only addresses and directories
// are changed.
func TestCluster(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	upstream := b.b
	node, err := b.lab.Space()
	b.must(err)
	up, err := b.lab.Link(upstream, node)
	b.must(err)
	down, err := b.lab.Link(node, b.a)
	b.must(err)
	b.must(b.a.Hosts(down.A4.String() + " openstack1"))
	b.must(node.Hosts())

	b.chronyd(upstream, "upstream", serving)
	server := b.foliotd(node, "server", seed(b, "seed-server.conf", "server",
		"192.168.4.254", up.A4.String(), "192.168.0.0/16", "10.77.0.0/16"))
	b.selected(server, up.A4, 20*time.Second)
	client := b.foliotd(b.a, "client", seed(b, "seed-client.conf", "client"))
	other := b.chronyd(b.a, "other", seed(b, "seed-client.conf", "other")+"port 0\n")
	b.until(20*time.Second, "the client selects openstack1", func() bool {
		status, _ := client.Ctl("status")
		return strings.Contains(status, "* "+down.A4.String()+" (openstack1)")
	})
	b.chronySelected(other, down.A4, 20*time.Second)
	for _, d := range []*Daemon{client, other} {
		all := b.measured(d, down.A4, 4, 15*time.Second)
		b.accurate(all)
		if got := all[len(all)-1].Stratum; got != 4 {
			t.Errorf("%s sees stratum %d, want 4: upstream has 3", d.Name, got)
		}
	}
	var text strings.Builder
	b.must(control.Do(t.Context(), server.Socket, control.VerbState, &text))
	if list := text.String(); !strings.Contains(list, `"client":"`+down.B4.String()+`"`) {
		t.Errorf("the server does not remember its client %s:\n%s", down.B4, list)
	}
}

// seed returns a configuration of the cluster with other directories, and with
// each first of two words replaced by the second.
func seed(b *bench, file, name string, swap ...string) string {
	b.Helper()
	text, err := os.ReadFile("../../internal/chronyconf/testdata/" + file)
	b.must(err)
	dir := b.lab.Path(name)
	swap = append(swap, "/var/lib/chrony", dir, "/var/log/chrony", dir+"/log")
	for i := 0; i < len(swap); i += 2 {
		if i < len(swap)-4 && !strings.Contains(string(text), swap[i]) {
			b.Fatalf("%s does not contain %s", file, swap[i])
		}
	}
	return strings.NewReplacer(swap...).Replace(string(text))
}

// TestFloodSparesClient floods the server port of a foliotd that follows a server
// itself: it goes on asking that, and measures as well as before.
func TestFloodSparesClient(t *testing.T) {
	b := newBench(t)
	outside, err := b.lab.Space()
	b.must(err)
	link, err := b.lab.Link(outside, b.a)
	b.must(err)
	b.chronyd(b.b, "upstream", serving)
	const poll = "iburst minpoll -2 maxpoll -2" // four times a second
	d := b.foliotd(b.a, "foliotd", fmt.Sprintf("server %s %s\nallow all\n", b.link.B4, poll))
	b.selected(d, b.link.B4, 12*time.Second)
	quiet := b.measured(d, b.link.B4, 30, 15*time.Second)

	const span = 6 * time.Second
	sent := floodFor(b, outside, netip.AddrPortFrom(link.B4, 123), span)
	all := b.measured(d, b.link.B4, len(quiet)+1, 5*time.Second)
	during := all[len(quiet):]
	status, err := d.Ctl("status")
	b.must(err)
	spread := func(m []Measurement) float64 { return Quantile(Offsets(m), 0.5) }
	t.Logf("%d requests in %v; %d measurements, median |offset| %.2f us, before %.2f us\n%s",
		sent, span, len(during), spread(during)*1e6, spread(quiet)*1e6, status)
	if want := int(span.Seconds()*4) * 3 / 4; len(during) < want {
		t.Errorf("%d measurements during the flood, want at least %d", len(during), want)
	}
	if got, limit := spread(during), max(50e-6, 10*spread(quiet)); got > limit {
		t.Errorf("median |offset| during the flood is %.1f us, want at most %.1f us", got*1e6, limit*1e6)
	}
	if n := reach(status, b.link.B4.String()); n != 0o377 {
		t.Errorf("reach is %o after the flood, want 377", n)
	}
}

// floodFor sends requests to the server port as fast as two threads can and
// returns how many.
func floodFor(b *bench, from *Space, to netip.AddrPort, span time.Duration) int64 {
	b.Helper()
	var request [48]byte
	request[0] = 4<<3 | 3 // version 4, a client
	var sent atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(span)
	for range 2 {
		conn, err := from.dial(to)
		b.must(err)
		defer conn.Close()
		wg.Go(func() {
			for time.Now().Before(end) {
				for range 64 {
					if _, err := conn.Write(request[:]); err == nil {
						sent.Add(1)
					}
				}
			}
		})
	}
	wg.Wait()
	if sent.Load() < 50_000 {
		b.Fatalf("only %d requests could be sent", sent.Load())
	}
	return sent.Load()
}
