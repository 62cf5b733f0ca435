// SPDX-License-Identifier: Apache-2.0

package adopt

import (
	"fmt"
	"slices"
	"strings"

	"foliot/internal/ntpconf"
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

// mark is a directive of ntp.conf that has no effect: authentication is always on.
const mark = "# This file is in the language of ntp.conf, which the next line tells foliotd.\nenable auth\n"

// rewrite returns what the text becomes. The name of the file says no more in which
// language it is, and a short ntp.conf has nothing that a chrony.conf has not.
func (r *rewriter) rewrite(text string) []byte {
	var out strings.Builder
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		out.WriteString(r.line(line))
	}
	head := fmt.Sprintf("# Taken over from %s by foliotctl adopt.\n", r.plan.From)
	if r.ntp && !ntpconf.RecognizeText(confPath, strings.NewReader(out.String())) {
		head += mark
	}
	return []byte(head + out.String())
}

// readFrom are directives of chrony.conf that name files or directories to read.
var readFrom = []string{"confdir", "include", "sourcedir"}

// Where the hooks of both packages write the servers that DHCP names.
const (
	chronyDHCP = "/run/chrony-dhcp"
	foliotDHCP = "/run/foliot-dhcp"
)

// place returns what a line of readFrom becomes: our hooks write elsewhere. What else
// it names stays where it is, for as long as the other package does.
func (r *rewriter) place(line string, f []string) string {
	was := strings.TrimRight(line, "\r\n")
	if slices.Contains(f, chronyDHCP) && !slices.Contains(f, foliotDHCP) {
		now := was + " " + foliotDHCP
		r.plan.note("%q became %q", was, now)
		return now + "\n"
	}
	if strings.Contains(was, "/etc/chrony") {
		r.plan.note("%q stays: copy what it names before the package of chrony is purged", was)
	}
	return line
}

// line returns what a line becomes.
func (r *rewriter) line(line string) string {
	f := strings.Fields(line)
	if len(f) < 2 || strings.ContainsRune("#!;%", rune(f[0][0])) {
		return line
	}
	word := strings.ToLower(f[0])
	if !r.ntp && slices.Contains(readFrom, word) {
		return r.place(line, f)
	}
	to, ok := moved[r.ntp][word]
	if !ok || word == "bindcmdaddress" && !strings.HasPrefix(f[1], "/") {
		return line
	}
	switch word {
	case "driftfile":
		r.drift = strings.Trim(f[1], `"`)
	case "keyfile", "keys":
		r.keys = strings.Trim(f[1], `"`)
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
