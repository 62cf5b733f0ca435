// SPDX-License-Identifier: Apache-2.0

//go:build clknetsim

package clknetsim

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// Environment variables, as clknetsim's own clients read them.
const (
	envNode      = "CLKNETSIM_NODE"            // which node this is, from 1
	envSocket    = "CLKNETSIM_SOCKET"          // path of the server's socket
	envTimeout   = "CLKNETSIM_CONNECT_TIMEOUT" // seconds
	envStart     = "CLKNETSIM_START_DATE"      // Unix time at which the simulation begins
	envStamping  = "CLKNETSIM_TIMESTAMPING"    // 0 none, 1 kernel, 2 hardware
	envMultiply  = "CLKNETSIM_RECV_MULTIPLY"   // how often each message is received
	envFamily    = "CLKNETSIM_IP_FAMILY"       // 4 or 6
	envSeed      = "CLKNETSIM_RANDOM_SEED"
	socketPath   = "clknetsim.sock"
	startOf2010  = 1262304000
	maxStart     = 9e9 // Unix seconds; instants are nanoseconds of 64 bits
	maxNode      = 254
	dialPatience = 10 // seconds
)

// environment is what the variables say.
type environment struct {
	node     uint32 // from 0
	socket   string
	patience time.Duration
	start    int64 // Unix seconds
	stamps   bool  // the stack stamps datagrams; else the daemon does
	multiply int
	ipv6     bool
	seed     uint64 // of this node's random numbers
	seeded   bool
}

// Active tells whether the process was started as a node of a simulation.
func Active() bool { return os.Getenv(envNode) != "" }

// readEnvironment reads the variables through get.
func readEnvironment(get func(string) string) (environment, error) {
	p := numbers{get: get}
	node := p.number(envNode, 0, 1, maxNode)
	e := environment{
		node:     uint32(node - 1),
		socket:   get(envSocket),
		patience: time.Duration(p.number(envTimeout, dialPatience, 0, 1e6)) * time.Second,
		start:    p.number(envStart, startOf2010, 0, maxStart),
		stamps:   p.number(envStamping, 1, 0, 2) != 0,
		multiply: int(p.number(envMultiply, 1, 1, 1000)),
		ipv6:     p.number(envFamily, 4, 0, 1000) == 6,
	}
	if e.socket == "" {
		e.socket = socketPath
	}
	if get(envSeed) != "" {
		e.seeded = true
		e.seed = uint64(p.number(envSeed, 0, 0, 1<<62)) + uint64(node)
	}
	return e, p.err
}

// numbers reads numeric variables and keeps the first error.
type numbers struct {
	get func(string) string
	err error
}

func (p *numbers) number(name string, unset, least, most int64) int64 {
	v := unset
	if s := p.get(name); s != "" {
		var err error
		if v, err = strconv.ParseInt(s, 10, 64); err != nil && p.err == nil {
			p.err = fmt.Errorf("environment variable %s: %w", name, err)
		}
	}
	if (v < least || v > most) && p.err == nil {
		p.err = fmt.Errorf("environment variable %s is %d, not %d..%d", name, v, least, most)
	}
	return v
}
