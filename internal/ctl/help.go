// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"fmt"
	"path/filepath"
	"strings"

	"foliot/internal/cmdclient"
	"foliot/internal/control"
)

// usage is what --help prints.
func (o *options) usage() string {
	text := fmt.Sprintf(`usage: %s [OPTION]... [COMMAND]...

Options:
  -4, -6         look hosts up as IPv4, or IPv6, only
  -n             print addresses, not names
  -N             print names of sources as they were configured
  -c             print reports as comma-separated values
  -e             end each answer with a line that has a dot
  -m             take each argument as a command
  -h HOST,...    ask the daemon there: a socket's path, a name or an address
                 (%s)
  -p PORT        UDP port of the daemon (%d)
  -u USER        become USER if root
  -v, --version  print the version
      --help     print this text
`, filepath.Base(o.program), strings.Join(cmdclient.DefaultHosts, ","), cmdclient.DefaultPort)
	if o.chronyc {
		return text
	}
	return text + `      --json     print reports as JSON, one document per line
  -s SOCKET      for status, reload and version: foliotd's control socket
                 (` + control.DefaultPath + `, or $` + SocketVar + `)
  -t TIME        give up on those after TIME (` + answerTime.String() + `)

Without a command they are read from standard input. "help" lists them.
Exit status: 0 done, 1 refused or no answer; for status, reload and version
also 2 usage, 3 daemon not reached.
`
}

// helpTexts say what the commands do. A line without a tab is a heading.
const helpTexts = `System clock:
tracking	how well the clock is synchronised
makestep	step the clock by what is left to correct
makestep THRESHOLD UPDATES	step at the next updates if they are off by more
maxupdateskew PPM	limit the frequency error of an update
waitsync [TRIES [CORRECTION [SKEW [INTERVAL]]]]	wait until the clock is synchronised
Sources:
sources [-a] [-v]	list the sources and their last samples
sourcestats [-a] [-v]	what is estimated from the samples of each source
selectdata [-a] [-v]	why a source was selected, or was not
selectopts ADDRESS|REFID +OPTION|-OPTION...	change noselect, prefer, trust, require
reselect	select again now
reselectdist DISTANCE	how much better another source must be
offset ADDRESS|REFID SECONDS	correct what a source says
activity	count the sources that are asked
authdata [-a] [-v]	how the sources are authenticated
ntpdata [ADDRESS]	the last valid answer of a source, or of each
sourcename ADDRESS	the name of a source as it was configured
add server|pool|peer NAME [OPTION]...	add a source
delete ADDRESS	remove a source
burst GOOD/MAX [[MASK/]ADDRESS]	ask quickly a few times
online [[MASK/]ADDRESS]	ask these sources
offline [[MASK/]ADDRESS]	do not ask these sources
onoffline	decide by the routes of the network
minpoll, maxpoll ADDRESS LOG2	limit the polling interval
maxdelay ADDRESS SECONDS	limit the delay of a sample
maxdelayratio ADDRESS RATIO	limit it by the shortest delay
maxdelaydevratio ADDRESS RATIO	limit it by the deviation of the offset
minstratum ADDRESS STRATUM	raise the stratum of a source
polltarget ADDRESS SAMPLES	aim at so many samples
refresh	look the names of sources up again
reload sources	read the files of sourcedir again
reset sources	forget all samples
Time that is typed in:
manual on|off|reset	allow settime, or not; forget what was typed
manual list	list what was typed
manual delete INDEX	forget one of them
settime TIME	tell the time, as 16:30 or Nov 21, 2025 16:30:05
Server:
clients [-p PACKETS] [-k] [-r]	list those who asked
serverstats	count what was served
accheck ADDRESS	ask whether an address is served
allow, deny [all] [SUBNET]	change whom the server answers
local [OPTION]..., local off	serve time without a source
smoothing	how served time is smoothed
smoothtime reset|activate	restart smoothing, or begin it
Access to these commands:
cmdaccheck ADDRESS	ask whether an address may monitor
cmdallow, cmddeny [all] [SUBNET]	change who may monitor
Real-time clock:
rtcdata	how good it is
trimrtc	correct it
writertc	save what is known of it
Daemon:
cyclelogs	open the log files again
dump	save the samples
rekey	read the key file again
shutdown	end the daemon
Here:
dns -n|+n|-4|-6|-46	how names are looked up
timeout MILLISECONDS	wait so long for the first answer
retries N	ask so often again
keygen [ID [TYPE [BITS]]]	make a line for a key file
help	print this list
exit, quit	leave
`

const ownHelp = `foliotd only:
status	what foliotd does, in a few lines
reload	make foliotd read its configuration again
version	which foliotd is running
racks run|report|compare	measure how well the clocks of a cluster agree
`

// helpColumn is where the explanations begin.
const helpColumn = 28

func help(s *session, _ string) bool {
	text := helpTexts
	if !s.o.chronyc {
		text += ownHelp
	}
	for line := range strings.Lines(text) {
		usage, about, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		switch {
		case !ok:
			fmt.Fprintf(s.out, "\n%s\n", usage)
		case len(usage) >= helpColumn:
			fmt.Fprintf(s.out, "%s\n%*s%s\n", usage, helpColumn, "", about)
		default:
			fmt.Fprintf(s.out, "%-*s%s\n", helpColumn, usage, about)
		}
	}
	return true
}
