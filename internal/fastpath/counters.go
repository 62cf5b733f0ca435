// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"net/netip"

	"foliot/internal/clock"
)

// Verdict is what became of a packet.
type Verdict uint8

// Verdicts, in the order of bpf/counters.h.
const (
	Seen          Verdict = iota // observed, and nothing else
	Answered                     // a request that was answered in the kernel
	Kissed                       // answered with a request to slow down
	Denied                       // dropped: not allowed
	Limited                      // dropped: over the rate limit
	UpForm                       // left to user space: a VLAN, options, a fragment, a broken frame
	UpLength                     // left to user space: not 48 octets
	UpVersion                    // neither version 3 nor 4
	UpInterleaved                // in interleaved mode
	UpAddress                    // not to one of our addresses, or from an impossible one
	UpChecksum                   // the checksum is wrong
	UpLease                      // there is nothing to serve, or not any more
	Rewritten                    // left with a new transmit timestamp
	Untimely                     // a reply of ours whose timestamp was left alone
	verdictCount
)

var verdictNames = [verdictCount]string{
	"seen", "answer", "kiss", "denied", "limited", "up_form", "up_length", "up_version",
	"up_interleaved", "up_address", "up_checksum", "up_lease", "rewritten", "untimely",
}

func (v Verdict) String() string { return verdictNames[v] }

// Verdicts is the number of verdicts.
const Verdicts = int(verdictCount)

// SizeNames are the classes of packets by octets of NTP.
var SizeNames = [...]string{"below_48", "48", "49_72", "73_128", "129_256", "257_512", "513_1140", "above_1140"}

// Traffic is what passed in one direction. Each packet is counted once in each
// table.
type Traffic struct {
	Verdicts [2][Verdicts]uint64 // IPv4, IPv6
	Kinds    [8][8]uint64        // by version and mode
	Sizes    [len(SizeNames)]uint64
	Octets   uint64    // of NTP
	Answers  [8]uint64 // packets answered in the kernel, by version; they are in the tables too
}

// Packets returns how many packets passed.
func (t *Traffic) Packets() (n uint64) {
	for v := range Verdicts {
		n += t.Verdict(Verdict(v))
	}
	return n
}

// Verdict returns how many packets met a verdict.
func (t *Traffic) Verdict(v Verdict) uint64 { return t.Verdicts[0][v] + t.Verdicts[1][v] }

func (t *Traffic) add(c *ntpCounters) {
	for family := range t.Verdicts {
		for v := range Verdicts {
			t.Verdicts[family][v] += c.Verdicts[family][v]
		}
	}
	for version := range t.Kinds {
		for mode := range t.Kinds[version] {
			t.Kinds[version][mode] += c.Kinds[version][mode]
		}
	}
	for i := range t.Sizes {
		t.Sizes[i] += c.Sizes[i]
	}
	t.Octets += c.Octets
	for version := range t.Answers {
		t.Answers[version] += c.Answers[version]
	}
}

// Interface is what passed an interface since it was attached.
type Interface struct {
	Name    string
	Index   int
	Mode    Mode
	Serves  bool // plain requests are answered there
	In, Out Traffic
}

// Counters returns what passed all interfaces. Nothing is stopped for it: packets
// that pass meanwhile may or may not be in it.
func (f *Fastpath) Counters() (list []Interface, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for place, a := range f.ifaces {
		if a == nil {
			continue
		}
		i := Interface{Name: a.iface.Name, Index: a.iface.Index, Mode: a.mode, Serves: a.serves}
		for key, t := range map[int]*Traffic{place: &i.In, place + places: &i.Out} {
			var each []ntpCounters
			if err := f.objs.Counts.Lookup(uint32(key), &each); err != nil {
				return nil, fmt.Errorf("read counters: %w", err)
			}
			for c := range each {
				t.add(&each[c])
			}
		}
		list = append(list, i)
	}
	return list, nil
}

// Histogram counts durations: bucket i has those below 2^i ns that are in none
// before; the last one has the rest.
type Histogram struct {
	Buckets [32]uint64     `json:"buckets"`
	Sum     clock.Interval `json:"sum"` // of all of them
}

// Histograms are what the egress program measures.
type Histograms struct {
	Residence  Histogram // from the arrival of a request to the departure of its reply
	Correction Histogram // by how much rewritten transmit timestamps became later
}

// Histograms returns what was measured since the programs were loaded.
func (f *Fastpath) Histograms() (h Histograms, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.objs.Histograms == nil {
		return h, ErrClosed
	}
	var each []ntpDurations
	if err := f.objs.Histograms.Lookup(uint32(0), &each); err != nil {
		return h, fmt.Errorf("read histograms: %w", err)
	}
	for i := range each {
		h.Residence.add(&each[i].Residence, each[i].ResidenceSum)
		h.Correction.add(&each[i].Correction, each[i].CorrectionSum)
	}
	return h, nil
}

func (h *Histogram) add(buckets *[32]uint64, sum uint64) {
	for b := range h.Buckets {
		h.Buckets[b] += buckets[b]
	}
	h.Sum += clock.Interval(sum)
}

// Client is the record of a client.
type Client struct {
	Prefix   netip.Prefix // of 32 bits or 64
	Last     clock.Wall   // of the last request; zero where programs have no CLOCK_TAI
	Octets   uint64       // of NTP, of requests
	Hits     uint32       // requests; saturates
	Drops    uint32       // of those, not answered because of the limit; saturates
	Version  uint8        // of the last request
	Versions uint8        // that were used, bit v-1 for version v
	// Interval and Hasty are the mean logarithms to base 2 of the seconds between
	// requests, and of those after a request that was not answered; NaN: not known.
	Interval, Hasty float64
}

// Layout of a set of records, see bpf/clients.h.
const (
	clientWays = len(ntpSet{}.Heads)
	headSize   = 8
	recordSize = 64
)

// Clients yields the records of all clients, in no order that means anything. A
// record that is being written meanwhile may have something of both clients.
func (f *Fastpath) Clients() iter.Seq[Client] {
	return func(yield func(Client) bool) {
		now, err := f.tai()
		if err != nil {
			return
		}
		var b [setSize]byte
		for i := range int64(f.sets) {
			if _, err := f.clients.ReadAt(b[:], i*setSize); err != nil {
				return
			}
			for way := range clientWays {
				if binary.LittleEndian.Uint32(b[way*headSize:]) == 0 {
					continue
				}
				at := clientWays*headSize + way*recordSize
				if c := f.client(b[at:at+recordSize], now); c.Hits > 0 && !yield(c) {
					return
				}
			}
		}
	}
}

func (f *Fastpath) client(b []byte, now taiReading) Client {
	le := binary.LittleEndian
	c := Client{
		Prefix: prefix(le.Uint64(b), le.Uint64(b[8:])), Octets: le.Uint64(b[32:]),
		Hits: le.Uint32(b[40:]), Drops: le.Uint32(b[44:]),
		Interval: pace(le.Uint16(b[48:])), Hasty: pace(le.Uint16(b[50:])), Versions: b[52], Version: b[53],
	}
	if f.features.Has(TAI) {
		c.Last = now.wall.Add(clock.Interval(int64(le.Uint64(b[24:])) - now.tai))
	}
	return c
}

// prefix is what a record is about: clientlog.Prefix.
func prefix(hi, lo uint64) netip.Prefix {
	var b [16]byte
	if hi == 0 && lo>>32 == 0xffff {
		binary.BigEndian.PutUint32(b[:], uint32(lo))
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(b[:4])), 32)
	}
	binary.BigEndian.PutUint64(b[:], hi)
	return netip.PrefixFrom(netip.AddrFrom16(b), 64)
}

// pace decodes a mean interval, log2 ns times 256; 0 is unknown.
func pace(v uint16) float64 {
	if v == 0 {
		return math.NaN()
	}
	return float64(v)/256 - math.Log2(1e9)
}
