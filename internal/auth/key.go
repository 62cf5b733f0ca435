// SPDX-License-Identifier: Apache-2.0

// Package auth is symmetric authentication of NTP packets: keys shared by two
// hosts, the message authentication codes made with them (RFC 5905 section
// 7.3, RFC 8573), and the files that keys are kept in. It knows no packet: what
// a code covers, where it stands and how much of it fits is the packet's
// business. Nothing here prints a secret, in an error either.
//
// The one concept is the [Key]: an identifier that both hosts know, an
// algorithm and a secret. For a hash the code is H(secret || message), as NTP
// has had it since version 3 (not HMAC); for AES it is CMAC (RFC 4493).
package auth

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Type is the algorithm of a key.
type Type uint8

// Algorithms, by the names that chrony gives them.
const (
	MD5 Type = iota + 1
	SHA1
	SHA256
	SHA384
	SHA512
	SHA3224
	SHA3256
	SHA3384
	SHA3512
	AES128 // CMAC with AES-128, RFC 4493 and RFC 8573
	AES256 // CMAC with AES-256
	typeCount
)

// types are the facts about each algorithm.
var types = [typeCount]struct {
	name   string
	macLen int // octets of a whole code
	keyLen int // octets that a secret must have, 0 for any number
}{
	MD5:     {"MD5", 16, 0},
	SHA1:    {"SHA1", 20, 0},
	SHA256:  {"SHA256", 32, 0},
	SHA384:  {"SHA384", 48, 0},
	SHA512:  {"SHA512", 64, 0},
	SHA3224: {"SHA3-224", 28, 0},
	SHA3256: {"SHA3-256", 32, 0},
	SHA3384: {"SHA3-384", 48, 0},
	SHA3512: {"SHA3-512", 64, 0},
	AES128:  {"AES128", 16, 16},
	AES256:  {"AES256", 16, 32},
}

// String returns the name of the type in key files.
func (t Type) String() string {
	if t == 0 || t >= typeCount {
		return "none"
	}
	return types[t].name
}

// Errors of ParseType.
var (
	// ErrUnsupported means an algorithm that chrony may have been built with
	// and that we leave out: Tiger and Whirlpool.
	ErrUnsupported = errors.New("algorithm is not supported")
	// ErrUnknownType means a name that is no algorithm.
	ErrUnknownType = errors.New("unknown algorithm")
)

// ParseType returns the type of a name as in chrony's key file, in any case.
// Errors do not repeat the name: in a malformed line it may be a secret.
func ParseType(name string) (Type, error) {
	for t := MD5; t < typeCount; t++ {
		if strings.EqualFold(name, types[t].name) {
			return t, nil
		}
	}
	for _, n := range [...]string{"TIGER", "WHIRLPOOL"} {
		if strings.EqualFold(name, n) {
			return 0, fmt.Errorf("key type %s: %w", n, ErrUnsupported)
		}
	}
	return 0, fmt.Errorf("key type: %w", ErrUnknownType)
}

// Limits.
const (
	// MaxSecret is the longest secret, octets: no line of chrony's key file
	// can hold a longer one.
	MaxSecret = 2048
	// WeakBits is the length below which a secret is called weak.
	WeakBits = 80
	// MaxMACLen is the length of the longest code, octets.
	MaxMACLen = 64
	// ShortMACLen is what is sent of a longer code where NTPv4 leaves room for
	// no more (RFC 7822 section 7.5.1.4), octets.
	ShortMACLen = 20
)

// Key is a symmetric key. It is an immutable value that goroutines may share.
// The zero Key has no type: it makes no code and verifies none.
type Key struct {
	id  uint32
	typ Type
	own *material // nil for the zero Key
}

// material is behind a pointer because package fmt follows none inside of other
// values: a struct that holds a Key may be printed without telling the secret.
type material struct {
	secret []byte
	cmac   *cmac // for AES
}

// NewKey returns the key id (not 0) of type t, with a copy of secret. AES128
// and AES256 take exactly 16 and 32 octets, a hash 1 to MaxSecret.
func NewKey(id uint32, t Type, secret []byte) (Key, error) {
	if id == 0 {
		return Key{}, errors.New("key ID 0 is reserved")
	}
	k, err := makeKey(id, t, secret)
	if err != nil {
		return Key{}, fmt.Errorf("key %d: %w", id, err)
	}
	return k, nil
}

// makeKey is NewKey with errors that do not name the key.
func makeKey(id uint32, t Type, secret []byte) (Key, error) {
	if t == 0 || t >= typeCount {
		return Key{}, ErrUnknownType
	}
	want := types[t].keyLen
	switch n := len(secret); {
	case want != 0 && n != want:
		return Key{}, fmt.Errorf("%s needs a secret of %d bits, got %d", t, want*8, n*8)
	case n == 0:
		return Key{}, errors.New("secret is empty")
	case n > MaxSecret:
		return Key{}, fmt.Errorf("secret is longer than %d octets", MaxSecret)
	}
	own := &material{secret: append([]byte(nil), secret...)}
	if want != 0 {
		own.cmac = newCMAC(own.secret)
	}
	return Key{id: id, typ: t, own: own}, nil
}

// ID returns the identifier sent with a code.
func (k Key) ID() uint32 { return k.id }

// Type returns the algorithm.
func (k Key) Type() Type { return k.typ }

// Bits returns the length of the secret, bits.
func (k Key) Bits() int {
	if k.own == nil {
		return 0
	}
	return 8 * len(k.own.secret)
}

// Weak tells whether the secret is shorter than WeakBits.
func (k Key) Weak() bool { return k.Bits() < WeakBits }

// MACLen returns the length of a whole code, octets: 16 to 64, or 0 for the
// zero Key.
func (k Key) MACLen() int {
	if k.typ >= typeCount {
		return 0
	}
	return types[k.typ].macLen
}

// String describes the key without its secret.
func (k Key) String() string { return fmt.Sprintf("%d %s (%d bits)", k.id, k.typ, k.Bits()) }

// Format writes String for every verb: %d and %#v do not print the secret either.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }

// AppendMAC appends the whole code of msg, MACLen octets, to dst. The two may
// share memory as long as msg ends where dst does or before. It does not
// allocate if dst has room and msg is not longer than an NTP packet.
func (k Key) AppendMAC(dst, msg []byte) []byte {
	var mac [MaxMACLen]byte
	k.sum(&mac, msg)
	return append(dst, mac[:k.MACLen()]...)
}

// Verify tells whether mac is the code of msg: the whole of it or its first
// ShortMACLen octets. The time that it takes does not depend on where the
// octets differ. It does not allocate for messages up to an NTP packet's length.
func (k Key) Verify(msg, mac []byte) bool {
	n := k.MACLen()
	if n == 0 || len(mac) != n && len(mac) != min(n, ShortMACLen) {
		return false
	}
	var want [MaxMACLen]byte
	k.sum(&want, msg)
	return subtle.ConstantTimeCompare(want[:len(mac)], mac) == 1
}
