// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"fmt"

	"foliot/internal/config"
)

// problem is a mistake in the configuration. Its text is chronyd's, then the
// place, then what chronyd does not say.
type problem struct {
	what   string // "Could not parse port directive"
	detail string // may be empty
	at     config.Origin
}

func (e *problem) Error() string {
	text := e.what + " at " + e.at.String()
	if e.detail != "" {
		text += ": " + e.detail
	}
	return text
}

// bad is the error for arguments that cannot be understood.
func (s *statement) bad(format string, args ...any) error {
	return &problem{
		what:   "Could not parse " + s.name + " directive",
		detail: fmt.Sprintf(format, args...),
		at:     s.origin,
	}
}

// badValue is the error for an argument that does not suit its directive.
func (s *statement) badValue(e *valueError) error {
	if e.malformed {
		return s.bad("%s is not %s (%s)", e.word, e.kind, e.allowed)
	}
	return &problem{
		what: fmt.Sprintf("Invalid value %s in %s directive (%s)", e.word, s.name, e.allowed),
		at:   s.origin,
	}
}

// badOption is the error for an option that the directive does not have, that
// lacks its value, or that cannot be had.
func (s *statement) badOption(format string, args ...any) error {
	return &problem{
		what:   "Invalid option in " + s.name + " directive",
		detail: fmt.Sprintf(format, args...),
		at:     s.origin,
	}
}

// badOptionValue is the error for an option's value that does not suit it.
func (s *statement) badOptionValue(option string, e *valueError) error {
	allowed := e.allowed
	if e.malformed {
		allowed = "not " + e.kind + ", " + allowed
	}
	return &problem{
		what: fmt.Sprintf("Invalid value %s in %s option of %s directive (%s)",
			e.word, option, s.name, allowed),
		at: s.origin,
	}
}
