// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"crypto/rand"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"foliot/internal/acl"
	"foliot/internal/clientlog"
	"foliot/internal/mode6"
	"foliot/internal/state"
	"foliot/internal/sysclock"
	"foliot/internal/udpstamp"
	"foliot/internal/worker"
)

// Bounds of what ntpq is given.
const (
	controlQueue = 32                     // requests that wait; more are dropped
	controlAge   = 100 * time.Millisecond // of what is shown
)

// ntpq answers NTP control messages: the workers hand them over, and a goroutine
// beside them answers. It lives as long as the pool of workers.
type ntpq struct {
	policy atomic.Pointer[mode6.Policy]
	queue  chan question
	stop   chan struct{}
	view   *viewer
	pool   *worker.Pool
	resp   *mode6.Responder
	counts *controlCounts

	mu      sync.Mutex
	talkers map[netip.Addr]*udpstamp.Socket // nil once it is closed
}

// controlCounts are control messages that were worth a look, by what became of
// them: the verdicts of mode6, and those that found no room, or no state in time.
// They outlive the answerer.
type controlCounts [mode6.Verdicts + 1]atomic.Uint64

// controlBusy is the place of those that found no room.
const controlBusy = mode6.Verdicts

// list names the counters.
func (c *controlCounts) list() []state.Count {
	out := make([]state.Count, 0, len(c))
	for i := range c {
		name := "busy"
		if i != controlBusy {
			name = mode6.Verdict(i).String()
		}
		out = append(out, state.Count{Name: name, N: c[i].Load()})
	}
	return out
}

// question is a control message that waits.
type question struct {
	octets []byte
	from   netip.AddrPort
	local  netip.Addr
	iface  int
}

// newNTPQ returns an answerer that answers who p allows.
func newNTPQ(p mode6.Policy, v *viewer, counts *controlCounts) *ntpq {
	q := &ntpq{
		queue: make(chan question, controlQueue), stop: make(chan struct{}), view: v,
		talkers: make(map[netip.Addr]*udpstamp.Socket), counts: counts,
	}
	q.policy.Store(&p)
	c := mode6.Config{Policy: p, Machine: machineNames()}
	rand.Read(c.Secret[:]) // never fails: crypto/rand ends the process instead
	q.resp = mode6.New(c)
	return q
}

// controlPolicy lets those ask by ntpq who may ask by chronyc (cmdallow), and this
// machine always.
func controlPolicy(monitors *acl.Table) mode6.Policy {
	return mode6.Policy{Access: monitors.With(
		acl.Rule{Allow: true, All: true, Prefix: netip.MustParsePrefix("127.0.0.0/8")},
		acl.Rule{Allow: true, All: true, Prefix: netip.MustParsePrefix("::1/128")},
	)}
}

// monitor changes who may ask by ntpq.
func (w *world) monitor(who *acl.Table) {
	w.monitors = who
	if w.srv.ntpq != nil {
		p := controlPolicy(who)
		w.srv.ntpq.policy.Store(&p)
	}
}

// machineNames says what ntpq shows of the machine.
func machineNames() mode6.Machine {
	read := func(name string) string {
		b, _ := os.ReadFile("/proc/sys/kernel/" + name) // unknown is shown as empty
		return strings.TrimSpace(string(b))
	}
	return mode6.Machine{Processor: runtime.GOARCH, System: read("ostype"), Release: read("osrelease")}
}

// Control implements worker.Controller: it takes a message over if it may be
// answered and there is room. Workers call it, several at a time.
func (q *ntpq) Control(m *udpstamp.Message) bool {
	if !q.policy.Load().Worth(m.Data, m.From) {
		return false
	}
	c := question{octets: append([]byte(nil), m.Data...), from: m.From, local: m.Local, iface: m.Iface}
	select {
	case q.queue <- c:
	default: // more than can be answered: ntpq asks again
		q.counts[controlBusy].Add(1)
	}
	return true
}

// run answers until it is closed.
func (q *ntpq) run() {
	for {
		select {
		case c := <-q.queue:
			q.answer(&c)
		case <-q.stop:
			return
		}
	}
}

func (q *ntpq) answer(c *question) {
	ctx, cancel := context.WithTimeout(context.Background(), viewTime)
	defer cancel()
	s, err := q.view.State(ctx, controlAge)
	if err != nil {
		q.counts[controlBusy].Add(1)
		return
	}
	before := q.resp.Counters.Verdicts
	r := mode6.Request{Octets: c.octets, From: c.from, Now: sysclock.Read(), State: s, Clients: q.clients}
	q.resp.SetPolicy(*q.policy.Load())
	frags := q.resp.Respond(&r)
	for v, n := range q.resp.Counters.Verdicts {
		q.counts[v].Add(n - before[v])
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	sock := q.talker(c)
	for _, b := range frags {
		if sock == nil || sock.Send(&udpstamp.Datagram{To: c.from, Local: c.local, Iface: c.iface, Data: b}) != nil {
			return // what ntpq misses it asks for again
		}
	}
}

func (q *ntpq) clients() []clientlog.Record {
	list, _ := q.view.clients(shownClients)
	return list
}

// talker returns the socket to answer c from, nil if there is none any more.
func (q *ntpq) talker(c *question) *udpstamp.Socket {
	if q.talkers == nil {
		return nil
	}
	at := serving(q.pool.Addrs(), c.from.Addr(), c.local)
	if sock := q.talkers[at]; sock != nil || !at.IsValid() {
		return sock
	}
	sock, err := q.pool.Talker(at)
	if err != nil {
		return nil
	}
	q.talkers[at] = sock
	return sock
}

// close ends it. What is being answered is not waited for: it may wait for the loop,
// which closes.
func (q *ntpq) close() {
	close(q.stop)
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, s := range q.talkers {
		s.Close()
	}
	q.talkers = nil
}
