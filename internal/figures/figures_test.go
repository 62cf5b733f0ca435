// SPDX-License-Identifier: Apache-2.0

package figures

import "testing"

func TestFormats(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{Length(0), "0 ns"}, {Length(1.234e-9), "1.23 ns"}, {Length(9.996e-8), "100 ns"}, {Length(999.4e-9), "999 ns"}, {Length(999.6e-9), "1.00 µs"}, {Length(999.6e-6), "1.00 ms"}, {Length(0.9996), "1.00 s"}, {Length(12.34e-6), "12.3 µs"},
		{Length(0.1234), "123 ms"}, {Length(1.5), "1.50 s"}, {Signed(-2e-6), "−2.00 µs"}, {Signed(2e-6), "+2.00 µs"}, {Signed(0), "0 ns"},
		{Brief(0.5), "500 ms"}, {Brief(1), "1 s"}, {Brief(1.26), "1.3 s"}, {Brief(64), "64 s"}, {Brief(1024), "17 min"},
		{Brief(86400), "24 h"}, {Brief(864000), "10 days"}, {Ago(0.9), "just now"}, {Ago(7), "7 s ago"}, {Times(0), "never"}, {Times(1), "once"}, {Times(2), "2 times"}, {PPM(-1.5e-6, true), "−1.500 ppm"}, {PPM(1.5e-6, true), "+1.500 ppm"},
		{PPM(2e-8, false), "0.020 ppm"}, {Grouped(0), "0"}, {Grouped(999), "999"}, {Grouped(1000), "1\u202f000"},
		{Grouped(12345678), "12\u202f345\u202f678"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
