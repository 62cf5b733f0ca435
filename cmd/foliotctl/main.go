// SPDX-License-Identifier: Apache-2.0

// Command foliotctl gives commands to a running foliotd.
package main

import (
	"os"

	"foliot/internal/ctl"
)

func main() { os.Exit(ctl.Main(os.Args[1:], os.Stdout, os.Stderr)) }
