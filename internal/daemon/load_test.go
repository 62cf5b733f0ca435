// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
)

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRelativePaths loads a configuration from another directory than the one
// that the daemon was started in, as a reload in the background does.
func TestRelativePaths(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "c", "include more\nkeyfile k\ndriftfile d\nlogdir l\ndumpdir u\npidfile p\ntempcomp s 30 0 1 2 3\n")
	write(t, dir, "more", "server 192.0.2.1 key 1\n")
	write(t, dir, "k", "1 SHA1 HEX:0102030405060708090a0b0c0d0e0f1011121314\n")
	write(t, dir, "d", "1.5 0.1\n")
	l, err := Load(&Options{File: "c", Dir: dir})
	if err != nil || len(l.Warnings) != 0 {
		t.Fatalf("Load: %v, warnings %q, want neither", err, l.Warnings)
	}
	c := l.Config
	for got, name := range map[string]string{
		c.Clock.DriftFile: "d", c.Log.Dir: "l", c.Process.DumpDir: "u", c.Process.PIDFile: "p", c.Clock.TempComp.File: "s",
	} {
		if want := filepath.Join(dir, name); got != want {
			t.Errorf("path of %s = %q, want %q", name, got, want)
		}
	}
	if len(c.Sources) != 1 || len(l.Files.Keys) != 1 || l.Files.Drift == nil {
		t.Errorf("%d sources, %d keys, drift %v, want 1, 1 and one", len(c.Sources), len(l.Files.Keys), l.Files.Drift)
	}
}

// TestReloadTrouble takes away or spoils what worked at the start.
func TestReloadTrouble(t *testing.T) {
	const key = "1 SHA1 HEX:0102030405060708090a0b0c0d0e0f1011121314\n"
	for _, tc := range []struct{ name, conf, keys, then, want string }{
		{"unchanged", "keyfile k\nserver 192.0.2.1 key 1\n", key, key, ""},
		{"keys spoiled", "keyfile k\nserver 192.0.2.1 key 1\n", key, "1 SHA1\n", "in key file"},
		{"one more key", "keyfile k\nserver 192.0.2.1 key 1\n", key, key + "2 MD5 ASCII:abcdefghij\n", ""},
		{"a weak key", "keyfile k\nserver 192.0.2.1 key 1\n", key + "2 tulip\n", key + "2 tulip\n3 lilac\n", ""},
		{"a key twice", "keyfile k\nserver 192.0.2.1 key 1\n", key, key + key, ""},
		{"bad from the start", "keyfile k\nserver 192.0.2.1 key 1\n", "5 TIGER abcdefghij\n" + key, "5 TIGER abcdefghij\n" + key + "2 MD5 abcdefghij\n", ""},
		{"one spoiled that a server may use", "keyfile k\n", key + "2 MD5 abcdefghij\n", key + "2 MD5\n", "line 2: key 2"},
		{"one removed", "keyfile k\n", key + "2 MD5 abcdefghij\n", key, ""},
		{"keys gone", "keyfile k\n", key, "", "read key file"},
		{"never there, not used", "keyfile k\n", "", "", ""},
		{"never there, used", "keyfile k\nserver 192.0.2.1 key 1\n", "", "", "read key file"},
		{"no leap list", "leapseclist x\n", "", "", "read leap second list"},
		{"time zone never there", "leapsectz no/zone\n", "", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "c", tc.conf)
			if tc.keys != "" {
				write(t, dir, "k", tc.keys)
			}
			d := &daemon{opts: &Options{File: "c", Dir: dir}}
			if _, err := d.load(); err != nil {
				t.Fatalf("at the start: %v, want a warning at most", err)
			}
			os.Remove(filepath.Join(dir, "k"))
			if tc.then != "" {
				write(t, dir, "k", tc.then)
			}
			_, err := d.load()
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("reload: %v, want %q", err, tc.want)
			}
		})
	}
}

// TestKeyFileWarnings wants file and line named, and no secret told.
func TestKeyFileWarnings(t *testing.T) {
	const good = "1 SHA1 ASCII:hyacinthTulip7\n"
	for _, tc := range []struct {
		name, keys string
		mode       os.FileMode
		want       string // %s stands for the directory; empty = no warning
	}{
		{"good", good, 0o640, ""},
		{"everybody reads", good, 0o644, "World-readable permissions on key file %s/k (mode 0644)"},
		{"everybody writes", good, 0o642, "World-writable permissions on key file %s/k (mode 0642)"},
		{"missing", "", 0, "Could not read key file: open %s/k: no such file or directory"},
		{"bad type", good + "2 hyacinthTulip7 SHA1\n", 0o600, "line 2: key 2: key type: unknown algorithm in key file %s/k"},
		{"secret for an ID", good + "# x\nhyacinthTulip7\n", 0o600, "line 3: key ID is not a number from 1 to 4294967295 in key file %s/k"},
		{"twice", good + good, 0o600, "line 2: key 1: defined before, this one counts in key file %s/k"},
		{"length", good + "2 AES128 hyacinthTulip7\n", 0o600, "line 2: key 2: AES128 needs a secret of 128 bits, got 112 in key file %s/k"},
		{"not hexadecimal", good + "2 MD5 HEX:hyacinthTulip7\n", 0o600, "line 2: key 2: secret is not a hexadecimal number of whole octets in key file %s/k"},
		{"not the source's key", "2 MD5 ASCII:hyacinthTulip7\n", 0o600, `Key 1 of server 192.0.2.1 at line 2 in file c is missing in key file "%s/k": its answers will not be accepted`},
	} {
		dir := t.TempDir()
		conf := "keyfile k\nserver 192.0.2.1 key 1\n"
		if tc.keys == "" {
			conf = "keyfile k\n"
		} else {
			write(t, dir, "k", tc.keys)
			if err := os.Chmod(filepath.Join(dir, "k"), tc.mode); err != nil {
				t.Fatal(err)
			}
		}
		write(t, dir, "c", conf)
		l, err := Load(&Options{File: "c", Dir: dir})
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		var want []string
		if tc.want != "" {
			want = []string{strings.ReplaceAll(tc.want, "%s", dir)}
		}
		if !slices.Equal(l.Warnings, want) {
			t.Errorf("%s: warnings %q, want %q", tc.name, l.Warnings, want)
		}
		if said := strings.Join(l.Warnings, "\n"); strings.Contains(said, "hyacinth") || strings.Contains(said, "Tulip") {
			t.Errorf("%s: a secret is told: %q", tc.name, said)
		}
	}
}

func TestReadAccess(t *testing.T) {
	at := config.Origin{File: "/f", Line: 3}
	found := netip.MustParseAddr("192.0.2.9")
	lookup := func(host string) (netip.Addr, bool) { return found, host == "known" }
	for _, tc := range []struct {
		name       string
		rule       config.AccessRule
		warn, fail string
	}{
		{"known", config.AccessRule{Origin: at, Allow: true, Host: "known"}, "", ""},
		{"allowed", config.AccessRule{Origin: at, Allow: true, Host: "gone"}, "gone in allow directive at line 3 in file /f", ""},
		{"denied", config.AccessRule{Origin: at, Host: "gone"}, "", "gone in deny directive at line 3 in file /f"},
	} {
		c := config.Default()
		c.Server.Access = []config.AccessRule{tc.rule}
		l := &Loaded{Config: c}
		err := l.readAccess(lookup)
		warned := strings.Join(l.Warnings, "\n")
		if (err != nil) != (tc.fail != "") || err != nil && !strings.Contains(err.Error(), tc.fail) {
			t.Errorf("%s: error %v, want %q", tc.name, err, tc.fail)
		}
		if (warned != "") != (tc.warn != "") || !strings.Contains(warned, tc.warn) {
			t.Errorf("%s: warnings %q, want %q", tc.name, warned, tc.warn)
		}
	}
}

func TestDistrust(t *testing.T) {
	for _, tc := range []struct {
		name    string
		ppm     float64
		control bool
		drift   bool
		want    bool
	}{
		{"a drift", 40, true, false, false},
		{"a slew", 83333, true, false, true},
		{"a slew backwards", -501, true, false, true},
		{"without control", 83333, false, false, false},
		{"drift file", 83333, true, true, false},
	} {
		d := &daemon{opts: &Options{}, control: tc.control, log: slog.New(slog.DiscardHandler)}
		cfg := engine.Config{}
		if tc.drift {
			cfg.Drift = &engine.Drift{Frequency: 1e-6}
		}
		d.distrust(clock.FromPPM(tc.ppm), &cfg)
		if got := cfg.Drift != nil && cfg.Drift.Frequency == 0; got != tc.want {
			t.Errorf("%s: %g ppm: starts at the nominal rate %v, want %v", tc.name, tc.ppm, got, tc.want)
		}
	}
}

// TestNTPConf loads what an ntp.conf names: keys, trusted ones only, and the drift
// file in ntpd's format.
func TestNTPConf(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "ntp.conf", "keys k\ntrustedkey 1\ndriftfile d\nstatsdir stats/\nserver 192.0.2.1 key 1\nserver 192.0.2.2 key 2\nrestrict localhost.invalid\n")
	write(t, dir, "k", "1 M first # comment\n2 SHA1 second\n")
	write(t, dir, "d", "-13.457\n")
	l, err := Load(&Options{File: "ntp.conf", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Files.Keys) != 1 || l.Files.Drift == nil || l.Files.Drift.Frequency.PPM() > -13 || !l.ntp {
		t.Errorf("%d keys, drift %+v, ntp %v", len(l.Files.Keys), l.Files.Drift, l.ntp)
	}
	if got := l.Config.Log.NTP.Prefix; got != dir+"/stats/" {
		t.Errorf("statsdir %q", got)
	}
	text := strings.Join(l.Warnings, "\n")
	for _, want := range []string{"Key 2 of server 192.0.2.2 at line 6", "is not trusted", "Could not resolve localhost.invalid in restrict directive at line 7"} {
		if !strings.Contains(text, want) {
			t.Errorf("no warning %q in:\n%s", want, text)
		}
	}
	write(t, dir, "ntp.conf", "restrict localhost.invalid ignore\n")
	if _, err := Load(&Options{File: "ntp.conf", Dir: dir}); err == nil || !strings.Contains(err.Error(), "it would not be restricted") {
		t.Errorf("an unknown host that is restricted: %v", err)
	}
	write(t, dir, "c", "allow\n")
	if l, err := Load(&Options{File: "c", Dir: dir}); err != nil || l.ntp {
		t.Errorf("a chrony.conf: %v, taken for an ntp.conf: %v", err, l != nil && l.ntp)
	}
	if _, err := Load(&Options{File: "c", Dir: dir, NTPConf: true}); err == nil || !strings.Contains(err.Error(), "Invalid directive allow") {
		t.Errorf("a chrony.conf as ntp.conf: %v", err)
	}
}
