// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// names is a name service in memory: what a name resolves to, in order.
type names map[string][]string

func (n names) lookup(_ context.Context, _, name string) ([]netip.Addr, error) {
	list, ok := n[name]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	var addrs []netip.Addr
	for _, s := range list {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	return addrs, nil
}

func TestResolve(t *testing.T) {
	world := names{
		"both.example":  {"2001:db8::1", "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2", "2001:db8::1"},
		"four.example":  {"192.0.2.9"},
		"empty.example": {},
	}
	tests := []struct {
		name     string
		family   Family
		want     []string
		notFound bool
	}{
		{"both.example", Any, []string{"2001:db8::1", "192.0.2.1", "192.0.2.2"}, false},
		{"both.example", IPv4, []string{"192.0.2.1", "192.0.2.2"}, false},
		{"both.example", IPv6, []string{"2001:db8::1"}, false},
		{"four.example", IPv6, nil, true},
		{"empty.example", Any, nil, true},
		{"nonesuch.example", Any, nil, true},
		{"192.0.2.7", Any, []string{"192.0.2.7"}, false},
		{"192.0.2.7", IPv6, nil, true},
		{"::ffff:192.0.2.7", IPv4, []string{"192.0.2.7"}, false},
		{"fe80::1%eth0", Any, []string{"fe80::1%eth0"}, false},
		{"fe80::1%eth0", IPv4, nil, true},
	}
	for _, tt := range tests {
		answers := make(chan Result, 1)
		r := newResolver(func(a Result) { answers <- a }, world.lookup)
		if err := r.Resolve(tt.name, tt.family); err != nil {
			t.Fatalf("Resolve(%q): %v", tt.name, err)
		}
		got := <-answers
		r.Close()
		var list []string
		for _, ip := range got.Addrs {
			list = append(list, ip.String())
		}
		if !slices.Equal(list, tt.want) || got.Name != tt.name || got.Family != tt.family {
			t.Errorf("Resolve(%q, %d) = %+v, want %v", tt.name, tt.family, got, tt.want)
		}
		if NotFound(got.Err) != tt.notFound || (got.Err != nil) != tt.notFound {
			t.Errorf("Resolve(%q, %d) error = %v, want not found: %v", tt.name, tt.family, got.Err, tt.notFound)
		}
	}
}

func TestLiteralIsAnsweredAtOnce(t *testing.T) {
	blocked := func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	answered := false
	r := newResolver(func(a Result) { answered = answered || a.Name == "::1" }, blocked)
	defer r.Close()
	if err := r.Resolve("::1", Any); err != nil || !answered {
		t.Errorf("Resolve(::1) = %v, answered = %v, want an answer before it returns", err, answered)
	}
}

func TestTimeoutFreesTheWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		answers := make(chan Result, 10)
		r := newResolver(func(a Result) { answers <- a }, func(ctx context.Context, _, name string) ([]netip.Addr, error) {
			if name == "good" {
				return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		})
		defer r.Close()
		for i := range Workers {
			if err := r.Resolve("dead"+strconv.Itoa(i), Any); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Resolve("good", Any); err != nil {
			t.Fatal(err)
		}
		for range Workers + 1 {
			a := <-answers
			if good := a.Name == "good"; good != (a.Err == nil) || !good && !errors.Is(a.Err, context.DeadlineExceeded) {
				t.Errorf("answer %+v", a)
			}
		}
		if took := time.Since(begin); took != Timeout {
			t.Errorf("all answers after %v, want %v", took, Timeout)
		}
	})
}

func TestOneDeadServerDoesNotHoldUpTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		answers := make(chan Result, 10)
		r := newResolver(func(a Result) { answers <- a }, func(ctx context.Context, _, name string) ([]netip.Addr, error) {
			if name == "dead" {
				<-ctx.Done()
			}
			return nil, ctx.Err()
		})
		defer r.Close()
		for _, name := range []string{"dead", "a", "b", "c"} {
			if err := r.Resolve(name, Any); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			if a := <-answers; a.Name == "dead" {
				t.Errorf("the dead name was answered first: %+v", a)
			}
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("the others were answered after %v, want at once", took)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answered := make(chan Result, Queue+Workers)
		r := newResolver(func(a Result) { answered <- a }, func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		accepted := 0
		for i := range Queue + Workers {
			if err := r.Resolve("n"+strconv.Itoa(i), Any); err != nil {
				t.Fatalf("Resolve %d: %v", i, err)
			}
			accepted++
			synctest.Wait()
		}
		if err := r.Resolve("one too many", Any); !errors.Is(err, ErrFull) {
			t.Errorf("Resolve with a full queue = %v, want ErrFull", err)
		}
		r.Close()
		r.Close()
		if len(answered) != accepted {
			t.Errorf("%d answers to %d accepted names after Close", len(answered), accepted)
		}
		for range accepted {
			if a := <-answered; !errors.Is(a.Err, context.Canceled) {
				t.Errorf("answer after Close = %+v, want canceled", a)
			}
		}
		if err := r.Resolve("late", Any); !errors.Is(err, ErrClosed) {
			t.Errorf("Resolve after Close = %v, want ErrClosed", err)
		}
		if err := r.Resolve("::1", Any); !errors.Is(err, ErrClosed) {
			t.Errorf("Resolve of a literal after Close = %v, want ErrClosed", err)
		}
	})
}

func TestHostsFile(t *testing.T) {
	answers := make(chan Result, 1)
	r := New(func(a Result) { answers <- a })
	defer r.Close()
	if err := r.Resolve("localhost", IPv4); err != nil {
		t.Fatal(err)
	}
	a := <-answers
	if a.Err != nil || len(a.Addrs) == 0 || !a.Addrs[0].IsLoopback() {
		t.Errorf("localhost = %+v, want a loopback address", a)
	}
}
