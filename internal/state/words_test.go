// SPDX-License-Identifier: Apache-2.0

package state

import (
	"testing"

	"foliot/internal/selection"
)

// TestEveryStatusHasAName: the letters are chrony's, and each that selection
// uses has one name of its own.
func TestEveryStatusHasAName(t *testing.T) {
	names := make(map[string]bool)
	for _, letter := range "NMsrd~wSOTPWUxD+*" {
		s := Source{Status: selection.Status(letter)}
		got := s.Selected()
		if got.Status != s.Status || got.Why == "" || names[got.Name] {
			t.Errorf("status %c is called %+v", letter, got)
		}
		names[got.Name] = true
	}
	if len(names) != len(Selections) {
		t.Errorf("%d names for %d statuses", len(names), len(Selections))
	}
	for _, none := range []selection.Status{0, selection.Candidate} {
		if got := (&Source{Status: none}).Selected().Name; got != "no_samples" {
			t.Errorf("status %q is called %s, want no_samples", none, got)
		}
	}
}

func TestErrorBound(t *testing.T) {
	tr := Tracking{Remaining: -3, RootDisp: 0.5, RootDelay: 4}
	if got := tr.ErrorBound(); got != 5.5 {
		t.Errorf("error bound %g, want 3 + 0.5 + 4/2", got)
	}
}
