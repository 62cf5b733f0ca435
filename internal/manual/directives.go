// SPDX-License-Identifier: Apache-2.0

package manual

// Chapters are all directives.
var Chapters = []Chapter{sourceDirectives, selectionDirectives, clockDirectives, serverDirectives, commandDirectives, logDirectives, processDirectives}

var clockDirectives = Chapter{"The system clock", "", []Directive{
	{"clockprecision SECONDS", "Precision of the clock; measured without this directive."},
	{"corrtimeratio RATIO", "How long a correction may take, as a multiple of the interval of updates (3)."},
	{"driftfile FILE [interval SECONDS]", "Keep the frequency of the clock there, written every so many seconds (3600), and begin with it."},
	{"fallbackdrift MIN MAX", "Without sources go over to the mean frequency of the last 2^MIN to 2^MAX seconds."},
	{"leapsecmode system|step|slew|ignore", "What to do at a leap second: let the kernel step, step, slew, or nothing (system)."},
	{"leapsectz ZONE", "Learn leap seconds from this time zone, usually `right/UTC`."},
	{"leapseclist FILE", "Learn leap seconds from a leap-seconds.list."},
	{"makestep THRESHOLD LIMIT", "Step the clock if it is off by more than THRESHOLD seconds, at the first LIMIT updates (negative: always). Otherwise corrections are slewed."},
	{"maxchange OFFSET START IGNORE", "After START updates refuse IGNORE corrections of more than OFFSET seconds, and end at the next."},
	{"maxclockerror PPM", "How fast the frequency of the clock may change, for estimates of errors (1)."},
	{"maxdrift PPM", "Largest frequency error of the clock (100000)."},
	{"maxupdateskew PPM", "Do not learn the frequency from estimates that are less certain (1000)."},
	{"maxslewrate PPM", "Fastest slew (83333.333)."},
	{"rtcsync", "Let the kernel copy the time to the real-time clock. foliotd always does."},
	{"tempcomp SENSOR INTERVAL T0 K0 K1 K2", "Compensate the frequency for the temperature in the file SENSOR, read every INTERVAL seconds: k0 + k1 (T - T0) + k2 (T - T0)^2 ppm."},
	{"tempcomp SENSOR INTERVAL POINTS", "Likewise by a table of temperatures and ppm in the file POINTS."},
	{"manual", "Allow `chronyc settime` from the start."},
	{"rtcautotrim SECONDS", "Set the real-time clock when it is off by more."},
	{"rtcdevice FILE", "The real-time clock."},
	{"rtcfile FILE", "Keep what is known of the real-time clock there."},
	{"rtconutc", "The real-time clock keeps UTC."},
	{"hwclockfile FILE", "Where hwclock says whether the real-time clock keeps UTC."},
	{"linux_hz HZ", "Of no meaning any more."},
	{"linux_freq_scale SCALE", "Of no meaning any more."},
}}

var serverDirectives = Chapter{"Serving time", "Subnets are written as 192.0.2.0/24, 192.0.2, 192.0.2.1 or 2001:db8::/32, `all` is everybody; without a subnet a rule is about everybody of both families. The most specific rule counts; `allow all` and `deny all`, with the word before the subnet, undo more specific rules within it.", []Directive{
	{"allow [all] [SUBNET]", "Answer clients there. Without any such rule the server port stays closed."},
	{"deny [all] [SUBNET]", "Do not answer clients there."},
	{"bindaddress ADDRESS", "Serve at this address; may be given several times."},
	{"binddevice INTERFACE", "Serve at this interface only."},
	{"broadcast INTERVAL ADDRESS [PORT]", "Send the time to this address every INTERVAL seconds."},
	{"clientloglimit OCTETS", "Memory for records of clients, of all threads together; without this directive 524288 for each thread."},
	{"noclientlog", "Keep no records of clients, which also ends rate limits and the interleaved mode for them."},
	{"local [stratum STRATUM] [orphan] [distance DISTANCE] [activate DISTANCE] [waitsynced SECONDS] [waitunsynced SECONDS]", "Serve time also without a source, at stratum 10 unless told otherwise. `orphan`: of several such servers those with the smallest identifier lead."},
	{"port PORT", "UDP port of the server (123; 0: none)."},
	{"ratelimit [interval LOG2] [burst RESPONSES] [leak LOG2] [kod LOG2]", "Answer a client at most every 2^interval seconds (3) after a burst (8). One of 2^leak requests (2) is answered all the same; one of 2^kod of those with a request to slow down."},
	{"smoothtime MAXFREQ MAXWANDER [leaponly]", "Spare clients sudden changes: served time runs at most MAXFREQ ppm faster or slower, and this changes by at most MAXWANDER ppm a second."},
	{"workers N", "Threads that answer, for each address (0: one for each processor). foliot's own."},
	{"ebpf on|off", "Load programs into the kernel that count and time packets, where the system lets them be loaded. foliot's own."},
	{"xdp serve INTERFACE|auto... [mode auto|native|generic]", "Answer plain requests that come by these interfaces in the kernel. foliot's own."},
	{"onestep on|off", "Give other replies the time at which they really leave (off). foliot's own."},
	{"ntpsigndsocket DIRECTORY", "Socket of Samba for signed answers."},
	{"ntsservercert FILE", "Certificate of the NTS server."},
	{"ntsserverkey FILE", "Private key of the NTS server."},
	{"ntsport PORT", "TCP port of the NTS-KE server (4460)."},
	{"ntsprocesses PROCESSES", "Processes of the NTS-KE server."},
	{"ntsrotate SECONDS", "How often keys of the NTS server change."},
	{"ntsntpserver HOST", "NTP server that clients of the NTS-KE server are sent to."},
	{"ntsratelimit [OPTION]...", "Limit the connections of the NTS-KE server."},
	{"maxntsconnections CONNECTIONS", "Most connections of the NTS-KE server."},
}}

var commandDirectives = Chapter{"Monitoring and control", "", []Directive{
	{"bindcmdaddress ADDRESS|PATH", "Where chronyc is answered: an address of each family (127.0.0.1 and ::1), or the path of a Unix socket; `/` is none. Without a path there are `/run/foliot/foliotd.sock` and `/run/chrony/chronyd.sock`."},
	{"bindcmddevice INTERFACE", "Answer chronyc at this interface only."},
	{"cmdport PORT", "UDP port for chronyc (323; 0: none)."},
	{"cmdallow [all] [SUBNET]", "Answer chronyc and ntpq from there; this machine always may ask. Over the network it is only reports that are answered."},
	{"cmddeny [all] [SUBNET]", "Do not answer them from there."},
	{"cmdratelimit [interval LOG2] [burst RESPONSES] [leak LOG2]", "Limit the answers to chronyc over the network (-4, 8, 2)."},
	{"opencommands [COMMAND]...", "Which reports are answered over the network (`activity manual rtcdata smoothing sourcename sources sourcestats tracking`)."},
	{"metrics listen ADDRESS[:PORT]|off", "Where Prometheus and browsers are answered (127.0.0.1:9923). foliot's own."},
	{"metrics compat chrony|off", "Give metrics the names of chrony_exporter too (off)."},
	{"commandkey ID", "Of no meaning any more."},
	{"generatecommandkey", "Of no meaning any more."},
}}

var logDirectives = Chapter{"Logs", "", []Directive{
	{"logdir DIRECTORY", "Where the files of `log` are."},
	{"log [WORD]...", "Which files are written: `measurements`, `rawmeasurements`, `statistics`, `selection`, `tracking`, `tempcomp`, `rtc`, `refclocks`. Their format is chronyd's."},
	{"logbanner LINES", "Lines between two headings in these files (32; 0: none)."},
	{"logchange SECONDS", "Report corrections of more than this (1)."},
	{"mailonchange ADDRESS SECONDS", "Send mail about corrections of more than this."},
}}

var processDirectives = Chapter{"Files and the process", "", []Directive{
	{"include PATTERN", "Read the files that match, in this place."},
	{"confdir DIRECTORY...", "Read the files *.conf there, in this place, sorted by name; of the same names the first counts."},
	{"keyfile FILE", "Symmetric keys, one a line: identifier, type and key, as `foliotd --keygen` prints it."},
	{"dumpdir DIRECTORY", "Keep histories of sources there at the end, for -r."},
	{"dumponexit", "Of no meaning: with a `dumpdir` histories are always kept."},
	{"pidfile FILE", "Where the process number is (`/run/foliot/foliotd.pid`)."},
	{"user USER", "Run as this user once sockets are open."},
	{"lock_all", "Keep all memory resident."},
	{"sched_priority PRIORITY", "Real-time priority, SCHED_FIFO (0: none; up to 100)."},
}}
