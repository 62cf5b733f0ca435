// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"strings"
	"testing"
)

// typeChecker checks snippets against this package as it is on disk.
type typeChecker struct {
	fset *token.FileSet
	std  types.Importer
	self *types.Package
}

func newTypeChecker(t *testing.T) *typeChecker {
	t.Helper()
	c := &typeChecker{fset: token.NewFileSet()}
	c.std = importer.ForCompiler(c.fset, "source", nil)
	names, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, e := range names {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(c.fset, e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	conf := types.Config{Importer: c.std}
	if c.self, err = conf.Check("foliot/internal/clock", c.fset, files, nil); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *typeChecker) Import(path string) (*types.Package, error) {
	if path == "foliot/internal/clock" {
		return c.self, nil
	}
	return c.std.Import(path)
}

const snippet = `package p
import "foliot/internal/clock"
var (
	wall clock.Wall
	mono clock.Mono
	served clock.Served
	interval clock.Interval
	offset clock.Offset
	freq clock.Frequency
	delay clock.Delay
	disp clock.Dispersion
)
var _, _, _, _, _, _, _, _ = wall, mono, served, interval, offset, freq, delay, disp
func use(...any) {}
func f() { use(STATEMENT) }
`

func (c *typeChecker) check(expr string) error {
	f, err := parser.ParseFile(c.fset, "p.go", strings.Replace(snippet, "STATEMENT", expr, 1), 0)
	if err != nil {
		return err
	}
	conf := types.Config{Importer: c}
	_, err = conf.Check("p", c.fset, []*ast.File{f}, nil)
	return err
}

// TestDomainsDoNotMix proves what the package promises: a mistake between two
// clocks, or between two units, does not compile.
func TestDomainsDoNotMix(t *testing.T) {
	c := newTypeChecker(t)
	bad := []struct{ name, expr, want string }{
		{"subtract another clock", `wall.Sub(mono)`, "cannot use mono"},
		{"subtract served from wall", `wall.Sub(served)`, "cannot use served"},
		{"compare with another clock", `mono.Before(wall)`, "cannot use wall"},
		{"later than another clock", `served.After(wall)`, "cannot use wall"},
		{"equality across clocks", `wall == mono`, "mismatched types"},
		{"convert wall to mono", `clock.Mono(wall)`, "cannot convert"},
		{"convert mono to wall", `clock.Wall(mono)`, "cannot convert"},
		{"convert wall to served", `clock.Served(wall)`, "cannot convert"},
		{"plus", `wall + wall`, "operator + not defined"},
		{"minus", `mono - mono`, "operator - not defined"},
		{"plus an interval", `wall + interval`, ""},
		{"less than", `wall < wall`, "operator < not defined"},
		{"to an integer", `int64(wall)`, "cannot convert"},
		{"from an integer", `clock.Wall(5)`, "cannot convert"},
		{"add an offset as interval", `wall.Add(offset)`, "cannot use offset"},
		{"shift by an interval", `wall.Shift(interval)`, "cannot use interval"},
		{"shift by a frequency", `wall.Shift(freq)`, "cannot use freq"},
		{"offset plus delay", `offset + delay`, "mismatched types"},
		{"offset plus dispersion", `offset + disp`, "mismatched types"},
		{"offset times frequency", `offset * freq`, "mismatched types"},
		{"calendar time of mono", `clock.Time(mono)`, "Raw"},
		{"served time of mono", `clock.ServedAt(mono, offset)`, "cannot use mono"},
		{"wall of wall", `clock.WallAt(wall, offset)`, "cannot use wall"},
		{"literal with a field", `clock.Wall{5}`, ""},
	}
	for _, tt := range bad {
		err := c.check(tt.expr)
		if err == nil {
			t.Errorf("%s: %s compiles", tt.name, tt.expr)
		} else if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %s: got error %q, want one with %q", tt.name, tt.expr, err, tt.want)
		}
	}
	for _, expr := range []string{
		`wall.Sub(wall) + interval`, `mono.Add(interval)`, `served.Shift(offset)`, `served.After(served)`,
		`clock.ServedAt(wall, offset).Sub(served)`, `clock.Time(served)`, `clock.Time(wall)`,
		`wall == wall`, `offset + clock.Offset(delay)`, `clock.At[clock.Raw](5)`,
	} {
		if err := c.check(expr); err != nil {
			t.Errorf("%s: got %v, want it to compile", expr, err)
		}
	}
}
