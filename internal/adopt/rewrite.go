// SPDX-License-Identifier: Apache-2.0

package adopt

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// rewriter changes the directives whose paths foliotd's unit cannot use, and
// remembers what they were. Every other line stays as it is, to the octet.
type rewriter struct {
	plan        *Plan
	ntp         bool
	drift, keys string
}

// moved are directives with a path of the other daemon's, and where that is now.
var moved = map[bool]map[string]string{
	false: {
		"driftfile": driftPath, "keyfile": keysPath, "logdir": logDir, "dumpdir": stateDir, "ntsdumpdir": stateDir,
		"pidfile": "", "user": "", "bindcmdaddress": "",
	},
	true: {
		"driftfile": driftPath, "keys": keysPath, "statsdir": logDir, "logfile": logDir + "/foliot.log", "pidfile": "",
	},
}

func (r *rewriter) rewrite(text string) []byte {
	var out strings.Builder
	fmt.Fprintf(&out, "# Taken over from %s by foliotctl adopt.\n", r.plan.From)
	for line := range strings.Lines(text) {
		out.WriteString(r.line(line))
	}
	return []byte(out.String())
}

// line returns what a line becomes.
func (r *rewriter) line(line string) string {
	f := strings.Fields(line)
	if len(f) < 2 || strings.ContainsRune("#!;%", rune(f[0][0])) {
		return line
	}
	word := strings.ToLower(f[0])
	to, ok := moved[r.ntp][word]
	if !ok || word == "bindcmdaddress" && !strings.HasPrefix(f[1], "/") {
		return line
	}
	switch word {
	case "driftfile":
		r.drift = f[1]
	case "keyfile", "keys":
		r.keys = f[1]
	}
	was := strings.TrimRight(line, "\r\n")
	if to == "" {
		r.plan.note("%q is left out: the unit says that", was)
		return "# foliotctl adopt left out: " + was + "\n"
	}
	now := strings.Join(append([]string{f[0], to}, f[2:]...), " ")
	if f[1] == to {
		return line
	}
	r.plan.note("%q became %q", was, now)
	return now + "\n"
}

// chronyKeys makes a key file of ntpd's one of chrony's, which is foliotd's. In the
// former a secret of more than 20 characters is hexadecimal (ntp.keys(5)).
func chronyKeys(text string) string {
	types := map[string]string{"M": "MD5", "AES128CMAC": "AES128", "AES": "AES128"}
	var out strings.Builder
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0][0] == '#' {
			out.WriteString(line)
			continue
		}
		kind := strings.ToUpper(f[1])
		if t, ok := types[kind]; ok {
			kind = t
		}
		secret := "ASCII:" + f[2]
		if _, err := hex.DecodeString(f[2]); err == nil && len(f[2]) > 20 {
			secret = "HEX:" + f[2]
		}
		fmt.Fprintln(&out, f[0], kind, secret)
	}
	return out.String()
}
