// SPDX-License-Identifier: Apache-2.0

package links

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRead compares with what package net knows.
func TestRead(t *testing.T) {
	list, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		l := &list[i]
		f, err := net.InterfaceByIndex(l.Index)
		if err != nil {
			continue // it is gone
		}
		addrs, err := f.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		if f.Name != l.Name || l.Up != (f.Flags&net.FlagUp != 0) || l.Loopback != (f.Flags&net.FlagLoopback != 0) {
			t.Errorf("%+v, want %+v", l, f)
		}
		for _, a := range l.Addrs {
			if !slices.ContainsFunc(addrs, func(b net.Addr) bool {
				p, err := netip.ParsePrefix(b.String())
				return err == nil && p.Addr().Unmap() == a
			}) {
				t.Errorf("%s has %s, not in %v", l.Name, a, addrs)
			}
		}
	}
}

// TestWatch changes a network of its own, and hears of it.
func TestWatch(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("namespaces need root")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip(err)
	}
	w, err := Watch()
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan error, 100)
	go func() {
		for {
			err := w.Wait()
			heard <- err
			if err != nil {
				return
			}
		}
	}()
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
		select {
		case err := <-heard:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("nothing heard of ip %v", args)
		}
		for len(heard) > 0 {
			<-heard
		}
	}
	ip("link", "set", "lo", "up")
	ip("addr", "add", "192.0.2.1/32", "dev", "lo")
	ip("addr", "add", "2001:db8::1/128", "dev", "lo", "nodad")
	list, err := Read()
	if err != nil || len(list) == 0 {
		t.Fatalf("%v, %v", list, err)
	}
	for _, want := range []string{"127.0.0.1", "192.0.2.1", "2001:db8::1"} {
		if !slices.Contains(list[0].Addrs, netip.MustParseAddr(want)) {
			t.Errorf("%s is not among %v", want, list[0].Addrs)
		}
	}
	ip("addr", "del", "192.0.2.1/32", "dev", "lo")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case err := <-heard:
			if err == nil {
				continue
			}
			if !errors.Is(err, os.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
			return
		case <-time.After(5 * time.Second):
			t.Fatal("Wait does not end")
		}
	}
}
