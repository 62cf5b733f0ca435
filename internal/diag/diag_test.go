// SPDX-License-Identifier: Apache-2.0

package diag

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"foliot/internal/chronyconf"
)

// secrets are in the key file, and in places of the configuration where somebody
// might put them by mistake.
var secrets = []string{"HEX:5EC2E70000000001", "swordfish-in-key-file", "swordfish-in-comment", "swordfish-as-directive",
	"swordfish-behind-key", "swordfish-in-include", "198.51.100.77"}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func configuration(t *testing.T) string {
	dir := t.TempDir()
	keys := write(t, dir, "keys", "7 SHA1 "+secrets[0]+"\n8 MD5 ASCII:"+secrets[1]+"\n")
	more := write(t, dir, "more.conf", "# "+secrets[5]+"\nallow 192.0.2.0/24\nkeyfile "+keys+"\n")
	return write(t, dir, "foliot.conf", "# "+secrets[2]+"\nserver 192.0.2.1 iburst KEY 4711 minpoll 5\n"+
		"include "+more+"\n"+secrets[3]+" 1\nserver 192.0.2.2 key "+secrets[4]+"\n")
}

// TestNoSecrets: nothing that is secret is in the bundle, whether the daemon runs
// or not, and what helps is.
func TestNoSecrets(t *testing.T) {
	path := configuration(t)
	for _, up := range []bool{true, false} {
		var out bytes.Buffer
		err := Write(Config{
			Out: &out, Version: "1.2", Files: chronyconf.OS{}, Default: path, Read: os.ReadFile,
			Ask: func(verb string, w io.Writer) error {
				if !up {
					return errors.New("nobody there")
				}
				if verb == "state" {
					fmt.Fprintf(w, `{"version":"1.2","configuration_file":%q,"process_id":%d,"clients":[{"client":%q}],"novelty":5}`,
						path, os.Getpid(), secrets[6])
					return nil
				}
				fmt.Fprintln(w, "answer to", verb)
				return nil
			},
			Report: func(command string, w io.Writer) bool {
				if up {
					fmt.Fprintln(w, "report", command)
				} else {
					fmt.Fprintln(w, "506 Cannot talk to daemon")
				}
				return up
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		text := out.String()
		for _, s := range append(secrets, "4711") {
			if strings.Contains(text, s) {
				t.Errorf("daemon up %v: the bundle has %q:\n%s", up, s, text)
			}
		}
		wants := []string{"foliotctl 1.2", "kernel: Linux version", "frequency ", "\nlo: ", "server 192.0.2.1 iburst KEY (left out) minpoll 5", "allow 192.0.2.0/24", "keyfile "}
		if up {
			wants = append(wants, "answer to status", "answer to log", "report selectdata -a", `"novelty": 5`)
		} else {
			wants = append(wants, "nobody there", "no daemon answers")
		}
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("daemon up %v: the bundle lacks %q:\n%s", up, want, text)
			}
		}
		if n := strings.Count(text, "Cannot talk"); n > 1 {
			t.Errorf("a daemon that is down was asked for %d reports", n)
		}
	}
}
