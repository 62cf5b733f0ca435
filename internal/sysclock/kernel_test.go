// SPDX-License-Identifier: Apache-2.0

package sysclock

import (
	"golang.org/x/sys/unix"
)

// fakeKernel behaves like adjtimex(2) of kernel/time/ntp.c and timekeeping.c as
// far as this package uses it. It is the only kernel that these tests set.
type fakeKernel struct {
	tick, freq   int64
	status       int32
	maxErr, est  int64
	tai          int32
	adjtime      int64 // microseconds left to slew
	phase        int64 // what the PLL has left
	stepped      int64 // sum of the steps, nanoseconds
	unprivileged bool
	calls        []unix.Timex // those with modes
}

func newFakeKernel() *fakeKernel {
	return &fakeKernel{tick: 10000, status: unix.STA_UNSYNC, maxErr: 16_000_000, est: 16_000_000}
}

func (k *fakeKernel) clock() *Clock { return &Clock{adjtimex: k.adjtimex} }

const readOnlyBits = unix.STA_PPSSIGNAL | unix.STA_PPSJITTER | unix.STA_PPSWANDER |
	unix.STA_PPSERROR | unix.STA_CLOCKERR | unix.STA_NANO | unix.STA_MODE | unix.STA_CLK

func (k *fakeKernel) adjtimex(tx *unix.Timex) (int, error) {
	const adjtime, readOnly = 0x8000, 0x2000
	if tx.Modes != 0 && tx.Modes != unix.ADJ_OFFSET_SS_READ {
		k.calls = append(k.calls, *tx)
		if k.unprivileged {
			return -1, unix.EPERM
		}
	}
	if tx.Modes&adjtime != 0 {
		if tx.Modes&1 == 0 {
			return -1, unix.EINVAL
		}
		left := k.adjtime
		if tx.Modes&readOnly == 0 {
			k.adjtime = tx.Offset
		}
		k.fill(tx)
		tx.Offset = left
		return k.result(), nil
	}
	if tx.Modes&unix.ADJ_TICK != 0 && (tx.Tick < 9000 || tx.Tick > 11000) {
		return -1, unix.EINVAL
	}
	if tx.Modes&unix.ADJ_SETOFFSET != 0 {
		scale, limit := int64(1000), int64(1e6)
		if tx.Modes&unix.ADJ_NANO != 0 {
			scale, limit = 1, 1e9
		}
		if tx.Time.Usec < 0 || tx.Time.Usec >= limit {
			return -1, unix.EINVAL
		}
		k.stepped += tx.Time.Sec*1e9 + tx.Time.Usec*scale
		k.status |= unix.STA_UNSYNC
		k.adjtime, k.phase, k.maxErr, k.est = 0, 0, maxKernelError, maxKernelError
	}
	k.modes(tx)
	k.fill(tx)
	return k.result(), nil
}

// modes follows process_adjtimex_modes and process_adj_status.
func (k *fakeKernel) modes(tx *unix.Timex) {
	if tx.Modes&unix.ADJ_STATUS != 0 {
		if k.status&unix.STA_PLL != 0 && tx.Status&unix.STA_PLL == 0 {
			k.status = unix.STA_UNSYNC
		}
		k.status = k.status&readOnlyBits | tx.Status&^readOnlyBits
	}
	if tx.Modes&unix.ADJ_NANO != 0 {
		k.status |= unix.STA_NANO
	}
	if tx.Modes&unix.ADJ_FREQUENCY != 0 {
		k.freq = min(max(tx.Freq, -500*65536), 500*65536)
	}
	if tx.Modes&unix.ADJ_MAXERROR != 0 {
		k.maxErr = min(max(tx.Maxerror, 0), maxKernelError)
	}
	if tx.Modes&unix.ADJ_ESTERROR != 0 {
		k.est = min(max(tx.Esterror, 0), maxKernelError)
	}
	if tx.Modes&unix.ADJ_TAI != 0 && tx.Constant >= 0 && tx.Constant <= maxTAI {
		k.tai = int32(tx.Constant)
	}
	if tx.Modes&unix.ADJ_OFFSET != 0 && k.status&unix.STA_PLL != 0 {
		k.phase = tx.Offset
	}
	if tx.Modes&unix.ADJ_TICK != 0 {
		k.tick = tx.Tick
	}
}

func (k *fakeKernel) fill(tx *unix.Timex) {
	tx.Tick, tx.Freq, tx.Status, tx.Tai = k.tick, k.freq, k.status, k.tai
	tx.Maxerror, tx.Esterror, tx.Offset = k.maxErr, k.est, k.phase
}

func (k *fakeKernel) result() int {
	if k.status&unix.STA_UNSYNC != 0 {
		return unix.TIME_ERROR
	}
	return unix.TIME_OK
}
