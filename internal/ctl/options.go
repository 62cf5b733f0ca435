// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"foliot/internal/chronyc"
	"foliot/internal/control"
	"foliot/internal/report"
)

// options are what stands before the commands.
type options struct {
	chronyc.Options
	plain bool // it was called chronyc, and has nothing of its own

	multi         bool   // -m: each argument is a command
	user          string // -u
	socket        string // -s: of the control protocol
	wait          time.Duration
	help, version bool
}

// SocketVar names the environment variable that moves the control socket, of the
// daemon too; -s comes before it.
const SocketVar = "FOLIOT_SOCKET"

// answerTime is longer than the daemon lets a command of foliotctl's own take.
const answerTime = 35 * time.Second

// parse reads the options as getopt does, up to the first argument that is none,
// and returns the rest.
func (o *options) parse(args []string) (rest []string, err error) {
	o.socket, o.wait = cmp.Or(os.Getenv(SocketVar), control.DefaultPath), answerTime
	o.help = slices.Contains(args, "--help")
	o.version = slices.Contains(args, "--version") && !o.help
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && !o.help && !o.version {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			break
		}
		if arg == "--json" && !o.plain {
			o.Format = report.JSON
			continue
		}
		if args, err = o.letters(arg[1:], args); err != nil {
			return nil, err
		}
	}
	return args, nil
}

// letters reads a cluster of options, and takes a value from args if the last one
// needs it.
func (o *options) letters(cluster string, args []string) ([]string, error) {
	for cluster != "" {
		letter := cluster[:1]
		cluster = cluster[1:]
		if o.flag(letter) {
			continue
		}
		set := o.valued(letter)
		if set == nil {
			return nil, errOption(fmt.Sprintf("invalid option -- '%s'", letter))
		}
		if cluster == "" {
			if len(args) == 0 {
				return nil, errOption(fmt.Sprintf("option requires an argument -- '%s'", letter))
			}
			cluster, args = args[0], args[1:]
		}
		return args, set(cluster)
	}
	return args, nil
}

// flag sets an option without value.
func (o *options) flag(letter string) bool {
	switch letter {
	case "4", "6":
		o.Family = "ip" + letter
	case "a", "d": // nothing to do: kept for old scripts, and no debugging code
	case "c":
		o.Format = report.CSV
	case "e":
		o.Dots = true
	case "m":
		o.multi = true
	case "n":
		o.NoNames = true
	case "N":
		o.SourceNames = true
	case "v":
		o.version = true
	default:
		return false
	}
	return true
}

// valued returns what takes the value of an option, nil for no option.
func (o *options) valued(letter string) func(string) error {
	switch letter {
	case "f": // kept for old scripts
		return func(string) error { return nil }
	case "h":
		return func(v string) error { o.Hosts = strings.Split(v, ","); return nil }
	case "p":
		return func(v string) error { o.Port = uint16(chronyc.Atoi(v)); return nil }
	case "u":
		return func(v string) error { o.user = v; return nil }
	}
	if o.plain {
		return nil
	}
	switch letter {
	case "s":
		return func(v string) error { o.socket = v; return nil }
	case "t":
		return func(v string) (err error) { o.wait, err = time.ParseDuration(v); return err }
	}
	return nil
}
