// SPDX-License-Identifier: Apache-2.0

// Command foliotd is the time daemon.
package main

import (
	"os"

	"foliot/internal/daemon"
	"foliot/internal/guard"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == guard.Arg {
		os.Exit(guard.Main())
	}
	os.Exit(daemon.Main(os.Args[1:], os.Stdout, os.Stderr))
}
