// SPDX-License-Identifier: Apache-2.0

package fastpath

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"net/netip"

	"foliot/internal/clock"
	"foliot/internal/traffic"
)

type (
	// Verdict is what became of a packet.
	Verdict = traffic.Verdict
	// Traffic is what passed in one direction.
	Traffic = traffic.Traffic
	// Histogram counts durations.
	Histogram = traffic.Histogram
)

// add adds the counts of a processor.
func add(t *Traffic, c *ntpCounters) {
	for family := range t.Verdicts {
		for v := range traffic.Verdicts {
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
	t.Hardware += c.Hardware
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
				add(t, &each[c])
			}
		}
		list = append(list, i)
	}
	return list, nil
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
		spread(&h.Residence, &each[i].Residence, each[i].ResidenceSum)
		spread(&h.Correction, &each[i].Correction, each[i].CorrectionSum)
	}
	return h, nil
}

func spread(h *Histogram, buckets *[32]uint64, sum uint64) {
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
