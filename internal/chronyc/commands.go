// SPDX-License-Identifier: Apache-2.0

package chronyc

import (
	"maps"
	"slices"

	"foliot/internal/cmdmon"
)

// commands is what chronyc understands, by the first word.
var commands map[string]runner

// The table is filled here because help, which is in it, needs it.
func init() {
	commands = map[string]runner{
		"accheck":          accessCheck(cmdmon.AccessCheck),
		"activity":         activity,
		"add":              add,
		"allow":            access(cmdmon.Allow, cmdmon.AllowAll),
		"authdata":         authData,
		"authhash":         gone,
		"burst":            burst,
		"clients":          clients,
		"cmdaccheck":       accessCheck(cmdmon.CmdAccessCheck),
		"cmdallow":         access(cmdmon.CmdAllow, cmdmon.CmdAllowAll),
		"cmddeny":          access(cmdmon.CmdDeny, cmdmon.CmdDenyAll),
		"cyclelogs":        plainly(cmdmon.CycleLogs),
		"delete":           remove,
		"deny":             access(cmdmon.Deny, cmdmon.DenyAll),
		"dfreq":            number(cmdmon.DoFreq, "Invalid value"),
		"dns":              dns,
		"doffset":          number(cmdmon.DoOffset, "Invalid value"),
		"dump":             func(s *Session, _ string) bool { return s.order(cmdmon.Dump, new(cmdmon.Option)) },
		"exit":             leave,
		"help":             help,
		"keygen":           keyGen,
		"local":            local,
		"makestep":         makeStep,
		"manual":           typed,
		"maxdelay":         sourceFloat(cmdmon.ModifyMaxDelay),
		"maxdelaydevratio": sourceFloat(cmdmon.ModifyDevRatio),
		"maxdelayratio":    sourceFloat(cmdmon.ModifyDelayRatio),
		"maxpoll":          sourceInteger(cmdmon.ModifyMaxPoll),
		"maxupdateskew":    number(cmdmon.ModifyUpdateSkew, ""),
		"minpoll":          sourceInteger(cmdmon.ModifyMinPoll),
		"minstratum":       sourceInteger(cmdmon.ModifyMinStratum),
		"ntpdata":          ntpData,
		"offline":          masked(cmdmon.Offline),
		"offset":           offset,
		"online":           masked(cmdmon.Online),
		"onoffline":        plainly(cmdmon.OnOffline),
		"password":         gone,
		"polltarget":       sourceInteger(cmdmon.ModifyPollTarget),
		"quit":             leave,
		"refresh":          plainly(cmdmon.Refresh),
		"rekey":            plainly(cmdmon.Rekey),
		"reload":           the("sources", cmdmon.ReloadSources, "Invalid syntax for reload command"),
		"reselect":         plainly(cmdmon.Reselect),
		"reselectdist":     number(cmdmon.ReselectDistance, ""),
		"reset":            the("sources", cmdmon.ResetSources, "Invalid syntax for reset command"),
		"retries":          retries,
		"rtcdata":          rtcData,
		"selectdata":       selectData,
		"selectopts":       selectOpts,
		"serverstats":      serverStats,
		"settime":          setTime,
		"shutdown":         plainly(cmdmon.Shutdown),
		"smoothing":        smoothing,
		"smoothtime": switches(cmdmon.SmoothTime, map[string]int32{
			"reset": cmdmon.SmoothReset, "activate": cmdmon.SmoothActivate,
		}, "Invalid syntax for smoothtime command"),
		"sourcename":  sourceName,
		"sources":     sources,
		"sourcestats": sourceStats,
		"timeout":     timeout,
		"tracking":    tracking,
		"trimrtc":     plainly(cmdmon.TrimRTC),
		"waitsync":    waitSync,
		"writertc":    plainly(cmdmon.WriteRTC),
	}
}

// Commands returns the names of all commands, sorted.
func Commands() []string { return slices.Sorted(maps.Keys(commands)) }
