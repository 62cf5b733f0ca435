// SPDX-License-Identifier: Apache-2.0

// Package resolve looks host names up without making anybody wait. It keeps no
// cache and never retries: when to ask again is the caller's decision.
//
// The one concept: [Resolver.Resolve] returns at once, and every call that it
// accepts is answered by exactly one call of the function given to [New].
package resolve

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Limits of a resolver.
const (
	// Timeout is how long one lookup may take.
	Timeout = 10 * time.Second
	// Workers is how many lookups run at the same time. A name server that does
	// not answer holds one of them up, not all.
	Workers = 4
	// Queue is how many lookups may wait.
	Queue = 256
)

// Errors of [Resolver.Resolve].
var (
	ErrClosed = errors.New("resolver is closed")
	ErrFull   = errors.New("too many lookups are waiting")
)

// Family restricts the addresses of a name.
type Family uint8

// Address families.
const (
	Any Family = iota
	IPv4
	IPv6
)

// accepts tells whether ip, unmapped, is of the family.
func (f Family) accepts(ip netip.Addr) bool {
	return f == Any || ip.Is4() == (f == IPv4)
}

// network returns the family's name in package net.
func (f Family) network() string { return [...]string{"ip", "ip4", "ip6"}[f] }

// Result is the answer to one call of Resolve.
type Result struct {
	Name   string
	Family Family
	// Addrs are the addresses of the family, IPv4 unmapped, without duplicates,
	// best first (RFC 6724, or the order of /etc/hosts). Empty with an error.
	Addrs []netip.Addr
	Err   error
}

// Resolver looks names up. Its methods are safe for concurrent use.
type Resolver struct {
	answer func(Result)
	lookup func(ctx context.Context, network, name string) ([]netip.Addr, error)
	cancel context.CancelFunc
	ctx    context.Context
	done   sync.WaitGroup

	mu     sync.Mutex
	queue  chan Result // names only
	closed bool
}

// New returns a resolver that passes every answer to answer, which is called
// from the resolver's goroutines, one or several at a time, and from within
// Resolve. It uses Go's own resolver, which reads /etc/resolv.conf, /etc/hosts
// and /etc/nsswitch.conf again when they change.
func New(answer func(Result)) *Resolver {
	return newResolver(answer, (&net.Resolver{PreferGo: true}).LookupNetIP)
}

func newResolver(answer func(Result), lookup func(context.Context, string, string) ([]netip.Addr, error)) *Resolver {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Resolver{answer: answer, lookup: lookup, ctx: ctx, cancel: cancel, queue: make(chan Result, Queue)}
	for range Workers {
		r.done.Go(r.work)
	}
	return r
}

// Resolve asks for the addresses of name. A literal address, with or without a
// zone, is answered before Resolve returns.
func (r *Resolver) Resolve(name string, f Family) error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return ErrClosed
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		r.mu.Unlock() // answer may call Resolve
		r.answer(finish(Result{Name: name, Family: f}, []netip.Addr{ip}, nil))
		return nil
	}
	defer r.mu.Unlock()
	select {
	case r.queue <- Result{Name: name, Family: f}:
		return nil
	default:
		return ErrFull
	}
}

// Close cancels what is under way and waits for its answers, which carry an
// error. It must not be called from the answer function.
func (r *Resolver) Close() {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.queue)
	}
	r.mu.Unlock()
	r.cancel()
	r.done.Wait()
}

func (r *Resolver) work() {
	for q := range r.queue {
		r.answer(r.resolve(q))
	}
}

func (r *Resolver) resolve(q Result) Result {
	ctx, cancel := context.WithTimeout(r.ctx, Timeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return finish(q, nil, err)
	}
	addrs, err := r.lookup(ctx, q.Family.network(), q.Name)
	return finish(q, addrs, err)
}

// finish makes the answer to q of the addresses found.
func finish(q Result, addrs []netip.Addr, err error) Result {
	for _, ip := range addrs {
		ip = ip.Unmap()
		if q.Family.accepts(ip) && !slices.Contains(q.Addrs, ip) {
			q.Addrs = append(q.Addrs, ip)
		}
	}
	switch {
	case err != nil:
		q.Addrs, q.Err = nil, err
	case len(q.Addrs) == 0:
		q.Err = &net.DNSError{Err: "no address of the family", Name: q.Name, IsNotFound: true}
	}
	return q
}

// NotFound tells whether an error of a Result says that the name has no address,
// in contrast to a name server that could not be asked.
func NotFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}
