// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"os/exec"
	"strings"
	"testing"
)

// TestInlining pins what the compiler inlines: the arithmetic of instants runs
// for each packet and must cost no more than that of plain integers.
func TestInlining(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go command is not here to ask")
	}
	out, err := exec.Command(tool, "build", "-gcflags=-m", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go build -gcflags=-m: %v\n%s", err, out)
	}
	inlined := make(map[string]bool)
	for line := range strings.Lines(string(out)) {
		if _, name, ok := strings.Cut(strings.TrimSpace(line), ": can inline "); ok {
			inlined[name] = true
		}
	}
	want := []string{
		"Interval.Seconds", "Interval.Duration", "Frequency.PPM", "FromPPM", "Pow2",
		"Correction.At", "FromKernel", "StampKind.Letter", "StampKind.String",
		"Instant[go.shape.struct {}].Shift",
	}
	for _, domain := range []string{"Realtime", "Raw", "Corrected"} {
		for _, method := range []string{"Nanos", "IsZero", "Sub", "Add", "Before", "After"} {
			want = append(want, "Instant[foliot/internal/clock."+domain+"]."+method)
		}
	}
	for _, name := range want {
		if !inlined[name] {
			t.Errorf("%s is not inlined", name)
		}
	}
}
