// SPDX-License-Identifier: Apache-2.0

package mode6

import (
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"foliot/internal/acl"
	"foliot/internal/clock"
	"foliot/internal/ntp"
	"foliot/internal/selection"
	"foliot/internal/source"
	"foliot/internal/state"
)

// TestGolden shows the data of answers, octet for octet but for line ends.
func TestGolden(t *testing.T) {
	l := newLab(t)
	golden(t, "system", l.ask(opReadVariables, 0, "").String())
	golden(t, "list", l.ask(opReadVariables, 0, "sys_var_list").String())
	for _, p := range l.state.Sources {
		golden(t, fmt.Sprintf("peer%d", p.ID), l.ask(opReadVariables, uint16(p.ID), "").String())
	}
	golden(t, "unsolved", l.ask(opReadVariables, 65535, "").String())
	golden(t, "peerlist", l.ask(opReadVariables, 1, "peer_var_list").String())
	golden(t, "clock", l.ask(opReadClock, 6, "").String())
	m := l.ask(opReadStatus, 0, "")
	m.data = hex.Dump([]byte(m.data))
	golden(t, "associations", m.String())
	nonce := l.ask(opNonce, 0, "")
	golden(t, "nonce", nonce.String())
	golden(t, "clients", l.ask(opReadMRU, 0, strings.TrimSpace(nonce.data)+", frags=32").String())
}

// TestCommands asks for what ntpq's commands ask for.
func TestCommands(t *testing.T) {
	l := newLab(t)
	for name, vars := range map[string]string{
		"sysinfo":  "peeradr,peermode,leap,stratum,precision,rootdelay,rootdisp,rootdist,refid,reftime,sys_jitter,clk_jitter,clk_wander,authdelay",
		"kerninfo": "koffset,kfreq,kmaxerr,kesterr,kstflags,ktimeconst,kprecis,kfreqtol,kppsfreq,kppsstab,kppsjitter,kppscalibdur,kppscalibs,kppsjitexc,kppsstbexc,kppscaliberrs",
		"sysstats": "ss_reset,ss_received,ss_thisver,ss_oldver,ss_ver1,ss_ver1client,ss_ver1zero,ss_ver1symm,ss_badformat,ss_badauth,ss_declined,ss_restricted,ss_limited,ss_kodsent,ss_processed," +
			"ss_reset_r,ss_received_r,ss_thisver_r,ss_oldver_r,ss_ver1_r,ss_ver1client_r,ss_ver1zero_r,ss_ver1symm_r,ss_badformat_r,ss_badauth_r,ss_declined_r,ss_restricted_r,ss_limited_r,ss_kodsent_r,ss_processed_r",
		"monstats": "mru_enabled,mru_hashslots,mru_depth,mru_deepest,mru_maxdepth,mru_mindepth,mru_maxage,mru_minage,mru_mem,mru_maxmem,mru_exists,mru_new,mru_recycleold,mru_recyclefull,mru_none,mru_oldest_age",
		"iostats":  "iostats_reset,total_rbuf,free_rbuf,used_rbuf,rbuf_lowater,io_dropped,io_ignored,io_received,io_sent,io_sendfailed,io_wakeups,io_goodwakeups",
	} {
		golden(t, name, l.ask(opReadVariables, 0, vars).String())
	}
	golden(t, "pstats", l.ask(opReadVariables, 3, "srcadr,dstadr,timerec,timer,timereach,sent,received,badauth,bogusorg,oldpkt,seldisp,selbroken,candidate,ntscookies").String())
}

// TestTwins: ntpq ends with an exception if a counter has no twin.
func TestTwins(t *testing.T) {
	vars := message{}
	l := newLab(t)
	var names []string
	for _, v := range systemVariables.all {
		if strings.HasPrefix(v.name, "ss_") && v.name != "ss_uptime" && v.name != "ss_numctlreq" {
			names = append(names, v.name)
		}
	}
	for chunk := range slices.Chunk(names, 10) {
		vars.data += l.ask(opReadVariables, 0, strings.Join(chunk, ",")).data + ","
	}
	all := vars.variables()
	for name := range all {
		name = strings.TrimSpace(name)
		if _, ok := all[name+"_r"]; name != "" && !ok && !strings.HasSuffix(name, "_r") {
			t.Errorf("%s has no twin", name)
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %d counters: %v", len(all), all)
	}
}

// TestSigns: a source that is ahead of us has a positive offset, as with ntpd.
func TestSigns(t *testing.T) {
	l := newLab(t)
	for _, tt := range []struct {
		id   uint16
		want string
	}{{1, "0.123456"}, {2, "-2.340000"}, {3, "-1500.000000"}} {
		if got := l.ask(opReadVariables, tt.id, "offset").variables()["offset"]; got != tt.want {
			t.Errorf("association %d: offset %s ms, want %s", tt.id, got, tt.want)
		}
	}
	got := l.ask(opReadVariables, 0, "offset,frequency").variables()
	if got["offset"] != "0.012345" || got["frequency"] != "-12.345" {
		t.Errorf("system: %v, want the offset +0.012345 ms and the frequency -12.345 ppm", got)
	}
}

// TestTally: the codes of the billboard.
func TestTally(t *testing.T) {
	const codes = " x.-+#*o"
	want := map[selection.Status]byte{
		selection.Selected: '*', selection.Combined: '+', selection.Outlier: '-', selection.NotPreferred: '-',
		selection.WaitUpdate: '-', selection.WaitSources: '-', selection.Candidate: '-', selection.Falseticker: 'x',
		selection.Untrusted: 'x', selection.NotSelectable: ' ', selection.Missing: ' ', selection.Unsync: ' ',
		selection.BadStratum: ' ', selection.TooFar: ' ', selection.Jittery: ' ', selection.WaitStats: ' ',
		selection.Stale: ' ', selection.Orphan: ' ', 0: ' ',
	}
	for status, code := range want {
		p := peer{Source: &state.Source{Status: status, Reach: 1}}
		if got := codes[p.status()>>8&7]; got != code {
			t.Errorf("status %q shows %q, want %q", byte(status), got, code)
		}
	}
}

// TestStatusWords covers the flags that the golden files do not.
func TestStatusWords(t *testing.T) {
	l := newLab(t)
	gps := len(l.state.Sources) - 1
	for _, tt := range []struct {
		name   string
		change func(*state.State)
		want   uint16
	}{
		{"a server", func(*state.State) {}, 0x0615},
		{"a leap second to come", func(s *state.State) { s.Tracking.Leap = ntp.LeapInsert }, 0x4615},
		{"a reference clock", func(s *state.State) {
			s.Sources[0].Status, s.Sources[gps].Status = selection.Combined, selection.Selected
		}, 0x0415},
		{"local", func(s *state.State) { s.Tracking.Synchronized, s.Tracking.Local = false, true }, 0x0515},
		{"nobody", func(s *state.State) { s.Tracking = state.Tracking{} }, 0xc018},
	} {
		l.state = labState(noon)
		tt.change(l.state)
		if got := l.ask(opReadStatus, 0, "").status; got != tt.want {
			t.Errorf("%s: status %04x, want %04x", tt.name, got, tt.want)
		}
	}
	l.state = &state.State{}
	got := l.ask(opReadVariables, 0, "stratum,leap,refid,reftime,peer,peeradr,peermode").variables()
	want := map[string]string{
		"stratum": "16", "leap": "3", "refid": "INIT", "reftime": "0x00000000.00000000",
		"peer": "0", "peeradr": "0.0.0.0:0", "peermode": "0",
	}
	if !maps.Equal(got, want) {
		t.Errorf("a daemon that has just started: %v, want %v", got, want)
	}
}

// TestReferences: names of references that come from strangers.
func TestReferences(t *testing.T) {
	for _, tt := range []struct {
		id      string
		stratum uint8
		want    string
	}{
		{"GPS\x00", 1, "r=GPS"}, {"\x00\x00\x00\x00", 1, "r="}, {"A,b=", 1, "r=A.b."}, {"\"\\\r\n", 1, `r="...."`},
		{"RATE", 0, "r=RATE"}, {"INF\x00", 1, `r="INF"`}, {"nan\x00", 1, `r="nan"`}, {"1PPS", 1, `r="1PPS"`}, {"\x7f\xff A", 1, `r="...A"`},
		{"\x0a\x01\x02\x03", 2, "r=10.1.2.3"}, {"\xff\xff\xff\xff", 15, "r=255.255.255.255"}, {"INIT", 16, "r=INIT"},
	} {
		var w text
		w.refID("r", ntp.RefID(uint32(tt.id[0])<<24|uint32(tt.id[1])<<16|uint32(tt.id[2])<<8|uint32(tt.id[3])), tt.stratum)
		if got := string(w.b); got != tt.want {
			t.Errorf("%q of stratum %d: %s, want %s", tt.id, tt.stratum, got, tt.want)
		}
	}
	var w text
	w.quoted("q", "a\"b\\c\r\nd, e=f\xff")
	if got, want := string(w.b), `q="a.b.c..d, e=f."`; got != want {
		t.Errorf("quoted %s, want %s", got, want)
	}
}

// TestNumbers: what is no number is left out, so that every reader reads the rest.
func TestNumbers(t *testing.T) {
	l := newLab(t)
	l.state.Tracking.RootDelay = math.NaN()
	l.state.Sources[0].Samples.Jitter = math.Inf(1)
	l.state.Sources[0].Samples.Offset = clock.Offset(math.Inf(-1))
	for _, data := range []string{l.ask(opReadVariables, 0, "").data, l.ask(opReadVariables, 1, "").data} {
		if s := strings.ToLower(data); strings.Contains(s, "nan") || strings.Contains(s, "inf") {
			t.Errorf("not a number in %s", data)
		}
	}
}

// TestFlash: the tests that failed.
func TestFlash(t *testing.T) {
	good := func() peer {
		return peer{Source: &state.Source{HasReport: true, Reach: 1, Report: source.Report{Tests: ^source.Tests(0)}}}
	}
	for _, tt := range []struct {
		change func(*peer)
		want   uint64
	}{
		{func(*peer) {}, 0},
		{func(p *peer) { p.Reach = 0 }, 0x1000},
		{func(p *peer) { p.Report.Tests &^= source.TestSynced }, 0x20},
		{func(p *peer) { p.Report.Tests &^= source.TestDistance }, 0x40},
		{func(p *peer) { p.Report.Tests &^= source.TestD }, 0x800},
		{func(p *peer) { p.Report.Tests &^= source.TestD; p.HasReport = false }, 0},
		{func(p *peer) { p.Status = selection.TooFar }, 0x400},
		{func(p *peer) { p.Status = selection.Unsync }, 0x200},
	} {
		p := good()
		tt.change(&p)
		if got := p.flash(); got != tt.want {
			t.Errorf("flash %#x, want %#x: %+v", got, tt.want, p.Source)
		}
	}
}

// TestErrors: what is refused, and how.
func TestErrors(t *testing.T) {
	l := newLab(t)
	for _, tt := range []struct {
		name  string
		op    operation
		assoc uint16
		body  string
		want  failure
	}{
		{"WRITEVAR", 3, 0, "stratum=1", noPermission},
		{"WRITEVAR of an association", 3, 1, "", noPermission},
		{"WRITECLOCK", 5, 6, "", noPermission},
		{"SETTRAP", 6, 0, "", noPermission},
		{"ASYNCMSG", 7, 0, "", badOperation},
		{"CONFIGURE", 8, 0, "pidfile /etc/passwd", noPermission},
		{"SAVECONFIG", 9, 0, "../../etc/passwd", noPermission},
		{"READ_ORDLIST_A", 11, 0, "ifstats", noPermission},
		{"UNSETTRAP", 31, 0, "", noPermission},
		{"opcode 13", 13, 0, "", badOperation},
		{"opcode 30", 30, 0, "", badOperation},
		{"status of nobody", 1, 4711, "", badAssoc},
		{"variables of nobody", 2, 4711, "", badAssoc},
		{"clock of the system", 4, 0, "", badAssoc},
		{"clock of a server", 4, 1, "", badAssoc},
		{"unknown variable", 2, 0, "stratum,nonsense", unknownName},
		{"unknown variable of an association", 2, 1, "nonsense", unknownName},
		{"unknown variable of a clock", 4, 6, "nonsense", unknownName},
		{"part of a name", 2, 0, "strat", unknownName},
	} {
		before := *l.state
		if got := l.ask(tt.op, tt.assoc, tt.body); got.code != tt.want || got.frags != 1 || got.data != "" {
			t.Errorf("%s: %v, want error %d alone", tt.name, got, tt.want)
		}
		if before.Tracking != l.state.Tracking {
			t.Errorf("%s changed the state", tt.name)
		}
	}
	if got := l.ask(opUnspec, 1, ""); got.code != 0 || got.status != 0x961a || got.data != "" {
		t.Errorf("opcode 0: %v, want the status 961a of the association", got)
	}
}

// TestNames: how names may be written, and that each is answered once.
func TestNames(t *testing.T) {
	l := newLab(t)
	for _, body := range []string{
		"stratum,leap", " stratum , leap ", ",,stratum,,leap,,", "stratum=5,leap=", "leap,stratum", "leap\r\n,stratum\x00",
		"stratum,leap,stratum,leap,stratum",
	} {
		if got := l.ask(opReadVariables, 0, body); got.data != "leap=0, stratum=2\r\n" {
			t.Errorf("%q: %v", body, got)
		}
	}
	usual := l.ask(opReadVariables, 0, "")
	for _, body := range []string{" ", ",,,", "\x00\x00", "=,=5"} {
		if got := l.ask(opReadVariables, 0, body); got != usual {
			t.Errorf("%q: %v, want the usual variables", body, got)
		}
	}
	once := len(l.ask(opReadVariables, 0, "sys_var_list").data)
	if got := len(l.ask(opReadVariables, 0, strings.Repeat("sys_var_list,", 35)).data); got != once {
		t.Errorf("naming the list 35 times gives %d octets, once %d", got, once)
	}
}

// TestSilence: what is not answered, and what is counted for it.
func TestSilence(t *testing.T) {
	ok := encode(2, opReadVariables, 0, "")
	with := func(i int, v byte) []byte {
		b := slices.Clone(ok)
		b[i] = v
		return b
	}
	for _, tt := range []struct {
		name string
		b    []byte
		from netip.AddrPort
		want Verdict
	}{
		{"a good request", ok, here, Answered},
		{"over IPv6", ok, here6, Answered},
		{"IPv4 as IPv6", ok, netip.MustParseAddrPort("[::ffff:127.0.0.1]:5000"), Answered},
		{"with a MAC", append(encode(4, opReadVariables, 0, "leap"), make([]byte, 20)...), here, Answered},
		{"without padding", encode(4, opReadVariables, 0, "stratum")[:19], here, Answered},
		{"nothing", nil, here, BadLength},
		{"11 octets", ok[:11], here, BadLength},
		{"version 0", with(0, 0<<3|6), here, BadVersion},
		{"version 5", with(0, 5<<3|6), here, BadVersion},
		{"mode 7", with(0, 2<<3|7), here, BadMode},
		{"mode 3", with(0, 4<<3|3), here, BadMode},
		{"a response", with(1, 0x82), here, BadMode},
		{"an error", with(1, 0x42), here, BadMode},
		{"more to come", with(1, 0x22), here, BadMode},
		{"a part", with(9, 4), here, BadMode},
		{"another machine", ok, there, Denied},
		{"port 0", ok, netip.MustParseAddrPort("127.0.0.1:0"), Denied},
		{"nobody", ok, netip.AddrPort{}, Denied},
		{"too few octets", encode(2, opReadVariables, 0, "stratum")[:16], here, Failed},
		{"a list without nonce", encode(2, opReadMRU, 0, "frags=32"), here, BadNonce},
	} {
		l := newLab(t)
		l.from = tt.from
		got := l.send(tt.b)
		if l.r.Counters.Verdicts[tt.want] != 1 || (len(got) != 0) != (tt.want <= Failed) {
			t.Errorf("%s: %d datagrams, verdicts %v, want %s", tt.name, len(got), l.r.Counters.Verdicts, tt.want)
		}
		if worth := (Policy{}).Worth(tt.b, tt.from); worth != (tt.want <= Failed || tt.want == BadNonce) {
			t.Errorf("%s: worth a place in a queue: %v", tt.name, worth)
		}
	}
	l := newLab(t)
	for _, b := range l.send(ok) {
		other := newLab(t)
		if got := other.send(slices.Clone(b)); len(got) != 0 {
			t.Errorf("an answer is answered: %x", got)
		}
	}
}

// TestPolicy: a table decides, also about the machine itself.
func TestPolicy(t *testing.T) {
	l := newLab(t)
	ok := encode(2, opReadVariables, 0, "")
	l.r.SetPolicy(Policy{Access: acl.New([]acl.Rule{{Allow: true, Prefix: netip.MustParsePrefix("198.51.100.0/24")}})})
	l.from = there
	if len(l.send(ok)) == 0 {
		t.Error("who is allowed is not answered")
	}
	l.from = here
	if len(l.send(ok)) != 0 {
		t.Error("who is not allowed is answered")
	}
	l.r.SetPolicy(Policy{Access: acl.New(nil)})
	l.from = there
	if len(l.send(ok)) != 0 {
		t.Error("an empty table allows")
	}
}

// TestPurse: to other machines answers are longer than requests only so far, and
// what is proven costs nothing.
func TestPurse(t *testing.T) {
	l := newLab(t)
	const rate = 4000
	l.r.SetPolicy(Policy{Access: acl.New([]acl.Rule{{Allow: true, Everything: true}}), Surplus: rate})
	l.from = there
	ok := encode(2, opReadVariables, 0, "")
	run := func(d time.Duration) (in, out int) {
		for end := l.at.Add(d); l.at.Before(end); l.at = l.at.Add(10 * time.Millisecond) {
			out += total(l.send(ok))
			in += len(ok)
		}
		return in, out
	}
	in, out := run(time.Minute)
	if limit := in + rate*(60+purseSeconds); out > limit || out < limit/2 {
		t.Errorf("%d octets went out in a minute for %d, want up to %d", out, in, limit)
	}
	if l.r.Counters.Verdicts[Throttled] == 0 {
		t.Error("nothing was throttled")
	}
	l.at = l.at.Add(time.Hour)
	in, out = run(10 * time.Second)
	if limit := in + rate*(10+purseSeconds); out > limit {
		t.Errorf("after a pause %d octets went out for %d in ten seconds, want up to %d", out, in, limit)
	}
	nonce := ""
	for nonce == "" {
		nonce = strings.TrimSpace(l.ask(opNonce, 0, "").data)
		l.at = l.at.Add(10 * time.Millisecond)
	}
	for range 1000 {
		if l.ask(opReadMRU, 0, nonce+", frags=32").frags == 0 {
			t.Fatal("a proven request was not answered")
		}
	}
	if got := l.send(encode(2, opConfigure, 0, "")); total(got) != 12 {
		t.Errorf("an error no longer than its request was not sent: %x", got)
	}
}

// TestNonce: only what was given to the same address and port, and not long ago.
func TestNonce(t *testing.T) {
	l := newLab(t)
	nonce := strings.TrimSpace(l.ask(opNonce, 0, "").data)
	good := func() bool { return l.ask(opReadMRU, 0, nonce+", frags=1").frags != 0 }
	if !good() {
		t.Fatalf("%s is not taken", nonce)
	}
	l.at = noon.Add(15900 * time.Millisecond)
	if !good() {
		t.Error("not taken after 15.9 s")
	}
	for _, at := range []time.Time{noon.Add(16 * time.Second), noon.Add(-time.Nanosecond), noon.Add(time.Hour)} {
		if l.at = at; good() {
			t.Errorf("taken after %s", at.Sub(noon))
		}
	}
	l.at = noon
	for _, from := range []string{"127.0.0.1:40001", "127.0.0.2:40000", "[::1]:40000"} {
		if l.from = netip.MustParseAddrPort(from); good() {
			t.Errorf("taken from %s", from)
		}
	}
	l.from = here
	whole := nonce
	for i := len("nonce="); i < len(whole); i++ {
		c := byte('0')
		if whole[i] == '0' {
			c = '1'
		}
		if nonce = whole[:i] + string(c) + whole[i+1:]; good() {
			t.Errorf("taken with digit %d changed", i)
		}
	}
	for _, bad := range []string{"nonce", "nonce=", whole[:len(whole)-1], whole + "0", "nonce=" + strings.Repeat("0", 49), "nonce=" + strings.Repeat("z", 400)} {
		if nonce = bad; good() {
			t.Errorf("%q is taken", bad)
		}
	}
	other := newLab(t)
	other.r = New(Config{Secret: [32]byte{9}})
	if other.ask(opReadMRU, 0, whole+", frags=1").frags != 0 {
		t.Error("taken by a responder with another secret")
	}
}

// TestManySources: associations are numbered once each, whatever their IDs, and
// the list is cut at what ntpq takes.
func TestManySources(t *testing.T) {
	l := newLab(t)
	l.state.Sources = nil
	for i := range 9000 { // the last thousand collide
		i = (i + 2500) % 9000
		l.state.Sources = append(l.state.Sources, state.Source{ID: uint32(i + i%50*65535*(i/8000)), Addr: here})
	}
	m := l.ask(opReadStatus, 0, "")
	if m.frags > 64 || len(m.data) != 4*mostPeers {
		t.Errorf("%d octets in %d datagrams", len(m.data), m.frags)
	}
	seen := map[string]bool{}
	for i := 0; i < len(m.data); i += 4 {
		id := m.data[i : i+2]
		if id == "\x00\x00" || seen[id] {
			t.Fatalf("number %x at %d is zero or twice", id, i/4)
		}
		seen[id] = true
	}
	l.state.Sources = nil
	if m := l.ask(opReadStatus, 0, ""); len(m.data) != 4 { // the name that has not resolved
		t.Errorf("without sources: %v", m)
	}
	l.state.Unsolved = nil
	if m := l.ask(opReadStatus, 0, ""); m.frags != 1 || m.data != "" {
		t.Errorf("without anything: %v", m)
	}
}

// BenchmarkRespond is the cost of the two answers that a billboard is made of.
func BenchmarkRespond(b *testing.B) {
	l := newLab(&testing.T{})
	for _, bb := range []struct {
		name  string
		assoc uint16
	}{{"system", 0}, {"association", 2}} {
		b.Run(bb.name, func(b *testing.B) {
			q := encode(2, opReadVariables, bb.assoc, "")
			b.ReportAllocs()
			for b.Loop() {
				if len(l.send(q)) == 0 {
					b.Fatal("not the answer")
				}
			}
		})
	}
}
