// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"foliot/internal/config"
)

// budgetName is the file, in the directory of the control socket, that says how
// many updates a run without an orderly end has made.
const budgetName = "updates"

// mostCounted bounds what is counted: beyond it nobody means "at the start".
const mostCounted = 1000

// budget is the number of updates that a run has made of those for which
// makestep and maxchange make an exception. A run that ends in good order takes
// it along; after a crash the next one has only what is left, or whoever can
// make the daemon crash could have the clock stepped each time. The file lies in
// /run and is gone with the next boot. A nil budget counts nothing.
type budget struct {
	path   string
	log    *slog.Logger
	before int // updates of runs that crashed
	used   int // those and this run's
	failed bool
}

// openBudget reads what a crash left in the directory dir.
func openBudget(dir string) *budget {
	b := &budget{path: filepath.Join(dir, budgetName)}
	text, err := os.ReadFile(b.path)
	if errors.Is(err, os.ErrNotExist) {
		return b
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || n < 0 || n > mostCounted {
		n = mostCounted // what nobody can read must not give a step away
	}
	b.before, b.used = n, n
	return b
}

// lessen takes from c the exceptions that were made before a crash.
func (b *budget) lessen(c *config.Config) {
	if b == nil || b.before == 0 {
		return
	}
	if n := c.Clock.StepLimit; n > 0 {
		c.Clock.StepLimit = max(0, n-b.before)
	}
	c.Clock.MaxChange.Start = max(0, c.Clock.MaxChange.Start-b.before)
}

// updated counts an update that was made.
func (b *budget) updated() {
	if b == nil || b.used >= mostCounted {
		return
	}
	b.used++
	b.write(b.used)
}

// stepping counts the update that is about to step the clock beforehand: no
// crash comes between the step and its record.
func (b *budget) stepping() {
	if b != nil && b.used < mostCounted {
		b.write(b.used + 1)
	}
}

func (b *budget) write(n int) {
	if err := b.replace(strconv.Itoa(n) + "\n"); err != nil && !b.failed {
		b.failed = true
		if b.log != nil {
			b.log.Warn("Could not keep the number of updates for a restart: " + err.Error())
		}
	}
}

// replace writes beside the file and renames: the file is whole at any time, and
// a link in its place is not followed.
func (b *budget) replace(text string) error {
	fresh := b.path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(fresh, b.path)
}

// close forgets the count at an orderly end.
func (b *budget) close() {
	if b != nil {
		os.Remove(b.path)
	}
}
