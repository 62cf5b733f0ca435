// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"crypto/subtle"
	"sync"
)

// Stack buffers for secret and message, octets: one for the usual packet, one
// for the longest secret before the longest packet.
const (
	usualLen   = 256
	longestLen = 2048 + 1140
)

// sum writes the code of msg to the front of mac.
func (k Key) sum(mac *[MaxMACLen]byte, msg []byte) {
	if k.own == nil {
		return
	}
	switch n := len(k.own.secret) + len(msg); {
	case k.own.cmac != nil:
		k.own.cmac.sum(mac, msg)
	case n <= usualLen:
		k.hashUsual(mac, msg)
	case n <= longestLen:
		k.hashLong(mac, msg)
	default:
		hash(k.typ, mac, append(append(make([]byte, 0, n), k.own.secret...), msg...))
	}
}

// hashUsual and hashLong differ in the memory that is cleared for each call.
func (k Key) hashUsual(mac *[MaxMACLen]byte, msg []byte) {
	var b [usualLen]byte
	n := copy(b[:], k.own.secret)
	n += copy(b[n:], msg)
	hash(k.typ, mac, b[:n])
}

func (k Key) hashLong(mac *[MaxMACLen]byte, msg []byte) {
	var b [longestLen]byte
	n := copy(b[:], k.own.secret)
	n += copy(b[n:], msg)
	hash(k.typ, mac, b[:n])
}

// hash writes the digest of data to the front of mac. The functions of the
// standard library that take everything at once need no memory from the heap.
func hash(t Type, mac *[MaxMACLen]byte, data []byte) {
	switch t {
	case MD5:
		*(*[md5.Size]byte)(mac[:]) = md5.Sum(data)
	case SHA1:
		*(*[sha1.Size]byte)(mac[:]) = sha1.Sum(data)
	case SHA256:
		*(*[sha256.Size]byte)(mac[:]) = sha256.Sum256(data)
	case SHA384:
		*(*[sha512.Size384]byte)(mac[:]) = sha512.Sum384(data)
	case SHA512:
		*mac = sha512.Sum512(data)
	case SHA3224:
		*(*[28]byte)(mac[:]) = sha3.Sum224(data)
	case SHA3256:
		*(*[32]byte)(mac[:]) = sha3.Sum256(data)
	case SHA3384:
		*(*[48]byte)(mac[:]) = sha3.Sum384(data)
	case SHA3512:
		*mac = sha3.Sum512(data)
	}
}

// cmac is CMAC (RFC 4493) with one key.
type cmac struct {
	block  cipher.Block
	k1, k2 [aes.BlockSize]byte // subkeys: for a whole last block, for a padded one
}

// newCMAC returns CMAC for a secret of a length that AES takes.
func newCMAC(secret []byte) *cmac {
	b, err := aes.NewCipher(secret)
	if err != nil {
		panic("auth: " + err.Error())
	}
	c := &cmac{block: b}
	b.Encrypt(c.k1[:], c.k1[:])
	c.k1 = double(c.k1)
	c.k2 = double(c.k1)
	return c
}

// double multiplies by x in GF(2^128) (RFC 4493 section 2.3), in constant time.
func double(b [aes.BlockSize]byte) [aes.BlockSize]byte {
	var out [aes.BlockSize]byte
	var carry byte
	for i := len(b) - 1; i >= 0; i-- {
		out[i] = b[i]<<1 | carry
		carry = b[i] >> 7
	}
	out[len(out)-1] ^= 0x87 & -carry
	return out
}

// chains holds CMAC's chaining blocks. A block that is handed to a cipher
// through its interface cannot live on the stack.
var chains = sync.Pool{New: func() any { return new([aes.BlockSize]byte) }}

func (c *cmac) sum(mac *[MaxMACLen]byte, msg []byte) {
	x := chains.Get().(*[aes.BlockSize]byte)
	clear(x[:])
	for len(msg) > aes.BlockSize {
		subtle.XORBytes(x[:], x[:], msg[:aes.BlockSize])
		c.block.Encrypt(x[:], x[:])
		msg = msg[aes.BlockSize:]
	}
	subtle.XORBytes(x[:], x[:], msg)
	last := &c.k1
	if len(msg) < aes.BlockSize {
		x[len(msg)] ^= 0x80
		last = &c.k2
	}
	subtle.XORBytes(x[:], x[:], last[:])
	c.block.Encrypt(x[:], x[:])
	copy(mac[:], x[:])
	chains.Put(x)
}
