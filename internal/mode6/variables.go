// SPDX-License-Identifier: Apache-2.0

package mode6

import (
	"bytes"
	"strings"
)

// variable is one that can be read of a T.
type variable[T any] struct {
	name  string
	usual bool                             // it is in an answer to a request that names none
	put   func(t *text, name string, of T) // nil: it is ntpd's, and nothing is known of it
}

// table is what can be read of a T, in the order of answers.
type table[T any] struct {
	list string // the variable that lists the others
	all  []variable[T]
}

// find returns the place of a variable, -1 if there is none.
func (s *table[T]) find(name string) int {
	for i := range s.all {
		if s.all[i].name == name {
			return i
		}
	}
	return -1
}

// write writes the variables that body names, or the usual ones. Each is written
// once, whatever the request says: else it would choose the length of the answer.
func (s *table[T]) write(t *text, body []byte, of T) failure {
	wanted, named := make([]bool, len(s.all)+1), false
	for name := range bytes.SplitSeq(body, []byte{','}) {
		name, _, _ = bytes.Cut(name, []byte{'='})
		name = bytes.Trim(name, " \t\r\n\x00")
		i := s.find(string(name))
		switch {
		case len(name) == 0:
			continue
		case string(name) == s.list:
			i = len(s.all)
		case i < 0:
			return unknownName
		}
		wanted[i], named = true, true
	}
	for i := range s.all {
		v := &s.all[i]
		if v.put != nil && (wanted[i] || !named && v.usual) {
			v.put(t, v.name, of)
		}
	}
	if wanted[len(s.all)] {
		t.quoted(s.list, s.names())
	}
	return noError
}

// names lists the variables of which something is known.
func (s *table[T]) names() string {
	var list []string
	for i := range s.all {
		if s.all[i].put != nil {
			list = append(list, s.all[i].name)
		}
	}
	return strings.Join(list, ",")
}

// unknown returns variables of which nothing is known. ntpq asks for them all at
// once, and one that is refused makes it ask for each alone.
func unknown[T any](names ...string) (all []variable[T]) {
	for _, name := range names {
		all = append(all, variable[T]{name: name})
	}
	return all
}

// readVariables answers with variables of the system or of an association.
func (r *Responder) readVariables(body []byte) (uint16, failure) {
	status, err := r.status()
	if err != noError {
		return 0, err
	}
	if r.head.assoc == 0 {
		return status, systemVariables.write(&r.text, body, &r.view)
	}
	return status, peerVariables.write(&r.text, body, r.view.find(r.head.assoc))
}

// readClock answers with variables of a reference clock.
func (r *Responder) readClock(body []byte) (uint16, failure) {
	p := r.view.find(r.head.assoc)
	if p == nil || !p.refClock() {
		return 0, badAssoc
	}
	return 0, clockVariables.write(&r.text, body, p)
}
