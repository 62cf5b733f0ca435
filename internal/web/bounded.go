// SPDX-License-Identifier: Apache-2.0

package web

import (
	"net"
	"sync"
)

// boundedListener has a limited number of connections at a time. Those beyond
// are closed at once: waiting, they would keep a scraper in the dark.
type boundedListener struct {
	net.Listener
	slots chan struct{} // one element a connection
}

func bounded(ln net.Listener, n int) net.Listener {
	return &boundedListener{ln, make(chan struct{}, n)}
}

func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			return &boundedConn{Conn: c, slots: l.slots}, nil
		default:
			c.Close()
		}
	}
}

// boundedConn gives its slot back when it is closed.
type boundedConn struct {
	net.Conn
	once  sync.Once
	slots chan struct{}
}

func (c *boundedConn) Close() error {
	c.once.Do(func() { <-c.slots })
	return c.Conn.Close()
}
