// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

func TestParseDrift(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		freq, skew float64 // ppm, foliot's sign
		ok         bool
	}{
		{"chrony", "            0.802409             0.064728\n", -0.802409, 0.064728, true},
		{"slow clock", "-12.5 1\n", 12.5, 1, true},
		{"exponents", "1e-4 1.5E-2", -1e-4, 1.5e-2, true},
		{"more columns", "1 2 3 4\nx", -1, 2, true},
		{"skew unknown", "            0.000000       1000000.000000\n", 0, 1e6, true},
		{"skew absurd", "0 1e300", 0, 1e6, true},
		{"ntpd", "-3.456\n", -3.456, ntpdSkew, true},
		{"empty", "", 0, 0, false},
		{"blank", " \n", 0, 0, false},
		{"text", "fast", 0, 0, false},
		{"second is text", "1 x", 0, 0, false},
		{"not a number", "nan 1", 0, 0, false},
		{"infinite", "1 inf", 0, 0, false},
		{"too fast", "100001 1", 0, 0, false},
		{"negative skew", "1 -1", 0, 0, false},
	} {
		d, err := ParseDrift([]byte(tc.text))
		if (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: ParseDrift(%q) = %v, want ok %v", tc.name, tc.text, err, tc.ok)
		}
		near := func(got clock.Frequency, want float64) bool { return math.Abs(got.PPM()-want) <= 1e-9*math.Abs(want) }
		if tc.ok && (!near(d.Frequency, tc.freq) || !near(d.Skew, tc.skew)) {
			t.Errorf("%s: ParseDrift(%q) = %v, %v ppm, want %v, %v", tc.name, tc.text, d.Frequency.PPM(), d.Skew.PPM(), tc.freq, tc.skew)
		}
	}
}

func TestAppendDrift(t *testing.T) {
	got := string(AppendDrift(nil, Drift{Frequency: clock.FromPPM(-0.802409), Skew: clock.FromPPM(0.064728)}))
	if want := "            0.802409             0.064728\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzParseDrift(f *testing.F) {
	for _, s := range []string{"1 2\n", "-3.456\n", "1e-4 1.5E-2", "nan", "0x1p-3 1", "1e308 1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseDrift(b)
		if err != nil {
			return
		}
		if !(math.Abs(float64(d.Frequency)) <= 0.1000001) || !(d.Skew >= 0 && d.Skew <= 1.0000001) {
			t.Fatalf("ParseDrift(%q) = %+v, out of range", b, d)
		}
		again, err := ParseDrift(AppendDrift(nil, d))
		if err != nil || math.Abs((again.Frequency-d.Frequency).PPM()) > 1e-6 || math.Abs((again.Skew-d.Skew).PPM()) > 1e-6 {
			t.Fatalf("%q: %+v written and read again is %+v, %v", b, d, again, err)
		}
	})
}

func TestDriftFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lib")
	path := filepath.Join(dir, "drift")
	var warned bytes.Buffer
	f := NewDriftFile(path, slog.New(NewHandler(HandlerConfig{Output: &warned, Journal: true})))
	if _, err := f.Read(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Read without a file = %v, want not exist", err)
	}
	want := Drift{Frequency: clock.FromPPM(-12.5), Skew: clock.FromPPM(0.25)}
	for range 3 {
		if err := f.Write(want); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Write without the directory = %v, want not exist", err)
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Write(want); err != nil {
			t.Fatal(err)
		}
	}
	if lines := strings.Split(warned.String(), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "<4>write driftfile: open ") || !strings.HasSuffix(lines[1], "works again") {
		t.Errorf("warned %q, want one failure and one recovery", lines)
	}
	got, err := f.Read()
	if err != nil || math.Abs((got.Frequency-want.Frequency).PPM()) > 1e-9 {
		t.Errorf("Read = %+v, %v, want %+v", got, err, want)
	}
	if e, _ := os.ReadDir(dir); len(e) != 1 {
		t.Errorf("directory has %v, want the drift file alone", e)
	}
}

func TestReplaceKeepsOldContent(t *testing.T) {
	dir := t.TempDir()
	path, precious := filepath.Join(dir, "f"), filepath.Join(dir, "precious")
	for _, p := range []string{path, precious} {
		if err := os.WriteFile(p, []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(path+".tmp", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".tmp/x", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("new"), 0o644); err == nil {
		t.Error("Replace over an obstacle succeeded")
	}
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Errorf("after a failed Replace: %q, want the old content", b)
	}
	if err := os.RemoveAll(path + ".tmp"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, path+".tmp"); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]string{path: "new", precious: "old"} {
		if b, _ := os.ReadFile(p); string(b) != want {
			t.Errorf("%s: %q, want %q", p, b, want)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
}

// chronyDump was written by chronyd 4.3.
const chronyDump = "SRC0\n127.0.0.1\n0 377 8 3 0\n2 -13\n" +
	"1795465081.948201788 1.827712e-06 4.420000e-07 7.123000e-06 3.490617e-08 7.123000e-06 3.490617e-08\n" +
	"1795465082.012384755 1.222587e-06 -1.690000e-07 7.148000e-06 3.490736e-08 7.148000e-06 3.490736e-08\n"

func TestDumpRoundTrip(t *testing.T) {
	d, err := ParseDump([]byte(chronyDump))
	if err != nil {
		t.Fatal(err)
	}
	want := &Dump{Source: "127.0.0.1", Reach: 0o377, ReachSize: 8, Stratum: 3, AsymmetryRun: -13, Samples: []DumpSample{
		{clock.At[clock.Corrected](1795465081948201788), -1.827712e-06, -4.42e-07, 7.123e-06, 3.490617e-08, 7.123e-06, 3.490617e-08},
		{clock.At[clock.Corrected](1795465082012384755), -1.222587e-06, 1.69e-07, 7.148e-06, 3.490736e-08, 7.148e-06, 3.490736e-08},
	}}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("\n got %+v\nwant %+v", d, want)
	}
	if got := string(AppendDump(nil, d)); got != chronyDump {
		t.Errorf("\n got %q\nwant %q", got, chronyDump)
	}
}

func TestParseDumpRefuses(t *testing.T) {
	for _, tc := range []struct{ name, old, new string }{
		{"magic", "SRC0", "SRC1"},
		{"no source", "127.0.0.1", ""},
		{"control character", "127.0.0.1", "a\x1bb"},
		{"authenticated", "0 377", "2 377"},
		{"reach not octal", "377", "389"},
		{"reach too large", "377", "400"},
		{"reach size", "377 8", "377 9"},
		{"stratum", "8 3 0", "8 17 0"},
		{"leap", "3 0\n", "3 4\n"},
		{"field missing", "3 0\n", "3\n"},
		{"count too small", "2 -13", "1 -13"},
		{"count too large", "2 -13", "3 -13"},
		{"count absurd", "2 -13", "99999999999 -13"},
		{"count negative", "2 -13", "-2 -13"},
		{"not a number", "1.827712e-06", "nan"},
		{"infinite", "1.827712e-06", "-inf"},
		{"negative delay", " 7.123000e-06", " -7.123000e-06"},
		{"order of time", "1795465082", "1795465080"},
		{"negative time", "1795465081", "-1795465081"},
		{"time past the range", "1795465081", "99999999999"},
		{"time with sign within", ".948201788", ".+48201788"},
		{"column missing", " 3.490736e-08\n", "\n"},
	} {
		text := strings.Replace(chronyDump, tc.old, tc.new, 1)
		if text == chronyDump {
			t.Fatalf("%s: changes nothing", tc.name)
		}
		if d, err := ParseDump([]byte(text)); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: ParseDump(%q) = %+v, %v, want ErrSyntax", tc.name, text, d, err)
		}
	}
}

func FuzzParseDump(f *testing.F) {
	f.Add([]byte(chronyDump))
	f.Add([]byte("SRC0\n.\n1 0 0 16 3\n0 0\n"))
	f.Add([]byte("SRC0\n\n\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseDump(b)
		if err != nil {
			return
		}
		if len(d.Samples) > MaxDumpSamples || d.Leap > ntp.LeapUnsync || d.ReachSize > 8 {
			t.Fatalf("accepted %+v", d)
		}
		text := AppendDump(nil, d)
		again, err := ParseDump(text)
		if err != nil {
			t.Fatalf("%q: written as %q: %v", b, text, err)
		}
		if got := AppendDump(nil, again); !bytes.Equal(got, text) {
			t.Fatalf("%q: written as %q, then as %q", b, text, got)
		}
	})
}

func TestDumpFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	d, err := ParseDump([]byte(chronyDump))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LoadDump(dir, local); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("LoadDump without a directory = %v, want not exist", err)
	}
	if err := RemoveDumps(dir); err != nil {
		t.Errorf("RemoveDumps without a directory = %v, want nothing to do", err)
	}
	names := []Name{local, {RefID: 0x53484d30}, {Addr: netip.MustParseAddr("fe80::1%eth0")}}
	for _, n := range names {
		if err := SaveDump(dir, n, d); err != nil {
			t.Fatal(err)
		}
		if got, err := LoadDump(dir, n); err != nil || !reflect.DeepEqual(got, d) {
			t.Errorf("LoadDump(%v) = %+v, %v, want what was saved", n, got, err)
		}
	}
	keep := []string{"drift", "notes.dat", "refid:1.dat"}
	for _, name := range keep {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := slices.Sorted(slices.Values(append([]string{"127.0.0.1.dat", "fe80::1.dat", "refid:53484d30.dat"}, keep...)))
	if got := fileNames(t, dir); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	if err := RemoveDumps(dir); err != nil {
		t.Fatal(err)
	}
	if got := fileNames(t, dir); !slices.Equal(got, keep) {
		t.Errorf("after RemoveDumps: %q, want %q", got, keep)
	}
}

func fileNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
