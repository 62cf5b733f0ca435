// SPDX-License-Identifier: Apache-2.0

package rings

import (
	"encoding/json"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// root is the module, seen from this package.
const root = "../.."

// sources returns the Go files of the module: package path -> file names.
func sources(t *testing.T) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := e.Name()
		if e.IsDir() {
			if name == "testdata" || name == "vendor" || len(name) > 2 && name[0] == '.' {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".go") {
			rel, err := filepath.Rel(root, filepath.Dir(p))
			if err != nil {
				return err
			}
			pkg := filepath.ToSlash(rel)
			all[pkg] = append(all[pkg], name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("found %d packages below %s: this test does not see the module", len(all), root)
	}
	return all
}

func read(t *testing.T, pkg, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(pkg), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSource(t *testing.T) {
	for pkg, names := range sources(t) {
		for _, name := range names {
			for _, said := range inspect(pkg, name, read(t, pkg, name)) {
				t.Error(said)
			}
		}
	}
}

func TestEveryPackageHasARing(t *testing.T) {
	all := sources(t)
	for pkg := range all {
		if ringFor(pkg) == "" {
			t.Errorf("package %s has no ring: give it one in table_test.go", pkg)
		}
	}
	for pkg := range ringOf {
		if len(all[pkg]) == 0 {
			t.Errorf("table_test.go gives a ring to %s, which does not exist", pkg)
		}
	}
}

func TestEveryPackageHasAComment(t *testing.T) {
	for pkg, names := range sources(t) {
		if !commented(t, pkg, names) {
			t.Errorf("package %s has no package comment: say what it is, what it is not, and the one concept to know", pkg)
		}
	}
}

func commented(t *testing.T, pkg string, names []string) bool {
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, read(t, pkg, name), parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if s := new(doc.Package).Synopsis(f.Doc.Text()); s != "" && !strings.HasSuffix(name, "_test.go") {
			return true
		}
	}
	return false
}

// TestPrograms checks what is linked into the programs.
func TestPrograms(t *testing.T) {
	for _, program := range []string{"foliotd", "foliotctl"} {
		t.Run(program, func(t *testing.T) { checkProgram(t, program) })
	}
}

func checkProgram(t *testing.T, program string) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard", "./cmd/"+program)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, &complaint)
	}
	seen := 0
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); seen++ {
		var p struct {
			ImportPath string
			Standard   bool
		}
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if reason := unlinkable(program, p.ImportPath, p.Standard); reason != "" {
			t.Errorf("%s contains %s: %s", program, p.ImportPath, reason)
		}
	}
	if seen < 50 {
		t.Fatalf("go list named %d packages: this test does not see the program", seen)
	}
}

// unlinkable says why a package must not be in a program.
func unlinkable(program, p string, standard bool) string {
	for _, prefix := range daemonOnly {
		if program != "foliotd" && strings.HasPrefix(p, prefix) {
			return "only the daemon has a listener for metrics and the status page"
		}
	}
	if inner, ok := strings.CutPrefix(p, module+"/"); ok {
		switch ringFor(inner) {
		case worlds:
			return "simulations are for tests"
		case outside, "":
			return "it is no package of production"
		}
		return ""
	}
	switch {
	case exceptLinked[p] != "":
		return ""
	case p == "testing" || strings.HasPrefix(p, "testing/"):
		return "test support does not belong into production"
	case p == "os/exec" || p == "runtime/cgo":
		return "nothing in the daemon needs it, and it is a large surface"
	case standard:
		return ""
	}
	for prefix := range linkable {
		if strings.HasPrefix(p, prefix) {
			return ""
		}
	}
	return path.Dir(p) + " is not in the list of modules that may be linked (linkable in table_test.go)"
}
