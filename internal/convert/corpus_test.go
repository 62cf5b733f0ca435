// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"foliot/internal/acl"
	"foliot/internal/chronyconf"
	"foliot/internal/config"
	"foliot/internal/ntpconf"
)

// only is a file system with nothing in it but the files of the test.
type only map[string]string

func (o only) Open(name string) (io.ReadCloser, error) {
	text, ok := o[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func (only) Glob(string) ([]string, error) { return nil, nil }
func (only) List(dir string) ([]string, error) {
	return nil, &fs.PathError{Op: "open", Path: dir, Err: fs.ErrNotExist}
}

// corpus are the files of the first users and those that distributions install,
// without their comments, and how warnings about them begin. A file that is missing
// here, because it may be missing there, makes none.
var corpus = map[string][]string{
	"seed-chrony-server.conf": nil,
	"seed-chrony-client.conf": nil,
	"ubuntu20-chrony.conf":    nil,
	// The include file of these is a leftover of autokey that nobody has.
	"seed-ntp-server.conf": {"includefile directive at line 6"},
	"seed-ntp-client.conf": {"includefile directive at line 8"},
	"rhel7-ntp.conf":       {"includefile directive at line 9"},
	// There is no NTS yet; nobody is less safe for it, since no source has the option.
	"debian12-chrony.conf": {"ntsdumpdir directive at line 7"},
	"debian13-chrony.conf": {"ntsdumpdir directive at line 6"},
	"rhel9-chrony.conf":    {"ntsdumpdir directive at line 7"},
	"ubuntu24-chrony.conf": {"ntsdumpdir directive at line 10"},
	// How many sources are combined follows from how well they agree.
	"debian12-ntpsec-ntp.conf": {"minclock option in tos directive at line 4"},
	"debian13-ntpsec-ntp.conf": {"minclock option in tos directive at line 4"},
	"ubuntu24-ntpsec-ntp.conf": {"minclock option in tos directive at line 4"},
	// There are no reference clocks yet.
	"ubuntu20-ntp.conf": {"statistics clockstats at line 3"},
}

func TestCorpus(t *testing.T) {
	names, err := filepath.Glob("testdata/*.conf")
	if err != nil || len(names) != len(corpus) {
		t.Fatalf("%d files, %d in the table, error %v", len(names), len(corpus), err)
	}
	for _, path := range names {
		want, known := corpus[filepath.Base(path)]
		b, err := os.ReadFile(path)
		if err != nil || !known {
			t.Fatalf("%s: known %v, error %v", path, known, err)
		}
		// The name must not be what tells the languages apart.
		c, warnings, isNTP, err := ntpconf.Read(only{"/etc/x.conf": string(b)}, "/etc/x.conf", false)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if isNTP != strings.HasSuffix(path, "ntp.conf") && !strings.Contains(path, "seed") || strings.Contains(path, "seed-ntp") != isNTP && strings.Contains(path, "seed") {
			t.Errorf("%s: taken for an ntp.conf: %v", path, isNTP)
		}
		if len(warnings) != len(want) {
			t.Errorf("%s: warnings %v, want those that begin with %q", path, warnings, want)
			continue
		}
		for i, w := range want {
			if !strings.HasPrefix(warnings[i].Text, w) {
				t.Errorf("%s: warning %q, want %q...", path, warnings[i].Text, w)
			}
		}
		again(t, path, c)
		if written := (only{"/etc/x.conf": Text(c, "", nil)}); ntpconf.Recognize(written, "/etc/x.conf") {
			t.Errorf("%s: what was written is taken for an ntp.conf", path)
		}
	}
}

// again writes the configuration, reads that, and compares.
func again(t *testing.T, name string, c *config.Config) {
	t.Helper()
	text := Text(c, "a head\nof two lines", []string{"a note"})
	back, _, err := chronyconf.ParseFile(only{"/f": text}, "/f")
	if err != nil {
		t.Errorf("%s: read what was written: %v\n%s", name, err, text)
		return
	}
	if a, b := bare(c), bare(back); !reflect.DeepEqual(a, b) {
		t.Errorf("%s: another configuration:\n%+v\nwas\n%+v\n%s", name, b, a, text)
	}
}

// bare returns c without the places where it was written, and without what comes
// from directories.
func bare(c *config.Config) *config.Config {
	n := *c
	n.Sources = slices.DeleteFunc(slices.Clone(c.Sources), func(s config.Source) bool { return s.FromDir })
	for i := range n.Sources {
		n.Sources[i].Origin = config.Origin{}
	}
	n.SourceDirs = slices.Clone(c.SourceDirs)
	for i := range n.SourceDirs {
		n.SourceDirs[i].Origin = config.Origin{}
	}
	n.Refclocks = slices.Clone(c.Refclocks)
	for i := range n.Refclocks {
		n.Refclocks[i].Origin = config.Origin{}
	}
	n.Server.Access, n.Command.Access = bareAccess(c.Server.Access), bareAccess(c.Command.Access)
	n.Server.Restrict = slices.Clone(c.Server.Restrict)
	for i := range n.Server.Restrict {
		n.Server.Restrict[i].Origin = config.Origin{}
	}
	n.Server.Broadcasts = slices.Clone(c.Server.Broadcasts)
	for i := range n.Server.Broadcasts {
		n.Server.Broadcasts[i].Origin = config.Origin{}
	}
	n.Server.Kernel.Serve = slices.Clone(c.Server.Kernel.Serve)
	for i := range n.Server.Kernel.Serve {
		n.Server.Kernel.Serve[i].Origin = config.Origin{}
	}
	n.Client.HWTimestamps = slices.Clone(c.Client.HWTimestamps)
	for i := range n.Client.HWTimestamps {
		n.Client.HWTimestamps[i].Origin = config.Origin{}
	}
	return &n
}

func bareAccess(list []config.AccessRule) []config.AccessRule {
	list = slices.Clone(list)
	for i := range list {
		list[i].Origin = config.Origin{}
	}
	return list
}

// What the file everything says survives: each directive with options that are not
// the defaults.
func TestEveryDirective(t *testing.T) {
	b, err := os.ReadFile("testdata/everything")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	c, _, err := chronyconf.ParseFile(only{"/f": text}, "/f")
	if err != nil {
		t.Fatal(err)
	}
	again(t, "everything", c)
	written := Text(c, "", nil)
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		name, _, _ := strings.Cut(line, " ")
		if name == "statistics" || name == "monitor" { // are written as filegen and as server
			continue
		}
		if !strings.Contains("\n"+written, "\n"+name) {
			t.Errorf("nothing of %q is written", line)
		}
	}
	// What is configured here is not at its default anywhere.
	for name := range chronyconf.Names() {
		if !strings.Contains("\n"+text, "\n"+name) && !slices.Contains(elsewhere, name) && !chronyconf.WithoutEffect(name) {
			t.Errorf("directive %s is not tried", name)
		}
	}
}

// elsewhere are directives that leave no setting of their own, or exclude others.
var elsewhere = []string{"include", "confdir", "keyfile", "noclientlog", "keys", "statistics"}

func TestOtherForms(t *testing.T) {
	for _, text := range []string{
		"noclientlog\n", "keyfile /k\n", "tempcomp /s 30 /points\n", "bindcmdaddress /\n", "metrics listen 192.0.2.1:99\n",
		"trustedkey 1 ... 65535 7 9 11 ... 12\n", "local\n", "local orphan\n", "fallbackdrift 0 3\n", "opencommands\n", "driftfile /d\nallow all\n", "initstepslew 0 a\n", "hwtimestamp a minpoll 20\n",
	} {
		c, _, err := chronyconf.ParseFile(only{"/f": text}, "/f")
		if err != nil {
			t.Fatal(err)
		}
		again(t, text, c)
	}
}

func TestNotesAreComments(t *testing.T) {
	text := Text(config.Default(), "head", []string{"a\nb"})
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if !strings.HasPrefix(line, "#") {
			t.Errorf("line %q is no comment", line)
		}
	}
	if !strings.Contains(text, "a b") {
		t.Errorf("the note is not there:\n%s", text)
	}
}

// FuzzRoundTrip reads whatever is an ntp.conf, writes it, and reads that.
func FuzzRoundTrip(f *testing.F) {
	names, _ := filepath.Glob("testdata/*.conf")
	for _, path := range names {
		b, _ := os.ReadFile(path)
		f.Add(string(b), true)
		f.Add(string(b), false)
	}
	f.Add("restrict 10.0.0.0 mask 255.0.255.0 ignore flake ntpport\ntos orphan 5\nleapsmearinterval 86400\ntinker step 0 panic 0", true)
	f.Add("refclock local stratum 3\nlimit average 0.5 burst 3\nmru maxdepth 9\nfilegen peerstats type age nolink file x\nbroadcast ff02::101%eth0", true)
	f.Fuzz(func(t *testing.T, text string, ntp bool) {
		var c *config.Config
		var err error
		if ntp {
			c, _, err = ntpconf.ParseFile(only{"/f": text}, nil, "/f")
		} else {
			c, _, err = chronyconf.ParseFile(only{"/f": text}, "/f")
		}
		if err != nil || strings.Contains(Text(c, "", nil), Lost) || len(text) > 1500 {
			return // a line would be too long
		}
		again(t, text, c)
	})
}

// The restrictions of a converted file mean the same for every address.
func TestRestrictionsSurvive(t *testing.T) {
	b, err := os.ReadFile("testdata/seed-ntp-server.conf")
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := ntpconf.ParseFile(only{"/f": string(b)}, nil, "/f")
	if err != nil {
		t.Fatal(err)
	}
	// The later line without noquery adds to the first, and takes nothing back.
	for _, r := range c.Server.Restrict[:1] {
		if r.Flags != acl.KoD|acl.NoModify|acl.NoTrap|acl.NoPeer|acl.NoQuery {
			t.Errorf("flags of the default entry: %q", r.Flags)
		}
	}
}
