// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/binary"

	"foliot/internal/auth"
	"foliot/internal/ntp"
)

// Ask makes the request of a step from what went before, with a transmit
// timestamp that no other request has.
type Ask func(h History, transmit ntp.Timestamp) []byte

// draft is a request in the making.
type draft struct {
	p    ntp.Packet
	tail []byte        // behind the header
	seal func() []byte // what ends the request, made last
	h    History
}

type option func(d *draft)

// ask is a request that a client sends, but for what the options change.
func ask(version uint8, mode ntp.Mode, options ...option) Ask {
	return func(h History, transmit ntp.Timestamp) []byte {
		d := draft{h: h, p: ntp.Packet{Version: version, Mode: mode, Poll: 6, Transmit: transmit}}
		for _, o := range options {
			o(&d)
		}
		if d.seal != nil {
			d.tail = append(d.tail, d.seal()...)
		}
		return d.bytes()
	}
}

// client4 is an ordinary request of version 4.
func client4(options ...option) Ask { return ask(4, ntp.ModeClient, options...) }

func (d *draft) bytes() []byte { return append(d.p.AppendTo(nil), d.tail...) }

func poll(n int8) option { return func(d *draft) { d.p.Poll = n } }

// stamps sets the timestamps of the header but for the transmit timestamp.
func stamps(origin, receive ntp.Timestamp) option {
	return func(d *draft) { d.p.Origin, d.p.Receive = origin, receive }
}

func transmit(t ntp.Timestamp) option { return func(d *draft) { d.p.Transmit = t } }

// header fields of a request that say nothing to a server.
func garbage(b byte) option {
	return func(d *draft) {
		wide := uint32(b) * 0x01010101
		d.p.Leap, d.p.Stratum, d.p.Precision = ntp.Leap(b>>6), b, int8(b)
		d.p.RootDelay, d.p.RootDisp, d.p.RefID = ntp.Short(wide), ntp.Short(wide), ntp.RefID(wide)
		d.p.Reference = ntp.Timestamp(wide)<<32 | ntp.Timestamp(wide)
	}
}

// repeats is a request in interleaved mode: its origin is the receive timestamp
// of the reply of an earlier step, its receive timestamp a random one.
func repeats(step int) option {
	return func(d *draft) {
		d.p.Origin, d.p.Receive = header(d.h[step].Reply).Receive, d.p.Transmit^0x0123456789abcdef
	}
}

// follows is a request in basic mode that repeats the transmit timestamp of the
// reply before, as ntpd's do.
func follows(step int) option {
	return func(d *draft) {
		d.p.Origin, d.p.Receive = header(d.h[step].Reply).Transmit, d.p.Transmit^0x0123456789abcdef
	}
}

// tail appends octets.
func tail(b ...byte) option { return func(d *draft) { d.tail = append(d.tail, b...) } }

// zeros appends n zeros.
func zeros(n int) option { return tail(make([]byte, n)...) }

// field appends an extension field of n octets, with a body and zeros.
func field(typ ntp.FieldType, n int, body ...byte) option {
	return claims(typ, n, append(body, make([]byte, n-4-len(body))...)...)
}

// claims appends a field that claims to be n octets long, whatever its body.
func claims(typ ntp.FieldType, n int, body ...byte) option {
	return func(d *draft) {
		d.tail = binary.BigEndian.AppendUint16(d.tail, uint16(typ))
		d.tail = binary.BigEndian.AppendUint16(d.tail, uint16(n))
		d.tail = append(d.tail, body...)
	}
}

// unknown is the type of a field that nobody knows.
const unknown ntp.FieldType = 0x7a7a

// Fields of NTS (RFC 8915 section 5), which the servers here are not set up for.
const uniqueID ntp.FieldType = 0x0104

// monoRoot is the field F323 as clients send it.
func monoRoot(d *draft) { field(ntp.FieldMonoRoot, 28, 0xf5, 0xbe, 0xdd, 0x9a)(d) }

// Keys are the keys of the servers under test, in chrony's format.
const Keys = `1 MD5 HEX:5A0F1E2D3C4B5A69788796A5B4C3D2E1
2 SHA1 HEX:6B8B4567327B23C6643C98696633487374B0DC51
3 SHA256 HEX:19495CFF2AE8944A625558EC238E1F2946E87CCD3D1B58BA507ED7AB2EB141F2
4 SHA512 HEX:41B71EFB79E2A9E37545E146515F007C5BD062C212200854DB16231B0216231B
5 AES128 HEX:1F16E9E81190CDE766EF438D140E0F76
6 AES256 HEX:3352255A109CF92E0DED72633F1A2E5C7B4D8A6F0E1C2D3B4A5968778695A4B3
7 SHA384 HEX:7DF5C4B3A29180F6E5D4C3B2A190877665544332
`

// ring holds Keys.
var ring, _ = auth.ParseKeys([]byte(Keys))

// mac ends the request with a MAC of n octets of digest, 0 for a whole one.
func mac(id uint32, n int) option {
	return func(d *draft) {
		d.seal = func() []byte {
			digest := ring[id].AppendMAC(nil, d.bytes())
			if n == 0 {
				n = len(digest)
			}
			for len(digest) < n {
				digest = append(digest, 0)
			}
			return append(binary.BigEndian.AppendUint32(nil, id), digest[:n]...)
		}
	}
}

// forged ends the request with a MAC of which one bit is wrong.
func forged(id uint32) option {
	return func(d *draft) {
		mac(id, 0)(d)
		make := d.seal
		d.seal = func() []byte {
			b := make()
			b[len(b)-1] ^= 1
			return b
		}
	}
}

// misnamed ends the request with a MAC of one key that names another.
func misnamed(id, name uint32) option {
	return func(d *draft) {
		mac(id, 0)(d)
		make := d.seal
		d.seal = func() []byte {
			b := make()
			binary.BigEndian.PutUint32(b, name)
			return b
		}
	}
}
