// SPDX-License-Identifier: Apache-2.0

package leap

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// ntpToUnix is 1970-01-01 in seconds since 1900-01-01.
const ntpToUnix = 2208988800

// ErrChecksum means a list that was changed or cut short.
var ErrChecksum = errors.New("checksum of the list is wrong")

// ParseList reads leap-seconds.list as NIST and IERS publish it: lines of
// seconds since 1900 and TAI-UTC, and comments, of which three mean something:
//
//	#$ time of the last update
//	#@ time of expiry
//	#h SHA-1 of the digits of both and of all data lines, as five words
//
// A list without #h is taken, but not Verified.
func ParseList(text []byte) (*Table, error) {
	p := listParser{sum: sha1.New()}
	for n := 1; len(text) > 0; n++ {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		text = rest
		if err := p.line(string(line)); err != nil {
			return nil, fmt.Errorf("leap second list, line %d: %w", n, err)
		}
	}
	if len(p.table.Entries) == 0 {
		return nil, errors.New("leap second list: no data")
	}
	if p.hashed {
		if [sha1.Size]byte(p.sum.Sum(nil)) != p.want {
			return nil, fmt.Errorf("leap second list: %w", ErrChecksum)
		}
		p.table.Verified = true
	}
	return &p.table, nil
}

type listParser struct {
	table  Table
	sum    hash.Hash
	want   [sha1.Size]byte
	hashed bool
}

func (p *listParser) line(s string) (err error) {
	switch {
	case strings.HasPrefix(s, "#$"):
		p.table.Updated, err = p.instant(strings.TrimSpace(s[2:]))
		return err
	case strings.HasPrefix(s, "#@"):
		p.table.Expires, err = p.instant(strings.TrimSpace(s[2:]))
		return err
	case strings.HasPrefix(s, "#h"):
		return p.checksum(strings.Fields(s[2:]))
	}
	s, _, _ = strings.Cut(s, "#")
	words := strings.Fields(s)
	if len(words) == 0 {
		return nil
	}
	if len(words) != 2 {
		return errors.New("not a time and a number of seconds")
	}
	at, err := p.instant(words[0])
	if err != nil {
		return err
	}
	tai, err := strconv.ParseUint(words[1], 10, 16)
	if err != nil {
		return fmt.Errorf("TAI-UTC: %w", err)
	}
	p.sum.Write([]byte(words[1]))
	return p.table.add(Entry{at, int(tai)})
}

// maxNTP keeps instants within what a Unix time in nanoseconds can hold.
const maxNTP = 1 << 33

// instant reads seconds since 1900. They go into the checksum as written.
func (p *listParser) instant(word string) (int64, error) {
	v, err := strconv.ParseUint(word, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("time: %w", err)
	}
	if v > maxNTP {
		return 0, fmt.Errorf("time %d is too far away", v)
	}
	p.sum.Write([]byte(word))
	return int64(v) - ntpToUnix, nil
}

// checksum reads the five words of #h. Published lists leave out zeros at the
// beginning of a word.
func (p *listParser) checksum(words []string) error {
	if len(words) != 5 {
		return errors.New("checksum does not have five words")
	}
	for i, w := range words {
		v, err := strconv.ParseUint(w, 16, 32)
		if err != nil {
			return fmt.Errorf("checksum: %w", err)
		}
		binary.BigEndian.PutUint32(p.want[4*i:], uint32(v))
	}
	p.hashed = true
	return nil
}

// tzifHeader is the length of the header of a TZif block.
const tzifHeader = 44

// maxLeaps is far more than there can be.
const maxLeaps = 4096

// ParseTZif reads a compiled time zone with leap seconds (tzfile(5), RFC 9636), as
// right/UTC, of any version. Zones without leap seconds are an error.
func ParseTZif(b []byte) (*Table, error) {
	block, err := readBlock(b, 4)
	if err != nil {
		return nil, err
	}
	if block.version >= '2' {
		if block, err = readBlock(b[block.end:], 8); err != nil {
			return nil, err
		}
	}
	if len(block.leaps) == 0 {
		return nil, errors.New("time zone: no leap seconds in it")
	}
	return block.table()
}

// tzif is one data block of a TZif file.
type tzif struct {
	version byte
	leaps   []byte // records of a time and a correction
	size    int    // octets of a time
	end     int
}

// readBlock finds the leap second records of the block at the start of b, in
// which times have size octets (RFC 9636 section 3.1 and 3.2).
func readBlock(b []byte, size int) (tzif, error) {
	if len(b) < tzifHeader || string(b[:4]) != "TZif" {
		return tzif{}, errors.New("time zone: not a TZif file")
	}
	var count [6]int // isut, isstd, leap, time, type, char
	for i := range count {
		v := binary.BigEndian.Uint32(b[20+4*i:])
		if v > 1<<20 {
			return tzif{}, errors.New("time zone: absurd counts")
		}
		count[i] = int(v)
	}
	leaps := tzifHeader + count[3]*(size+1) + count[4]*6 + count[5]
	after := leaps + count[2]*(size+4)
	end := after + count[0] + count[1]
	if end > len(b) || count[2] > maxLeaps {
		return tzif{}, errors.New("time zone: cut short")
	}
	return tzif{version: b[4], leaps: b[leaps:after], size: size, end: end}, nil
}

// taiAtStart is TAI-UTC before the first leap second, on 1972-01-01.
const taiAtStart = 10

// utcStart is 1972-01-01, when UTC began to have leap seconds, in Unix seconds.
const utcStart = 63072000

// table converts the records. A record says when the leap second happens, on a
// clock that counts leap seconds, and the sum of all so far. An inserted second
// is 23:59:60, which Unix time cannot tell from 00:00:00; a deleted one is
// 23:59:59.
func (z tzif) table() (*Table, error) {
	t := &Table{Entries: []Entry{{utcStart, taiAtStart}}}
	sum := 0
	for b := z.leaps; len(b) > 0; b = b[z.size+4:] {
		at := int64(int32(binary.BigEndian.Uint32(b)))
		if z.size == 8 {
			at = int64(binary.BigEndian.Uint64(b))
		}
		if at < 0 || at > maxNTP {
			return nil, fmt.Errorf("time zone: leap second at %d", at)
		}
		next := int(int32(binary.BigEndian.Uint32(b[z.size:])))
		at -= int64(sum)
		if next == sum && len(b) == z.size+4 && z.version >= '4' {
			// The last record of version 4 may tell when the table expires.
			t.Expires = at
			break
		}
		if next < sum {
			at++
		}
		sum = next
		if err := t.add(Entry{at, taiAtStart + sum}); err != nil {
			return nil, fmt.Errorf("time zone: %w", err)
		}
	}
	return t, nil
}
