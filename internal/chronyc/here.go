// SPDX-License-Identifier: Apache-2.0

package chronyc

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"foliot/internal/auth"
	"foliot/internal/clock"
	"foliot/internal/cmdmon"
	"foliot/internal/getdate"
	"foliot/internal/report"
)

// This file has commands that do something here, and the manual clock.

func dns(s *Session, line string) bool {
	switch line {
	case "-n":
		s.o.NoNames = true
	case "+n":
		s.o.NoNames = false
	case "-4", "-6":
		s.o.Family = "ip" + line[1:]
	case "-46":
		s.o.Family = ""
	default:
		return s.Complain("Unrecognized dns command")
	}
	return true
}

// shortest is the shortest first wait for an answer, milliseconds.
const shortest = 100

func timeout(s *Session, line string) bool {
	n, _ := scanInt(line)
	if n < shortest {
		return s.Complain("Timeout %d is too short", n)
	}
	if s.client != nil {
		s.client.Timeout = time.Duration(n) * time.Millisecond
	}
	return true
}

func retries(s *Session, line string) bool {
	n, _ := scanInt(line)
	if n < 0 {
		return s.Complain("Invalid maximum number of retries")
	}
	if s.client != nil {
		s.client.Retries = n
	}
	return true
}

// keyGen prints a line for a key file: keygen [ID [TYPE [BITS]]].
func keyGen(s *Session, line string) bool {
	words := strings.Fields(line)
	id, kind, bits := 1, auth.SHA1, auth.DefaultBits
	ok := len(words) <= 3
	if len(words) > 0 {
		n, _, numeric := tryInt(words[0])
		id, ok = n, ok && numeric
	}
	if len(words) > 2 {
		n, _, numeric := tryInt(words[2])
		bits, ok = n, ok && numeric
	}
	if !ok {
		return s.Complain("Invalid syntax for keygen command")
	}
	if len(words) > 1 {
		t, err := auth.ParseType(words[1])
		if err != nil || t.String() != words[1] {
			return s.Complain("Unknown hash function or cipher %s", words[1])
		}
		kind = t
	}
	text, err := auth.Generate(uint32(id), kind, bits, rand.Reader)
	if err != nil {
		return s.Complain("%v", err)
	}
	s.print.Line("key", text)
	return true
}

func leave(s *Session, _ string) bool {
	s.Quit = true
	return true
}

// gone is a command that does nothing any more.
func gone(s *Session, _ string) bool {
	s.Complain("Authentication is no longer supported")
	return true
}

// typed is the manual clock's command. Arguments after list and delete may be
// glued to them, as in chronyc.
func typed(s *Session, line string) bool {
	if strings.HasPrefix(line, "list") {
		return manualList(s)
	}
	if rest, ok := strings.CutPrefix(line, "delete"); ok {
		_, rest = cut(rest)
		n, _, ok := tryInt(rest)
		if !ok {
			return s.Complain("Bad syntax for manual delete command")
		}
		return s.order(cmdmon.ManualDelete, &cmdmon.Index{Index: uint32(n)})
	}
	return switches(cmdmon.Manual, map[string]int32{
		"off": cmdmon.ManualOff, "on": cmdmon.ManualOn, "reset": cmdmon.ManualReset,
	}, "Invalid syntax for manual command")(s, line)
}

func manualList(s *Session) bool {
	m := new(cmdmon.ManualListReply)
	if _, ok := s.ask(cmdmon.ManualList, nil, m); !ok {
		return false
	}
	if m.N > cmdmon.MaxManualSamples {
		return s.expected(false)
	}
	report.ManualList(s.print, m)
	return true
}

func setTime(s *Session, line string) bool {
	t, ok := getdate.Parse(line, time.Now())
	if !ok {
		s.print.Status(510, "- Could not parse date string")
		return false
	}
	m := new(cmdmon.ManualTimestampReply)
	when := clock.At[clock.Realtime](t.Unix() * 1e9)
	if _, ok := s.ask(cmdmon.SetTime, &cmdmon.Instant{Time: cmdmon.ToTimespec(when)}, m); !ok {
		return false
	}
	if s.print.Format != report.JSON {
		fmt.Fprintln(s.Out, "200 OK")
	}
	report.ManualTimestamp(s.print, m)
	return true
}

func help(s *Session, _ string) bool {
	s.Out.WriteString(s.o.Help())
	return true
}
