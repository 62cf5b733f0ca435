// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"

	"foliot/internal/ntp"
)

const longMACs = "a MAC longer than RFC 7822 section 7.5.1.4 has room for behind fields can be taken for nothing else " +
	"right behind the header, and proves as much as in version 3"

// macs are message authentication codes of all keys and lengths.
func macs() []Row {
	var all []Row
	lens := map[uint32]int{1: 16, 2: 20, 3: 32, 4: 64, 5: 16, 6: 16, 7: 48}
	for version := uint8(1); version <= 4; version++ {
		for id := uint32(1); id <= 7; id++ {
			r := Row{
				Name:  fmt.Sprintf("version %d, whole MAC of key %d", version, id),
				Steps: one(ask(version, ntp.ModeClient, mac(id, 0)), answer.mac(id, lens[id])),
			}
			if version == 4 && lens[id] > 20 {
				r.But = but(Chronyd, longMACs, none)
			}
			all = append(all, r, Row{
				Name:  fmt.Sprintf("version %d, forged MAC of key %d", version, id),
				Steps: one(ask(version, ntp.ModeClient, forged(id)), none),
			})
			if lens[id] <= 20 {
				continue
			}
			want := none // only what follows a header of version 4 is short of room
			if version == 4 {
				want = answer.mac(id, 20)
			}
			all = append(all, Row{
				Name:  fmt.Sprintf("version %d, MAC of key %d cut to 20 octets", version, id),
				Steps: one(ask(version, ntp.ModeClient, mac(id, 20)), want),
			})
		}
		for n := 4; n <= 80; n += 4 {
			if n == 16 {
				continue
			}
			all = append(all, Row{
				Name:  fmt.Sprintf("version %d, MAC of MD5 made %d octets long", version, n),
				Steps: one(ask(version, ntp.ModeClient, mac(1, n)), none),
			})
		}
	}
	return append(all, oddMACs...)
}

// oddMACs are MACs that are wrong in other ways.
var oddMACs = []Row{
	{Name: "key that nobody has", Steps: one(client4(misnamed(1, 99)), none)},
	{Name: "MAC of another key", Steps: one(client4(misnamed(1, 5)), none)},
	{Name: "key 0", Steps: one(client4(misnamed(1, 0)), none)},
	{Name: "crypto-NAK", Steps: one(client4(zeros(4)), none)},
	{Name: "crypto-NAK, version 3", Steps: one(ask(3, ntp.ModeClient, zeros(4)), none)},
	{Name: "MAC of zeros", Steps: one(client4(zeros(20)), none)},
	{Name: "key 1, digest of zeros", Steps: one(client4(tail(0, 0, 0, 1), zeros(16)), none)},
	{Name: "MS-SNTP", Steps: one(ask(3, ntp.ModeClient, tail(0, 0, 0, 1), zeros(16)), none)},
	{Name: "MS-SNTP, extended", Steps: one(ask(3, ntp.ModeClient, tail(0, 0, 0, 1), zeros(68)), none)},
	{Name: "symmetric with a MAC", Steps: one(ask(4, ntp.ModeActive, mac(2, 0)), answer.mac(2, 20))},
	{Name: "octets behind a MAC", Steps: one(client4(mac(1, 0), after(4)), none)},
	{Name: "header changed under the MAC", Steps: one(client4(mac(1, 0), bent), none)},
}

// fields are extension fields.
var fields = []Row{
	{Name: "unknown field", Steps: one(client4(field(unknown, 28)), answer)},
	{Name: "unknown field of 16 alone", Steps: one(client4(field(unknown, 16)), none)},
	{Name: "unknown field of 20 alone", Steps: one(client4(field(unknown, 20)), none)},
	{Name: "unknown field of 24 alone", Steps: one(client4(field(unknown, 24)), none)},
	{Name: "unknown field of 32", Steps: one(client4(field(unknown, 32)), answer)},
	{Name: "unknown field of 1092", Steps: one(client4(field(unknown, 1092)), answer)},
	{Name: "unknown field of 1096", Steps: one(client4(field(unknown, 1096)), none)},
	{Name: "several fields", Steps: one(client4(field(unknown, 16), field(unknown+1, 40), field(unknown, 28)), answer)},
	{Name: "last field of 16", Steps: one(client4(field(unknown, 28), field(unknown, 16)), none)},
	{Name: "F323 behind another", Steps: one(client4(field(unknown, 28), monoRoot), answer.field())},
	{Name: "F323 before another", Steps: one(client4(monoRoot, field(unknown, 28)), answer.field())},
	{Name: "F323 twice", Steps: one(client4(monoRoot, monoRoot), answer.field())},
	{Name: "F323 without magic", Steps: one(client4(field(ntp.FieldMonoRoot, 28)), answer)},
	{Name: "F323 with another magic", Steps: one(client4(field(ntp.FieldMonoRoot, 28, 0xf5, 0xbe, 0xdd, 0x9b)), answer)},
	{Name: "F323 too short", Steps: one(client4(field(ntp.FieldMonoRoot, 16, 0xf5, 0xbe, 0xdd, 0x9a), field(unknown, 28)), answer)},
	{Name: "F323 too long", Steps: one(client4(field(ntp.FieldMonoRoot, 32, 0xf5, 0xbe, 0xdd, 0x9a)), answer)},
	{Name: "F323, full of ones", Steps: one(client4(field(ntp.FieldMonoRoot, 28, ones(0xf5, 0xbe, 0xdd, 0x9a)...)), answer.field())},
	{Name: "F323 without magic, then with", Steps: one(client4(field(ntp.FieldMonoRoot, 28), monoRoot), answer.field())},
	{Name: "F323 in version 3", Steps: one(ask(3, ntp.ModeClient, monoRoot), none)},
	{Name: "F323, symmetric", Steps: one(ask(4, ntp.ModeActive, monoRoot), answer.field())},
	{Name: "field and MAC of 20", Steps: one(client4(field(unknown, 28), mac(1, 0)), answer.mac(1, 16))},
	{Name: "field and MAC of 24", Steps: one(client4(field(unknown, 28), mac(2, 0)), answer.mac(2, 20))},
	{Name: "field of 16 and MAC of 20", Steps: one(client4(field(unknown, 16), mac(1, 0)), answer.mac(1, 16))},
	{Name: "F323 and SHA256 cut to 20", Steps: one(client4(monoRoot, mac(3, 20)), answer.field().mac(3, 20))},
	{Name: "F323 and SHA512 cut to 20", Steps: one(client4(monoRoot, mac(4, 20)), answer.field().mac(4, 20))},
	{Name: "F323 and whole SHA256", Steps: one(client4(monoRoot, mac(3, 0)), none)},
	{Name: "F323 and forged MAC", Steps: one(client4(monoRoot, forged(1)), none)},
	{Name: "F323 and MAC of another key", Steps: one(client4(monoRoot, misnamed(1, 5)), none)},
	{Name: "F323 and crypto-NAK", Steps: one(client4(monoRoot, zeros(4)), none)},
	{Name: "F323 and 8 octets", Steps: one(client4(monoRoot, zeros(8)), none)},
	{Name: "F323 and 12 octets", Steps: one(client4(monoRoot, zeros(12)), none)},
	{Name: "F323 and 16 zeros", Steps: one(client4(monoRoot, zeros(16)), none)},
	{Name: "F323 and 40 zeros", Steps: one(client4(monoRoot, zeros(40)), none)},
	{Name: "length 0", Steps: one(client4(claims(unknown, 0, make([]byte, 96)...)), none)},
	{Name: "length 4", Steps: one(client4(claims(unknown, 4, make([]byte, 96)...)), none)},
	{Name: "length 12", Steps: one(client4(claims(unknown, 12, make([]byte, 96)...)), none)},
	{Name: "length 30", Steps: one(client4(claims(unknown, 30, make([]byte, 96)...)), none)},
	{Name: "length one step beyond the end", Steps: one(client4(claims(unknown, 104, make([]byte, 96)...)), none)},
	{Name: "length 65532", Steps: one(client4(claims(unknown, 65532, make([]byte, 96)...)), none)},
	{Name: "length 65535", Steps: one(client4(claims(unknown, 65535, make([]byte, 96)...)), none)},
	{Name: "second field of length 0", Steps: one(client4(field(unknown, 28), claims(unknown, 0, make([]byte, 96)...)), none)},
	{Name: "second field beyond the end", Steps: one(client4(monoRoot, claims(unknown, 64, make([]byte, 40)...)), none)},
	{Name: "length of zero in 44 octets", Steps: one(client4(claims(unknown, 0, make([]byte, 40)...)), none)},
	{Name: "NTS unique identifier", Steps: one(client4(field(uniqueID, 36)), answer),
		But: but(Chronyd, "a server that is not set up for NTS passes over its fields like others that it does not know "+
			"(RFC 7822 section 3); the client sees that nothing authenticates the answer", none)},
}

// lengths are requests with octets too few or too many.
var lengths = []Row{
	{Name: "empty", Steps: one(cut(0), none)},
	{Name: "1 octet", Steps: one(cut(1), none)},
	{Name: "47 octets", Steps: one(cut(47), none)},
	{Name: "44 octets", Steps: one(cut(44), none)},
	{Name: "49 octets", Steps: one(client4(zeros(1)), none)},
	{Name: "50 octets", Steps: one(client4(zeros(2)), none)},
	{Name: "52 octets", Steps: one(client4(tail(1, 2, 3, 4)), none)},
	{Name: "60 octets", Steps: one(client4(zeros(12)), none)},
	{Name: "64 octets", Steps: one(client4(zeros(16)), none)},
	{Name: "MAC and an odd octet", Steps: one(client4(mac(1, 17)), none)},
	{Name: "1140 zeros behind the header", Steps: one(client4(zeros(1140)), none)},
	{Name: "1452 zeros behind the header", Steps: one(client4(zeros(1452)), none)},
}

// cut is an ordinary request of which n octets are left.
func cut(n int) Ask {
	return func(h History, t ntp.Timestamp) []byte { return client4()(h, t)[:n] }
}

// ones fills the body of the field F323 up.
func ones(b ...byte) []byte {
	for len(b) < ntp.MonoRootLen {
		b = append(b, 0xff)
	}
	return b
}

// after puts zeros behind the MAC.
func after(n int) option {
	return func(d *draft) {
		seal := d.seal
		d.seal = func() []byte { return append(seal(), make([]byte, n)...) }
	}
}

// bent changes the header once the MAC is made.
func bent(d *draft) {
	seal := d.seal
	d.seal = func() []byte {
		b := seal()
		d.p.Poll++
		return b
	}
}
