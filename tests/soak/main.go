// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"time"

	"foliot/tests/netns"
)

func main() {
	log.SetFlags(0)
	duration := flag.Duration("duration", 5*time.Minute, "how long")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the random octets")
	flag.Parse()
	if err := run(*duration, *seed); err != nil {
		log.Fatalf("soak with -seed %d: %v", *seed, err)
	}
}

func run(d time.Duration, seed uint64) (err error) {
	if err := netns.Ready(); err != nil {
		return err
	}
	s, err := New(seed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	err = s.Run(d)
	for _, line := range s.Report {
		fmt.Println(line)
	}
	return err
}
