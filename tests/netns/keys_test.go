// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var keyTypes = []string{"MD5", "SHA1", "SHA256", "SHA384", "SHA512", "SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512", "AES128", "AES256"}

// oddSecrets are what people and password generators write into key files.
var oddSecrets = []string{
	"tulip-hyacinth", "ASCII:crocus4567", "hex:0123456789", "ASCII:HEX:0123456789", "ASCII:ASCII:tulip",
	"a#b!c;d%efgh", "\"quoted'secret\"", "back\\slash$(`)&<>|*?~", "p\u00e4ss\u00a0w\u3000rd", "p\xe4ss\xa0w\x85rter",
	"HEX:933f62BE1d604e68a81b",
}

// keygen returns the lines that both programs make: foliotd's have the odd IDs.
func (b *bench) keygen() (lines []string) {
	b.Helper()
	add := func(args ...string) {
		id := strconv.Itoa(len(lines) + 1)
		cmd := exec.Command(binaries.Foliotd, append([]string{"--keygen", id}, args...)...)
		if len(lines)%2 == 1 {
			cmd = exec.Command("chronyc", append([]string{"keygen", id}, args...)...)
		}
		out, err := cmd.Output()
		if err != nil {
			b.Fatalf("%v: %v", cmd.Args, err)
		}
		lines = append(lines, strings.TrimSpace(string(out)))
	}
	for _, typ := range keyTypes {
		for _, bits := range []string{"80", "80", "313", "313", "4096", "4096"} {
			if !strings.HasPrefix(typ, "AES") {
				add(typ, bits)
			}
		}
		add(typ)
		add(typ)
	}
	return lines
}

// TestKeys uses a key of every kind and length, made by either program or
// written by hand, in both directions. A source is reached only if both sides
// read the same key in its line.
func TestKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	lines := b.keygen()
	for i, s := range oddSecrets {
		lines = append(lines, fmt.Sprintf("%d %s %s", len(lines)+1, keyTypes[i%9], s))
	}
	good := len(lines)
	text := strings.Join(lines, "\n") + "\n"
	const same = "HEX:0102030405060708090A0B0C0D0E0F10\n"
	server, err := b.lab.Write(text+fmt.Sprintf("%d AES128 %s", good+1, same), "server.keys")
	b.must(err)
	client, err := b.lab.Write(text+fmt.Sprintf("%d AES128 %s%d AES128 %s", good+1, strings.Replace(same, "10\n", "11\n", 1), good+2, same), "client.keys")
	b.must(err)
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 1, byte(i)}) }
	var asking strings.Builder
	for i := 1; i <= good+2; i++ {
		fmt.Fprintf(&asking, "server %s minpoll 2 maxpoll 2 iburst key %d\n", addr(i), i)
	}
	asking.WriteString("port 0\nkeyfile " + client + "\n")
	serve := "local stratum 5\nallow all\nkeyfile " + server + "\n"

	b.chronyd(b.a, "chronyd-server", serve)
	b.foliotd(b.b, "foliotd-server", serve)
	f := b.foliotd(b.a, "foliotd-client", asking.String())
	c := b.chronyd(b.b, "chronyd-client", asking.String())
	for _, d := range []struct {
		*Daemon
		reach func(*Daemon) map[string]int64
	}{{f, reached}, {c, chronyReached}} {
		var got map[string]int64
		t.Cleanup(func() {
			for i, line := range lines {
				if t.Failed() && got[addr(i+1).String()] == 0 {
					t.Logf("%s does not reach its server with the key %q", d.Name, line)
				}
			}
		})
		// chronyd begins with one source after the other, in about 20 s.
		b.until(60*time.Second, d.Name+" reaches its servers", func() bool {
			got = d.reach(d.Daemon)
			n := 0
			for i := range good {
				if got[addr(i+1).String()] > 0 {
					n++
				}
			}
			return n == good
		})
		for i := good + 1; i <= good+2; i++ {
			if r, ok := got[addr(i).String()]; !ok || r != 0 {
				t.Errorf("%s: reach of the server that has not its key %d is %o (listed: %v), want 0", d.Name, i, r, ok)
			}
		}
	}
	for _, line := range lines {
		if s := line[strings.LastIndexByte(line, ' ')+1:]; strings.Contains(f.Log(), s) {
			t.Errorf("the log tells the secret of %q", line)
		}
	}
}

// reached returns the reach registers of a foliotd's sources by address.
func reached(d *Daemon) map[string]int64 {
	status, _ := d.Ctl("status")
	all := make(map[string]int64)
	for line := range strings.Lines(status) {
		if f := strings.Fields(line); len(f) > 2 && len(f[0]) == 1 {
			all[f[1]] = reach(status, f[1])
		}
	}
	return all
}

// chronyReached returns those of a chronyd's.
func chronyReached(d *Daemon) map[string]int64 {
	out, _ := d.Chronyc("-c", "sources")
	all := make(map[string]int64)
	for line := range strings.Lines(out) {
		if f := strings.Split(line, ","); len(f) > 5 {
			if v, err := strconv.ParseInt(f[5], 8, 32); err == nil {
				all[f[2]] = v
			}
		}
	}
	return all
}

var hexDigits = regexp.MustCompile(`[0-9A-F]{20,}`)

// TestKeygen gives both programs the same arguments: they print lines alike,
// but for the random digits.
func TestKeygen(t *testing.T) {
	newBench(t) // for its conditions
	for _, args := range []string{
		"", "1", "73 SHA1 256", "4294967295", "2 MD5 79", "2 MD5 80", "2 MD5 81", "2 MD5 4096", "2 MD5 4097", "2 MD5 0",
		"2 MD5 -5", "2 SHA256", "2 SHA384 200", "2 SHA512 1000", "2 SHA3-224 100", "2 SHA3-512", "2 AES128", "2 AES128 64",
		"2 AES128 256", "2 AES256", "2 AES256 100", "abc", "1 FOO", "1 TIGER", "1 MD5 abc", "1 MD5 100 200",
	} {
		ours, err := exec.Command(binaries.Foliotd, append([]string{"--keygen"}, strings.Fields(args)...)...).Output()
		theirs, theirErr := exec.Command("chronyc", append([]string{"keygen"}, strings.Fields(args)...)...).Output()
		if (err != nil) != (theirErr != nil) {
			t.Errorf("keygen %s: foliotd %v, chronyc %v", args, err, theirErr)
			continue
		}
		blank := func(b []byte) string {
			return hexDigits.ReplaceAllStringFunc(string(b), func(s string) string { return strings.Repeat("0", len(s)) })
		}
		if err == nil && (blank(ours) != blank(theirs) || string(ours) == string(theirs)) {
			t.Errorf("keygen %s: foliotd prints %q, chronyc %q", args, ours, theirs)
		}
	}
}

// TestReloadKeys changes the keys under a running foliotd, which serves chronyd
// and asks it.
func TestReloadKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const one, two, three = "1 SHA1 HEX:6B8B4567327B23C6643C98696633487374B0DC51\n", "2 AES256 ASCII:0123456789abcdefghijklmnopqrstuv\n", "3 SHA256 ASCII:tulip-hyacinth\n"
	theirs, err := b.lab.Write(one+two+three, "theirs")
	b.must(err)
	ours, err := b.lab.Write(one+"3 SHA256 ASCII:hyacinth-tulip\n", "ours")
	b.must(err)
	c := b.chronyd(b.a, "chronyd", fmt.Sprintf("server %s %s key 1\nserver %s %s key 2\nallow all\nlocal stratum 3\nkeyfile %s\n",
		b.link.B4, fast, b.link.B6, fast, theirs))
	f := b.foliotd(b.b, "foliotd", fmt.Sprintf("server %s %s key 3\nallow all\nlocal stratum 5\nkeyfile %s\n", b.link.A4, fast, ours))
	b4, b6, a4 := b.link.B4.String(), b.link.B6.String(), b.link.A4.String()
	b.until(15*time.Second, "chronyd reaches foliotd with key 1", func() bool { return chronyReached(c)[b4] > 3 })
	if r := chronyReached(c)[b6]; r != 0 {
		t.Errorf("reach with a key that foliotd has not is %o, want 0", r)
	}
	b.until(15*time.Second, "foliotd asks chronyd", func() bool { _, ok := reached(f)[a4]; return ok })
	if r := reached(f)[a4]; r != 0 {
		t.Errorf("reach with another key than chronyd's is %o, want 0", r)
	}

	b.must(os.WriteFile(ours, []byte("1 SHA1 HEX:00\n"+two+three), 0o600))
	b.must(f.Signal(syscall.SIGHUP))
	b.until(5*time.Second, "the reload is done", func() bool { return strings.Contains(f.Log(), "Configuration reloaded") })
	b.until(15*time.Second, "chronyd reaches foliotd with the new key 2", func() bool { return chronyReached(c)[b6] > 0 })
	b.until(15*time.Second, "foliotd reaches chronyd with the new key 3", func() bool { return reached(f)[a4] > 0 })
	b.until(15*time.Second, "the old key 1 is good no more", func() bool { return chronyReached(c)[b4]&7 == 0 })

	b.must(os.WriteFile(ours, []byte("1 SHA1 HEX:zz\n"+two+three), 0o600))
	out, err := f.Ctl("reload")
	if err == nil || !strings.Contains(out, "line 1: key 1") || !strings.Contains(out, ours) {
		t.Errorf("reload of a spoiled key file: %v, answer %q, want it to name line and file", err, out)
	}
	if !strings.Contains(f.Log(), "key file "+ours) {
		t.Errorf("the weak key was not reported with its file")
	}
}
