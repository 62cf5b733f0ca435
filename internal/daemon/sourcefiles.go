// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"slices"

	"foliot/internal/cmdmon"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/setup"
)

// rekey reads the key file again. Keys that are in use must not get lost by it.
func (l *loop) rekey(cmdmon.Request) cmdmon.Status {
	inForce := l.d.inForce
	path := inForce.Config.Process.KeyFile
	if path == "" {
		return cmdmon.Success
	}
	fresh := &Loaded{Config: inForce.Config}
	fresh.readKeys(path)
	if fresh.keyTrouble != nil && fresh.lacksKeys(inForce.Files.Keys) {
		l.d.log.Error("Could not reload keys, the old ones stay: " + fresh.keyTrouble.Error())
		return cmdmon.Failed
	}
	for _, w := range fresh.Warnings {
		l.d.log.Warn(w)
	}
	inForce.Files.Keys = fresh.Files.Keys
	status := statuses[l.e.SetKeys(l.w.Now(), fresh.Files.Keys, &l.acts)]
	l.perform()
	return status
}

// reloadSources reads the files in the directories of sourcedir again. Sources that
// are there as before keep their history; one with other options is a new one.
func (l *loop) reloadSources(cmdmon.Request) cmdmon.Status {
	fresh, err := Load(l.d.opts)
	if err != nil {
		l.d.log.Error("Could not reload sources, the old ones stay: " + err.Error())
		return cmdmon.Failed
	}
	inForce := l.d.inForce
	for _, w := range fresh.Warnings {
		if !slices.Contains(inForce.Warnings, w) {
			l.d.log.Warn(w)
		}
	}
	old, rest := fromDirs(inForce.Config.Sources)
	next, _ := fromDirs(fresh.Config.Sources)
	c := *inForce.Config
	c.Sources = slices.Concat(rest, next)
	changed := *inForce
	changed.Config, changed.Warnings = &c, fresh.Warnings
	changed.refused = both(inForce.refused, next)
	l.d.inForce, l.w.cfg = &changed, &c

	gone, added := without(without(old, next), inForce.refused), without(next, old)
	answers := l.e.Exchange(l.w.Now(), l.sources(gone), l.sources(added), &l.acts)
	l.perform()
	for i, a := range answers {
		if a != engine.Done {
			l.d.log.Warn(fmt.Sprintf("Could not add source %s at %s: %s", added[i].Name, added[i].Origin, inUse(a)))
			changed.refused = append(changed.refused, added[i])
		}
	}
	return cmdmon.Success
}

// inUse says why a source was not added.
func inUse(a engine.Answer) string {
	if a == engine.AlreadyKnown {
		return "its address is in use"
	}
	return a.String()
}

// sources translates sources for the engine.
func (l *loop) sources(list []config.Source) (out []engine.SourceConfig) {
	for i := range list {
		out = append(out, setup.Source(l.w.cfg, &list[i], &l.d.inForce.Files, l.d.machine()))
	}
	return out
}

// fromDirs divides sources into those of a sourcedir and the others.
func fromDirs(all []config.Source) (dirs, rest []config.Source) {
	for _, s := range all {
		if s.FromDir {
			dirs = append(dirs, s)
		} else {
			rest = append(rest, s)
		}
	}
	return dirs, rest
}

// without returns those of a that are not in b, each as often as it is missing
// there. Where a source was written does not matter.
func without(a, b []config.Source) (out []config.Source) {
	left := slices.Clone(b)
	for _, s := range a {
		at := slices.IndexFunc(left, func(x config.Source) bool {
			x.Origin = s.Origin
			return x == s
		})
		if at < 0 {
			out = append(out, s)
			continue
		}
		left = slices.Delete(left, at, at+1)
	}
	return out
}

// both returns those of a that are in b too, likewise.
func both(a, b []config.Source) []config.Source { return without(a, without(a, b)) }
