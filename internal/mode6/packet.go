// SPDX-License-Identifier: Apache-2.0

package mode6

import (
	"encoding/binary"
	"slices"

	"foliot/internal/ntp"
)

// A control message is a header and data, padded with zeros to whole words, and
// maybe a MAC, which is passed over.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---+-----+-----+-+-+-+---------+-------------------------------+
//	|LI |VN   |6    |R|E|M| opcode  |           sequence            |   0
//	|            status             |        association ID         |   4
//	|            offset             |             count             |   8
//	|                   data (0 to 468 octets)                      |  12
const (
	headerLen = 12
	maxData   = 468 // octets of data in a datagram
	// maxFragments keeps the offset in its 16 bits.
	maxFragments = 128

	flagResponse, flagError, flagMore = 0x80, 0x40, 0x20
)

// operation is an opcode (RFC 9327 section 2, and ntpd's ntp_control.h).
type operation uint8

const (
	opUnspec         operation = 0
	opReadStatus     operation = 1
	opReadVariables  operation = 2
	opWriteVariables operation = 3
	opReadClock      operation = 4
	opWriteClock     operation = 5
	opSetTrap        operation = 6
	opConfigure      operation = 8
	opSaveConfig     operation = 9
	opReadMRU        operation = 10
	opOrderedList    operation = 11 // interfaces and restrictions; ntpd wants a key for it
	opNonce          operation = 12
	opUnsetTrap      operation = 31
)

// failure is an error code (RFC 9327 section 3.4).
type failure uint8

const (
	noError      failure = 0 // the code of "unspecified", which is not used
	noPermission failure = 1
	badFormat    failure = 2
	badOperation failure = 3
	badAssoc     failure = 4
	unknownName  failure = 5
	badValue     failure = 6
	silence      failure = 255 // not on the wire: no answer at all
)

// header is what is needed of the header of a request.
type header struct {
	version  uint8
	op       operation
	sequence uint16
	assoc    uint16
	count    int
}

// read decodes the header of b. What ntpd passes over in silence is a verdict.
func (h *header) read(b []byte) Verdict {
	if len(b) < headerLen {
		return BadLength
	}
	if ntp.Mode(b[0]&7) != ntp.ModeControl || b[1]&(flagResponse|flagError|flagMore) != 0 || b[8]|b[9] != 0 {
		return BadMode
	}
	*h = header{
		version:  b[0] >> 3 & 7,
		op:       operation(b[1] & 0x1f),
		sequence: binary.BigEndian.Uint16(b[2:]),
		assoc:    binary.BigEndian.Uint16(b[6:]),
		count:    int(binary.BigEndian.Uint16(b[10:])),
	}
	if h.version < ntp.MinVersion || h.version > ntp.Version {
		return BadVersion
	}
	return Answered
}

// body returns the data of the request b, false if there is less than is counted,
// or more than fits. Requests that are not padded are taken, as by classic ntpd.
func (h *header) body(b []byte) ([]byte, bool) {
	if h.count > maxData || h.count > len(b)-headerLen {
		return nil, false
	}
	return b[headerLen : headerLen+h.count], true
}

// put writes the header of an answer.
func (r *Responder) put(b []byte, flags byte, status uint16, offset, count int) {
	b[0] = byte(r.view.leap())<<6 | r.head.version<<3 | byte(ntp.ModeControl)
	b[1] = flagResponse | flags | byte(r.head.op)
	binary.BigEndian.PutUint16(b[2:], r.head.sequence)
	binary.BigEndian.PutUint16(b[4:], status)
	binary.BigEndian.PutUint16(b[6:], r.head.assoc)
	binary.BigEndian.PutUint16(b[8:], uint16(offset))
	binary.BigEndian.PutUint16(b[10:], uint16(count))
}

// fail makes the answer an error.
func (r *Responder) fail(err failure) Verdict {
	r.octets = slices.Grow(r.octets[:0], headerLen)[:headerLen]
	r.put(r.octets, flagError, uint16(err)<<8, 0, 0)
	r.frags = append(r.frags[:0], r.octets)
	return Failed
}

// fragment cuts the data into datagrams.
func (r *Responder) fragment(status uint16) {
	data := r.text.finish()
	data = data[:min(len(data), maxFragments*maxData)]
	n := max(1, (len(data)+maxData-1)/maxData)
	// Grown once: the datagrams alias it.
	out := slices.Grow(r.octets[:0], n*(headerLen+maxData))
	for i := range n {
		part := data[i*maxData : min((i+1)*maxData, len(data))]
		start := len(out)
		out = out[:start+headerLen]
		out = append(out, part...)
		for (len(out)-start)%4 != 0 {
			out = append(out, 0)
		}
		var more byte
		if i < n-1 {
			more = flagMore
		}
		r.put(out[start:], more, status, i*maxData, len(part))
		r.frags = append(r.frags, out[start:len(out):len(out)])
	}
	r.octets = out
}
