// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"math"

	"foliot/internal/ntp"
)

// kernelLeap is what a kernel does about a leap second: told of one by STA_INS or
// STA_DEL, it moves the clock at the end of the day that the clock shows, once,
// until it is told that there is none (adjtimex(2)).
type kernelLeap struct {
	kind  ntp.Leap
	armed bool
	done  bool
	at    float64 // when the clock is moved, Unix seconds by the clock
}

const day = 86400

// set tells the kernel of a leap second, or of none, while the clock shows now, in
// Unix seconds.
func (k *kernelLeap) set(l ntp.Leap, now float64) {
	if l != ntp.LeapInsert && l != ntp.LeapDelete {
		*k = kernelLeap{}
		return
	}
	if k.done {
		return
	}
	k.kind, k.armed = l, true
	k.at = (math.Floor(now/day) + 1) * day
	if l == ntp.LeapDelete {
		k.at--
	}
}

// due tells whether the clock is to be moved now that it shows now.
func (k *kernelLeap) due(now float64) bool { return k.armed && now >= k.at }

// carryOut returns by how many seconds to move the clock.
func (k *kernelLeap) carryOut() float64 {
	k.armed, k.done = false, true
	if k.kind == ntp.LeapDelete {
		return 1
	}
	return -1
}
