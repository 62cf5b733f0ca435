// SPDX-License-Identifier: Apache-2.0

package ntpconf

import "maps"

// Status says what becomes of a directive.
type Status uint8

// What becomes of a directive.
const (
	Supported Status = iota // it has its effect
	Inert                   // there is nothing here for it to act on, or no need
	NotYet                  // foliotd does not have it
)

func (s Status) String() string {
	return [...]string{"supported", "without effect", "not yet"}[s]
}

// Directive is a row of the table as people see it.
type Directive struct {
	Name   string
	Status Status
	Note   string // why it has no effect
}

// directive is one row of the table.
type directive struct {
	Status
	note        string // for people, if the status is not Supported
	least, most int    // words; most < 0 = any number
	apply       func(s *statement) error
}

// consequence ends a warning.
func (d *directive) consequence() string {
	text := "has no effect"
	if d.Status == NotYet {
		text = "is not supported yet and is ignored"
	}
	if d.note != "" {
		text += ": " + d.note
	}
	return text
}

// Directives lists what can stand in an ntp.conf, sorted.
func Directives() []Directive {
	var out []Directive
	table := newParser(nil, nil).table
	for _, name := range keys(table) {
		d := table[name]
		out = append(out, Directive{name, d.Status, d.note})
	}
	return out
}

// directives returns the whole table.
func (p *parser) directives() map[string]directive {
	table := map[string]directive{
		"broadcast":         {least: 1, most: -1, apply: p.broadcast},
		"disable":           {least: 1, most: -1, apply: p.enable},
		"discard":           {least: 1, most: -1, apply: p.discard},
		"driftfile":         {least: 1, most: 2, apply: p.driftFile},
		"dscp":              {least: 1, most: 1, apply: p.dscp},
		"enable":            {least: 1, most: -1, apply: p.enable},
		"filegen":           {least: 1, most: -1, apply: p.shared},
		"fudge":             {least: 2, most: -1, apply: p.fudge},
		"includefile":       {least: 1, most: 1, apply: p.include},
		"interface":         {least: 2, most: 2, apply: p.listenOn},
		"keys":              {least: 1, most: 1, apply: p.shared},
		"leapfile":          {least: 1, most: 2, apply: p.leapFile},
		"leapsmearinterval": {least: 1, most: 1, apply: p.leapSmear},
		"limit":             {least: 1, most: -1, apply: p.limit},
		"logfile":           {least: 1, most: 1, apply: p.logFile},
		"mru":               {least: 2, most: -1, apply: p.mru},
		"nic":               {least: 2, most: 2, apply: p.listenOn},
		"peer":              {least: 1, most: -1, apply: p.source},
		"pidfile":           {least: 1, most: 1, apply: p.pidFile},
		"pool":              {least: 1, most: -1, apply: p.source},
		"refclock":          {least: 1, most: -1, apply: p.refclock},
		"restrict":          {least: 1, most: -1, apply: p.shared},
		"server":            {least: 1, most: -1, apply: p.source},
		"statistics":        {least: 1, most: -1, apply: p.shared},
		"statsdir":          {least: 1, most: 1, apply: p.shared},
		"tinker":            {least: 1, most: -1, apply: p.tinker},
		"tos":               {least: 1, most: -1, apply: p.tosLine},
		"trustedkey":        {least: 1, most: -1, apply: p.trustedKey},
		"unconfig":          {least: 1, most: -1, apply: p.unpeer},
		"unpeer":            {least: 1, most: -1, apply: p.unpeer},
		"unrestrict":        {least: 1, most: -1, apply: p.unrestrict},
	}
	maps.Copy(table, ineffective)
	return table
}

// ineffective are directives of which only the words are counted.
var ineffective = map[string]directive{
	"automax":         {Status: Inert, note: "autokey is not supported", most: -1},
	"broadcastclient": {Status: NotYet, note: "broadcasts are not listened to", most: -1},
	"broadcastdelay":  {Status: NotYet, note: "broadcasts are not listened to", most: -1},
	"calldelay":       {Status: Inert, note: "there are no modems", most: -1},
	"controlkey":      {Status: Inert, note: "nothing can be changed by control messages, foliotctl does that", most: -1},
	"crypto":          {Status: Inert, note: "autokey is not supported", most: -1},
	"device":          {Status: NotYet, note: "reference clocks", most: -1},
	"extra":           {Status: NotYet, note: "there is one port for requests", most: -1},
	"ident":           {Status: Inert, note: "autokey is not supported", most: -1},
	"keysdir":         {Status: Inert, note: "autokey is not supported", most: -1},
	"logconfig":       {Status: Inert, note: "changes of state are logged; -L chooses more or less", most: -1},
	"manycastclient":  {Status: NotYet, note: "servers are not searched for", most: -1},
	"manycastserver":  {Status: NotYet, note: "manycast is not answered", most: -1},
	"mdnstries":       {Status: Inert, note: "nothing is announced by mDNS", most: -1},
	"multicastclient": {Status: NotYet, note: "multicast is not listened to", most: -1},
	"ntpsigndsocket":  {Status: NotYet, note: "MS-SNTP is not answered", most: -1},
	"nts":             {Status: NotYet, note: "clients cannot use NTS", most: -1},
	"phone":           {Status: Inert, note: "there are no modems", most: -1},
	"pollskewlist":    {Status: Inert, note: "polls are spread anyway", most: -1},
	"requestkey":      {Status: Inert, note: "nothing can be changed by control messages, foliotctl does that", most: -1},
	"reset":           {Status: Inert, note: "counters begin at the start", most: -1},
	"revoke":          {Status: Inert, note: "autokey is not supported", most: -1},
	"rlimit":          {Status: Inert, note: "memory is bounded by mru; the service manager sets limits", most: -1},
	"saveconfigdir":   {Status: Inert, note: "the configuration is not written by control messages", most: -1},
	"setvar":          {Status: Inert, note: "variables of ntpq are those of the daemon", most: -1},
	"tick":            {Status: Inert, note: "the clock's rate is set in finer steps", most: -1},
	"trap":            {Status: Inert, note: "there are no traps", most: -1},
	"ttl":             {Status: NotYet, note: "servers are not searched for", most: -1},
}
