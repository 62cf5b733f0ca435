// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"foliot/internal/config"
)

// DefaultConfig is where the configuration is looked for.
const DefaultConfig = "/etc/foliot/foliot.conf"

// BuiltIn is the name, given to -f, of the configuration inside the program.
const BuiltIn = "default"

// Options is the command line. The letters are chronyd's.
type Options struct {
	File       string        // -f
	Directives []string      // further arguments replace the file
	Family     config.Family // -4, -6
	Foreground bool          // -n, -d
	Stderr     bool          // -d
	LogFile    string        // -l
	LogLevel   int           // -L
	Print      bool          // -p
	Quit       bool          // -q
	Query      bool          // -Q
	Reload     bool          // -r
	Restarted  bool          // -R
	SetClock   bool          // -s
	Timeout    float64       // -t, seconds, 0 = none
	User       string        // -u
	NoRoot     bool          // -U
	Filter     int           // -F
	Priority   int           // -P
	LockAll    bool          // -m
	NoControl  bool          // -x
	ReadyFD    int           // -N, -1 = none
	Version    bool          // -v
	Help       bool          // -h
	Check      bool          // --check
	NTPConf    bool          // --ntp-conf
	Key        *KeyRequest   // --keygen, nil = not given
	Dir        string        // where the daemon was started, "" = unknown
}

// flagged are the options with an argument.
const flagged = "flLtuFPN"

// ParseOptions parses the command line as getopt does: letters may be joined,
// an argument may follow its letter directly.
func ParseOptions(args []string) (*Options, error) {
	o := &Options{File: DefaultConfig, ReadyFD: -1}
	for len(args) > 0 {
		a := args[0]
		switch {
		case a == "--":
			o.Directives = args[1:]
			return o, nil
		case a == "--keygen":
			var err error
			o.Key, err = parseKeyRequest(args[1:])
			return o, err
		case strings.HasPrefix(a, "--"):
			if err := o.long(a); err != nil {
				return nil, err
			}
			args = args[1:]
			continue
		case len(a) < 2 || a[0] != '-':
			o.Directives = args
			return o, nil
		}
		rest, err := o.letters(a[1:], args[1:])
		if err != nil {
			return nil, err
		}
		args = rest
	}
	return o, nil
}

func (o *Options) long(a string) error {
	switch a {
	case "--help":
		o.Help = true
	case "--version":
		o.Version = true
	case "--check":
		o.Check = true
	case "--ntp-conf":
		o.NTPConf = true
	default:
		return fmt.Errorf("unknown option %s", a)
	}
	return nil
}

// letters takes a group of letters and returns the arguments left.
func (o *Options) letters(group string, args []string) ([]string, error) {
	for i := range group {
		c := group[i]
		if !strings.ContainsRune(flagged, rune(c)) {
			if err := o.set(c); err != nil {
				return nil, err
			}
			continue
		}
		value := group[i+1:]
		if value == "" {
			if len(args) == 0 {
				return nil, fmt.Errorf("option -%c needs an argument", c)
			}
			value, args = args[0], args[1:]
		}
		return args, o.setValue(c, value)
	}
	return args, nil
}

func (o *Options) set(c byte) error {
	if to := map[byte]*bool{
		'n': &o.Foreground, 'p': &o.Print, 'q': &o.Quit, 'r': &o.Reload, 'R': &o.Restarted,
		's': &o.SetClock, 'U': &o.NoRoot, 'm': &o.LockAll, 'x': &o.NoControl, 'v': &o.Version, 'h': &o.Help,
	}[c]; to != nil {
		*to = true
		return nil
	}
	switch c {
	case '4':
		o.Family = config.FamilyIPv4
	case '6':
		o.Family = config.FamilyIPv6
	case 'd':
		o.Foreground, o.Stderr = true, true
	case 'Q':
		o.Query, o.NoControl, o.NoRoot = true, true, true
	default:
		return fmt.Errorf("unknown option -%c", c)
	}
	return nil
}

func (o *Options) setValue(c byte, v string) error {
	switch c {
	case 'f':
		o.File = v
		return nil
	case 'l':
		o.LogFile = v
		return nil
	case 'u':
		o.User = v
		return nil
	case 't':
		s, err := strconv.ParseFloat(v, 64)
		if err != nil || !(s > 0) {
			return fmt.Errorf("invalid value %q of option -t (seconds, above 0)", v)
		}
		o.Timeout = s
		return nil
	}
	ranges := map[byte]struct {
		to     *int
		lo, hi int
	}{
		'L': {&o.LogLevel, -1, 3}, 'F': {&o.Filter, -2, 2}, 'P': {&o.Priority, 0, 100}, 'N': {&o.ReadyFD, 0, 1 << 20},
	}
	r := ranges[c]
	n, err := strconv.Atoi(v)
	if err != nil || n < r.lo || n > r.hi {
		return fmt.Errorf("invalid value %q of option -%c (min %d, max %d)", v, c, r.lo, r.hi)
	}
	*r.to = n
	return nil
}

// under makes a path absolute as it was meant in the directory dir, where the
// daemon was started: in the background it works in the root directory.
func under(dir, path string) string {
	if path == "" || dir == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// OneShot tells whether the daemon is to exit after one measurement.
func (o *Options) OneShot() bool { return o.Quit || o.Query }
