// SPDX-License-Identifier: Apache-2.0

package adopt

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"foliot/internal/auth"
	"foliot/internal/chronyconf"
	"foliot/internal/ntpconf"
)

// tree makes files below a directory and returns it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range files {
		full := root + path
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const debian = `# a comment
confdir /etc/chrony/conf.d
pool 2.debian.pool.ntp.org iburst
sourcedir /run/chrony-dhcp
keyfile /etc/chrony/chrony.keys
driftfile /var/lib/chrony/chrony.drift interval 60
ntsdumpdir /var/lib/chrony
#log tracking
logdir /var/log/chrony
user _chrony
bindcmdaddress /run/elsewhere.sock
bindcmdaddress 127.0.0.1
makestep   1 3
`

func TestChrony(t *testing.T) {
	root := tree(t, map[string]string{
		"/etc/chrony/chrony.conf": debian, "/etc/chrony/chrony.keys": "1 SHA256 HEX:00ff\n",
		"/var/lib/chrony/chrony.drift": "   -12.345678   0.012345\n", "/etc/ntp.conf": "server 192.0.2.1\n",
		"/etc/foliot/foliot.conf": "the package's\n",
	})
	p, err := Make(root, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := content(t, root+"/etc/foliot/foliot.conf"); got != "the package's\n" {
		t.Fatalf("a plan alone changed the configuration to %q", got)
	}
	for range 2 { // again is harmless
		if err := p.Apply(); err != nil {
			t.Fatal(err)
		}
	}
	want := `# Taken over from /etc/chrony/chrony.conf by foliotctl adopt.
# a comment
confdir /etc/chrony/conf.d
pool 2.debian.pool.ntp.org iburst
sourcedir /run/chrony-dhcp /run/foliot-dhcp
keyfile /etc/foliot/foliot.keys
driftfile /var/lib/foliot/drift interval 60
ntsdumpdir /var/lib/foliot
#log tracking
logdir /var/log/foliot
# foliotctl adopt left out: user _chrony
# foliotctl adopt left out: bindcmdaddress /run/elsewhere.sock
bindcmdaddress 127.0.0.1
makestep   1 3
`
	for path, want := range map[string]string{
		"/etc/foliot/foliot.conf": want, "/etc/foliot/foliot.conf" + backup: "the package's\n",
		"/etc/foliot/foliot.keys": "1 SHA256 HEX:00ff\n", "/var/lib/foliot/drift": "   -12.345678   0.012345\n",
		"/etc/chrony/chrony.conf": debian,
	} {
		if got := content(t, root+path); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", path, got, want)
		}
	}
	if info, err := os.Stat(root + "/etc/foliot/foliot.keys"); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("key file: %v, %v, want mode 0640", info.Mode(), err)
	}
	var said bytes.Buffer
	p.Describe(&said, true)
	for _, part := range []string{"wrote /var/lib/foliot/drift", "/etc/ntp.conf is there too", "disable --now chrony\n", `"user _chrony" is left out`} {
		if !strings.Contains(said.String(), part) {
			t.Errorf("the description lacks %q:\n%s", part, said.String())
		}
	}
}

func TestNTP(t *testing.T) {
	root := tree(t, map[string]string{
		"/etc/ntp.conf": "driftfile /var/lib/ntp/drift\nserver 127.127.1.0 # local clock\nkeys /etc/ntp/keys\nstatsdir /var/log/ntpstats/\n",
		"/etc/ntp/keys": "# keys\n1 M secret\n2 AES128CMAC 0123456789abcdef0123456789abcdef # comment\n3 SHA1 0123456789abcdef\n",
		// ntpd's own format, which foliotd reads.
		"/var/lib/ntp/drift": "3.210\n",
	})
	p, err := Make(root, "/etc/ntp.conf")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(); err != nil {
		t.Fatal(err)
	}
	want := "# Taken over from /etc/ntp.conf by foliotctl adopt.\n" +
		"driftfile /var/lib/foliot/drift\nserver 127.127.1.0 # local clock\nkeys /etc/foliot/foliot.keys\nstatsdir /var/log/foliot\n"
	if got := content(t, root+"/etc/foliot/foliot.conf"); got != want {
		t.Errorf("configuration:\n%s\nwant\n%s", got, want)
	}
	wantKeys := content(t, root+"/etc/ntp/keys") // keys in foliot.conf names a file of that kind
	if got := content(t, root+"/etc/foliot/foliot.keys"); got != wantKeys {
		t.Errorf("keys:\n%s\nwant\n%s", got, wantKeys)
	}
	if got := content(t, root+"/var/lib/foliot/drift"); got != "3.210\n" {
		t.Errorf("drift: %q", got)
	}
}

// A short ntp.conf could be a chrony.conf, which serves nobody and reads other keys.
func TestLanguageSurvives(t *testing.T) {
	const short = "server 192.0.2.1 key 7 # ours\ndriftfile \"/var/lib/ntp/drift\"\nkeys /etc/ntp/keys\ntrustedkey 7\n"
	root := tree(t, map[string]string{
		"/etc/ntp.conf": short, "/etc/ntp/keys": "7 SHA1 000102030405060708090a0b0c0d0e0f10111213\n", "/var/lib/ntp/drift": "3.210\n",
	})
	p, err := Make(root, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(); err != nil {
		t.Fatal(err)
	}
	c, warnings, isNTP, err := ntpconf.Read(chronyconf.OS{}, root+confPath, false)
	if err != nil || !isNTP || len(warnings) > 0 {
		t.Fatalf("the file is taken for an ntp.conf: %v, warnings %v, error %v, want true and neither:\n%s",
			isNTP, warnings, err, content(t, root+confPath))
	}
	if !c.Process.NTPKeys || c.Process.KeyFile != keysPath || c.Clock.DriftFile != driftPath {
		t.Errorf("keys %q (ntpd's: %v), drift %q", c.Process.KeyFile, c.Process.NTPKeys, c.Clock.DriftFile)
	}
	ring, problems := auth.ParseNTPKeys([]byte(content(t, root+keysPath)))
	if len(ring) != 1 || len(problems) > 0 {
		t.Errorf("%d keys, problems %v, want one key", len(ring), problems)
	}
	if got := content(t, root+driftPath); got != "3.210\n" {
		t.Errorf("drift: %q", got)
	}
}

func TestNothingThere(t *testing.T) {
	if _, err := Make(t.TempDir(), ""); err == nil {
		t.Error("no error without any configuration")
	}
	if _, err := Make(t.TempDir(), "/etc/chrony.conf"); err == nil {
		t.Error("no error for a file that is not there")
	}
	var out, complaints bytes.Buffer
	if code := Command([]string{"chrony.conf"}, &out, &complaints); code != 2 || out.Len() != 0 {
		t.Errorf("a relative path: exit code %d, output %q, want 2 and none", code, out.String())
	}
}
