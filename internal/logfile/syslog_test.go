// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestSyslog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	s, err := NewSyslog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	log := slog.New(NewHandler(HandlerConfig{Output: s, Syslog: "foliotd[7]"}))
	log.Info("lost: nobody listens")
	for _, round := range []string{"first", "after a restart of the log daemon"} {
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		log.Info("hello\nthere")
		log.Error("bad")
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		b := make([]byte, 512)
		for _, want := range []string{`<30>foliotd[7]: hello\nthere`, "<27>foliotd[7]: bad"} {
			if n, err := conn.Read(b); err != nil || string(b[:n]) != want {
				t.Errorf("%s: received %q, %v, want %q", round, b[:n], err, want)
			}
		}
		for range 5000 { // more than the socket holds: must not wait
			log.Info("flood")
		}
		conn.Close()
		os.Remove(path)
	}
}
