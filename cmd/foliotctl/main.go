// SPDX-License-Identifier: Apache-2.0

// Command foliotctl gives commands to a running foliotd or chronyd, as chronyc
// does. Called chronyc it is nothing else.
package main

import (
	"os"

	"foliot/internal/ctl"
	"foliot/internal/process"
)

func main() {
	os.Exit(ctl.Main(os.Args, ctl.Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Terminal: process.Terminal(os.Stdin),
	}))
}
