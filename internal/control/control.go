// SPDX-License-Identifier: Apache-2.0

// Package control is the conversation between foliotctl and foliotd: a local
// stream socket over which one command is sent and one answer comes back. What
// the commands do is the daemon's business; chrony's command protocol and NTP's
// mode 6 are other packages'.
//
// The one concept is the framing. A request is one line, a verb. The answer is
// any number of lines that begin with a space, which is not part of the text,
// and a last line that does not:
//
//	status
//	 synchronised to 192.0.2.1
//	ok
//
// or "error" and the reason. An answer without its last line was cut off.
package control

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// DefaultPath is where the daemon listens unless told otherwise.
const DefaultPath = "/run/foliot/foliotctl.sock"

// The verbs of the daemon.
const (
	VerbReload  = "reload"  // read the configuration again and apply what changed
	VerbState   = "state"   // all that the daemon shows, as a JSON document
	VerbLog     = "log"     // the last messages of the log
	VerbEBPF    = "ebpf"    // describe the eBPF programs; VerbEBPF + JSON for programs
	VerbStatus  = "status"  // describe the daemon in a few lines
	VerbVersion = "version" // name the running program
)

// JSON is the end of verbs whose answer is a line of JSON.
const JSON = "-json"

// Limits of the protocol, in octets.
const (
	maxRequest = 64
	maxAnswer  = 4 << 20
)

// ErrMalformed is wrapped by errors about octets that are not this protocol.
var ErrMalformed = errors.New("malformed message")

// RemoteError is the reason why the daemon did not do what it was asked.
type RemoteError struct{ Reason string }

func (e *RemoteError) Error() string { return e.Reason }

// parseRequest returns the verb of a request line: lower-case letters, digits
// and hyphens.
func parseRequest(line []byte) (string, error) {
	verb, whole := bytes.CutSuffix(line, []byte("\n"))
	if !whole || len(line) > maxRequest || !validVerb(string(verb)) {
		return "", fmt.Errorf("read request: %w", ErrMalformed)
	}
	return string(verb), nil
}

func validVerb(verb string) bool {
	return verb != "" && len(verb) < maxRequest && !strings.ContainsFunc(verb, func(r rune) bool {
		return r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

// appendAnswer appends the answer of a command that wrote body and returned err.
func appendAnswer(b, body []byte, err error) []byte {
	for line := range bytes.Lines(body) {
		b = append(b, ' ')
		b = append(b, bytes.TrimSuffix(line, []byte("\n"))...)
		b = append(b, '\n')
	}
	if err == nil {
		return append(b, "ok\n"...)
	}
	reason := strings.Join(strings.Fields(err.Error()), " ")
	return append(append(append(b, "error "...), reason...), '\n')
}

// parseAnswer takes an answer apart. The error is a [*RemoteError] if the
// daemon reports one; the body may then be there all the same.
func parseAnswer(answer []byte) (body []byte, err error) {
	for len(answer) > 0 {
		line, rest, whole := bytes.Cut(answer, []byte("\n"))
		if !whole {
			break
		}
		if text, ok := bytes.CutPrefix(line, []byte(" ")); ok {
			body = append(append(body, text...), '\n')
			answer = rest
			continue
		}
		if len(rest) > 0 {
			break
		}
		if reason, ok := bytes.CutPrefix(line, []byte("error ")); ok {
			return body, &RemoteError{Reason: string(reason)}
		}
		if string(line) == "ok" {
			return body, nil
		}
		break
	}
	return body, fmt.Errorf("read answer: %w", ErrMalformed)
}

// errTooLong is what a handler's Write gets past maxAnswer.
var errTooLong = errors.New("answer is too long")

// answerBuffer collects what a handler writes, up to maxAnswer.
type answerBuffer struct{ bytes.Buffer }

var _ io.Writer = (*answerBuffer)(nil)

func (b *answerBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxAnswer {
		return 0, errTooLong
	}
	return b.Buffer.Write(p)
}
