// SPDX-License-Identifier: Apache-2.0

package rings

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
)

const module = "foliot"

// Budgets.
const (
	fileLines     = 500
	testFileLines = 900
	funcLines     = 80
	parameters    = 6  // five is the custom
	branches      = 20 // cyclomatic complexity; fifteen is the custom
)

// unit is one source file and where it stands.
type unit struct {
	pkg  string // path below the module
	name string // of the file
	src  string
	file *ast.File
	fset *token.FileSet
	said []string
}

// inspect returns what is wrong with the file name with content src in package
// pkg.
func inspect(pkg, name, src string) []string {
	u := &unit{pkg: pkg, name: name, src: src, fset: token.NewFileSet()}
	f, err := parser.ParseFile(u.fset, path.Join(pkg, name), src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return []string{err.Error()}
	}
	u.file = f
	generated := ast.IsGenerated(f)
	if !generated {
		u.licence()
		u.size()
		u.marks()
	}
	u.imports()
	u.secrets()
	if u.deterministic() {
		ast.Inspect(f, u.node)
	}
	return u.said
}

// ring is the ring of the unit's package.
func (u *unit) ring() ring { return ringFor(u.pkg) }

func ringFor(pkg string) ring {
	if r, ok := ringOf[pkg]; ok {
		return r
	}
	if pkg == "tests" || strings.HasPrefix(pkg, "tests/") {
		return outside
	}
	return ""
}

func (u *unit) test() bool { return strings.HasSuffix(u.name, "_test.go") || u.ring() == outside }

// deterministic tells whether the file belongs to the part that must not touch
// the world.
func (u *unit) deterministic() bool {
	return !u.test() && (u.ring() == base || u.ring() == core)
}

func (u *unit) complain(n ast.Node, format string, args ...any) {
	u.said = append(u.said, fmt.Sprintf("%s: %s", u.fset.Position(n.Pos()), fmt.Sprintf(format, args...)))
}

func (u *unit) licence() {
	if !strings.HasPrefix(u.src, "// SPDX-License-Identifier: Apache-2.0\n") {
		u.complain(u.file, "the first line is not the SPDX line: whoever finds the file alone must learn its licence")
	}
}

// size checks the budgets of lines and parameters.
func (u *unit) size() {
	lines, budget := strings.Count(u.src, "\n"), fileLines
	if u.test() {
		budget = testFileLines
	}
	if lines > budget {
		u.complain(u.file, "the file has %d lines, the budget is %d: split it by thing", lines, budget)
	}
	for _, d := range u.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := u.length(f); n > funcLines {
			u.complain(f, "function %s has %d lines, the budget is %d: name its parts", f.Name.Name, n, funcLines)
		}
		if n := complexity(f); n > branches && !u.test() {
			u.complain(f, "function %s has a cyclomatic complexity of %d, the budget is %d: name its parts", f.Name.Name, n, branches)
		}
		if n := f.Type.Params.NumFields(); n > parameters && !u.test() {
			u.complain(f, "function %s has %d parameters, the budget is %d: make them a struct", f.Name.Name, n, parameters)
		}
	}
}

// length is the number of lines of a function. Tables inside a test do not
// count.
func (u *unit) length(f *ast.FuncDecl) int {
	n := u.lines(f)
	if !u.test() {
		return n
	}
	ast.Inspect(f, func(x ast.Node) bool {
		lit, ok := x.(*ast.CompositeLit)
		if ok {
			n -= u.lines(lit) - 1
		}
		return !ok
	})
	return n
}

// complexity is one more than the number of decisions in a function. A switch
// counts once: its cases are a table.
func complexity(f *ast.FuncDecl) int {
	n := 1
	ast.Inspect(f, func(x ast.Node) bool {
		switch x := x.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.CommClause:
			n++
		case *ast.BinaryExpr:
			if x.Op == token.LAND || x.Op == token.LOR {
				n++
			}
		}
		return true
	})
	return n
}

func (u *unit) lines(n ast.Node) int {
	return u.fset.Position(n.End()).Line - u.fset.Position(n.Pos()).Line + 1
}

// marks refuses comments that promise work.
func (u *unit) marks() {
	for _, g := range u.file.Comments {
		for _, c := range g.List {
			for _, mark := range [...]string{"TO" + "DO", "FIX" + "ME", "XX" + "X"} {
				if strings.Contains(c.Text, mark) {
					u.complain(c, "a %s comment: do it now or open an issue", mark)
				}
			}
		}
	}
}

// imports checks every import of the file.
func (u *unit) imports() {
	for _, spec := range u.file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			u.complain(spec, "%v", err)
			continue
		}
		if spec.Name != nil && spec.Name.Name == "." {
			u.complain(spec, "dot import of %s: a reader must see where a name comes from", p)
		}
		if inner, ok := strings.CutPrefix(p, module+"/"); ok {
			u.own(spec, inner)
			continue
		}
		u.foreign(spec, p)
	}
}

// own checks an import of a package of this module.
func (u *unit) own(spec *ast.ImportSpec, to string) {
	from, target := u.ring(), ringFor(to)
	if u.test() && from != outside {
		// Tests beside the code may look at any package: they are not linked.
		return
	}
	if tag := tagged[to]; tag != "" && from != worlds && from != outside {
		if !u.behind(tag) {
			u.complain(spec, "%s is imported without build tag %s: ordinary builds must not contain it", to, tag)
		}
		return
	}
	if slices.Contains(inward[from], target) {
		return
	}
	if _, ok := exceptions[u.pkg+" -> "+to]; ok {
		return
	}
	u.complain(spec, "%s (%s) imports %s (%s): %s", u.pkg, from, to, target, ringReason[from])
}

// behind tells whether the file is built only with a tag.
func (u *unit) behind(tag string) bool {
	for _, g := range u.file.Comments {
		for _, c := range g.List {
			if c.Pos() > u.file.Package || !constraint.IsGoBuild(c.Text) {
				continue
			}
			x, err := constraint.Parse(c.Text)
			return err == nil && !x.Eval(func(t string) bool { return t != tag })
		}
	}
	return false
}

// foreign checks an import from outside the module.
func (u *unit) foreign(spec *ast.ImportSpec, p string) {
	if u.test() {
		return
	}
	if d, ok := doors[p]; ok && d.open[u.pkg] == "" {
		u.complain(spec, "%s imports %s: %s", u.pkg, p, d.reason)
		return
	}
	for prefix, d := range moduleDoors {
		if strings.HasPrefix(p, prefix) && d.open[u.pkg] == "" && !u.deterministic() {
			u.complain(spec, "%s imports %s: %s", u.pkg, p, d.reason)
			return
		}
	}
	if p == "log/slog" && !slogHomes[u.ring()] {
		u.complain(spec, "%s imports log/slog: messages are worded in the shell, from events", u.pkg)
		return
	}
	if !u.deterministic() || pureStd[p] || coreStd[p] != "" {
		return
	}
	reason := bannedImports[p]
	if reason == "" {
		reason = "it is not in the list of pure standard packages (pureStd in table_test.go)"
	}
	u.complain(spec, "%s (%s) imports %s: %s", u.pkg, u.ring(), p, reason)
}

// node checks one node of the syntax tree of base and core.
func (u *unit) node(n ast.Node) bool {
	const alone = "one goroutine owns the core, and it never waits"
	switch n := n.(type) {
	case *ast.GoStmt:
		u.complain(n, "go statement: %s", alone)
	case *ast.ChanType:
		u.complain(n, "channel: %s", alone)
	case *ast.SelectStmt:
		u.complain(n, "select: %s", alone)
	case *ast.SendStmt:
		u.complain(n, "send: %s", alone)
	case *ast.CallExpr:
		if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "println" || id.Name == "print") {
			u.complain(n, "%s: the core writes nothing, it returns events", id.Name)
		}
	case *ast.SelectorExpr:
		u.selector(n)
	}
	return true
}

func (u *unit) selector(n *ast.SelectorExpr) {
	id, ok := n.X.(*ast.Ident)
	if !ok {
		return
	}
	p := u.importedAs(id.Name)
	if p == "math/rand/v2" && !randNames[n.Sel.Name] {
		u.complain(n, "rand.%s draws from the process's generator: randomness comes from a seeded *rand.Rand, or runs would not replay", n.Sel.Name)
		return
	}
	if reason := bannedNames[p+"."+n.Sel.Name]; reason != "" {
		u.complain(n, "%s.%s: %s", p, n.Sel.Name, reason)
	}
}

// importedAs returns the path of the import that the file calls name.
func (u *unit) importedAs(name string) string {
	for _, spec := range u.file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		local := path.Base(strings.TrimSuffix(p, "/v2"))
		if spec.Name != nil {
			local = spec.Name.Name
		}
		if local == name {
			return p
		}
	}
	return ""
}
