// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// words returns the two words of an address as they lie in a packet; IPv4 is
// ::ffff:a.b.c.d.
func words(a netip.Addr) (hi, lo uint64) {
	b := a.As16()
	return binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])
}

// Exchange names a request and its reply: the address of whoever is at the other
// end, the port of the client, which is ours or the other's, and the transmit
// timestamp of the request.
type Exchange struct {
	Peer     netip.Addr
	Port     uint16
	Transmit ntp.Timestamp
}

// tag is exchange_tag of bpf/stamps.h.
func (e *Exchange) tag() uint64 {
	hi, lo := words(e.Peer)
	const a, b = 0xff51afd7ed558ccd, 0xc4ceb9fe1a85ec53
	h := (hi ^ 0x9e3779b97f4a7c15) * a
	h = (h ^ h>>32 ^ lo) * b
	h = (h ^ h>>29 ^ bits.ReverseBytes64(uint64(e.Transmit))) * a
	h = (h ^ h>>32 ^ uint64(e.Port)) * b
	return h ^ h>>32
}

// stampCount is how many stamps are kept, and stampSize octets are for each, see
// bpf/stamps.h.
const (
	stampCount = 16384
	stampSize  = 24
)

// Stamps returns when the packet of an exchange arrived that went up to a socket,
// and when the reply to a request passed the egress program; zero if that is not
// known, or not any more. It costs no system call.
func (f *Fastpath) Stamps(e Exchange) (arrived, left clock.Wall) {
	if !f.features.Has(TAI) {
		return arrived, left
	}
	tag := e.tag()
	var b [stampSize]byte
	if _, err := f.stamps.ReadAt(b[:], int64(tag&(stampCount-1))*stampSize); err != nil || binary.LittleEndian.Uint64(b[:]) != tag {
		return arrived, left
	}
	now, err := f.tai()
	if err != nil {
		return arrived, left
	}
	wall := func(tai uint64) (w clock.Wall) {
		if tai != 0 {
			w = now.wall.Add(clock.Interval(int64(tai) - now.tai))
		}
		return w
	}
	return wall(binary.LittleEndian.Uint64(b[8:])), wall(binary.LittleEndian.Uint64(b[16:]))
}

// OneStep turns the rewriting of transmit timestamps on or off.
func (f *Fastpath) OneStep(on bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.set("onestep", 0, flag[uint32](on))
}

// Mark gives answers from the programs a DSCP, of six bits.
func (f *Fastpath) Mark(dscp uint8) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.set("traffic_class", 0, uint32(dscp&0x3f)<<2)
}

// AddSocket lets the transmit timestamps of replies from a socket be rewritten, by
// its SO_COOKIE. A socket that is closed needs no removal: no other gets its
// cookie, and thousands are remembered.
func (f *Fastpath) AddSocket(cookie uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.objs.Sockets == nil {
		return ErrClosed
	}
	if err := f.objs.Sockets.Put(cookie, uint32(1)); err != nil {
		return fmt.Errorf("rewrite timestamps of a socket: %w", err)
	}
	return nil
}

// RemoveSocket takes back AddSocket.
func (f *Fastpath) RemoveSocket(cookie uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.objs.Sockets == nil {
		return ErrClosed
	}
	if err := f.objs.Sockets.Delete(cookie); err != nil {
		return fmt.Errorf("rewrite timestamps of a socket no more: %w", err)
	}
	return nil
}
