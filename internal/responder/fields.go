// SPDX-License-Identifier: Apache-2.0

package responder

import (
	"encoding/binary"
	"math"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// putFields writes the extension fields that the request in b asks for behind the
// header and returns their length, never more than the request has: the field
// F323 is answered if it came in full length, all others are passed over.
func (s *Server) putFields(b []byte, rx clock.Wall, snap *Snapshot) int {
	if _, ok := ntp.FindMonoRoot(s.req.trailer.Fields); !ok {
		return 0
	}
	return len(appendMonoRoot(b[ntp.HeaderLen:ntp.HeaderLen], rx, snap))
}

// appendMonoRoot appends the field; its layout is at [foliot/internal/source].
func appendMonoRoot(b []byte, rx clock.Wall, s *Snapshot) []byte {
	at := s.Correction.Served(rx)
	disp := s.RootDisp + math.Abs(at.Sub(s.RefTime).Seconds())*s.DispRate
	var body [ntp.MonoRootLen]byte
	binary.BigEndian.PutUint32(body[0:], ntp.MonoRootMagic)
	binary.BigEndian.PutUint32(body[4:], fixed28(s.RootDelay))
	binary.BigEndian.PutUint32(body[8:], fixed28(disp))
	binary.BigEndian.PutUint64(body[12:], uint64(ntp.FromInstant(at.Shift(s.MonoOffset))))
	binary.BigEndian.PutUint32(body[20:], s.Epoch)
	return ntp.AppendField(b, ntp.FieldMonoRoot, body[:], 0)
}

// fixed28 encodes seconds in 2^-28 s, rounded up and saturated (16 s).
func fixed28(v float64) uint32 {
	return uint32(min(max(math.Ceil(v*(1<<28)), 0), math.MaxUint32))
}
