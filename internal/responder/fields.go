// SPDX-License-Identifier: Apache-2.0

package responder

import (
	"encoding/binary"
	"math"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// monoRootLen is the body of the experimental field F323; its layout is at
// [foliot/internal/source].
const (
	monoRootLen   = 24
	monoRootMagic = 0xF5BEDD9A
)

// AppendFields appends the extension fields that the request asks for, never
// more than it has: the field F323 is answered if it came in full length, all
// others are passed over.
func AppendFields(b []byte, req *Request, rx clock.Wall, s *Snapshot) []byte {
	for fields := req.Trailer.Fields; ; {
		typ, body, rest, ok := ntp.NextField(fields)
		if !ok {
			return b
		}
		if typ == ntp.FieldMonoRoot && len(body) == monoRootLen && binary.BigEndian.Uint32(body) == monoRootMagic {
			return appendMonoRoot(b, rx, s)
		}
		fields = rest
	}
}

func appendMonoRoot(b []byte, rx clock.Wall, s *Snapshot) []byte {
	at := s.Correction.Served(rx)
	disp := s.RootDisp + math.Abs(at.Sub(s.RefTime).Seconds())*s.DispRate
	var body [monoRootLen]byte
	binary.BigEndian.PutUint32(body[0:], monoRootMagic)
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
