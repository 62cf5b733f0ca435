// SPDX-License-Identifier: Apache-2.0

// Package cmdmon is chrony's command and monitoring protocol, version 6: what
// chronyc and foliotctl send to a daemon and what it answers, octet by octet. It
// decodes and encodes; who may ask what, and what is done then, is decided
// elsewhere. Everything is in network order and without holes.
//
//	request                              reply
//	 0  version 6, type 1, zero, zero     0  version 6, type 2, zero, zero
//	 4  command u16, attempt u16          4  command u16, reply type u16
//	 8  sequence u32                      8  status u16, zero u16
//	12  zero u32, zero u32               12  zero u16, zero u16, sequence u32
//	20  data, padding                    20  zero u32, zero u32
//	                                     28  data
//
// The one concept is the padding: a request is at least as long as its reply, so
// that whoever forges the address of a victim gains nothing. [RequestLen] is the
// length with padding, and a server never sends more than it got.
package cmdmon

import "encoding/binary"

// Sizes, in octets, and the version.
const (
	Version = 6
	// MinVersion is the oldest version that is told of the mismatch; older
	// ones do not understand the answer.
	MinVersion = 5

	RequestHeaderLen = 20
	ReplyHeaderLen   = 28
	// MinRequest and MaxRequest bound what a server looks at: any request is
	// as long as an empty reply, and the longest is chrony's, padding included.
	MinRequest = 28
	MaxRequest = 860
	// MaxReply is the longest reply.
	MaxReply = ReplyHeaderLen + 12 + MaxClients*60
)

const (
	typeRequest = 1
	typeReply   = 2
)

// RequestHeader begins each request. Sequence is opaque and comes back in the
// reply; Attempt counts repetitions from 0.
type RequestHeader struct {
	Version  uint8
	Command  Command
	Attempt  uint16
	Sequence uint32
}

// Decode reads the header at the start of b. It reports false for what is no
// request of any version. The version and the command are the caller's to judge.
func (h *RequestHeader) Decode(b []byte) bool {
	if len(b) < RequestHeaderLen || b[1] != typeRequest || b[2] != 0 || b[3] != 0 {
		return false
	}
	h.Version = b[0]
	h.Command = Command(binary.BigEndian.Uint16(b[4:]))
	h.Attempt = binary.BigEndian.Uint16(b[6:])
	h.Sequence = binary.BigEndian.Uint32(b[8:])
	return true
}

// AppendTo appends the header to b.
func (h RequestHeader) AppendTo(b []byte) []byte {
	b = append(b, h.Version, typeRequest, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(h.Command))
	b = binary.BigEndian.AppendUint16(b, h.Attempt)
	b = binary.BigEndian.AppendUint32(b, h.Sequence)
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0)
}

// ReplyHeader begins each reply. Command and Sequence are the request's.
type ReplyHeader struct {
	Version  uint8
	Command  Command
	Type     ReplyType
	Status   Status
	Sequence uint32
}

// Decode reads the header at the start of b. It reports false for what is no
// reply, or is shorter than its type is.
func (h *ReplyHeader) Decode(b []byte) bool {
	if len(b) < ReplyHeaderLen || b[1] != typeReply || b[2] != 0 || b[3] != 0 {
		return false
	}
	h.Version = b[0]
	h.Command = Command(binary.BigEndian.Uint16(b[4:]))
	h.Type = ReplyType(binary.BigEndian.Uint16(b[6:]))
	h.Status = Status(binary.BigEndian.Uint16(b[8:]))
	h.Sequence = binary.BigEndian.Uint32(b[16:])
	return len(b) >= ReplyLen(h.Type)
}

// AppendTo appends the header to b.
func (h ReplyHeader) AppendTo(b []byte) []byte {
	b = append(b, h.Version, typeReply, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(h.Command))
	b = binary.BigEndian.AppendUint16(b, uint16(h.Type))
	b = binary.BigEndian.AppendUint16(b, uint16(h.Status))
	b = append(b, 0, 0, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, h.Sequence)
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0)
}

// Request is the data of a request: a pointer to one of this package's types, or
// nil for a command that has none.
type Request interface{ body }

// Reply is the data of a reply, likewise.
type Reply interface {
	body
	// ReplyType is the number of the reply that has this data.
	ReplyType() ReplyType
}

// AppendRequest appends a request with the header h, the data m and the padding
// of the command. The version is set here.
func AppendRequest(b []byte, h RequestHeader, m Request) []byte {
	h.Version = Version
	start := len(b)
	b = h.AppendTo(b)
	if m != nil {
		b = appendBody(b, m)
	}
	for len(b)-start < RequestLen(h.Command) {
		b = append(b, 0)
	}
	return b
}

// DecodeRequest reads the data of the request b, header included, into m. It
// reports false if b is too short.
func DecodeRequest(b []byte, m Request) bool {
	return len(b) >= RequestHeaderLen && decodeBody(b[RequestHeaderLen:], m)
}

// AppendReply appends a reply with the header h and the data m, nil for none. The
// version and the type are set here.
func AppendReply(b []byte, h ReplyHeader, m Reply) []byte {
	h.Version, h.Type = Version, ReplyNull
	if m == nil {
		return h.AppendTo(b)
	}
	h.Type = m.ReplyType()
	return appendBody(h.AppendTo(b), m)
}

// DecodeReply reads the data of the reply b, header included, into m. It reports
// false if b is too short or of another type.
func DecodeReply(b []byte, m Reply) bool {
	var h ReplyHeader
	return h.Decode(b) && h.Type == m.ReplyType() && decodeBody(b[ReplyHeaderLen:], m)
}
