// SPDX-License-Identifier: Apache-2.0

package adopt

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"foliot/internal/process"
)

// backup ends the name of what was there before.
const backup = ".before-adopt"

// Describe says what the plan does, or did.
func (p *Plan) Describe(out io.Writer, done bool) {
	verb := "would write"
	if done {
		verb = "wrote"
	}
	fmt.Fprintf(out, "configuration of %s\n", p.From)
	for _, f := range p.files {
		fmt.Fprintf(out, "  %s %s\n", verb, f.path)
	}
	for _, n := range p.notes {
		fmt.Fprintf(out, "  note: %s\n", n)
	}
	if p.units == "" {
		p.units = "(the other daemon)"
	}
	fmt.Fprintf(out, "nothing was stopped or disabled; what is left to do:\n"+
		"  foliotd --check\n  systemctl disable --now %s\n  systemctl enable --now foliotd\n", p.units)
}

// Apply writes the files. What is there is kept under another name, once: a
// second run does not overwrite the first one's.
func (p *Plan) Apply() error {
	id, err := process.LookupUser("foliot")
	if err != nil {
		id = process.Identity{} // the package makes the user; until then all is root's
		p.note("there is no user foliot yet: %s and %s belong to root", keysPath, driftPath)
	}
	for i := range p.files {
		if err := p.put(&p.files[i], id); err != nil {
			return err
		}
	}
	return nil
}

// put writes f beside its place and renames it.
func (p *Plan) put(f *file, id process.Identity) error {
	path := p.root + f.path
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if !f.state {
		err := os.Link(path, path+backup)
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	fresh, err := os.CreateTemp(filepath.Dir(path), ".adopt-")
	if err != nil {
		return err
	}
	defer os.Remove(fresh.Name()) // gone already if all went well
	_, err = fresh.Write(f.text)
	mode, uid, gid := os.FileMode(0o644), 0, 0
	switch {
	case f.secret:
		mode, gid = 0o640, id.GID
	case f.state:
		uid, gid = id.UID, id.GID
	}
	err = errors.Join(err, fresh.Chmod(mode))
	if os.Geteuid() == 0 {
		err = errors.Join(err, fresh.Chown(uid, gid))
	}
	if err = errors.Join(err, fresh.Close()); err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	return os.Rename(fresh.Name(), path)
}

// Command is `foliotctl adopt [--dry-run] [FILE]`. It returns the exit code: 1 if
// it could not be done, 2 for a wrong command line.
func Command(args []string, out, complaints io.Writer) int {
	from, dry := "", false
	for _, a := range args {
		switch {
		case a == "--dry-run" || a == "-n":
			dry = true
		case from == "" && filepath.IsAbs(a):
			from = a
		default:
			fmt.Fprintf(complaints, "foliotctl: error: unexpected argument %q\nfoliotctl: hint: foliotctl adopt [--dry-run] [/path/to/chrony.conf or ntp.conf]\n", a)
			return 2
		}
	}
	p, err := Make("", from)
	if err == nil && !dry {
		err = p.Apply()
	}
	if err != nil {
		fmt.Fprintf(complaints, "foliotctl: error: %v\n", err)
		return 1
	}
	p.Describe(out, !dry)
	return 0
}
