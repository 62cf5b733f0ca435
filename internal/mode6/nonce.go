// SPDX-License-Identifier: Apache-2.0

package mode6

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"net/netip"

	"foliot/internal/clock"
)

// A nonce is a letter, when it was given, and a code over that and whom it was
// given to. Nothing is remembered. The letter is one that begins no number,
// because ntpq gives numbers back in another form.
const (
	nonceLetter = 'f'
	nonceMAC    = 16 // octets
	nonceLen    = 1 + 2*(8+nonceMAC)
	nonceLife   = 16 * clock.Second // NONCE_TIMEOUT in ntpd's ntp_control.h
)

// nonce returns a nonce for the sender of the request.
func (r *Responder) nonce() string {
	var b [8 + nonceMAC]byte
	binary.BigEndian.PutUint64(b[:], uint64(r.req.Now.Mono.Nanos()))
	copy(b[8:], r.sign([8]byte(b[:8]), r.req.From))
	return string(nonceLetter) + hex.EncodeToString(b[:])
}

// fresh tells whether s is a nonce that the sender of the request was given not
// long ago.
func (r *Responder) fresh(s string) bool {
	if len(s) != nonceLen || s[0] != nonceLetter {
		return false
	}
	b, err := hex.DecodeString(s[1:])
	if err != nil {
		return false
	}
	given := clock.At[clock.Raw](int64(binary.BigEndian.Uint64(b)))
	if age := r.req.Now.Mono.Sub(given); age < 0 || age >= nonceLife {
		return false
	}
	return subtle.ConstantTimeCompare(b[8:], r.sign([8]byte(b[:8]), r.req.From)) == 1
}

// sign returns the code over a time and an address.
func (r *Responder) sign(at [8]byte, to netip.AddrPort) []byte {
	h := hmac.New(sha256.New, r.config.Secret[:])
	h.Write(at[:])
	addr := to.Addr().As16()
	h.Write(addr[:])
	h.Write([]byte{byte(to.Port() >> 8), byte(to.Port())})
	return h.Sum(nil)[:nonceMAC]
}

// purse holds the octets by which answers may be longer than their requests. The
// zero purse is full.
type purse struct {
	spent float64 // octets that are missing
	at    clock.Mono
}

// purseSeconds is how many seconds fill a purse.
const purseSeconds = 8

// spend takes n octets out if they are there; rate a second come in.
func (p *purse) spend(n, rate int, now clock.Mono) bool {
	if since := now.Sub(p.at).Seconds(); since > 0 {
		p.spent = max(0, p.spent-since*float64(rate))
	}
	p.at = now
	if p.spent+float64(n) > float64(purseSeconds*rate) {
		return false
	}
	p.spent += float64(n)
	return true
}
