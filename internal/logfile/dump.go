// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// MaxDumpSamples is how many samples a dumped history can have.
const MaxDumpSamples = 64

// Dump is the sample history of one source, kept over a restart in a file of
// the directory dumpdir.
type Dump struct {
	Source        string // as it was configured, "." for a reference clock
	Authenticated bool
	Reach         uint8 // the last eight polls, newest in bit 0
	ReachSize     int   // how many of the eight there were, 0..8
	Stratum       int   // 0..16
	Leap          ntp.Leap
	AsymmetryRun  int          // regressions in a row that saw the same asymmetry, negative if negative
	Samples       []DumpSample // oldest first
}

// DumpSample is one sample of a history. The file has the offsets with the
// opposite sign, positive = local clock fast.
type DumpSample struct {
	Time       clock.Served
	Offset     clock.Offset // moved along with the corrections made since
	OrigOffset clock.Offset // as it was measured
	PeerDelay  clock.Delay
	PeerDisp   clock.Dispersion
	RootDelay  clock.Delay
	RootDisp   clock.Dispersion
}

const (
	dumpMagic = "SRC0"
	dumpLimit = 64 << 10 // octets; 64 samples need 8 KiB
)

// DumpName returns the name of the file that keeps the history of a source.
func DumpName(n Name) string {
	if n.Addr.IsValid() {
		return n.Addr.WithZone("").String() + ".dat"
	}
	return fmt.Sprintf("refid:%08x.dat", n.RefID)
}

// AppendDump appends the content of a dump file:
//
//	SRC0
//	source
//	authenticated reach(octal) reachsize stratum leap
//	samples asymmetryrun
//	time offset origoffset peerdelay peerdisp rootdelay rootdisp
func AppendDump(b []byte, d *Dump) []byte {
	b = append(b, dumpMagic+"\n"...)
	b = append(append(b, d.Source...), '\n')
	b = append(appendBool(b, d.Authenticated), ' ')
	b = append(appendOctal(b, d.Reach, 0), ' ')
	b = append(appendInt(b, d.ReachSize, 0), ' ')
	b = append(appendInt(b, d.Stratum, 0), ' ')
	b = append(appendInt(b, int(d.Leap), 0), '\n')
	b = append(appendInt(b, len(d.Samples), 0), ' ')
	b = append(appendInt(b, d.AsymmetryRun, 0), '\n')
	for i := range d.Samples {
		b = d.Samples[i].appendTo(b)
	}
	return b
}

func (s *DumpSample) appendTo(b []byte) []byte {
	sec, ns := s.Time.Nanos()/1e9, s.Time.Nanos()%1e9
	if ns < 0 {
		sec, ns = sec-1, ns+1e9
	}
	b = append(strconv.AppendInt(b, sec, 10), '.')
	for div := int64(1e8); div > 0; div /= 10 {
		b = append(b, '0'+byte(ns/div%10))
	}
	for _, x := range [...]float64{
		fast(s.Offset), fast(s.OrigOffset),
		float64(s.PeerDelay), float64(s.PeerDisp), float64(s.RootDelay), float64(s.RootDisp),
	} {
		b = appendFloat(append(b, ' '), x, layout{'e', 0, 6})
	}
	return append(b, '\n')
}

// ParseDump reads the content of a dump file. Nothing in it is trusted: what it
// accepts is complete, finite, in range and in order of time.
func ParseDump(b []byte) (*Dump, error) {
	lines := strings.Split(string(bytes.TrimSuffix(b, []byte("\n"))), "\n")
	if len(lines) < 4 || lines[0] != dumpMagic {
		return nil, fmt.Errorf("%w: no history", ErrSyntax)
	}
	d := &Dump{Source: lines[1]}
	if d.Source == "" || len(d.Source) > 255 || strings.ContainsFunc(d.Source, isControl) {
		return nil, fmt.Errorf("%w: line 2", ErrSyntax)
	}
	if err := d.parseState(strings.Fields(lines[2])); err != nil {
		return nil, fmt.Errorf("%w: line 3", err)
	}
	n, err := d.parseCounts(strings.Fields(lines[3]))
	if err != nil || len(lines) != 4+n {
		return nil, fmt.Errorf("%w: line 4", ErrSyntax)
	}
	for i, line := range lines[4:] {
		s, err := parseSample(strings.Fields(line))
		if err == nil && i > 0 && !s.Time.After(d.Samples[i-1].Time) {
			err = ErrSyntax
		}
		if err != nil {
			return nil, fmt.Errorf("%w: line %d", err, 5+i)
		}
		d.Samples = append(d.Samples, s)
	}
	return d, nil
}

// ranged collects the first error of several integers.
type ranged struct{ err error }

// parse reads an integer from lo to hi.
func (r *ranged) parse(s string, base, lo, hi int) int {
	n, err := strconv.ParseInt(s, base, 32)
	if err != nil || int(n) < lo || int(n) > hi {
		r.err = ErrSyntax
		return lo
	}
	return int(n)
}

// parseState reads the third line.
func (d *Dump) parseState(f []string) error {
	if len(f) != 5 {
		return ErrSyntax
	}
	var r ranged
	d.Authenticated = r.parse(f[0], 10, 0, 1) == 1
	d.Reach = uint8(r.parse(f[1], 8, 0, 0o377))
	d.ReachSize = r.parse(f[2], 10, 0, 8)
	d.Stratum = r.parse(f[3], 10, 0, 16)
	d.Leap = ntp.Leap(r.parse(f[4], 10, int(ntp.LeapNone), int(ntp.LeapUnsync)))
	return r.err
}

// parseCounts reads the fourth line and returns the number of samples.
func (d *Dump) parseCounts(f []string) (int, error) {
	if len(f) != 2 {
		return 0, ErrSyntax
	}
	var r ranged
	n := r.parse(f[0], 10, 0, MaxDumpSamples)
	d.AsymmetryRun = r.parse(f[1], 10, math.MinInt32, math.MaxInt32)
	return n, r.err
}

// parseSample reads the fields of a sample.
func parseSample(f []string) (DumpSample, error) {
	const maxSeconds = 1e10 // no offset that a clock can have is larger
	if len(f) != 7 {
		return DumpSample{}, ErrSyntax
	}
	at, err := parseInstant(f[0])
	if err != nil {
		return DumpSample{}, err
	}
	var x [6]float64
	for i := range x {
		if x[i], err = parseNumber(f[1+i], maxSeconds); err != nil {
			return DumpSample{}, err
		}
		if i >= 2 && x[i] < 0 {
			return DumpSample{}, ErrSyntax
		}
	}
	return DumpSample{
		Time:       at,
		Offset:     clock.Offset(0 - x[0]),
		OrigOffset: clock.Offset(0 - x[1]),
		PeerDelay:  clock.Delay(x[2]),
		PeerDisp:   clock.Dispersion(x[3]),
		RootDelay:  clock.Delay(x[4]),
		RootDisp:   clock.Dispersion(x[5]),
	}, nil
}

// parseInstant reads seconds since the epoch with up to nine decimals, exactly.
func parseInstant(s string) (clock.Served, error) {
	whole, frac, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || sec < 0 || sec >= math.MaxInt64/1_000_000_000 || len(frac) > 9 {
		return clock.Served{}, ErrSyntax
	}
	frac += "000000000"[len(frac):]
	ns, err := strconv.ParseUint(frac, 10, 32)
	if err != nil {
		return clock.Served{}, ErrSyntax
	}
	return clock.At[clock.Corrected](sec*1e9 + int64(ns)), nil
}

// SaveDump writes the history of a source into the directory dir, which it
// creates if its parent exists.
func SaveDump(dir string, n Name, d *Dump) error {
	err := os.Mkdir(dir, 0o755)
	if err == nil || errors.Is(err, os.ErrExist) {
		err = Replace(filepath.Join(dir, DumpName(n)), AppendDump(nil, d), 0o644)
	}
	if err != nil {
		return fmt.Errorf("save history of %v: %w", n, err)
	}
	return nil
}

// LoadDump reads the history of a source. A file that does not exist is an
// error that wraps os.ErrNotExist.
func LoadDump(dir string, n Name) (*Dump, error) {
	b, err := readSmall(filepath.Join(dir, DumpName(n)), dumpLimit)
	var d *Dump
	if err == nil {
		d, err = ParseDump(b)
	}
	if err != nil {
		return nil, fmt.Errorf("load history of %v: %w", n, err)
	}
	return d, nil
}

// RemoveDumps deletes the dump files in dir and nothing else: a history is
// worth something only at the next start.
func RemoveDumps(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		if isDumpName(e.Name()) {
			errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove histories: %w", err)
	}
	return nil
}

func isDumpName(name string) bool {
	stem, ok := strings.CutSuffix(name, ".dat")
	if !ok {
		return false
	}
	if id, ok := strings.CutPrefix(stem, "refid:"); ok {
		_, err := strconv.ParseUint(id, 16, 32)
		return err == nil && len(id) == 8
	}
	_, err := netip.ParseAddr(stem)
	return err == nil
}
