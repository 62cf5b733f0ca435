// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"foliot/internal/config"
)

// limits returns what is left of makestep 1 3 and maxchange with 2 free updates
// for a run that starts now.
func limits(b *budget) [2]int {
	c := config.Default()
	c.Clock.StepLimit, c.Clock.MaxChange.Start = 3, 2
	b.lessen(c)
	return [2]int{c.Clock.StepLimit, c.Clock.MaxChange.Start}
}

func TestBudgetOutlivesACrash(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name string
		run  func(*budget)
		want [2]int // at the next start
	}{
		{"nothing happened", func(*budget) {}, [2]int{3, 2}},
		{"crash after a step, before the update is told", func(b *budget) { b.stepping() }, [2]int{2, 1}},
		{"crash after an update that stepped", func(b *budget) { b.stepping(); b.updated() }, [2]int{1, 0}},
		{"crash after many", func(b *budget) {
			for range 2 * mostCounted {
				b.updated()
			}
		}, [2]int{0, 0}},
		{"orderly end", func(b *budget) { b.updated(); b.close() }, [2]int{3, 2}},
		{"crash with a file that nobody can read", func(b *budget) {
			os.WriteFile(filepath.Join(dir, budgetName), []byte("many"), 0o644)
		}, [2]int{0, 0}},
	}
	for _, tt := range tests {
		tt.run(openBudget(dir))
		if got := limits(openBudget(dir)); got != tt.want {
			t.Errorf("%s: makestep and maxchange have %v left, want %v", tt.name, got, tt.want)
		}
	}
}

func TestBudgetLeavesUnlimitedStepsAlone(t *testing.T) {
	dir := t.TempDir()
	openBudget(dir).updated()
	c := config.Default()
	c.Clock.StepLimit = -1
	openBudget(dir).lessen(c)
	if c.Clock.StepLimit != -1 {
		t.Errorf("makestep 1 -1 became a limit of %d", c.Clock.StepLimit)
	}
}

// A link in the directory must not make the daemon write elsewhere.
func TestBudgetFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{budgetName, budgetName + ".new"} {
		if err := os.Symlink(victim, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	openBudget(dir).updated()
	if b, err := os.ReadFile(victim); err != nil || string(b) != "precious" {
		t.Errorf("the file behind a link is %q, %v", b, err)
	}
}

func TestUserDirectiveOfAServiceThatIsNotRoot(t *testing.T) {
	tests := []struct {
		uid      int
		name     string
		want     string
		warnings int
	}{
		{0, "root", "root", 0},
		{1, "", "", 0},
		{4711, "root", "", 1},
		{4711, "no-such-user-at-all", "", 1},
	}
	for _, tt := range tests {
		l := &Loaded{Config: config.Default()}
		l.Config.Process.User = tt.name
		l.stay(tt.uid)
		if got := l.Config.Process.User; got != tt.want || len(l.Warnings) != tt.warnings {
			t.Errorf("user %q for %d: %q with warnings %q, want %q and %d", tt.name, tt.uid, got, l.Warnings, tt.want, tt.warnings)
		}
	}
}
