// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"testing"
	"time"

	"foliot/internal/clock"
	"foliot/internal/udpstamp"
)

// TestPacer: whoever asks slowly is answered at once, a crowd waits for each
// other for a moment, and a wait in vain is the last.
func TestPacer(t *testing.T) {
	for _, tt := range []struct {
		apart       clock.Interval
		least, most time.Duration
	}{
		{clock.Second, 0, 0}, {clock.Millisecond, 0, 0}, {60 * clock.Microsecond, 0, 0},
		{40 * clock.Microsecond, patience, patience}, {3 * clock.Microsecond, 40 * time.Microsecond, 60 * time.Microsecond},
		{clock.Microsecond, 12 * time.Microsecond, 20 * time.Microsecond},
	} {
		var p pacer
		at := clock.At[clock.Realtime](1e18)
		msgs := make([]udpstamp.Message, 4)
		for range 200 {
			for i := range msgs {
				at = at.Add(tt.apart)
				msgs[i].Stamp.Time = at
			}
			p.took(msgs)
		}
		if d := p.pause(); d < tt.least || d > tt.most {
			t.Errorf("requests %v ns apart: a pause of %v, want %v to %v", int64(tt.apart), d, tt.least, tt.most)
		}
		p.took(nil)
		if d := p.pause(); d != 0 {
			t.Errorf("after a wait in vain: a pause of %v", d)
		}
	}
	var p pacer
	if d := p.pause(); d != 0 {
		t.Errorf("at the start: a pause of %v", d)
	}
}
