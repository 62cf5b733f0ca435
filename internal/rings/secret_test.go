// SPDX-License-Identifier: Apache-2.0

package rings

import (
	"go/ast"
	"go/token"
	"strings"
)

// comparers are functions whose time tells where their arguments differ. Where
// packets and keys are handled nobody needs the first kind at all; the second is
// refused for what the names of secretNames call.
var (
	byteComparers = set("bytes.Equal", "bytes.Compare", "bytes.HasPrefix", "bytes.HasSuffix")
	comparers     = set("slices.Equal", "slices.EqualFunc", "slices.Compare", "slices.CompareFunc", "strings.Compare", "strings.EqualFold")
	secretNames   = set("mac", "macs", "digest", "secret")
)

const constantTime = "its time tells how much of a forged code is right: only subtle.ConstantTimeCompare compares codes and secrets (CVE-2016-1550)"

// secrets checks that codes and secrets are compared in constant time by
// production code of base and core, and by whatever else uses keys.
func (u *unit) secrets() {
	if !u.deterministic() && (u.test() || !u.usesKeys()) {
		return
	}
	ast.Inspect(u.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if name := u.qualified(n); byteComparers[name] {
				u.complain(n, "%s: %s", name, constantTime)
			}
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && comparers[u.qualified(sel)] {
				u.compared(n.Args...)
			}
		case *ast.BinaryExpr:
			if n.Op == token.EQL || n.Op == token.NEQ {
				u.compared(n.X, n.Y)
			}
		}
		return true
	})
}

// qualified is the name behind a selector, "" if it is none of a package.
func (u *unit) qualified(n *ast.SelectorExpr) string {
	if id, ok := n.X.(*ast.Ident); ok {
		if p := u.importedAs(id.Name); p != "" {
			return p + "." + n.Sel.Name
		}
	}
	return ""
}

func (u *unit) usesKeys() bool {
	for _, spec := range u.file.Imports {
		if spec.Path.Value == `"`+module+`/internal/auth"` {
			return true
		}
	}
	return false
}

// compared refuses a comparison of something called a code or a secret, or of
// what is made from it. A length may be compared, and anything with a constant.
func (u *unit) compared(operands ...ast.Expr) {
	for _, x := range operands {
		if _, ok := x.(*ast.BasicLit); ok {
			return
		}
		if id, ok := x.(*ast.Ident); ok && id.Name == "nil" {
			return
		}
	}
	for _, x := range operands {
		ast.Inspect(x, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "len" {
					return false
				}
				sel, ok := n.Fun.(*ast.SelectorExpr)
				return !ok || u.qualified(sel) != "crypto/subtle.ConstantTimeCompare"
			case *ast.Ident:
				if secretNames[strings.ToLower(n.Name)] {
					u.complain(n, "%s is compared: %s", n.Name, constantTime)
				}
			}
			return true
		})
	}
}
