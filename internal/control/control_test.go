// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestParseRequest(t *testing.T) {
	for _, tc := range []struct {
		line, want string
		ok         bool
	}{
		{"reload\n", "reload", true},
		{"a-b2\n", "a-b2", true},
		{strings.Repeat("a", maxRequest-1) + "\n", strings.Repeat("a", maxRequest-1), true},
		{strings.Repeat("a", maxRequest) + "\n", "", false},
		{"reload", "", false},
		{"\n", "", false},
		{"", "", false},
		{"Reload\n", "", false},
		{"reload now\n", "", false},
		{"re\nload\n", "", false},
		{"reload\r\n", "", false},
		{"r\x00\n", "", false},
	} {
		verb, err := parseRequest([]byte(tc.line))
		if verb != tc.want || (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("parseRequest(%q) = %q, %v, want %q, ok %v", tc.line, verb, err, tc.want, tc.ok)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, s := range []string{"reload\n", "status", "\n", "x y\n", strings.Repeat("a", 100) + "\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		verb, err := parseRequest(line)
		if err == nil && (verb+"\n" != string(line) || !validVerb(verb)) {
			t.Errorf("parseRequest(%q) = %q", line, verb)
		}
	})
}

func TestAppendAnswer(t *testing.T) {
	for _, tc := range []struct {
		body string
		err  error
		want string
	}{
		{"", nil, "ok\n"},
		{"one\n\nok\n", nil, " one\n \n ok\nok\n"},
		{"no newline", nil, " no newline\nok\n"},
		{"partly\n", errors.New("line 3:\nbad\tword"), " partly\nerror line 3: bad word\n"},
	} {
		if got := string(appendAnswer(nil, []byte(tc.body), tc.err)); got != tc.want {
			t.Errorf("body %q, error %v: %q, want %q", tc.body, tc.err, got, tc.want)
		}
	}
}

func TestParseAnswer(t *testing.T) {
	for _, tc := range []struct{ answer, body, err string }{
		{"ok\n", "", ""},
		{" one\n \n ok\nok\n", "one\n\nok\n", ""},
		{" partly\nerror bad word\n", "partly\n", "bad word"},
		{"error \n", "", ""},
		{"", "", "read answer: malformed message"},
		{" one\n", "one\n", "read answer: malformed message"},
		{" one\n two", "one\n", "read answer: malformed message"},
		{"ok", "", "read answer: malformed message"},
		{"ok\nok\n", "", "read answer: malformed message"},
		{"SSH-2.0-x\n", "", "read answer: malformed message"},
	} {
		body, err := parseAnswer([]byte(tc.answer))
		text := ""
		if err != nil {
			text = err.Error()
		}
		if string(body) != tc.body || text != tc.err {
			t.Errorf("parseAnswer(%q) = %q, %q, want %q, %q", tc.answer, body, text, tc.body, tc.err)
		}
	}
}

func FuzzParseAnswer(f *testing.F) {
	for _, s := range []string{"ok\n", " one\nok\n", " x\nerror no\n", " \n \n", "ok"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		body, err := parseAnswer(answer)
		if errors.Is(err, ErrMalformed) {
			return
		}
		var refused *RemoteError
		errors.As(err, &refused)
		again, err2 := parseAnswer(appendAnswer(nil, body, err))
		var refused2 *RemoteError
		errors.As(err2, &refused2)
		if !bytes.Equal(again, body) || (refused == nil) != (refused2 == nil) {
			t.Errorf("%q: %q, %v, sent again %q, %v", answer, body, err, again, err2)
		}
	})
}
