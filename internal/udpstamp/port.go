// SPDX-License-Identifier: Apache-2.0

package udpstamp

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// ephemeral is the set of ports for clients.
type ephemeral struct {
	first, last uint16
	reserved    map[uint16]bool
}

// ephemeralPorts reads the system's settings once (ip-sysctl.rst).
var ephemeralPorts = sync.OnceValue(func() ephemeral {
	limits, _ := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	reserved, _ := os.ReadFile("/proc/sys/net/ipv4/ip_local_reserved_ports")
	return parseEphemeral(string(limits), string(reserved))
})

// parseEphemeral reads "32768\t60999" and "8080,9148-9150". What it cannot read
// is taken for the kernel's default, or for nothing reserved.
func parseEphemeral(limits, reserved string) ephemeral {
	e := ephemeral{first: 32768, last: 60999, reserved: map[uint16]bool{}}
	if f := strings.Fields(limits); len(f) == 2 {
		first, err1 := strconv.ParseUint(f[0], 10, 16)
		last, err2 := strconv.ParseUint(f[1], 10, 16)
		if err1 == nil && err2 == nil && first > 0 && first <= last {
			e.first, e.last = uint16(first), uint16(last)
		}
	}
	for r := range strings.SplitSeq(strings.TrimSpace(reserved), ",") {
		low, high, isRange := strings.Cut(r, "-")
		if !isRange {
			high = low
		}
		first, err1 := strconv.ParseUint(low, 10, 16)
		last, err2 := strconv.ParseUint(high, 10, 16)
		if err1 != nil || err2 != nil {
			continue
		}
		for p := first; p <= last; p++ {
			e.reserved[uint16(p)] = true
		}
	}
	return e
}

// choose returns the port that the random number r selects, 0 if it is reserved.
func (e ephemeral) choose(r uint64) uint16 {
	p := e.first + uint16(r%uint64(int(e.last)-int(e.first)+1))
	if e.reserved[p] {
		return 0
	}
	return p
}

// randomPort returns an unpredictable ephemeral port, or 0 when it met reserved
// ports only.
func randomPort() uint16 {
	e := ephemeralPorts()
	var b [8]byte
	for range portTries {
		rand.Read(b[:]) // never fails: crypto/rand ends the process instead
		if p := e.choose(binary.NativeEndian.Uint64(b[:])); p != 0 {
			return p
		}
	}
	return 0
}

// inUse tells whether bind failed because of the port: taken, or below the
// unprivileged ones.
func inUse(err error) bool {
	return errors.Is(err, unix.EADDRINUSE) || errors.Is(err, unix.EACCES)
}
