// SPDX-License-Identifier: Apache-2.0

//go:build !clknetsim

package daemon

import "io"

// simulated is for programs built to run inside clknetsim; this one is not.
func simulated([]string, io.Writer, io.Writer) (code int, ran bool) { return 0, false }
