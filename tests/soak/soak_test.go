// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"foliot/tests/netns"
)

// TestSoak is a short one; "make soak" takes its time.
func TestSoak(t *testing.T) {
	if err := netns.Ready(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	seed := rand.Uint64()
	s, err := New(seed)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Run(4 * time.Second)
	for _, line := range s.Report {
		t.Log(line)
	}
	if err := errors.Join(err, s.Close()); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
}
