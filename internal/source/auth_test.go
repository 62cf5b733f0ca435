// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"foliot/internal/auth"
	"foliot/internal/clock"
	"foliot/internal/ntp"
)

func keyOf(t testing.TB, id uint32, typ auth.Type, secret byte) auth.Key {
	t.Helper()
	n := 20
	switch typ {
	case auth.AES128:
		n = 16
	case auth.AES256:
		n = 32
	}
	k, err := auth.NewKey(id, typ, bytes.Repeat([]byte{secret}, n))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sealed appends the code of b, its first n octets (0: all of it), made with k
// and sent under the name id.
func sealed(b []byte, k auth.Key, id uint32, n int) []byte {
	mac := k.AppendMAC(nil, b)
	if n > 0 {
		mac = mac[:n]
	}
	return append(binary.BigEndian.AppendUint32(bytes.Clone(b), id), mac...)
}

// fake is a good answer with a code that must not do.
type fake struct {
	name string
	data []byte
}

// fakes makes what may come in place of the answer b to a source with the key k.
func fakes(t testing.TB, b []byte, k auth.Key) []fake {
	other := keyOf(t, k.ID()+1, k.Type(), 'k') // as good, but not this source's
	stranger := keyOf(t, k.ID(), k.Type(), 'x')
	weaker := keyOf(t, k.ID(), auth.MD5, 'k')
	good := sealed(b, k, k.ID(), 0)
	field := ntp.AppendField(bytes.Clone(b), 0x2005, make([]byte, 24), 0)
	all := []fake{
		{"no MAC", b},
		{"no MAC, a field", field},
		{"crypto-NAK", append(bytes.Clone(b), 0, 0, 0, 0)},
		{"crypto-NAK behind a field", append(bytes.Clone(field), 0, 0, 0, 0)},
		{"crypto-NAK behind the MAC", append(bytes.Clone(good), 0, 0, 0, 0)},
		{"only the key ID", good[:52]},
		{"another key of ours", sealed(b, other, other.ID(), 0)},
		{"another key of ours under the right ID", sealed(b, stranger, k.ID(), 0)},
		{"the right key under another ID", sealed(b, k, other.ID(), 0)},
		{"key ID 0", sealed(b, k, 0, 0)},
		{"key ID 0, zeros", append(bytes.Clone(b), make([]byte, len(good)-len(b))...)},
		{"zeros under the right ID", append(good[:52:52], make([]byte, len(good)-52)...)},
		{"the code of the header, a field slipped in", append(bytes.Clone(field), good[48:]...)},
		{"the field that was sealed taken out", append(bytes.Clone(b), sealed(field, k, k.ID(), 0)[len(field):]...)},
		{"MAC twice", append(bytes.Clone(good), good[48:]...)},
	}
	if k.Type() != auth.MD5 {
		all = append(all, fake{"a weaker algorithm", sealed(b, weaker, k.ID(), 0)})
	}
	for n := 4; n < k.MACLen(); n += 4 {
		if b[0]>>3&7 != 4 || n != auth.ShortMACLen {
			all = append(all, fake{fmt.Sprintf("MAC of %d octets", n), sealed(b, k, k.ID(), n)})
		}
	}
	for i := range good[48:] {
		bad := bytes.Clone(good)
		bad[48+i] ^= 0x80
		all = append(all, fake{fmt.Sprintf("octet %d of the MAC changed", i), bad})
	}
	return all
}

// authConfigs are sources with every kind of key, in both versions.
func authConfigs(t testing.TB) (all []Config) {
	for typ := auth.MD5; typ <= auth.AES256; typ++ {
		for _, version := range []uint8{3, 4} {
			cfg := baseConfig()
			cfg.Key, cfg.Authenticated, cfg.Version = keyOf(t, 7, typ, 'k'), true, version
			all = append(all, cfg)
		}
	}
	return all
}

// refused wants data to fail authentication and to change nothing.
func (l *lab) refused(name string, data []byte) {
	l.t.Helper()
	before, deadline := freeze(l.a), l.a.Deadline()
	if v := l.receive(data); v != BadAuth {
		l.t.Errorf("%s: %v, want %v", name, v, BadAuth)
	}
	unchanged(l.t, name, before, l.a)
	if l.a.Deadline() != deadline {
		l.t.Errorf("%s moved the deadline", name)
	}
}

// TestClientAuthentication: nothing but a whole code with the key of the source
// authenticates, and what does not changes nothing; the true answer is still
// taken after it.
func TestClientAuthentication(t *testing.T) {
	for _, cfg := range authConfigs(t) {
		for _, cfg.XLeave = range []bool{false, true} {
			name := fmt.Sprintf("%s, version %d, xleave %v: ", cfg.Key.Type(), cfg.Version, cfg.XLeave)
			l := online(t, cfg)
			for range 3 {
				l.request()
				// The change to interleaved mode costs a sample.
				if v := l.receive(sealed(l.reply(), cfg.Key, 7, 0)); v != Accepted && (v != Synced || !cfg.XLeave) {
					t.Fatalf("%sa good answer: %v", name, v)
				}
			}
			l.request()
			b := bytes.Clone(l.reply())
			for _, f := range fakes(t, b, cfg.Key) {
				l.refused(name+f.name, f.data)
			}
			if v := l.receive(sealed(b, cfg.Key, 7, 0)); v != Accepted {
				t.Errorf("%sthe answer after the fakes: %v", name, v)
			}
		}
	}
}

// TestShortCode: version 4 may cut a code to 20 octets, with fields and without
// (RFC 7822 section 7.5.1.4).
func TestShortCode(t *testing.T) {
	for _, cfg := range authConfigs(t) {
		if cfg.Key.MACLen() <= auth.ShortMACLen || cfg.Version != 4 {
			continue
		}
		l := online(t, cfg)
		for _, field := range []bool{false, true} {
			l.request()
			b := bytes.Clone(l.reply())
			if field {
				b = ntp.AppendField(b, 0x2005, make([]byte, 24), 0)
				l.refused("a whole code behind a field", sealed(b, cfg.Key, 7, 0))
			}
			if v := l.receive(sealed(b, cfg.Key, 7, auth.ShortMACLen)); v != Accepted {
				t.Errorf("%s, field %v: a code of 20 octets: %v", cfg.Key.Type(), field, v)
			}
		}
	}
}

// TestMissingKey: a source whose key is not in the key file believes nobody.
func TestMissingKey(t *testing.T) {
	cfg := baseConfig()
	cfg.Authenticated = true
	l := online(t, cfg)
	l.request()
	b := bytes.Clone(l.reply())
	for _, n := range []int{0, 4, 16, 20, 24, 36, 68} {
		l.refused(fmt.Sprintf("%d zeros behind the header", n), append(bytes.Clone(b), make([]byte, n)...))
	}
	for _, f := range fakes(t, b, keyOf(t, 7, auth.SHA1, 'k')) {
		l.refused(f.name, f.data)
	}
}

// TestKeyChange takes another key into use, as after a reload: at once, and
// with the history kept.
func TestKeyChange(t *testing.T) {
	cfg := baseConfig()
	cfg.Key, cfg.Authenticated = keyOf(t, 7, auth.SHA1, 'k'), true
	l := online(t, cfg)
	answer := func(k auth.Key) []byte { return sealed(l.reply(), k, k.ID(), 0) }
	old := cfg.Key
	for range 3 {
		l.request()
		l.receive(answer(old))
	}
	for _, fresh := range []auth.Key{
		keyOf(t, 7, auth.SHA1, 'n'), keyOf(t, 7, auth.AES128, 'n'), keyOf(t, 9, auth.AES128, 'n'),
	} {
		held := l.a.Register().Held()
		l.request() // under way while the key changes
		cfg.Key = fresh
		l.a.Configure(cfg)
		l.refused("the old key after "+fresh.String(), answer(old))
		if v := l.receive(answer(fresh)); v != Accepted || l.a.Register().Held() != held+1 {
			t.Errorf("%s after the change: %v, %d samples, want %d", fresh, v, l.a.Register().Held(), held+1)
		}
		old = fresh
	}
}

// TestPeerAuthentication is TestClientAuthentication for peers: a fake must not
// even be remembered as the peer's last packet (CVE-2015-1799).
func TestPeerAuthentication(t *testing.T) {
	for _, cfg := range authConfigs(t) {
		for _, cfg.XLeave = range []bool{false, true} {
			name := fmt.Sprintf("%s, version %d, xleave %v: ", cfg.Key.Type(), cfg.Version, cfg.XLeave)
			p := newPair(t, cfg)
			p.online()
			p.run(1000 * clock.Second)
			s := p.side[0]
			answer := bytes.Clone(p.last[1][:48])
			answer[43]++ // sent later than what is known, so that it is news
			lost := bytes.Clone(answer)
			lost[31] ^= 1 // it answers a packet that we know nothing of
			binary.BigEndian.PutUint64(answer[24:], uint64(s.a.local.txNTP))
			for _, data := range [][]byte{answer, lost} {
				for _, f := range fakes(t, data, cfg.Key) {
					before, deadline := freeze(s.a), s.a.Deadline()
					if v := p.receive(0, f.data); v == Accepted || v == Synced || v == Unsynced {
						t.Errorf("%s%s: %v", name, f.name, v)
					}
					unchanged(t, name+f.name, before, s.a)
					if s.a.Deadline() != deadline {
						t.Errorf("%s%s moved the deadline", name, f.name)
					}
				}
			}
			if s.counts[BadAuth] < 10 {
				t.Errorf("%s%d packets refused for their code, want 10 at least; verdicts %v", name, s.counts[BadAuth], s.counts)
			}
			taken := s.taken
			p.run(2000 * clock.Second)
			if taken < 8 || s.taken < taken+8 {
				t.Errorf("%s%d samples in 1000 s before the fakes, %d after", name, taken, s.taken-taken)
			}
		}
	}
}
