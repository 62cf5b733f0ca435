// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Ring holds keys by their ID.
type Ring map[uint32]Key

// Problem is something wrong in a key file. It never holds a secret.
type Problem struct {
	Line int    // counted from 1
	ID   uint32 // of the key, 0 if the line has none
	Kept bool   // the key is in the ring nevertheless
	Text string // lower case, without line number and ID
}

func (p Problem) String() string {
	if p.ID == 0 {
		return fmt.Sprintf("line %d: %s", p.Line, p.Text)
	}
	return fmt.Sprintf("line %d: key %d: %s", p.Line, p.ID, p.Text)
}

// maxLine is the longest line, octets, as in chrony.
const maxLine = 2047

// ParseKeys reads a key file as chrony's keyfile directive names one. Each line
// is
//
//	ID [TYPE] [ASCII:|HEX:]SECRET
//
// with MD5 for a missing type and "ASCII:" for a missing prefix. ASCII means every
// octet but white space and zero, as it is: a secret in UTF-8 is one. Empty lines
// and lines that begin with one of !;#% are passed over. A line that cannot be used
// is a problem of its own; the others count. Of two keys with one ID the later
// counts.
func ParseKeys(text []byte) (Ring, []Problem) {
	return parseLines(text, "!;#%", chronyKey)
}

// ParseNTPKeys reads a key file as the keys directive of ntp.conf names one.
// Each line is
//
//	ID TYPE SECRET [ADDRESSES]
//
// and may end in a comment after "#". Besides the names of [ParseType], TYPE may
// be M for MD5, SHA for SHA1, and AES or AES128CMAC for AES128. A secret of up to
// 20 characters is meant literally, a longer one is hexadecimal; for AES it is
// cut or filled with zeros to 16 octets, as ntpd does. The list of addresses, which
// would restrict who may use the key, is reported and not obeyed, and so the key
// is not used.
func ParseNTPKeys(text []byte) (Ring, []Problem) {
	return parseLines(text, "#", func(words []string) (uint32, Key, error) {
		line, _, _ := strings.Cut(strings.Join(words, " "), "#")
		return ntpKey(fields(line))
	})
}

// lineParser makes a key of the words of a line. The ID is valid with an error
// too, unless 0.
type lineParser func(words []string) (id uint32, k Key, err error)

// fields splits at the white space of the C locale. The standard library's
// function also takes parts of a secret in UTF-8 for white space.
func fields(line string) []string {
	return strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' })
}

func parseLines(text []byte, comment string, parse lineParser) (Ring, []Problem) {
	ring := make(Ring)
	var problems []Problem
	for n := 1; len(text) > 0; n++ {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		p := Problem{Line: n}
		if len(line) > maxLine {
			p.Text = fmt.Sprintf("longer than %d octets", maxLine)
			problems = append(problems, p)
			continue
		}
		if bytes.IndexByte(line, 0) >= 0 { // other programs take it for the end
			p.Text = "holds a zero octet"
			problems = append(problems, p)
			continue
		}
		words := fields(string(line))
		if len(words) == 0 || strings.IndexByte(comment, words[0][0]) >= 0 {
			continue
		}
		id, k, err := parse(words)
		p.ID = id
		if err != nil {
			p.Text = err.Error()
			problems = append(problems, p)
			continue
		}
		problems = append(problems, ring.add(k, p)...)
	}
	return ring, problems
}

// add puts k in the ring and returns what there is to say about it.
func (r Ring) add(k Key, at Problem) (out []Problem) {
	at.Kept = true
	if _, ok := r[k.id]; ok {
		at.Text = "defined before, this one counts"
		out = append(out, at)
	}
	if k.Weak() {
		at.Text = fmt.Sprintf("only %d bits long, at least %d are recommended", k.Bits(), WeakBits)
		out = append(out, at)
	}
	r[k.id] = k
	return out
}

func parseID(word string) (uint32, error) {
	id, err := strconv.ParseUint(word, 10, 32)
	if err != nil || id == 0 {
		return 0, errors.New("key ID is not a number from 1 to 4294967295")
	}
	return uint32(id), nil
}

func chronyKey(words []string) (uint32, Key, error) {
	id, err := parseID(words[0])
	if err != nil {
		return 0, Key{}, err
	}
	typ, word := MD5, ""
	switch len(words) {
	case 1:
		return id, Key{}, errors.New("no secret")
	case 2:
		word = words[1]
		if _, err := ParseType(word); !errors.Is(err, ErrUnknownType) {
			return id, Key{}, errors.New("no secret behind the type") // else "SHA1" were one
		}
	case 3:
		word = words[2]
		if typ, err = ParseType(words[1]); err != nil {
			return id, Key{}, err
		}
	default:
		return id, Key{}, errors.New("more than ID, type and secret")
	}
	secret, err := chronySecret(word)
	if err != nil {
		return id, Key{}, err
	}
	k, err := makeKey(id, typ, secret)
	return id, k, err
}

func chronySecret(word string) ([]byte, error) {
	if h, ok := strings.CutPrefix(word, "HEX:"); ok {
		return fromHex(h)
	}
	return []byte(strings.TrimPrefix(word, "ASCII:")), nil
}

// fromHex hides the error of the decoder, which quotes what it could not read.
func fromHex(s string) ([]byte, error) {
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil, errors.New("secret is not a hexadecimal number of whole octets")
	}
	return b, nil
}

// ntpTypes are names of types in ntpd's key files that chrony does not have.
var ntpTypes = map[string]Type{"M": MD5, "SHA": SHA1, "AES": AES128, "AES128CMAC": AES128}

// maxLiteral is the longest secret that ntpd takes literally, octets.
const maxLiteral = 20

func ntpKey(words []string) (uint32, Key, error) {
	id, err := parseID(words[0])
	if err != nil {
		return 0, Key{}, err
	}
	switch {
	case len(words) < 3:
		return id, Key{}, errors.New("needs a type and a secret")
	case len(words) > 3:
		return id, Key{}, errors.New("a list of addresses behind the secret is not supported")
	}
	typ, ok := ntpTypes[strings.ToUpper(words[1])]
	if !ok {
		if typ, err = ParseType(words[1]); err != nil {
			return id, Key{}, err
		}
	}
	secret := []byte(words[2])
	if len(secret) > maxLiteral {
		if secret, err = fromHex(words[2]); err != nil {
			return id, Key{}, err
		}
	}
	if typ == AES128 {
		var b [16]byte
		copy(b[:], secret)
		secret = b[:]
	}
	k, err := makeKey(id, typ, secret)
	return id, k, err
}
