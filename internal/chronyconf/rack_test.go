// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"strings"
	"testing"
)

// TestMonitor: what is only measured cannot be preferred, and that is said.
func TestMonitor(t *testing.T) {
	cfg, warnings, err := ParseFile(memory{"/f": "monitor a prefer trust rack r1\n"}, "/f")
	if err != nil || len(cfg.Sources) != 1 {
		t.Fatalf("%v, error %v", cfg, err)
	}
	if s := cfg.Sources[0]; !s.NoSelect || s.Prefer || s.Trust || s.Rack != "r1" {
		t.Errorf("%+v", s)
	}
	if len(warnings) != 2 || !strings.Contains(warnings[0].String(), "only monitored") {
		t.Errorf("warnings %v", warnings)
	}
	for _, bad := range []string{"rack " + strings.Repeat("x", 64), "server a rack " + strings.Repeat("x", 64), "rack", "monitor"} {
		if _, _, err := ParseFile(memory{"/f": bad + "\n"}, "/f"); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
