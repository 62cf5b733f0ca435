// SPDX-License-Identifier: Apache-2.0

package narrate

import (
	"fmt"

	"foliot/internal/engine"
)

// perSource are the words for options of a source, for its address and the value.
var perSource = map[engine.Option]string{
	engine.OptMinPoll:          "Source %s new minpoll %.0f",
	engine.OptMaxPoll:          "Source %s new maxpoll %.0f",
	engine.OptMaxDelay:         "Source %s new maxdelay %f",
	engine.OptMaxDelayRatio:    "Source %s new maxdelayratio %f",
	engine.OptMaxDelayDevRatio: "Source %s new maxdelaydevratio %f",
	engine.OptMinStratum:       "Source %s new minstratum %.0f",
	engine.OptPollTarget:       "Source %s new polltarget %.0f",
	engine.OptCorrection:       "Source %s new offset %f",
}

// setting words what a command changed. Numbers that were typed have the sign that
// they were typed with: chrony's, where a clock that is ahead or fast is positive.
func setting(ev *engine.Event) string {
	if words, ok := perSource[ev.Option]; ok {
		return fmt.Sprintf(words, ev.Source.Addr.Addr(), ev.Value)
	}
	switch ev.Option {
	case engine.OptSelect:
		return fmt.Sprintf("Source %s selection options modified", name(&ev.Source))
	case engine.OptMaxUpdateSkew:
		return fmt.Sprintf("New maxupdateskew %f ppm", ev.Value*1e6)
	case engine.OptReselectDist:
		return fmt.Sprintf("New reselect distance %f", ev.Value)
	case engine.OptMakeStep:
		return fmt.Sprintf("New makestep %f %d", ev.Value, ev.Count)
	case engine.OptLocal:
		return [...]string{"Disabled", "Enabled"}[ev.Count] + " local reference mode"
	case engine.OptAccess:
		return [...]string{"Denied", "Allowed", "Denied all", "Allowed all"}[ev.Count] + " NTP access from " + ev.Name
	case engine.OptSmoothActive:
		return "Activated time smoothing" + [...]string{"", " (leap seconds only)"}[ev.Count]
	case engine.OptSmoothReset:
		return "Reset time smoothing" + [...]string{"", " (leap seconds only)"}[ev.Count]
	case engine.OptFrequency:
		return fmt.Sprintf("Accumulated delta freq of %.3fppm", -ev.Value*1e6)
	case engine.OptOffset:
		return fmt.Sprintf("Accumulated delta offset of %.6f seconds", -ev.Value)
	case engine.OptTyped:
		return typed(ev)
	case engine.OptReset:
		return "Reset all sources"
	}
	return ""
}

func typed(ev *engine.Event) string {
	if ev.Count == 0 {
		return fmt.Sprintf("Making a slew of %.6f", -ev.Value)
	}
	return fmt.Sprintf("Making a frequency change of %.3f ppm and a slew of %.6f", -ev.Limit*1e6, -ev.Value)
}
