// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"foliot/internal/acl"
	"foliot/internal/clientlog"
)

// SetPolicy makes the programs answer whom access allows as often as limit does;
// nil means nobody, and as often as they like. It changes at once for all packets.
// Until it was called first all requests go up to the sockets. If it fails, for one
// since there are more prefixes than fit, the policy before stays in force. It may
// take some tens of milliseconds, and some microseconds more for each prefix.
func (f *Fastpath) SetPolicy(access *acl.Table, limit *clientlog.Limit) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.objs.NtpIngress == nil {
		return ErrClosed
	}
	quiesce()
	trie := [...]*ebpf.Map{f.objs.Access0, f.objs.Access1}[f.policy^1]
	if err := fill(trie, access); err != nil {
		return err
	}
	f.generation++
	p := ntpPolicy{Generation: f.generation}
	if limit != nil {
		t := limit.Terms()
		p.Period, p.Size, p.Leak, p.Kiss = uint64(t.Period), uint64(t.Size), uint32(t.Leak), uint32(t.Kiss)
		p.Kisses, p.Interval = flag[uint8](t.Kisses), limit.Interval
	}
	return f.turn(policies, &f.policy, &p)
}

// quiesce waits until no program runs that began before: with the slot that was
// in force until the last change, that is. membarrier(2) does so by waiting for a
// grace period of RCU, which programs run under.
func quiesce() {
	const global = 1 // MEMBARRIER_CMD_GLOBAL
	if _, _, err := unix.Syscall(unix.SYS_MEMBARRIER, global, 0, 0); err != 0 {
		time.Sleep(50 * time.Millisecond) // not permitted: no program is held up for so long
	}
}

// fill replaces what is in a trie.
func fill(trie *ebpf.Map, access *acl.Table) error {
	var key, next ntpPrefix
	for {
		if err := trie.NextKey(nil, &next); errors.Is(err, ebpf.ErrKeyNotExist) {
			break
		} else if err != nil {
			return fmt.Errorf("empty the access table: %w", err)
		}
		key = next
		if err := trie.Delete(&key); err != nil {
			return fmt.Errorf("empty the access table: %w", err)
		}
	}
	n := 0
	for prefix, allow := range access.Prefixes() {
		if n++; n > int(trie.MaxEntries()) {
			return fmt.Errorf("access table: more than %d prefixes", trie.MaxEntries())
		}
		key := ntpPrefix{Bits: uint32(prefix.Bits()), Addr: prefix.Addr().As16()}
		if prefix.Addr().Is4() {
			key.Bits += 96
		}
		if err := trie.Put(&key, flag[uint32](allow)); err != nil {
			return fmt.Errorf("access table: %v: %w", prefix, err)
		}
	}
	return nil
}

// Own is an address of this host that requests may be sent to.
type Own struct {
	Addr netip.Addr
	// Interface is the index of the one that it belongs to; 0 for one that packets
	// may reach by whatever interface, as an anycast address on lo.
	Interface int
}

// Shape of the table of own addresses, see bpf/policy.h.
const (
	ownSets = 256
	ownWays = len(ntpOwnSet{}.At)
)

// SetAddrs tells the programs which addresses are ours. It returns how many found
// no place in the table: what is sent there goes to the sockets.
func (f *Fastpath) SetAddrs(list []Own) (left int, err error) {
	var table [ownSets]ntpOwnSet
	var used [ownSets]int
	for _, o := range list {
		hi, lo := words(o.Addr)
		i := ownSet(hi, lo)
		if used[i] == ownWays || !o.Addr.IsValid() {
			left++
			continue
		}
		at := &table[i].At[used[i]]
		at.Hi, at.Lo, at.Ifindex, at.Used = hi, lo, uint32(o.Interface), 1
		used[i]++
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.objs.NtpIngress == nil {
		return 0, ErrClosed
	}
	for i := range table {
		if err := f.objs.Own.Put(uint32(i), &table[i]); err != nil {
			return 0, fmt.Errorf("own addresses: %w", err)
		}
	}
	return left, nil
}

// ownSet is the set that an address belongs to, as bpf/policy.h has it.
func ownSet(hi, lo uint64) uint32 {
	return uint32((hi ^ lo ^ lo>>32) * 0x9e3779b97f4a7c15 >> 56)
}
