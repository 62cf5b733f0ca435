// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"os"

	"foliot/internal/process"
	"foliot/internal/racksctl"
)

// racks hands the command line to "foliotctl racks", which has options of its own.
func racks(args []string, std Streams) int {
	racksctl.Version = Version
	f, ok := std.Err.(*os.File)
	return racksctl.Main(args, racksctl.Streams{In: std.In, Out: std.Out, Err: std.Err, Terminal: ok && process.Terminal(f)})
}
