// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
)

// keys are known to both sides.
const keys = "1 SHA1 HEX:6B8B4567327B23C6643C98696633487374B0DC51\n" +
	"2 AES128 HEX:8D6B9C2F0E1A4B7D3C5F6A798E0B1D2C\n" +
	"3 SHA512 HEX:51B23C9A7F60D4E8A1C5397BE2064D8F1B7A90C3\n"

// TestClient lets foliotd follow stock chronyd.
func TestClient(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server func(*Link) string
		addr   func(*Link) netip.Addr
		opts   string
		inter  bool
	}{
		{name: "IPv4"},
		{name: "IPv6", addr: func(k *Link) netip.Addr { return k.B6 }},
		{name: "xleave", opts: "xleave", inter: true},
		{name: "key SHA1", opts: "key 1"},
		{name: "key AES128", opts: "key 2"},
		{name: "name", server: func(*Link) string { return "clock.example" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			addr := b.link.B4
			if tt.addr != nil {
				addr = tt.addr(b.link)
			}
			server := addr.String()
			if tt.server != nil {
				server = tt.server(b.link)
				b.must(b.a.Hosts(addr.String() + " " + server))
			}
			path, err := b.lab.Write(keys, "keys")
			b.must(err)
			b.chronyd(b.b, "server", serving+"keyfile "+path+"\n")
			d := b.foliotd(b.a, "client", fmt.Sprintf("server %s %s %s\nkeyfile %s\n", server, fast, tt.opts, path))
			b.selected(d, addr, 10*time.Second)
			all := b.measured(d, addr, 8, 15*time.Second)
			b.accurate(all)
			b.stamped(all)
			if last := all[len(all)-1]; last.Interleaved != tt.inter {
				t.Errorf("interleaved is %v, want %v: %+v", last.Interleaved, tt.inter, last)
			}
		})
	}
}

// TestWrongKey proves that authentication is checked at all.
func TestWrongKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	path, err := b.lab.Write(keys, "keys")
	b.must(err)
	wrong, err := b.lab.Write("1 SHA1 HEX:0000000000000000000000000000000000000000\n", "wrong")
	b.must(err)
	b.chronyd(b.b, "server", serving+"keyfile "+path+"\n")
	d := b.foliotd(b.a, "client", fmt.Sprintf("server %s %s key 1\nserver %s %s\nauthselectmode ignore\nkeyfile %s\n",
		b.link.B4, fast, b.link.B6, fast, wrong))
	b.selected(d, b.link.B6, 10*time.Second)
	b.measured(d, b.link.B6, 8, 15*time.Second)
	for _, m := range Measurements(d.LogFile("measurements")) {
		if m.Source == b.link.B4.String() {
			t.Errorf("a packet with the wrong key was accepted: %+v", m)
		}
	}
}

// TestUserConfiguration runs the configuration of an ordinary cluster node: one
// server by name that answers, one that does not.
func TestUserConfiguration(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(b.a.Hosts(b.link.B4.String()+" controller1", "10.77.200.1 3.pool.example"))
	b.chronyd(b.b, "server", serving)
	dir := b.lab.Path("client")
	d := b.foliotd(b.a, "client", strings.Join([]string{
		"server controller1 iburst", "server 3.pool.example iburst", "",
		"driftfile " + dir + "/drift", "makestep 1.0 3", "rtcsync", "", "#allow 192.168.0.0/16", "",
	}, "\n"))
	b.selected(d, b.link.B4, 15*time.Second)
	status, err := d.Ctl("status")
	b.must(err)
	if row := Row(status, "10.77.200.1"); !strings.HasPrefix(row, "M") {
		t.Errorf("row of the server that does not answer is %q, want it to begin with M (missing samples)", row)
	}
	if !strings.Contains(status, "(controller1)") {
		t.Errorf("status does not name controller1:\n%s", status)
	}
	b.accurate(b.measured(d, b.link.B4, 3, 10*time.Second))
}

// TestOneShot prints the offset and ends (-Q).
func TestOneShot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.chronyd(b.b, "server", serving)
	time.Sleep(time.Second) // let the server come up: a one-shot client does not wait for it
	d := b.prepare(b.a, "client", "server "+b.link.B4.String()+" iburst\n")
	b.must(d.Start("-d", "-Q", "-t", "20"))
	code, err := d.Wait(30 * time.Second)
	b.must(err)
	if code != 0 || !regexp.MustCompile(`System clock wrong by \S+ seconds \(ignored\)`).MatchString(d.Log()) {
		t.Errorf("exit code %d, want 0 and a line about the offset:\n%s", code, d.Log())
	}
}
