// SPDX-License-Identifier: Apache-2.0

// Command beevik asks hosts one after the other with github.com/beevik/ntp, as
// programs that use that package do, and prints for each answer the offset and the
// round trip in seconds. It is a module of its own, so that foliot does not depend
// on what it is compared with.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/beevik/ntp"
)

func main() {
	rounds := flag.Int("rounds", 1, "requests to each host")
	flag.Parse()
	failed := 0
	for range *rounds {
		for _, host := range flag.Args() {
			r, err := ntp.QueryWithOptions(host, ntp.QueryOptions{Timeout: time.Second})
			if err != nil {
				failed++
				continue
			}
			fmt.Println(r.ClockOffset.Seconds(), r.RTT.Seconds())
		}
	}
	if failed > 0 {
		fmt.Fprintln(os.Stderr, failed, "requests failed")
	}
}
