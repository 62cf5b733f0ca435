// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bufio"
	"context"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"foliot/internal/acl"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/responder"
	"foliot/internal/selection"
	"foliot/internal/state"
)

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// sampleState returns a state of a daemon that runs for a while.
func sampleState() *state.State {
	s := &state.State{
		Now:     clock.Now{Wall: clock.At[clock.Realtime](1.8e18), Mono: clock.At[clock.Raw](9e12)},
		Served:  clock.At[clock.Corrected](1.8e18),
		Started: clock.At[clock.Raw](1e12), Version: "1.2.3",
		Tracking: state.Tracking{
			Synchronized: true, Source: "ntp0.example", Addr: netip.MustParseAddr("192.0.2.1"), Stratum: 3, RefTime: clock.At[clock.Corrected](1.8e18 - 5e9),
			Remaining: -1e-6, LastOffset: 2.345e-6, RMSOffset: 3e-6, Frequency: -12.5e-6, Skew: 2e-8, RootDelay: 4e-3, RootDisp: 5e-4, Interval: 64,
		},
		Kernel:   state.Kernel{Valid: true, Synchronized: true, MaxError: 7e-3},
		Unsolved: []string{"nowhere.example"},
		Server:   state.Server{Open: true},
	}
	for i, st := range []selection.Status{selection.Selected, selection.Combined, selection.Falseticker, selection.Missing} {
		s.Sources = append(s.Sources, state.Source{
			ID: uint32(i), Name: fmt.Sprintf("ntp%d.example", i), Addr: netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:123", i+1)),
			Status: st, Poll: 6, Reach: 0o377, Reached: 8, Stratum: 2, Samples: state.Samples{N: 4 - i, LastAge: 12, Last: 1e-6, LastErr: 2e-3, Delay: 4e-3},
		})
	}
	s.Sources[3].Samples = state.Samples{LastAge: -1}
	s.Server.Workers.Verdicts[responder.Answer] = 1234567
	s.Server.Workers.Verdicts[responder.Denied] = 42
	s.Server.Total.Add(&s.Server.Workers)
	return s
}

// sampleClients returns records of n clients, the last the busiest.
func sampleClients(n int) []clientlog.Record {
	srv := responder.NewServer(responder.Config{Log: 1 << 20, Random: func() uint64 { return 1 }})
	policy := &responder.Policy{Access: acl.New([]acl.Rule{{Allow: true, Everything: true}})}
	for i := range n {
		in := responder.Arrival{From: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)}), 40000)}
		for k := range i + 1 {
			in.Stamp.Time = clock.At[clock.Realtime](1.8e18).Add(clock.Interval(k-i-1) * 64 * clock.Second)
			var b [48]byte
			b[0] = 4<<3 | 3
			var r responder.Reply
			srv.Receive(b[:], &in, policy, &responder.Snapshot{}, &r)
		}
	}
	var list []clientlog.Record
	for r := range srv.Clients().All() {
		list = append(list, *r)
	}
	return list
}

// serve runs a server for the test.
func serve(t *testing.T, c Config) *Server {
	t.Helper()
	if c.Listen == (netip.AddrPort{}) {
		c.Listen = loopback
	}
	c.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "some_metric 1\n") })
	c.Log = slog.New(slog.DiscardHandler)
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return s
}

func stateOf(s *state.State) func() *state.State { return func() *state.State { return s } }

// get asks for a path.
func get(t *testing.T, s *Server, path string) (*http.Response, string) {
	t.Helper()
	return do(t, s, http.MethodGet, path, func(*http.Request) {})
}

func do(t *testing.T, s *Server, method, path string, change func(*http.Request)) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	change(r)
	client := http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestPage(t *testing.T) {
	s := serve(t, Config{State: stateOf(sampleState()), Clients: func() []clientlog.Record { return sampleClients(12) }, Host: "clock1"})
	resp, body := get(t, s, "/")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("status %d, type %q", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	body = html.UnescapeString(body)
	for _, want := range []string{
		"<title>foliot on clock1</title>", "2027-01-15 08:00:00 UTC",
		"The clock is synchronised to ntp0.example (192.0.2.1), stratum 3.",
		"2.50 ms", "+2.35 µs", "−1.00 µs", "−12.500 ppm", "5 s ago", "claims an error of at most 7.00 ms", "2 h",
		"is what the clock follows", "contradicts the majority", "has given no samples yet", "± 2.00 ms",
		"Names without an address so far: nowhere.example", "1\u202f234\u202f567", "Not answered: not allowed 42.",
		"198.51.100.12", "12 clients are remembered", `aria-label="Offset over time, now +2.35 µs"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(body, "198.51.100.2<") {
		t.Error("the page shows more than the ten busiest clients")
	}
	for _, never := range []string{"style=", "onclick", "javascript:", "http:", "https:", "ZgotmplZ", "<no value>", "%!"} {
		if strings.Contains(body, never) {
			t.Errorf("the page has %q", never)
		}
	}
}

// TestPageStates renders what a daemon shows before and without things.
func TestPageStates(t *testing.T) {
	many := sampleState()
	for i := range 3 * maxRows {
		many.Sources = append(many.Sources, state.Source{Name: fmt.Sprint("more", i), Mode: state.RefClock})
	}
	noLog := sampleState()
	noLog.Config.NoLog = true
	local := &state.State{Tracking: state.Tracking{Local: true, Stratum: 10}}
	evil := sampleState()
	evil.Sources[0].Name, evil.Unsolved = `<script>alert(1)</script>`, []string{`"><img src=x>`}
	for _, tt := range []struct {
		name       string
		s          *state.State
		want, lack string
	}{
		{"nothing", &state.State{}, "The clock is not synchronised.", "<tbody"},
		{"closed", &state.State{}, "nobody is allowed to ask", "in the network driver"},
		{"local", local, "not synchronised, serving its own clock at stratum 10", "✓"},
		{"many", many, fmt.Sprintf("And %d more", 2*maxRows+4), fmt.Sprint("more", maxRows)},
		{"no records", noLog, "Clients are not remembered", "Nobody has asked"},
		{"nobody", sampleState(), "Nobody has asked yet", "Clients are not remembered"},
		{"evil", evil, "&lt;script&gt;alert(1)", "<script>alert"},
		{"evil names", evil, "&#34;&gt;&lt;img", "<img src=x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, Config{State: stateOf(tt.s), Clients: func() []clientlog.Record { return nil }})
			_, body := get(t, s, "/")
			if !strings.Contains(body, tt.want) || strings.Contains(body, tt.lack) {
				t.Errorf("the page lacks %q or has %q:\n%s", tt.want, tt.lack, body)
			}
		})
	}
}

func TestPaths(t *testing.T) {
	s := serve(t, Config{State: stateOf(sampleState())})
	for _, tt := range []struct {
		method, path string
		status       int
		kind, body   string
	}{
		{"GET", "/metrics", 200, "text/plain", "some_metric 1"},
		{"HEAD", "/metrics", 200, "text/plain", ""},
		{"GET", "/healthz", 200, "text/plain", "alive\nsynchronised to ntp0.example"},
		{"GET", "/style.css", 200, "text/css", "prefers-color-scheme"},
		{"GET", "/page.js", 200, "text/javascript", "replaceChildren"},
		{"GET", "/icon.svg", 200, "image/svg+xml", "<svg"},
		{"GET", "/page.html", 404, "text/plain", ""},
		{"GET", "/assets/page.html", 404, "text/plain", ""},
		{"GET", "/metrics/", 404, "text/plain", ""},
		{"GET", "/x/../metrics", 404, "text/plain", ""},
		{"GET", "/debug/pprof/", 404, "text/plain", ""},
		{"POST", "/", 405, "text/plain", ""},
		{"PUT", "/metrics", 405, "text/plain", ""},
		{"DELETE", "/healthz", 405, "text/plain", ""},
		{"OPTIONS", "/", 405, "text/plain", ""},
	} {
		resp, body := do(t, s, tt.method, tt.path, func(r *http.Request) { r.URL.Opaque = tt.path })
		if resp.StatusCode != tt.status || !strings.HasPrefix(resp.Header.Get("Content-Type"), tt.kind) || !strings.Contains(body, tt.body) {
			t.Errorf("%s %s: status %d, type %q, body %.60q", tt.method, tt.path, resp.StatusCode, resp.Header.Get("Content-Type"), body)
		}
		h := resp.Header
		if h.Get("Content-Security-Policy") != policy || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Set-Cookie") != "" {
			t.Errorf("%s %s: headers %v", tt.method, tt.path, h)
		}
	}
}

// TestNothingComesBack puts a mark into everything that a client can send, and
// looks for it in what comes back.
func TestNothingComesBack(t *testing.T) {
	const mark = "qqMARKqq"
	s := serve(t, Config{State: stateOf(sampleState())})
	for _, request := range []string{
		"GET /" + mark + " HTTP/1.1\r\nHost: localhost\r\n",
		"GET /?" + mark + " HTTP/1.1\r\nHost: localhost\r\n",
		"GET /" + mark + "/../metrics HTTP/1.1\r\nHost: localhost\r\n",
		"GET //" + mark + " HTTP/1.1\r\nHost: localhost\r\n",
		"GET /" + mark + "/. HTTP/1.1\r\nHost: localhost\r\n",
		"GET http://" + mark + "/ HTTP/1.1\r\nHost: " + mark + "\r\n",
		"GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://" + mark + "\r\nAccept: " + mark + "\r\nCookie: " + mark + "\r\n",
		mark + " / HTTP/1.1\r\nHost: localhost\r\n",
		"GET / " + mark + "\r\n",
		"GET / HTTP/1.1\r\nHost: " + mark + "\r\n",
		"GET / HTTP/1.1\r\nHost: local host\r\n" + mark + ": " + mark + "\r\n",
	} {
		answer := raw(t, s, request+"Connection: close\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 ") || strings.Contains(answer, mark) {
			t.Errorf("%q gets %.300q", request, answer)
		}
	}
}

// raw sends octets and reads until the server closes.
func raw(t *testing.T, s *Server, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, text)
	b, _ := io.ReadAll(c) // a reset after the answer is none of our business
	return string(b)
}

// TestOwnNames: pages of others cannot read this one under a name of theirs.
func TestOwnNames(t *testing.T) {
	s := serve(t, Config{State: stateOf(sampleState())})
	for host, want := range map[string]int{
		"localhost": 200, "localhost:9923": 200, "LOCALHOST": 200, "127.0.0.1:1": 200, "[::1]:9923": 200, "[::1]": 200,
		"evil.example": 403, "evil.example:9923": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403,
	} {
		if resp, _ := do(t, s, "GET", "/", func(r *http.Request) { r.Host = host }); resp.StatusCode != want {
			t.Errorf("Host %q: status %d, want %d", host, resp.StatusCode, want)
		}
	}
	open := serve(t, Config{State: stateOf(sampleState()), Listen: netip.MustParseAddrPort("0.0.0.0:0")})
	at := netip.AddrPortFrom(loopback.Addr(), open.Addr().Port())
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+at.String()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "clock1.example"
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("a listener on every interface refuses a name: %d", resp.StatusCode)
	}
}

func TestEnding(t *testing.T) {
	s := serve(t, Config{State: stateOf(nil)})
	for _, path := range []string{"/", "/healthz"} {
		if resp, _ := get(t, s, path); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: status %d while the daemon ends, want 503", path, resp.StatusCode)
		}
	}
}

func TestHeaderLimit(t *testing.T) {
	s := serve(t, Config{State: stateOf(sampleState())})
	long := strings.Repeat("x", 2*maxHeader)
	if answer := raw(t, s, "GET / HTTP/1.1\r\nHost: localhost\r\nX: "+long+"\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 431 ") {
		t.Errorf("a header of %d octets gets %.40q, want 431", len(long), answer)
	}
}

// TestConnectionsAreBounded: those beyond the limit are closed at once, and places
// come back.
func TestConnectionsAreBounded(t *testing.T) {
	s := serve(t, Config{State: stateOf(sampleState())})
	conns := make([]net.Conn, 0, maxConns)
	for range maxConns {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
		if !alive(t, c) {
			t.Fatalf("connection %d is not answered", len(conns))
		}
	}
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if alive(t, c) {
		t.Errorf("connection %d is answered", maxConns+1)
	}
	conns[0].Close()
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		ok := alive(t, c)
		c.Close()
		if ok {
			return
		}
		if time.Since(begin) > 10*time.Second {
			t.Fatal("the place of a closed connection does not come back")
		}
	}
}

// alive asks over a connection that stays open.
func alive(t *testing.T, c net.Conn) bool {
	t.Helper()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == 200
}

func TestTimeouts(t *testing.T) {
	s := serve(t, Config{State: stateOf(sampleState())})
	h := s.http
	if h.ReadHeaderTimeout <= 0 || h.ReadTimeout <= 0 || h.WriteTimeout <= 0 || h.IdleTimeout <= 0 || h.MaxHeaderBytes != maxHeader {
		t.Errorf("a limit is missing: %+v", h)
	}
}

func TestListenFails(t *testing.T) {
	s := serve(t, Config{State: stateOf(sampleState())})
	_, err := New(Config{Listen: s.Addr(), Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.HasPrefix(err.Error(), "listen for metrics: ") {
		t.Errorf("a second listener at %s: %v", s.Addr(), err)
	}
}

// TestCloseBeforeRun: a daemon that fails between the two leaves nothing behind.
func TestCloseBeforeRun(t *testing.T) {
	s, err := New(Config{Listen: loopback, State: stateOf(nil), Metrics: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.Close()
	if err := s.Run(t.Context()); err != nil {
		t.Errorf("Run after Close: %v", err)
	}
	if c, err := net.Dial("tcp", s.Addr().String()); err == nil {
		c.Close()
		t.Error("the listener is still there after Close")
	}
}

// TestMove: the server moves to another address and stays what it is; where it
// cannot go it does not.
func TestMove(t *testing.T) {
	s := serve(t, Config{State: stateOf(sampleState())})
	first := s.Addr()
	taken := serve(t, Config{State: stateOf(sampleState())})
	if err := s.Move(taken.Addr()); err == nil || s.Addr() != first || !answers(first) {
		t.Errorf("after a move to a place that is taken (%v) it is at %s", err, s.Addr())
	}
	everywhere := netip.AddrPortFrom(netip.IPv6Unspecified(), first.Port())
	for _, to := range []netip.AddrPort{loopback, everywhere} {
		before := s.Addr()
		if err := s.Move(to); err != nil {
			t.Fatal(err)
		}
		if at := s.Addr(); !answers(at) || at.Port() != before.Port() && answers(before) {
			t.Errorf("moved from %s to %s: it does not answer there, or still does here", before, at)
		}
	}
}

// answers tells whether there is a daemon alive at an address.
func answers(at netip.AddrPort) bool {
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://127.0.0.1:" + strconv.Itoa(int(at.Port())) + "/healthz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// TestClientsAreAskedRarely: the threads that answer are not asked for each page.
func TestClientsAreAskedRarely(t *testing.T) {
	var asked atomic.Int32
	now := sampleState()
	c := clientCache{all: func() []clientlog.Record {
		asked.Add(1)
		return sampleClients(3)
	}}
	for i := range 5 {
		v := c.view(now)
		if want := int32(1 + i/4); asked.Load() != want || len(v.Rows) != 3 || v.Rows[0].Hits != "3" || v.Rows[0].Name != "198.51.100.3" {
			t.Errorf("look %d: asked %d times, want %d; rows %+v", i, asked.Load(), want, v.Rows)
		}
		now.Now.Mono = now.Now.Mono.Add(clock.Interval(clientAge) * 3 / 10)
	}
}
