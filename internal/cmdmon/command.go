// SPDX-License-Identifier: Apache-2.0

package cmdmon

import (
	"slices"
	"strconv"
)

// Command is the number of a request.
type Command uint16

// Commands. The numbers that are missing belonged to older chrony.
const (
	Online           Command = 1
	Offline          Command = 2
	Burst            Command = 3
	ModifyMinPoll    Command = 4
	ModifyMaxPoll    Command = 5
	Dump             Command = 6
	ModifyMaxDelay   Command = 7
	ModifyDelayRatio Command = 8
	ModifyUpdateSkew Command = 9
	SetTime          Command = 11
	Manual           Command = 13
	NSources         Command = 14
	SourceData       Command = 15
	Rekey            Command = 16
	Allow            Command = 17
	AllowAll         Command = 18
	Deny             Command = 19
	DenyAll          Command = 20
	CmdAllow         Command = 21
	CmdAllowAll      Command = 22
	CmdDeny          Command = 23
	CmdDenyAll       Command = 24
	AccessCheck      Command = 25
	CmdAccessCheck   Command = 26
	DelSource        Command = 29
	WriteRTC         Command = 30
	DoFreq           Command = 31
	Tracking         Command = 33
	SourceStats      Command = 34
	RTCReport        Command = 35
	TrimRTC          Command = 36
	CycleLogs        Command = 37
	ManualList       Command = 41
	ManualDelete     Command = 42
	MakeStep         Command = 43
	Activity         Command = 44
	ModifyMinStratum Command = 45
	ModifyPollTarget Command = 46
	ModifyDevRatio   Command = 47
	Reselect         Command = 48
	ReselectDistance Command = 49
	ModifyMakeStep   Command = 50
	Smoothing        Command = 51
	SmoothTime       Command = 52
	Refresh          Command = 53
	ServerStats      Command = 54
	Local2           Command = 56 // chronyc up to 4.5; [Local3] since
	NTPData          Command = 57
	Shutdown         Command = 62
	OnOffline        Command = 63
	AddSource        Command = 64
	SourceName       Command = 65
	ResetSources     Command = 66
	AuthData         Command = 67
	Clients          Command = 68
	SelectData       Command = 69
	ReloadSources    Command = 70
	DoOffset         Command = 71
	ModifySelectOpts Command = 72
	ModifyOffset     Command = 73
	Local3           Command = 74
)

// Access says who may give a command.
type Access uint8

// Kinds of access. What comes by the unix socket may do everything.
const (
	UnixOnly Access = iota
	Openable        // over the network if opencommands names it
	Open            // over the network, unless opencommands leaves it out
)

// command is what there is to know about one command.
type command struct {
	name  string
	data  int // octets of its data
	reply ReplyType
	open  Access
}

// commands is the table of the protocol.
var commands = map[Command]command{
	Online: {"online", 40, ReplyNull, UnixOnly}, Offline: {"offline", 40, ReplyNull, UnixOnly},
	Burst:            {"burst", 48, ReplyNull, UnixOnly},
	ModifyMinPoll:    {"minpoll", 24, ReplyNull, UnixOnly},
	ModifyMaxPoll:    {"maxpoll", 24, ReplyNull, UnixOnly},
	Dump:             {"dump", 4, ReplyNull, UnixOnly},
	ModifyMaxDelay:   {"maxdelay", 24, ReplyNull, UnixOnly},
	ModifyDelayRatio: {"maxdelayratio", 24, ReplyNull, UnixOnly},
	ModifyUpdateSkew: {"maxupdateskew", 4, ReplyNull, UnixOnly},
	SetTime:          {"settime", 12, ReplyManualTimestamp, UnixOnly},
	Manual:           {"manual", 4, ReplyNull, UnixOnly},
	NSources:         {"nsources", 0, ReplyNSources, Open},
	SourceData:       {"sources", 4, ReplySourceData, Open},
	Rekey:            {"rekey", 0, ReplyNull, UnixOnly},
	Allow:            {"allow", 24, ReplyNull, UnixOnly}, AllowAll: {"allow all", 24, ReplyNull, UnixOnly},
	Deny: {"deny", 24, ReplyNull, UnixOnly}, DenyAll: {"deny all", 24, ReplyNull, UnixOnly},
	CmdAllow: {"cmdallow", 24, ReplyNull, UnixOnly}, CmdAllowAll: {"cmdallow all", 24, ReplyNull, UnixOnly},
	CmdDeny: {"cmddeny", 24, ReplyNull, UnixOnly}, CmdDenyAll: {"cmddeny all", 24, ReplyNull, UnixOnly},
	AccessCheck:      {"accheck", 20, ReplyNull, UnixOnly},
	CmdAccessCheck:   {"cmdaccheck", 20, ReplyNull, UnixOnly},
	DelSource:        {"delete", 20, ReplyNull, UnixOnly},
	WriteRTC:         {"writertc", 0, ReplyNull, UnixOnly},
	DoFreq:           {"dfreq", 4, ReplyNull, UnixOnly},
	Tracking:         {"tracking", 0, ReplyTracking, Open},
	SourceStats:      {"sourcestats", 4, ReplySourceStats, Open},
	RTCReport:        {"rtcdata", 0, ReplyRTC, Open},
	TrimRTC:          {"trimrtc", 0, ReplyNull, UnixOnly},
	CycleLogs:        {"cyclelogs", 0, ReplyNull, UnixOnly},
	ManualList:       {"manual list", 0, ReplyManualList, Open},
	ManualDelete:     {"manual delete", 4, ReplyNull, UnixOnly},
	MakeStep:         {"makestep", 0, ReplyNull, UnixOnly},
	Activity:         {"activity", 0, ReplyActivity, Open},
	ModifyMinStratum: {"minstratum", 24, ReplyNull, UnixOnly},
	ModifyPollTarget: {"polltarget", 24, ReplyNull, UnixOnly},
	ModifyDevRatio:   {"maxdelaydevratio", 24, ReplyNull, UnixOnly},
	Reselect:         {"reselect", 0, ReplyNull, UnixOnly},
	ReselectDistance: {"reselectdist", 4, ReplyNull, UnixOnly},
	ModifyMakeStep:   {"makestep limit", 8, ReplyNull, UnixOnly},
	Smoothing:        {"smoothing", 0, ReplySmoothing, Open},
	SmoothTime:       {"smoothtime", 4, ReplyNull, UnixOnly},
	Refresh:          {"refresh", 0, ReplyNull, UnixOnly},
	ServerStats:      {"serverstats", 0, ReplyServerStats, Openable},
	Local2:           {"local2", 16, ReplyNull, UnixOnly},
	NTPData:          {"ntpdata", 20, ReplyNTPData, Openable},
	Shutdown:         {"shutdown", 0, ReplyNull, UnixOnly},
	OnOffline:        {"onoffline", 0, ReplyNull, UnixOnly},
	AddSource:        {"add", 352, ReplyNull, UnixOnly},
	SourceName:       {"sourcename", 20, ReplySourceName, Open},
	ResetSources:     {"reset", 0, ReplyNull, UnixOnly},
	AuthData:         {"authdata", 20, ReplyAuthData, Openable},
	Clients:          {"clients", 16, ReplyClients, Openable},
	SelectData:       {"selectdata", 4, ReplySelectData, Openable},
	ReloadSources:    {"reload", 0, ReplyNull, UnixOnly},
	DoOffset:         {"doffset", 4, ReplyNull, UnixOnly},
	ModifySelectOpts: {"selectopts", 32, ReplyNull, UnixOnly},
	ModifyOffset:     {"offset", 28, ReplyNull, UnixOnly},
	Local3:           {"local", 28, ReplyNull, UnixOnly},
}

// Known tells whether c is a command of the protocol.
func (c Command) Known() bool { return RequestLen(c) != 0 }

func (c Command) String() string {
	if known, ok := commands[c]; ok {
		return known.name
	}
	return strconv.Itoa(int(c))
}

// Access says who may give c.
func (c Command) Access() Access { return commands[c].open }

// Reply is the type of the reply to c if it succeeds.
func (c Command) Reply() ReplyType { return commands[c].reply }

// RequestLen is the length that a request of c must have at least, padding
// included, and 0 for what is no command.
func RequestLen(c Command) int {
	known, ok := commands[c]
	if !ok {
		return 0
	}
	return max(RequestHeaderLen+known.data, ReplyLen(known.reply))
}

// older are replies of older versions of chrony to the same commands. A client
// that knows only them is recognised by its shorter padding.
var older = map[Command]ReplyType{ServerStats: ReplyServerStats3, NTPData: ReplyNTPData1}

// OlderReply returns the reply that the sender of a request of n octets expects
// if that is too short for today's, but was right for an older chronyc.
func OlderReply(c Command, n int) (ReplyType, bool) {
	t, ok := older[c]
	return t, ok && n >= ReplyLen(t) && n < RequestLen(c)
}

// opened lists the commands that each word of the directive opencommands opens.
var opened = map[string][]Command{
	"activity": {Activity}, "authdata": {NSources, SourceData, AuthData}, "clients": {Clients},
	"manual": {ManualList}, "ntpdata": {NSources, SourceData, NTPData}, "rtcdata": {RTCReport},
	"selectdata": {NSources, SelectData}, "serverstats": {ServerStats}, "smoothing": {Smoothing},
	"sourcename": {SourceName}, "sources": {NSources, SourceData}, "sourcestats": {NSources, SourceStats},
	"tracking": {Tracking},
}

// Opened returns the commands that a word of the directive opencommands opens,
// nil for a word that it does not know.
func Opened(word string) []Command { return slices.Clone(opened[word]) }
