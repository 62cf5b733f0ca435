// SPDX-License-Identifier: Apache-2.0

// Package traffic is what the programs in the kernel count: values, for those who
// read them (package fastpath) and those who show them.
package traffic

import "foliot/internal/clock"

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
	Hardware uint64    // packets that the card stamped, as far as the program asked
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

// Histogram counts durations: bucket i has those below 2^i ns that are in none
// before; the last one has the rest.
type Histogram struct {
	Buckets [32]uint64     `json:"buckets"`
	Sum     clock.Interval `json:"sum"` // of all of them
}
