// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"fmt"
	"io"
	"net"
)

// Do sends verb to the daemon that listens at path and writes the text of its
// answer to w. The deadline of ctx bounds all of it. It returns a
// [*RemoteError] if the daemon says no.
func Do(ctx context.Context, path, verb string, w io.Writer) error {
	if !validVerb(verb) {
		return fmt.Errorf("send request %q: %w", verb, ErrMalformed)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return err
	}
	defer conn.Close()
	// Closing is what interrupts a read or write when ctx ends.
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	answer, err := exchange(conn, verb)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("ask %s: %w", path, err)
	}
	body, err := parseAnswer(answer)
	if _, werr := w.Write(body); werr != nil {
		return werr
	}
	return err
}

func exchange(conn net.Conn, verb string) ([]byte, error) {
	// A server that refuses the connection answers before it reads, so that
	// a failed write is no reason not to look for an answer.
	_, werr := conn.Write([]byte(verb + "\n"))
	answer, err := io.ReadAll(io.LimitReader(conn, 2*maxAnswer+1024))
	if len(answer) > 0 {
		return answer, nil
	}
	if werr != nil {
		return nil, werr
	}
	return nil, err
}
