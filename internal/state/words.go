// SPDX-License-Identifier: Apache-2.0

package state

import "foliot/internal/selection"

// Selection is what a [selection.Status] is called by views.
type Selection struct {
	Status selection.Status
	Name   string // a word for labels
	Why    string // a clause for people
}

// Selections are all statuses, from unusable to selected.
var Selections = [...]Selection{
	{selection.NotSelectable, "not_selectable", "is watched only (noselect)"},
	{selection.Missing, "no_samples", "has given no samples yet"},
	{selection.Unsync, "unsynchronised", "says itself that it is not synchronised"},
	{selection.BadStratum, "bad_stratum", "has a stratum outside minstratum and maxstratum"},
	{selection.TooFar, "too_distant", "has a root distance above maxdistance"},
	{selection.Jittery, "jittery", "scatters more than maxjitter"},
	{selection.WaitStats, "waiting_samples", "waits, since others may soon be better"},
	{selection.Stale, "stale", "is silent, and its samples are too old"},
	{selection.Orphan, "orphan", "has no reference itself (orphan)"},
	{selection.Untrusted, "untrusted", "disagrees with the trusted sources"},
	{selection.NotPreferred, "not_preferred", "is good, but others are preferred"},
	{selection.WaitSources, "waiting_sources", "waits for more sources (minsources, require)"},
	{selection.WaitUpdate, "waiting_update", "is selected, and waits for a new sample"},
	{selection.Falseticker, "falseticker", "contradicts the majority"},
	{selection.Outlier, "outlier", "is good, but too far from the selected one to combine"},
	{selection.Combined, "combined", "is combined with the selected one"},
	{selection.Selected, "selected", "is what the clock follows"},
}

// Selected returns what the status of a source is called. One that selection has
// not looked at yet, and one it has no name for, has no samples.
func (s *Source) Selected() *Selection { return &Selections[s.SelectedIndex()] }

// SelectedIndex is the place of the status in [Selections].
func (s *Source) SelectedIndex() int {
	const missing = 1
	for i := range Selections {
		if Selections[i].Status == s.Status {
			return i
		}
	}
	return missing
}

func (m Mode) String() string {
	return [...]string{Client: "client", Peer: "peer", RefClock: "refclock"}[m]
}

func (a Activity) String() string {
	return [...]string{
		Online: "online", Offline: "offline", BurstOnline: "burst_online", BurstOffline: "burst_offline",
	}[a]
}
