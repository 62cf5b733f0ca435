// SPDX-License-Identifier: Apache-2.0

package diag

import (
	"slices"
	"testing"
	"time"
)

// TestWithin: what takes too long is not waited for.
func TestWithin(t *testing.T) {
	if lines, ok := within(time.Minute, func() []string { return []string{"a"} }); !ok || !slices.Equal(lines, []string{"a"}) {
		t.Errorf("%v, %v", lines, ok)
	}
	end := make(chan struct{})
	defer close(end)
	if lines, ok := within(time.Millisecond, func() []string { <-end; return []string{"late"} }); ok || lines != nil {
		t.Errorf("%v, %v", lines, ok)
	}
}
