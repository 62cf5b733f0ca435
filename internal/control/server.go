// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Handler carries a command out and writes the text of the answer to w. It is
// never called twice at the same time. ctx ends when the daemon stops or the
// command took too long; a verb that it does not know is an error.
type Handler func(ctx context.Context, verb string, w io.Writer) error

// Limits of the server.
const (
	maxConns       = 8
	exchangeTime   = 5 * time.Second  // to send a request, and again to take the answer
	commandTime    = 30 * time.Second // for a command
	maxAcceptPause = time.Second      // when the process has no descriptors left
)

// Server answers commands on a socket.
type Server struct {
	path    string
	ln      *net.UnixListener
	own     os.FileInfo
	handler Handler

	turn    sync.Mutex    // held while the handler runs
	slots   chan struct{} // one element a connection
	conns   sync.WaitGroup
	allowed func(uid uint32) bool
	patient time.Duration
}

// Listen binds the socket at path, so that the daemon can report trouble with
// it before it is ready. A socket that a dead daemon left is replaced; the error
// wraps [ErrInUse] if a live one answers. Root and the daemon's own user may
// give commands. Call it before threads that create files are started: it
// changes the umask for a moment.
func Listen(path string, handler Handler) (*Server, error) {
	ln, err := listen(path)
	if err != nil {
		return nil, err
	}
	own, err := os.Lstat(path)
	if err != nil {
		ln.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return &Server{
		path:    path,
		ln:      ln,
		own:     own,
		handler: handler,
		slots:   make(chan struct{}, maxConns),
		allowed: func(uid uint32) bool { return uid == 0 || int(uid) == os.Geteuid() },
		patient: exchangeTime,
	}, nil
}

// Serve is Listen followed by [Server.Run].
func Serve(ctx context.Context, path string, handler Handler) error {
	s, err := Listen(path, handler)
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// Run answers commands until ctx ends, then waits for the last one, removes the
// socket and returns nil.
func (s *Server) Run(ctx context.Context) error {
	defer s.conns.Wait()
	defer removeOwn(s.path, s.own)
	defer s.ln.Close()
	defer context.AfterFunc(ctx, func() { s.ln.Close() })()
	pause := time.Millisecond
	for {
		conn, err := s.ln.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept on %s: %w", s.path, err)
		case err != nil:
			// Descriptors or memory are short, which passes.
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, maxAcceptPause)
			continue
		}
		pause = time.Millisecond
		s.admit(ctx, conn)
	}
}

// admit answers conn in a goroutine of its own, or refuses it.
func (s *Server) admit(ctx context.Context, conn *net.UnixConn) {
	select {
	case s.slots <- struct{}{}:
	default:
		s.answer(conn, nil, errors.New("too many connections"))
		conn.Close()
		return
	}
	s.conns.Go(func() {
		defer func() { <-s.slots }()
		defer conn.Close()
		s.converse(ctx, conn)
	})
}

// converse reads one request and answers it.
func (s *Server) converse(ctx context.Context, conn *net.UnixConn) {
	uid, err := peer(conn)
	if err == nil && !s.allowed(uid) {
		err = fmt.Errorf("user %d may not give commands", uid)
	}
	if err != nil {
		s.answer(conn, nil, err)
		return
	}
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Now()) })()
	if ctx.Err() != nil || conn.SetReadDeadline(time.Now().Add(s.patient)) != nil {
		return
	}
	line, err := bufio.NewReaderSize(conn, maxRequest).ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return // gone or too slow: nobody to answer
	}
	verb, err := parseRequest(line)
	var body answerBuffer
	if err == nil {
		err = s.execute(ctx, verb, &body)
	}
	s.answer(conn, body.Bytes(), err)
}

// execute runs the handler, one command after the other.
func (s *Server) execute(ctx context.Context, verb string, w io.Writer) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	return s.handler(ctx, verb, w)
}

func (s *Server) answer(conn net.Conn, body []byte, err error) {
	// A client that does not read loses its answer.
	if conn.SetWriteDeadline(time.Now().Add(s.patient)) == nil {
		conn.Write(appendAnswer(nil, body, err))
	}
}
