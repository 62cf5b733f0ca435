// SPDX-License-Identifier: Apache-2.0

package manual

import (
	"slices"

	"foliot/internal/chronyconf"
)

// DaemonPage is foliotd(8).
func DaemonPage() string {
	p := newPage("foliotd", "8", "time daemon: NTP client and server")
	p.section("synopsis")
	p.text("`foliotd` [OPTION]... [DIRECTIVE]...")
	p.section("description")
	p.text("foliotd keeps the clock of the machine: it measures NTP servers and peers with timestamps of the kernel, selects those that tell the truth, and steers the clock by what they say. It serves time to those that it is allowed to, and says how good it is to chronyc, ntpq, foliotctl, Prometheus and browsers.")
	p.paragraph("It reads a chrony.conf(5) unchanged, takes the options of chronyd, and becomes a daemon unless told otherwise. DIRECTIVE, one in each argument, replaces the configuration file.")
	p.section("options")
	p.options(DaemonOptions, true)
	p.section("signals")
	p.item(bold("SIGHUP"), "Read the configuration again, as `foliotctl reload` does, and open the log files again. A configuration with an error changes nothing.")
	p.item(bold("SIGTERM")+", "+bold("SIGINT")+", "+bold("SIGQUIT"), "End in good order.")
	p.section("exit status")
	p.text("0 after an end in good order, 1 after a fatal error, 2 if the command line makes no sense.")
	p.section("environment")
	p.item(bold("FOLIOT_SOCKET"), "Path of the socket for foliotctl's own commands.")
	p.item(bold("NOTIFY_SOCKET")+", "+bold("WATCHDOG_USEC")+", "+bold("LISTEN_FDS"), "Of the service manager, sd_notify(3).")
	p.section("files")
	p.files()
	p.section("notes")
	p.text("Two daemons that steer one clock fight. foliotd says so when it notices that somebody else moved the clock, but does not prevent it: run it in place of another time daemon, never beside one.")
	p.section("examples")
	p.text("Check the configuration of chronyd:")
	p.example("foliotd --check -f /etc/chrony/chrony.conf")
	p.paragraph("Print how far off the clock is:")
	p.example("foliotd -Q 'server pool.ntp.org iburst'")
	p.seeAlso("foliotctl(1)", "foliot.conf(5)", "chronyd(8)", "adjtimex(2)")
	return p.b.String()
}

func (p *page) files() {
	p.item(bold("/etc/foliot/foliot.conf"), "The configuration, foliot.conf(5).")
	p.item(bold("/run/foliot/foliotd.sock")+", "+bold("/run/chrony/chronyd.sock"), "Where chronyc and foliotctl ask.")
	p.item(bold("/run/foliot/foliotctl.sock"), "Where foliotctl asks what chrony's protocol does not have.")
	p.item(bold("/run/foliot/foliotd.pid"), "The process number.")
}

func (p *page) seeAlso(all ...string) {
	p.section("see also")
	for i, s := range all {
		comma := ","
		if i == len(all)-1 {
			comma = ""
		}
		name, section := s[:len(s)-3], s[len(s)-3:]
		p.b.WriteString(".BR " + escape(name) + " " + section + comma + "\n")
	}
}

// ClientPage is foliotctl(1).
func ClientPage() string {
	p := newPage("foliotctl", "1", "watch and steer foliotd or chronyd")
	p.section("synopsis")
	p.text("`foliotctl` [OPTION]... [COMMAND]...")
	p.section("description")
	p.text("foliotctl is chronyc(1): the same commands and options, the same output to the octet, the same exit status. It talks to a stock chronyd too. Beyond that it prints every report as JSON and has a few commands of its own. A link to it named chronyc is nothing else than chronyc.")
	p.paragraph("Without a command they are read from standard input, one a line.")
	p.section("options")
	p.options(ClientOptions, true)
	p.section("commands")
	for _, g := range Commands {
		p.subsection(g.Title)
		for _, c := range g.Commands {
			p.item(usage(c.Usage), sentence(c.About, c.More))
		}
	}
	p.section("exit status")
	p.text("0 done, 1 refused or no answer. For the commands that only foliotd has also 2 if the command line makes no sense, and 3 if the daemon was not reached.")
	p.section("environment")
	p.item(bold("FOLIOT_SOCKET"), "Path of the control socket, as with -s.")
	p.item(bold("NO_COLOR"), "If it is not empty, `top` uses no colours.")
	p.section("files")
	p.files()
	p.section("examples")
	p.text("Some of what there is:")
	p.example("foliotctl sources -v", "foliotctl --json sources | jq '.[] | select(.state == \"selected\").offset_seconds'",
		"foliotctl top", "sudo foliotctl diag > report.txt")
	p.seeAlso("foliotd(8)", "foliot.conf(5)", "chronyc(1)")
	return p.b.String()
}

// ConfigPage is foliot.conf(5).
func ConfigPage() string {
	p := newPage("foliot.conf", "5", "configuration of foliotd")
	p.section("description")
	p.text("The configuration of foliotd(8) is written in the language of chrony.conf(5), and a chrony.conf is one. A line is a directive, its words are separated by blanks. Case does not matter in names. An empty line, and one that begins with one of the characters ! ; # and %, has no effect. What nobody knows is an error; what foliotd does not do yet gives a warning and has no effect.")
	p.paragraph("Values in parentheses are those without the directive or option. `foliotd --check` checks a file, `foliotctl reload` makes the daemon read it again.")
	effects := notes()
	note := func(name string) string { return effects[name] }
	p.section("directives")
	for _, c := range Chapters {
		p.subsection(c.Title)
		if c.Intro != "" {
			p.text(c.Intro)
		}
		p.directives(c.Directives, note)
	}
	p.section("options of server, pool and peer")
	p.directives(SourceOptions, func(name string) string {
		if name == "nts" {
			return "It is not supported yet, and an error."
		}
		return ""
	})
	p.section("examples")
	p.text("A client of the public pool:")
	p.example("pool pool.ntp.org iburst", "driftfile /var/lib/foliot/drift", "makestep 1.0 3")
	p.paragraph("A server of a network, with a key:")
	p.example("server ntp1.example.net iburst key 7 xleave", "keyfile /etc/foliot/keys", "allow 192.0.2.0/24",
		"local stratum 10 orphan", "ratelimit interval 1 burst 16")
	p.section("files")
	p.item(bold("/etc/foliot/foliot.conf"), "Where foliotd looks.")
	p.seeAlso("foliotd(8)", "foliotctl(1)", "chrony.conf(5)")
	return p.b.String()
}

// notes says of directives that they do nothing.
func notes() map[string]string {
	m := make(map[string]string)
	for _, d := range chronyconf.Directives() {
		if d.NotYet {
			m[d.Name] = "It is not supported yet, and has no effect."
		}
	}
	return m
}

// DirectiveNames are the names of all directives, sorted.
func DirectiveNames() (names []string) {
	for _, c := range Chapters {
		for _, d := range c.Directives {
			names = append(names, d.Name())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
