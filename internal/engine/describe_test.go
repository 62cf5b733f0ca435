// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"

	"foliot/internal/engine"
)

// describe words an event for a transcript, with numbers so coarse that another
// estimator does not change them; empty for events of which there are too many.
func describe(ev *engine.Event) string {
	who := ev.Source.Addr.Addr().String()
	switch ev.Kind {
	case engine.EvSelected:
		return "selected " + who
	case engine.EvUnselected:
		return fmt.Sprintf("nothing selected: outcome %d, %d of %d agree, %d unreachable", ev.Outcome, ev.Agreeing, ev.Total, ev.Unreachable)
	case engine.EvFalseticker:
		return "falseticker " + who
	case engine.EvDistance:
		return "too far " + who
	case engine.EvJitter:
		return "too jittery " + who
	case engine.EvKissOfDeath:
		return "kiss of death from " + who
	case engine.EvClockWrong:
		return fmt.Sprintf("clock wrong by %.2f s", ev.Value)
	case engine.EvStepped:
		return fmt.Sprintf("stepped by %.2f s", ev.Value)
	case engine.EvJump:
		return fmt.Sprintf("somebody else moved the clock by %.2f s", ev.Value)
	case engine.EvChangeIgnored:
		return fmt.Sprintf("change of %.2f s ignored, limit %v s", ev.Value, ev.Limit)
	case engine.EvChangeFatal:
		return fmt.Sprintf("change of %.2f s is too much, limit %v s", ev.Value, ev.Limit)
	case engine.EvLeapSecond:
		return fmt.Sprintf("leap second %+d", ev.Count)
	case engine.EvUnresolved:
		return "no address of " + ev.Name
	case engine.EvDuplicate:
		return "a second " + ev.Name
	case engine.EvAdded:
		return fmt.Sprintf("added %s (%s)", who, ev.Source.Name)
	case engine.EvRemoved:
		return fmt.Sprintf("removed %s (%s)", who, ev.Source.Name)
	case engine.EvReplaced:
		return fmt.Sprintf("replaced %s by %s", ev.Old.Addr.Addr(), who)
	case engine.EvOnline:
		return "online " + who
	case engine.EvOffline:
		return "offline " + who
	case engine.EvSetting:
		return describeSetting(ev)
	case engine.EvMeasurement, engine.EvStatistics, engine.EvTracking, engine.EvSelection:
		return ""
	}
	return fmt.Sprintf("event %d", ev.Kind)
}

// describeSetting words what a command changed.
func describeSetting(ev *engine.Event) string {
	words := fmt.Sprintf("option %d set to %.4g", ev.Option, ev.Value)
	if ev.Source.ID != 0 {
		words += " for " + ev.Source.Addr.Addr().String()
	}
	if ev.Name != "" {
		words += " for " + ev.Name
	}
	switch ev.Option {
	case engine.OptMakeStep, engine.OptAccess, engine.OptLocal:
		words += fmt.Sprintf(", %d", ev.Count)
	case engine.OptTyped:
		words = fmt.Sprintf("set by hand: %.2f s", ev.Value)
		if ev.Count == 1 {
			words += fmt.Sprintf(", %.0f ppm", ev.Limit*1e6)
		}
	}
	return words
}
