// SPDX-License-Identifier: Apache-2.0

package manual

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"foliot/internal/chronyconf"
)

// TestEveryDirective: the manual has the directives that the parser has, and no
// other; so it is with the options of sources.
func TestEveryDirective(t *testing.T) {
	var known []string
	for _, d := range chronyconf.Directives() {
		known = append(known, d.Name)
	}
	compare(t, "directive", DirectiveNames(), known)
	var options []string
	for _, o := range SourceOptions {
		options = append(options, o.Name())
	}
	slices.Sort(options)
	compare(t, "option", options, chronyconf.SourceOptions())
}

func compare(t *testing.T, what string, described, known []string) {
	t.Helper()
	for _, name := range known {
		if !slices.Contains(described, name) {
			t.Errorf("the manual lacks the %s %s", what, name)
		}
	}
	for _, name := range described {
		if !slices.Contains(known, name) {
			t.Errorf("the manual has the %s %s, which nobody knows", what, name)
		}
	}
}

// Texts are sentences, or clauses that become some.
func TestTexts(t *testing.T) {
	sentences := func(of, s string) {
		if s != "" && (!strings.HasSuffix(s, ".") || strings.Count(s, "`")%2 != 0) {
			t.Errorf("%s: %q is no sentence", of, s)
		}
	}
	clause := func(of, s string) {
		if s == "" || strings.HasSuffix(s, ".") || strings.Contains(s, "`") {
			t.Errorf("%s: %q is no clause", of, s)
		}
	}
	for _, o := range slices.Concat(DaemonOptions, ClientOptions) {
		clause(o.Flags, o.About)
		sentences(o.Flags, o.More)
	}
	for _, g := range Commands {
		for _, c := range g.Commands {
			clause(c.Usage, c.About)
			sentences(c.Usage, c.More)
		}
	}
	for _, c := range Chapters {
		for _, d := range slices.Concat(c.Directives, SourceOptions) {
			sentences(d.Usage, d.About)
		}
	}
}

var pages = map[string]func() string{"foliotctl.1": ClientPage, "foliotd.8": DaemonPage, "foliot.conf.5": ConfigPage}

// TestPages lets mandoc read the pages, and looks for what they must have.
func TestPages(t *testing.T) {
	for name, page := range pages {
		text := page()
		if strings.Contains(text, "\n\n") || strings.Contains(text, "`") {
			t.Errorf("%s has an empty line or a mark", name)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		mandoc, err := exec.LookPath("mandoc")
		if err != nil {
			t.Skip("mandoc is not installed")
		}
		if out, err := exec.Command(mandoc, "-T", "lint", "-W", "warning", path).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("mandoc about %s: %v\n%.2000s", name, err, out)
		}
		out, err := exec.Command(mandoc, "-T", "ascii", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		shown := regexp.MustCompile(`.\x08`).ReplaceAllString(string(out), "")
		for _, want := range map[string][]string{
			"foliotctl.1":   {"--json", "selectdata [-a] [-v]", "diag [-f CONFIG]"},
			"foliotd.8":     {"--check", "SIGHUP", "-L LEVEL"},
			"foliot.conf.5": {"makestep THRESHOLD LIMIT", "metrics listen ADDRESS[:PORT]|off", "xleave", "maxdelay DELAY"},
		}[name] {
			if !strings.Contains(shown, want) {
				t.Errorf("%s lacks %q:\n%.3000s", name, want, shown)
			}
		}
	}
}

// bash completes the last of words.
func bash(t *testing.T, script, function string, words ...string) []string {
	t.Helper()
	cmd := exec.Command("bash", "--norc", "-c", `. "$1"; f=$2; shift 2
		COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); "$f"; printf '%s\n' "${COMPREPLY[@]}"`, "bash", script, function)
	cmd.Args = append(cmd.Args, words...)
	cmd.Dir = filepath.Dir(script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v: %s", words, err, out)
	}
	return strings.Fields(string(out))
}

func TestBash(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	script := filepath.Join(t.TempDir(), "foliotctl.bash")
	if err := os.WriteFile(script, []byte(BashCompletion()), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ words, want string }{
		{"foliotctl sourc", "sourcename sources sourcestats"},
		{"foliotctl -n -h host sel", "selectdata selectopts"},
		{"foliotctl --js", "--json"},
		{"foliotctl -p ", ""},
		{"foliotctl -s fol", "foliotctl.bash"},
		{"foliotctl reload ", "sources"},
		{"foliotctl -c manual ", "delete list off on reset"},
		{"foliotctl selectopts 192.0.2.1 +t", "+trust"},
		{"foliotctl tracking ", ""},
		{"foliotd -f ", "foliotctl.bash"},
		{"foliotd --k", "--keygen"},
		{"foliotd makest", "makestep"},
		{"foliotd -u ", ""},
	} {
		words := strings.Split(tt.words, " ")
		got := bash(t, script, "_"+words[0], words...)
		slices.Sort(got)
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%q is completed by %q, want %s", tt.words, got, tt.want)
		}
	}
}

// TestSyntax lets the other shells read their scripts, if they are there.
func TestSyntax(t *testing.T) {
	for shell, text := range map[string]string{"zsh": ZshCompletion(), "fish": FishCompletion()} {
		if _, err := exec.LookPath(shell); err != nil {
			t.Logf("%s is not installed", shell)
			continue
		}
		cmd := exec.Command(shell, "-n")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %.1000s", shell, err, out)
		}
	}
}
