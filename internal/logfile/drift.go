// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"

	"foliot/internal/clock"
)

// ErrSyntax is wrapped by errors about the content of a file.
var ErrSyntax = errors.New("malformed content")

// Drift is what a drift file remembers of the clock.
type Drift struct {
	Frequency clock.Frequency // of the clock uncorrected
	Skew      clock.Frequency // bound of its error, not negative
}

// A drift file holds two numbers in ppm. The first is positive when the clock
// gains time: the opposite of clock.Frequency. A file with a single number is
// ntpd's: it holds the correction that ntpd gave to the kernel, which has our
// sign.
const (
	driftLimit = 1 << 10 // octets
	maxDrift   = 100000  // ppm, what the kernel can correct
	maxSkew    = 1e6     // ppm, chrony's "unknown"

	// ntpdSkew is the error that we grant a number from ntpd, which records
	// none: a few ppm for temperature and for the wander since.
	ntpdSkew = 10
)

// ParseDrift reads the content of a drift file.
func ParseDrift(b []byte) (Drift, error) {
	f := strings.Fields(string(b))
	if len(f) == 0 {
		return Drift{}, ErrSyntax
	}
	ppm, err := parseNumber(f[0], maxDrift)
	if err != nil {
		return Drift{}, err
	}
	if len(f) == 1 {
		return Drift{Frequency: clock.FromPPM(ppm), Skew: clock.FromPPM(ntpdSkew)}, nil
	}
	skew, err := parseNumber(f[1], math.MaxFloat64)
	if err != nil {
		return Drift{}, err
	}
	if skew < 0 {
		return Drift{}, fmt.Errorf("%w: negative skew %s", ErrSyntax, f[1])
	}
	return Drift{Frequency: clock.FromPPM(0 - ppm), Skew: clock.FromPPM(min(skew, maxSkew))}, nil
}

// parseNumber reads a finite number of at most limit in either direction.
func parseNumber(s string, limit float64) (float64, error) {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %q is no number", ErrSyntax, s)
	}
	if !(math.Abs(x) <= limit) {
		return 0, fmt.Errorf("%w: %s is out of range", ErrSyntax, s)
	}
	return x, nil
}

// AppendDrift appends the content of a drift file.
func AppendDrift(b []byte, d Drift) []byte {
	ppm := layout{'f', 20, 6}
	b = append(appendFloat(b, fast(d.Frequency)*1e6, ppm), ' ')
	return append(appendFloat(b, d.Skew.PPM(), ppm), '\n')
}

// AppendNTPDrift appends the content of a drift file of ntpd: the correction alone,
// in ppm.
func AppendNTPDrift(b []byte, d Drift) []byte {
	return append(appendFloat(b, d.Frequency.PPM(), layout{'f', 0, 6}), '\n')
}

// DriftFile is the file of directive driftfile. Not safe for concurrent use.
type DriftFile struct {
	// NTP writes the file in ntpd's format.
	NTP     bool
	path    string
	warn    *slog.Logger
	failing bool
}

// NewDriftFile returns the drift file at path; warn learns when writing begins
// to fail and when it works again.
func NewDriftFile(path string, warn *slog.Logger) *DriftFile {
	return &DriftFile{path: path, warn: warn}
}

// Read returns what the file remembers. A file that does not exist is an error
// that wraps os.ErrNotExist.
func (f *DriftFile) Read() (Drift, error) {
	b, err := readSmall(f.path, driftLimit)
	if err != nil {
		return Drift{}, fmt.Errorf("read driftfile: %w", err)
	}
	d, err := ParseDrift(b)
	if err != nil {
		return Drift{}, fmt.Errorf("read driftfile %s: %w", f.path, err)
	}
	return d, nil
}

// Write replaces the content of the file. An error leaves the old content and
// is told to people only if the previous Write succeeded.
func (f *DriftFile) Write(d Drift) error {
	content := AppendDrift
	if f.NTP {
		content = AppendNTPDrift
	}
	err := Replace(f.path, content(nil, d), 0o644)
	if err != nil {
		err = fmt.Errorf("write driftfile: %w", err)
	}
	if failing := err != nil; failing != f.failing {
		f.failing = failing
		if failing {
			f.warn.Warn(err.Error())
		} else {
			f.warn.Info("write driftfile " + f.path + ": works again")
		}
	}
	return err
}
