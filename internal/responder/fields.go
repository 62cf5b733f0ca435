// SPDX-License-Identifier: Apache-2.0

package responder

import (
	"encoding/binary"
	"math"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// AppendFields appends the extension fields that the request asks for, never
// more than it has: the field F323 is answered if it came in full length, all
// others are passed over.
func AppendFields(b []byte, req *Request, rx clock.Wall, s *Snapshot) []byte {
	if _, ok := ntp.FindMonoRoot(req.Trailer.Fields); ok {
		return appendMonoRoot(b, rx, s)
	}
	return b
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
