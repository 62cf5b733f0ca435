// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"foliot/internal/config"
)

// memory is a file system of path to text.
type memory map[string]string

func (m memory) Open(name string) (io.ReadCloser, error) {
	text, ok := m[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func (m memory) Glob(pattern string) ([]string, error) {
	var found []string
	for name := range m {
		ok, err := path.Match(pattern, name)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found, nil
}

func (m memory) List(dir string) ([]string, error) {
	var names []string
	for name := range m {
		if path.Dir(name) == path.Clean(dir) {
			names = append(names, path.Base(name))
		}
	}
	if names == nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: fs.ErrNotExist}
	}
	return names, nil
}

// parse reads a text as the file /f.
func parse(text string) (*config.Config, []Warning, error) {
	return ParseFile(memory{"/f": text}, "/f")
}

// must parses lines that have neither errors nor warnings.
// must parses text, which may warn only of directives without effect yet.
func must(t *testing.T, text string) *config.Config {
	t.Helper()
	c, warnings, err := parse(text)
	warnings = slices.DeleteFunc(warnings, func(w Warning) bool {
		name, _, _ := strings.Cut(w.Text, " ")
		_, inert := notYet[name]
		return inert
	})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%q: warnings %v, error %v, want neither", text, warnings, err)
	}
	return c
}

// source returns what a line of a file makes of the defaults.
func source(file string, line int, kind config.SourceKind, name string, change func(*config.Source)) config.Source {
	s := config.DefaultSource(kind, name)
	s.Origin = config.Origin{File: file, Line: line}
	change(&s)
	return s
}

func iburst(s *config.Source) { s.IBurst = true }

func TestInstalledFiles(t *testing.T) {
	common := func(c *config.Config) {
		c.Clock.DriftFile = "/var/lib/chrony/drift"
		c.Clock.StepThreshold, c.Clock.StepLimit = 1, 3
		c.Clock.RTCSync = true
		c.Log.Dir = "/var/log/chrony"
	}
	tests := []struct {
		name     string
		want     func(c *config.Config)
		warnings []string
	}{
		{"seed-client.conf", func(c *config.Config) {
			common(c)
			c.Sources = []config.Source{
				source("testdata/seed-client.conf", 1, config.KindServer, "openstack1", iburst),
				source("testdata/seed-client.conf", 2, config.KindServer, "3.centos.pool.ntp.org", iburst),
			}
		}, nil},
		{"seed-server.conf", func(c *config.Config) {
			common(c)
			c.Sources = []config.Source{
				source("testdata/seed-server.conf", 1, config.KindServer, "192.168.4.254", iburst),
				source("testdata/seed-server.conf", 2, config.KindServer, "3.centos.pool.ntp.org", iburst),
			}
			c.Server.Access = []config.AccessRule{{
				Origin: config.Origin{File: "testdata/seed-server.conf", Line: 8},
				Allow:  true, Prefix: netip.MustParsePrefix("192.168.0.0/16"),
			}}
		}, nil},
		{"debian12.conf", func(c *config.Config) {
			common(c)
			c.Clock.DriftFile = "/var/lib/chrony/chrony.drift"
			c.Clock.MaxUpdateSkew = 100
			c.Leap.TimeZone = "right/UTC"
			c.Process.KeyFile = "/etc/chrony/chrony.keys"
			c.Sources = []config.Source{
				source("testdata/debian12.conf", 3, config.KindPool, "2.debian.pool.ntp.org", iburst),
			}
			c.SourceDirs = []config.SourceDir{
				{Origin: config.Origin{File: "testdata/debian12.conf", Line: 4}, Dirs: []string{"/run/chrony-dhcp"}},
				{Origin: config.Origin{File: "testdata/debian12.conf", Line: 5}, Dirs: []string{"/etc/chrony/sources.d"}},
			}
		}, []string{"ntsdumpdir directive at line 8 in file testdata/debian12.conf is not supported yet and is ignored"}},
		{"rhel9.conf", func(c *config.Config) {
			common(c)
			c.Leap.TimeZone = "right/UTC"
			c.Process.KeyFile = "/etc/chrony.keys"
			c.Sources = []config.Source{
				source("testdata/rhel9.conf", 3, config.KindPool, "2.rhel.pool.ntp.org", iburst),
			}
			c.SourceDirs = []config.SourceDir{
				{Origin: config.Origin{File: "testdata/rhel9.conf", Line: 4}, Dirs: []string{"/run/chrony-dhcp"}},
			}
		}, []string{"ntsdumpdir directive at line 14 in file testdata/rhel9.conf is not supported yet and is ignored"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name := "testdata/" + tt.name
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got, warnings, err := ParseFile(memory{name: string(text)}, name)
			if err != nil {
				t.Fatalf("%s: error %v, want none", name, err)
			}
			want := config.Default()
			tt.want(want)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
			}
			if w := sentences(warnings); !slices.Equal(w, tt.warnings) {
				t.Errorf("%s: warnings %q, want %q", name, w, tt.warnings)
			}
		})
	}
}

func sentences(warnings []Warning) []string {
	var texts []string
	for _, w := range warnings {
		texts = append(texts, w.String())
	}
	return texts
}

func TestOSFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir+"/not.conf", 0o700); err != nil {
		t.Fatal(err)
	}
	write("main", "include "+dir+"/*.inc\nconfdir "+dir+"\nsourcedir "+dir+" "+dir+"/none\n")
	write("a.inc", "port 1\n")
	write("b.conf", "maxdistance 2\n")
	write("c.sources", "server c\n")
	c, warnings, err := ParseFile(OS{}, dir+"/main")
	if err != nil || len(warnings) > 0 {
		t.Fatalf("ParseFile: warnings %v, error %v, want neither", warnings, err)
	}
	if c.Server.Port != 1 || c.Select.MaxDistance != 2 || len(c.Sources) != 1 || !c.Sources[0].FromDir {
		t.Errorf("port %d, maxdistance %g, sources %+v, want 1, 2 and one source from a directory",
			c.Server.Port, c.Select.MaxDistance, c.Sources)
	}
	if _, _, err := ParseFile(OS{}, dir+"/missing"); err == nil || !strings.Contains(err.Error(), dir+"/missing") {
		t.Errorf("missing file: error %v, want one that names it", err)
	}
}

func TestParseLines(t *testing.T) {
	c, warnings, err := ParseLines(memory{"/inc": "port 5\n"}, []string{"server a", "", "include /inc", "rtcfile /r"})
	if err != nil {
		t.Fatalf("error %v, want none", err)
	}
	want := config.Origin{Line: 1}
	if len(c.Sources) != 1 || c.Sources[0].Origin != want || c.Server.Port != 5 {
		t.Errorf("got sources %+v port %d, want one at %v and 5", c.Sources, c.Server.Port, want)
	}
	text := "rtcfile directive at line 4 of the command line is not supported yet and is ignored"
	if got := sentences(warnings); !slices.Equal(got, []string{text}) {
		t.Errorf("warnings %q, want %q", got, text)
	}
	_, _, err = ParseLines(memory{}, []string{"port 1", "port x"})
	wantErr := "Could not parse port directive at line 2 of the command line: x is not an integer (min 0, max 65535)"
	if err == nil || err.Error() != wantErr {
		t.Errorf("error %v, want %s", err, wantErr)
	}
}

func TestLines(t *testing.T) {
	tests := []struct {
		name, text string
		port       uint16
	}{
		{"none", "", 123},
		{"comments", "# port 1\n! port 2\n; port 3\n% port 4\n  \t# port 5\n", 123},
		{"white space", " \tPORT\v\f  7 \r\n", 7},
		{"no end of line", "port 8", 8},
		{"last one wins", "port 8\nport 9\n", 9},
		{"longest line", "port 10" + strings.Repeat(" ", maxLine-7) + "\n", 10},
		{"long comment", "#" + strings.Repeat("x", maxLine-1) + "\nport 11\n", 11},
		{"bytes of a comment", "# \x00\xff\nport 12", 12},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := must(t, tt.text).Server.Port; got != tt.port {
				t.Errorf("%q: port %d, want %d", tt.text, got, tt.port)
			}
		})
	}
}

func TestInclude(t *testing.T) {
	files := memory{
		"/f":         "port 1\ninclude /d/*.conf\ninclude /none/*.conf\ncmdport 4\n",
		"/d/b.conf":  "port 3\n",
		"/d/a.conf":  "port 2\ncmdport 9\n",
		"/d/c.other": "port 5\n",
		"/deep0":     "include /deep1\n", "/deep1": "include /deep2\n", "/deep2": "include /deep3\n",
		"/deep3": "include /deep4\n", "/deep4": "include /deep5\n", "/deep5": "include /deep6\n",
		"/deep6": "include /deep7\n", "/deep7": "include /deep8\n", "/deep8": "include /deep9\n",
		"/deep9": "include /deep10\n", "/deep10": "port 77\n",
		"/self": "include /self\n",
	}
	c, _, err := ParseFile(files, "/f")
	if err != nil || c.Server.Port != 3 || c.Command.Port != 4 {
		t.Errorf("include: got %+v, %v, want port 3 and cmdport 4", c, err)
	}
	c, _, err = ParseFile(files, "/deep0")
	if err != nil || c.Server.Port != 77 {
		t.Errorf("ten nested includes: %v, want port 77", err)
	}
	_, _, err = ParseFile(files, "/self")
	want := "Could not parse include directive at line 1 in file /self: files include each other more than 10 deep"
	if err == nil || err.Error() != want {
		t.Errorf("endless include: error %v, want %s", err, want)
	}
}

func TestConfDir(t *testing.T) {
	files := memory{
		"/f":           "confdir /one /two /none\n",
		"/two/10.conf": "server two10\n",
		"/two/20.conf": "server hidden\n",
		"/two/30.conf": "server two30\n",
		"/one/20.conf": "server one20\n",
		"/one/05.txt":  "bad\n",
		"/one/.a.conf": "bad\n",
	}
	c, _, err := ParseFile(files, "/f")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(c.Sources), "two10 one20 two30"; got != want {
		t.Errorf("confdir: sources %s, want %s", got, want)
	}
	if got, want := c.Sources[1].Origin.String(), "line 1 in file /one/20.conf"; got != want {
		t.Errorf("origin %s, want %s", got, want)
	}
}

func names(sources []config.Source) string {
	var all []string
	for _, s := range sources {
		all = append(all, s.Name)
	}
	return strings.Join(all, " ")
}

func TestSourceDir(t *testing.T) {
	files := memory{
		"/f":             "sourcedir /b /a\nsourcedir /c\nserver main\n",
		"/a/1.sources":   "server a1 minpoll 4\npool a2\n",
		"/a/2.sources":   "server overridden\n",
		"/b/2.sources":   "server b1\nserver bad minpol 3\nport 7\n# text\n\nserver n nts\nserver\npeer b2\nserver cut iburst",
		"/c/0.sources":   "server c1\nserver " + strings.Repeat("x", maxLine) + "\nserver c2\n",
		"/c/9.conf":      "server no\n",
		"/c/z.sources":   "\n",
		"/b/.x.sources":  "server no\n",
		"/b/y.sources~":  "server no\n",
		"/never/sources": "server no\n",
	}
	c, warnings, err := ParseFile(files, "/f")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(c.Sources), "main a1 a2 b1 b2 c1"; got != want {
		t.Errorf("sources %s, want %s", got, want)
	}
	for _, s := range c.Sources {
		if s.FromDir != (s.Name != "main") {
			t.Errorf("source %s: FromDir %v", s.Name, s.FromDir)
		}
	}
	want := []string{
		"skipped: Invalid option in server directive at line 2 in file /b/2.sources: minpol, did you mean minpoll?",
		"skipped: Invalid directive port at line 3 in file /b/2.sources: only server, pool, peer and monitor may stand here",
		"skipped: Invalid option in server directive at line 6 in file /b/2.sources: nts is not supported yet, and " +
			"without it n would be trusted unauthenticated; remove the option if that is acceptable",
		"skipped: Missing arguments for server directive at line 7 in file /b/2.sources",
		"skipped: Line without an end at line 9 in file /b/2.sources",
		"skipped: Line too long at line 2 in file /c/0.sources: max 2047 characters",
	}
	if got := sentences(warnings); !slices.Equal(got, want) {
		t.Errorf("warnings:\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	delete(files, "/a/1.sources")
	again, _ := ReadSourceDirs(files, c.SourceDirs)
	if got, want := names(again), "b1 b2 c1"; got != want {
		t.Errorf("read again: sources %s, want %s", got, want)
	}
}

// unreadable has directories and files that cannot be read.
type unreadable struct{ memory }

func (unreadable) List(string) ([]string, error) { return nil, fs.ErrPermission }

func TestUnreadable(t *testing.T) {
	files := unreadable{memory{"/f": "sourcedir /x\n", "/g": "confdir /x\n"}}
	_, warnings, err := ParseFile(files, "/f")
	want := "sourcedir directive at line 1 in file /f is incomplete: list /x: permission denied"
	if err != nil || !slices.Equal(sentences(warnings), []string{want}) {
		t.Errorf("sourcedir: warnings %v, error %v, want %s", warnings, err, want)
	}
	_, _, err = ParseFile(files, "/g")
	want = "Could not parse confdir directive at line 1 in file /g: list /x: permission denied"
	if err == nil || err.Error() != want {
		t.Errorf("confdir: error %v, want %s", err, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"seed-client.conf", "seed-server.conf", "debian12.conf", "rhel9.conf"} {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	p := newParser(memory{})
	for _, name := range keys(p.table) {
		f.Add(fmt.Sprintf("%s a 1 2 3\n%s 1 2\n%s 1\n%s\n", name, name, name, name))
	}
	src := config.DefaultSource(config.KindServer, "a")
	for _, name := range keys(sourceOptions(&src)) {
		f.Add("peer a " + name + " 1\npool b " + name + "\n")
	}
	f.Add("include /x\nsourcedir /\nconfdir / /\nlog tracking\nallow all 1.2/3\nhwtimestamp * rxfilter all\n")
	f.Fuzz(func(t *testing.T, text string) {
		files := memory{"/f": text, "/x": "port 1\n", "/y.sources": text}
		c, warnings, err := ParseFile(files, "/f")
		if (c == nil) == (err == nil) {
			t.Fatalf("%q: config %v with error %v, want one of them", text, c, err)
		}
		for _, w := range warnings {
			if w.Line < 1 || !strings.Contains(w.Text, fmt.Sprintf("line %d", w.Line)) {
				t.Fatalf("%q: warning %+v does not name its line", text, w)
			}
		}
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("%q: accepted, but %v", text, err)
		}
		for _, r := range append(c.Server.Access, c.Command.Access...) {
			count := 0
			for _, is := range []bool{r.Everything, r.Host != "", r.Prefix.IsValid()} {
				if is {
					count++
				}
			}
			if count != 1 {
				t.Fatalf("%q: rule %+v is about %d things, want 1", text, r, count)
			}
		}
	})
}
