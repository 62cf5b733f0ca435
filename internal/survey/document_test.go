// SPDX-License-Identifier: Apache-2.0

package survey_test

import (
	"encoding/json"
	"math"
	"testing"

	"foliot/internal/clientlog"
	"foliot/internal/config"
	"foliot/internal/document"
	"foliot/internal/state"
	"foliot/internal/survey"
)

// TestDocument: what other programs read is the state, and JSON at every age of a
// daemon, also before it knows anything.
func TestDocument(t *testing.T) {
	for _, age := range []float64{0, 1, 10, 600} {
		n := client(t, 4, age, func(c *config.Config) {
			c.Sources = append(c.Sources, config.DefaultSource(config.KindServer, "nowhere.test"))
		})
		var s state.State
		survey.Take(n.Engine, n.Now(), &s)
		s.Server.Workers.Verdicts[0] = 7
		text, err := json.Marshal(s.Document([]clientlog.Record{{Hits: 3}}, 5))
		if err != nil {
			t.Fatalf("after %g s: %v", age, err)
		}
		var d document.Document
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatal(err)
		}
		if len(d.Sources) != 4 || len(d.Unresolved) != 1 || d.ClientCount != 5 || d.Clients[0].Hits != 3 ||
			d.Server.Depths[1].Answered != 7 || d.Server.Depths[1].Verdicts["answer"] != 7 {
			t.Errorf("after %g s: %s", age, text)
		}
		if age < 600 {
			continue
		}
		x := &d.Sources[0]
		if !d.Tracking.Synchronized || d.Tracking.Stratum != 2 || d.Tracking.LastOffset != float64(s.Tracking.LastOffset) {
			t.Errorf("tracking %+v of %+v", d.Tracking, s.Tracking)
		}
		if len(x.Recent) < 4 || x.Recent[len(x.Recent)-1] != x.Offset || math.Abs(x.Offset) > 1e-3 {
			t.Errorf("recent offsets %v, want them to end with %g", x.Recent, x.Offset)
		}
		if last := &d.Sources[3]; last.State != "falseticker" || last.Letter != "x" {
			t.Errorf("the last source is %+v, want a falseticker", last)
		}
	}
}
