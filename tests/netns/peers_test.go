// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ntpsecKeys are keys in the format of ntpd, and of BusyBox as far as it knows
// the types.
const ntpsecKeys = "1 SHA1 6B8B4567327B23C6643C98696633487374B0DC51\n" + "2 AES-128 8D6B9C2F0E1A4B7D3C5F6A798E0B1D2C\n"

// closeEnough bounds the offsets that clients of other makes tell, in seconds:
// they stamp packets in their own ways, on a machine that may be busy.
const closeEnough = 20e-3

// served is a foliotd in b that serves at two addresses of each family.
type served struct{ v4, v6, other4, other6 netip.Addr }

// serve starts it.
func (b *bench) serve() served {
	b.Helper()
	s := served{b.link.B4, b.link.B6, second(b.link.B4), second(b.link.B6)}
	b.must(b.b.AddAddr(b.link.BDev, s.other4))
	b.must(b.b.AddAddr(b.link.BDev, s.other6))
	path, err := b.lab.Write(keys, "keys")
	b.must(err)
	b.foliotd(b.b, "server", "allow all\nlocal stratum 5\nkeyfile "+path+"\n")
	b.answers(s.v4, 123)
	return s
}

// second is another address of the network of a.
func second(a netip.Addr) netip.Addr {
	bytes := a.AsSlice()
	bytes[len(bytes)-1] += 100
	other, _ := netip.AddrFromSlice(bytes)
	return other
}

// editions are the editions of chrony to test with.
var editions = []struct {
	name string
	get  func() (Chrony, error)
}{
	{"stock", installed},
	{"newer", Newer},
}

// installed is the edition that Ready has found.
func installed() (Chrony, error) { return Stock, nil }

// TestChrony asks each edition of chronyd itself what it makes of foliotd: basic
// and interleaved, with and without keys, at an address that is not the first.
func TestChrony(t *testing.T) {
	for _, e := range editions {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			chrony, err := e.get()
			able(t, err)
			s := b.serve()
			sources := []chronySource{
				{s.v4, "", "No", "No"},
				{s.v6, "xleave", "Yes", "No"},
				{s.other4, "key 2", "No", "Yes"},
				{s.other6, "key 1 xleave", "Yes", "Yes"},
			}
			config := "port 0\nauthselectmode ignore\nkeyfile " + b.lab.Path("keys") + "\n"
			for _, v := range sources {
				config += fmt.Sprintf("server %s %s %s\n", v.addr, fast, v.opts)
			}
			d := b.chronydOf(chrony, b.a, "client", config)
			for _, v := range sources {
				b.chronyUses(d, v)
			}
			b.chronyTracks(d, 6)
		})
	}
}

// chronySource is a source of chronyd, and words of its "ntpdata".
type chronySource struct {
	addr                         netip.Addr
	opts, interleaved, authentic string
}

// chronyUses waits until chronyd finds a source good and fit to follow.
func (b *bench) chronyUses(d *Daemon, v chronySource) {
	b.Helper()
	out, state := "", ""
	defer func() {
		if b.Failed() {
			b.Logf("last of %s %s, state %q:\n%s", v.addr, v.opts, state, out)
		}
	}()
	want := map[string]string{
		"Stratum": "5", "Mode": "Server", "Leap status": "Normal", "Interleaved": v.interleaved, "Authenticated": v.authentic,
		"TX timestamping": "Kernel", "RX timestamping": "Kernel",
	}
	b.until(25*time.Second, fmt.Sprintf("chronyd finds %s %s good", v.addr, v.opts), func() bool {
		out, _ = d.Chronyc("ntpdata", v.addr.String())
		state = chronyState(d, v.addr)
		for field, value := range want {
			if report(out, field) != value {
				return false
			}
		}
		valid, _ := strconv.Atoi(report(out, "Total valid RX"))
		return valid >= 4 && state != "" && strings.Contains("*+-", state)
	})
	if got := number(strings.TrimSuffix(report(out, "Offset"), " seconds")); !(math.Abs(got) < closeEnough) {
		b.Errorf("offset of %s %s is %v s", v.addr, v.opts, got)
	}
}

// chronyState is the letter of a source in "chronyc sources".
func chronyState(d *Daemon, addr netip.Addr) string {
	out, _ := d.Chronyc("-c", "sources")
	for line := range strings.Lines(out) {
		if f := strings.Split(line, ","); len(f) > 3 && f[2] == addr.String() {
			return f[1]
		}
	}
	return ""
}

// chronyTracks checks that chronyd is synchronised.
func (b *bench) chronyTracks(d *Daemon, stratum int) {
	b.Helper()
	out, err := d.Chronyc("tracking")
	b.must(err)
	if report(out, "Leap status") != "Normal" || report(out, "Stratum") != strconv.Itoa(stratum) {
		b.Errorf("chronyd is not synchronised at stratum %d:\n%s", stratum, out)
	}
}

// report is the value of a field in a report of chronyc.
func report(text, field string) string {
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == field {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// ntpqRow is a row of "ntpq -c peers" and its fellow of "ntpq -c associations".
type ntpqRow struct {
	tally, remote, stratum string
	reach                  int
	offset                 float64 // seconds
	auth                   string
}

// ntpq asks the ntpd of a namespace about its associations.
func (b *bench) ntpq(s *Space) (rows []ntpqRow, text string) {
	b.Helper()
	text, _ = s.Run(b.peer("ntpq"), "-n", "-c", "peers", "-c", "associations", "127.0.0.1")
	peers, associations, _ := strings.Cut(text, "ind assid")
	for line := range strings.Lines(peers) {
		f := strings.Fields(strings.TrimLeft(line, " x.-+#*o"))
		if len(f) != 10 || f[3] != "u" {
			continue
		}
		reach, _ := strconv.ParseInt(f[6], 8, 32)
		rows = append(rows, ntpqRow{line[:1], f[0], f[2], bits.OnesCount32(uint32(reach)), number(f[8]) / 1000, ""})
	}
	for line := range strings.Lines(associations) {
		f := strings.Fields(line)
		if len(f) < 7 {
			continue
		}
		if i, err := strconv.Atoi(f[0]); err == nil && i <= len(rows) {
			rows[i-1].auth = f[5]
		}
	}
	return rows, text
}

// TestNTPsec lets the ntpd of NTPsec follow foliotd, and asks its ntpq.
func TestNTPsec(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.peer("ntpd")
	s := b.serve()
	path, err := b.lab.Write(ntpsecKeys+"3 SHA1 0000000000000000000000000000000000000000\n", "ntp.keys")
	b.must(err)
	wrong := b.link.B4
	want := []ntpqRow{{remote: s.other4.String(), auth: "none"}, {remote: s.v6.String(), auth: "ok"}, {remote: s.other6.String(), auth: "ok"}}
	config := fmt.Sprintf("keys %s\ntrustedkey 1 2 3\nserver %s %s\nserver %s %s key 1\nserver %s %s key 2\nserver %s %s key 3\n",
		path, want[0].remote, fast, want[1].remote, fast, want[2].remote, fast, wrong, fast)
	p, err := b.a.Ntpd("ntpd", config)
	b.must(err)
	b.rest = append(b.rest, p)

	var rows []ntpqRow
	text := ""
	defer func() {
		if t.Failed() {
			t.Log(text)
		}
	}()
	b.until(40*time.Second, "ntpd selects one server and finds the others good", func() bool {
		time.Sleep(time.Second)
		rows, text = b.ntpq(b.a)
		return len(rows) == len(want)+1 && tallies(rows[:len(want)]) && strings.Contains(text, "*")
	})
	for i, w := range want {
		r := rows[i]
		if r.remote != w.remote || r.auth != w.auth || r.stratum != "5" || !(math.Abs(r.offset) < closeEnough) {
			t.Errorf("ntpq says %+v, want %s authenticated %s at stratum 5", r, w.remote, w.auth)
		}
	}
	if last := rows[len(want)]; last.reach != 0 || last.tally != " " || last.auth == "ok" {
		t.Errorf("ntpq says %+v of a server that does not know the key", last)
	}
}

// tallies tells whether ntpd would follow each server, for which it wants
// several answers. They shift the reach register once if it asked in a burst.
func tallies(rows []ntpqRow) bool {
	for _, r := range rows {
		if r.reach < 1 || !strings.Contains("*+", r.tally) {
			return false
		}
	}
	return true
}

// TestNTPsecServer lets foliotd follow the ntpd of NTPsec, which without servers
// of its own serves as an orphan.
func TestNTPsecServer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.peer("ntpd")
	theirs, err := b.lab.Write(ntpsecKeys, "ntp.keys")
	b.must(err)
	ours, err := b.lab.Write(keys, "keys")
	b.must(err)
	p, err := b.b.Ntpd("ntpd", "tos orphan 4 orphanwait 1\nrestrict default\ntrustedkey 1 2\nkeys "+theirs+"\n")
	b.must(err)
	b.rest = append(b.rest, p)
	d := b.foliotd(b.a, "client", fmt.Sprintf("authselectmode ignore\nkeyfile %s\nserver %s %s key 2\nserver %s %s\n",
		ours, b.link.B4, fast, b.link.B6, fast))
	for _, addr := range []netip.Addr{b.link.B4, b.link.B6} {
		b.until(25*time.Second, "foliotd measures "+addr.String(), func() bool {
			status, _ := d.Ctl("status")
			return reach(status, addr.String()) >= 0o3
		})
	}
	b.until(15*time.Second, "foliotd selects", func() bool {
		status, _ := d.Ctl("status")
		return strings.Contains(status, "\n* ")
	})
	heard := 0
	for _, m := range Measurements(d.LogFile("measurements")) {
		if m.Stratum != 4 {
			continue // it was no orphan yet
		}
		if heard++; !(math.Abs(m.Offset) < closeEnough) {
			t.Errorf("offset is %v s: %+v", m.Offset, m)
		}
	}
	if heard < 4 {
		t.Errorf("%d measurements at stratum 4, want 4 at least", heard)
	}
}

// busyboxReply is what BusyBox says about an answer, be it that it ignores the
// sample for a delay well above the least one, which are microseconds here.
var busyboxReply = regexp.MustCompile(`reply from (\S+): (?:offset:(\S+) delay:\S+ status:0x24 strat:5 |delay \S+ is too high)`)

// TestBusyBox lets the ntpd of BusyBox measure foliotd.
func TestBusyBox(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	program := b.peer("busybox")
	s := b.serve()
	path, err := b.lab.Write("1 SHA1 6B8B4567327B23C6643C98696633487374B0DC51\n", "busybox.keys")
	b.must(err)
	p, err := b.lab.Start("busybox", b.a.Command(program, "ntpd", "-n", "-w", "-d", "-k", path,
		"-p", s.v4.String(), "-p", s.v6.String(), "-p", "keyno:1:"+s.other4.String(), "-p", "keyno:1:"+s.other6.String()))
	b.must(err)
	b.rest = append(b.rest, p)
	for _, addr := range []netip.Addr{s.v4, s.v6, s.other4, s.other6} {
		offset := math.NaN()
		b.until(20*time.Second, "BusyBox hears "+addr.String()+" three times", func() bool {
			heard := 0
			for _, m := range busyboxReply.FindAllStringSubmatch(p.Log(), -1) {
				if m[1] != addr.String() {
					continue
				}
				if heard++; m[2] != "" {
					offset = number(m[2])
				}
			}
			return heard >= 3
		})
		if !(math.Abs(offset) < closeEnough) {
			t.Errorf("BusyBox finds %s off by %v s", addr, offset)
		}
	}
}

// TestTimesyncd lets systemd-timesyncd follow foliotd as far as it can without
// the right to set the clock, which it tries and is refused.
func TestTimesyncd(t *testing.T) {
	for _, tt := range []struct {
		name string
		addr func(served) netip.Addr
	}{
		{"IPv4", func(s served) netip.Addr { return s.other4 }},
		{"IPv6", func(s served) netip.Addr { return s.other6 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.peer("timesyncd")
			addr := tt.addr(b.serve())
			p, err := b.a.Timesyncd("timesyncd", addr)
			b.must(err)
			b.rest = append(b.rest, p)
			at := netip.AddrPortFrom(addr, 123).String()
			b.until(15*time.Second, "timesyncd synchronises", func() bool {
				return strings.Contains(p.Log(), "Initial clock synchronization to")
			})
			log := p.Log()
			for field, want := range map[string]string{"stratum": "5", "leap": "0", "mode": "4", "packet count": "1"} {
				if got := report(log, field); got != want {
					t.Errorf("%s is %q, want %q", field, got, want)
				}
			}
			if !strings.Contains(log, "Contacted time server "+at) {
				t.Errorf("timesyncd did not contact %s", at)
			}
			if got := number(strings.TrimSuffix(report(log, "offset"), " sec")); !(math.Abs(got) < closeEnough) {
				t.Errorf("offset is %v s", got)
			}
		})
	}
}

// TestOneShots asks foliotd with programs that ask once.
func TestOneShots(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.serve()
	ntpdig, rdate := b.peer("ntpdig"), b.peer("rdate")
	newer, err := Newer()
	able(t, err)
	path, err := b.lab.Write(ntpsecKeys, "ntp.keys")
	b.must(err)
	chronyd := func(program, server string) []string {
		return []string{program, "-x", "-d", "-F", "0", "-Q", "-t", "20", "user root", "port 0", "cmdport 0",
			"pidfile " + b.lab.Path("once"), "keyfile " + b.lab.Path("keys"), "server " + server + " iburst maxsamples 1"}
	}
	// One group of each expression is the offset in seconds.
	digs := `^\d{4}-\S+ \S+ \(\S+\) (\S+) \+/- \S+ ` // date, time, zone, offset
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"ntpdig", digs, []string{ntpdig, s.v4.String()}},
		{"ntpdig IPv6", digs, []string{ntpdig, s.other6.String()}},
		{"ntpdig SHA1", `(?s)MAC verification on reply from \S+ succeeded.* (\S+) \+/- `, []string{ntpdig, "-d", "-a", "1", "-k", path, s.v4.String()}},
		{"ntpdig AES128", `(?s)MAC verification on reply from \S+ succeeded.* (\S+) \+/- `, []string{ntpdig, "-d", "-a", "2", "-k", path, s.v6.String()}},
		{"rdate", `adjust local clock by (\S+) seconds`, []string{rdate, "-n", "-p", "-v", "-4", s.other4.String()}},
		{"rdate IPv6", `adjust local clock by (\S+) seconds`, []string{rdate, "-n", "-p", "-v", "-6", s.v6.String()}},
		{"chronyd -Q", `System clock wrong by (\S+) seconds \(ignored\)`, chronyd(Stock.Daemon, s.v4.String())},
		{"newer chronyd -Q, AES128", `System clock wrong by (\S+) seconds \(ignored\)`, chronyd(newer.Daemon, s.v6.String()+" key 2")},
	} {
		out, err := b.a.Run(tt.args...)
		m := regexp.MustCompile(tt.want).FindStringSubmatch(out)
		if err != nil || m == nil || !(math.Abs(number(m[1])) < closeEnough) {
			t.Errorf("%s: error %v, offset in %q is not below %v s:\n%s", tt.name, err, m, closeEnough, out)
		}
	}
}
