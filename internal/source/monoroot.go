// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/binary"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// monoRoot is the body of the experimental extension field F323: root delay and
// dispersion at finer resolution, and the server's receive time on a clock of
// its own that it never steps or slews by offset corrections. The difference
// between the two tells apart "the server corrected its phase" from "our
// frequency is off".
//
//	magic (4)  root delay 4.28 s (4)  root dispersion 4.28 s (4)
//	monotonic receive timestamp 32.32 (8)  epoch (4)
type monoRoot struct {
	rootDelay, rootDisp float64 // seconds
	rx                  ntp.Timestamp
	epoch               uint32
}

// readMonoRoot finds the field among the extension fields of an answer. That of
// a request, which a peer may send, has no receive timestamp and says nothing.
func readMonoRoot(fields []byte) (monoRoot, bool) {
	body, ok := ntp.FindMonoRoot(fields)
	if !ok {
		return monoRoot{}, false
	}
	m := monoRoot{
		rootDelay: float64(binary.BigEndian.Uint32(body[4:])) / (1 << 28),
		rootDisp:  float64(binary.BigEndian.Uint32(body[8:])) / (1 << 28),
		rx:        ntp.Timestamp(binary.BigEndian.Uint64(body[12:])),
		epoch:     binary.BigEndian.Uint32(body[20:]),
	}
	return m, m.rx != 0
}

// AppendMonoRootRequest appends the field as a request carries it: the magic
// number and zeros.
func AppendMonoRootRequest(b []byte) []byte {
	var body [ntp.MonoRootLen]byte
	binary.BigEndian.PutUint32(body[:], ntp.MonoRootMagic)
	return ntp.AppendField(b, ntp.FieldMonoRoot, body[:], 0)
}

// monoState remembers the last difference between the server's two clocks.
type monoState struct {
	have  bool
	epoch uint32
	ahead clock.Interval // monotonic minus NTP receive timestamp
}

// maxMonoChange is the largest phase correction of a server that is believed.
const maxMonoChange = 16 * clock.Second

// applyMono takes a phase correction of the server out of the history.
func (a *Association) applyMono(ex *exchange) {
	if !ex.haveMono {
		a.mono.have = false
		return
	}
	ahead := ex.mono.rx.Served().Sub(ex.packet.Receive.Served())
	if a.mono.have && a.mono.epoch == ex.mono.epoch {
		if d := ahead - a.mono.ahead; d >= -maxMonoChange && d <= maxMonoChange && d != 0 {
			// The server's clock went back by d against its monotonic one:
			// past offsets to it would have been less by d.
			a.register.Shift(clock.Offset(-d.Seconds()))
			a.estimator.Shift(clock.Offset(-d.Seconds()))
			if ex.interleaved {
				ex.sample.Offset -= clock.Offset(d.Seconds()) // it is of the exchange before
			}
		}
	}
	a.mono = monoState{have: true, epoch: ex.mono.epoch, ahead: ahead}
}
