// SPDX-License-Identifier: Apache-2.0

// Command kudu asks the kernel what Apache Kudu and others like it ask before
// they start: is the clock synchronised, and what is the bound of its error? It
// exits with 1 if it would not start, and sets nothing.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	// --max_clock_sync_error_usec of Kudu has this default.
	limit := flag.Duration("limit", 10*time.Second, "largest bound of the clock's error")
	flag.Parse()
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	bound := time.Duration(tx.Maxerror) * time.Microsecond
	switch {
	case err != nil:
		fmt.Println("read clock state:", err)
	case state == unix.TIME_ERROR || tx.Status&unix.STA_UNSYNC != 0:
		fmt.Println("the clock is not synchronised")
	case bound > *limit:
		fmt.Printf("the error may be %v, more than %v\n", bound, *limit)
	default:
		fmt.Printf("synchronised, the error is at most %v\n", bound)
		return
	}
	os.Exit(1)
}
