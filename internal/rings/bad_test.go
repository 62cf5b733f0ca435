// SPDX-License-Identifier: Apache-2.0

package rings

import (
	"strings"
	"testing"
)

// spdx begins every snippet that is not about the line itself.
const spdx = "// SPDX-License-Identifier: Apache-2.0\n\n"

// TestInspectRefuses proves that each rule can fail.
func TestInspectRefuses(t *testing.T) {
	for _, tt := range []struct{ name, pkg, src, want string }{
		{"no licence", "internal/clock", "package clock\n", "SPDX"},
		{"core imports edge", "internal/engine", `import _ "foliot/internal/sysclock"`, "the core decides from facts alone"},
		{"core imports shell", "internal/engine", `import _ "foliot/internal/config"`, "the core decides from facts alone"},
		{"base imports core", "internal/ntp", `import _ "foliot/internal/stats"`, "base holds values"},
		{"edge imports shell", "internal/sysclock", `import _ "foliot/internal/logfile"`, "the edge wraps the kernel"},
		{"shell imports a world", "internal/daemon", `import _ "foliot/internal/sim"`, "must not contain simulations"},
		{"world imports edge", "internal/sim", `import _ "foliot/internal/udpstamp"`, "must not reach the real clock"},
		{"program imports tests", "cmd/foliotd", `import _ "foliot/tests/netns"`, "must not contain simulations or tests"},
		{"clknetsim without its tag", "internal/daemon", `import _ "foliot/internal/clknetsim"`, "without build tag clknetsim"},
		{"unknown package imports core", "internal/util", `import _ "foliot/internal/engine"`, "internal/util"},
		{"core imports os", "internal/stats", `import _ "os"`, "reads no files"},
		{"core imports net", "internal/source", `import _ "net"`, "opens no sockets"},
		{"core imports syscall", "internal/source", `import _ "syscall"`, "the edge's"},
		{"core imports context", "internal/source", `import _ "context"`, "never waits"},
		{"core imports slog", "internal/engine", `import _ "log/slog"`, "worded in the shell"},
		{"core imports log", "internal/engine", `import _ "log"`, "log/slog"},
		{"core imports atomic", "internal/engine", `import _ "sync/atomic"`, "one goroutine owns the core"},
		{"core imports crypto/rand", "internal/engine", `import _ "crypto/rand"`, "seeded"},
		{"core imports something unheard of", "internal/engine", `import _ "compress/gzip"`, "pureStd"},
		{"core imports a module", "internal/engine", `import _ "github.com/x/y"`, "pureStd"},
		{"edge logs", "internal/sysclock", `import _ "log/slog"`, "worded in the shell"},
		{"shell opens the unsafe door", "internal/control", `import _ "unsafe"`, "memory layouts"},
		{"shell calls the kernel", "internal/control", `import _ "golang.org/x/sys/unix"`, "system calls are the edge's"},
		{"production starts programs", "internal/process", `import _ "os/exec"`, "starts no programs"},
		{"production imports testing", "internal/daemon", `import _ "testing"`, "test support"},
		{"another view imports prometheus", "internal/web", `import _ "github.com/prometheus/client_golang/prometheus"`, "views render the state"},
		{"production speaks protobuf", "internal/state", `import _ "google.golang.org/protobuf/proto"`, "a format of metrics"},
		{"production speaks HTTP", "internal/control", `import _ "net/http"`, "one listener"},
		{"core imports net/http", "internal/source", `import _ "net/http"`, "opens no sockets"},
		{"cgo", "internal/udpstamp", `import "C"`, "without a C compiler"},
		{"old random numbers", "internal/daemon", `import _ "math/rand"`, "math/rand/v2"},
		{"dot import", "internal/daemon", `import . "strings"`, "where a name comes from"},
		{"clock read", "internal/engine", "import \"time\"\nvar x = time.Now()", "reads no clock"},
		{"clock read under another name", "internal/engine", "import t \"time\"\nvar x = t.Since", "reads no clock"},
		{"timer", "internal/engine", "import \"time\"\nfunc f() { time.NewTimer(1) }", "no timers"},
		{"timer channel", "internal/engine", "import \"time\"\nfunc f() { time.After(1) }", "no timers"},
		{"sleep", "internal/clock", "import \"time\"\nfunc f() { time.Sleep(1) }", "never waits"},
		{"mutex", "internal/auth", "import \"sync\"\nvar m sync.Mutex", "a lock hides a mistake"},
		{"global random numbers", "internal/source", "import \"math/rand/v2\"\nvar n = rand.IntN(5)", "process's generator"},
		{"go statement", "internal/engine", "func f() { go f() }", "go statement"},
		{"channel", "internal/engine", "var c chan int", "channel"},
		{"send", "internal/engine", "func f(c interface{}) { g() <- 1 }\nfunc g()", "send"},
		{"select", "internal/engine", "func f() { select {} }", "select"},
		{"print", "internal/engine", "func f() { println() }", "println"},
		{"fmt.Println", "internal/engine", "import \"fmt\"\nfunc f() { fmt.Println() }", "returns events"},
		{"long file", "internal/daemon", strings.Repeat("\n", 501), "the budget is 500"},
		{"long function", "internal/daemon", "func f() {\n" + strings.Repeat("\n", 80) + "}", "function f has 82 lines"},
		{"many parameters", "internal/daemon", "func f(a, b, c int, d, e, g, h string) {}", "7 parameters"},
		{"many branches", "internal/daemon", "func f(a bool) {\n" + strings.Repeat("if a && a {}\n", 10) + "}", "complexity of 21"},
		{"bytes.Equal in core", "internal/source", "import \"bytes\"\nvar x = bytes.Equal(a, b)", "ConstantTimeCompare"},
		{"bytes.Compare near keys", "internal/daemon", "import (\n\"bytes\"\n_ \"foliot/internal/auth\"\n)\nvar x = bytes.Compare", "ConstantTimeCompare"},
		{"a code as a string", "internal/source", "func f(t T) bool { return string(t.MAC) == string(x) }", "MAC is compared"},
		{"a code as an array", "internal/auth", "func f(mac [16]byte) bool { return x != mac }", "mac is compared"},
		{"an octet of a code", "internal/auth", "func f(mac []byte) bool { return x == mac[3] }", "mac is compared"},
		{"slices.Equal of a secret", "internal/auth", "import \"slices\"\nvar x = slices.Equal(k.secret, b)", "secret is compared"},
		{"promise", "internal/daemon", "// TO" + "DO: later", "comment"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := tt.src
			if tt.name != "no licence" {
				src = spdx + "package p\n" + src + "\n"
			}
			got := strings.Join(inspect(tt.pkg, "a.go", src), "\n")
			if !strings.Contains(got, tt.want) {
				t.Errorf("inspect of %q in %s said %q, want a complaint with %q", src, tt.pkg, got, tt.want)
			}
		})
	}
}

// TestInspectAccepts proves that the rules leave ordinary code alone.
func TestInspectAccepts(t *testing.T) {
	for _, tt := range []struct{ name, pkg, file, src string }{
		{"core imports base", "internal/engine", "a.go", `import _ "foliot/internal/clock"`},
		{"shell imports core", "internal/setup", "a.go", `import _ "foliot/internal/engine"`},
		{"durations in core", "internal/leap", "a.go", "import \"time\"\nvar d = time.Second"},
		{"a pool in base", "internal/auth", "a.go", "import \"sync\"\nvar p sync.Pool"},
		{"seeded random numbers", "internal/source", "a.go", "import \"math/rand/v2\"\nvar r = rand.New(rand.NewPCG(1, 2))"},
		{"edge is unsafe", "internal/udpstamp", "a.go", `import _ "unsafe"`},
		{"process controls processes", "internal/process", "a.go", `import _ "golang.org/x/sys/unix"`},
		{"a test of the core reads the clock", "internal/engine", "a_test.go", "import \"time\"\nvar x = time.Now()"},
		{"a test of the core uses the simulation", "internal/engine", "a_test.go", `import _ "foliot/internal/sim"`},
		{"tests start programs", "tests/netns", "a.go", `import _ "os/exec"`},
		{"scenario is configured", "internal/scenario", "a.go", `import _ "foliot/internal/setup"`},
		{"metrics import prometheus", "internal/metrics", "a.go", `import _ "github.com/prometheus/client_golang/prometheus"`},
		{"the page is served", "internal/web", "a.go", `import _ "net/http"`},
		{"a table in a test", "internal/engine", "a_test.go", "func f() {\n_ = []int{\n" + strings.Repeat("1,\n", 90) + "}\n}"},
		{"codes in constant time", "internal/auth", "a.go", "import \"crypto/subtle\"\nfunc f(mac, b []byte) bool { return len(mac) == len(b) && mac != nil && mac[0] != 0 && subtle.ConstantTimeCompare(mac, b) == 1 }"},
		{"slices.Equal of rules", "internal/engine", "a.go", "import \"slices\"\nvar x = slices.Equal(rules, old)"},
		{"bytes.Equal far from keys", "internal/logfile", "a.go", "import \"bytes\"\nvar x = bytes.Equal"},
		{"a method called Now", "internal/engine", "a.go", "type w struct{}\nfunc f(time interface{ Now() int }) int { return time.Now() }"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := inspect(tt.pkg, tt.file, spdx+"package p\n"+tt.src+"\n"); len(got) != 0 {
				t.Errorf("inspect of %q in %s said %q, want nothing", tt.src, tt.pkg, got)
			}
		})
	}
	src := spdx + "//go:build clknetsim\n\npackage p\n\nimport _ \"foliot/internal/clknetsim\"\n"
	if got := inspect("internal/daemon", "a.go", src); len(got) != 0 {
		t.Errorf("inspect of a tagged file said %q, want nothing", got)
	}
}

func TestUnlinkable(t *testing.T) {
	for _, tt := range []struct {
		program  string
		path     string
		standard bool
		refused  bool
	}{
		{"foliotd", "foliot/internal/engine", false, false},
		{"foliotd", "foliot/internal/sim", false, true},
		{"foliotd", "foliot/tests/netns", false, true},
		{"foliotd", "foliot/internal/unknown", false, true},
		{"foliotd", "testing", true, true},
		{"foliotd", "net/http", true, false},
		{"foliotctl", "net/http", true, true},
		{"foliotd", "runtime/cgo", true, true},
		{"foliotd", "strings", true, false},
		{"foliotd", "golang.org/x/sys/unix", false, false},
		{"foliotd", "github.com/prometheus/procfs", false, false},
		{"foliotctl", "github.com/prometheus/procfs", false, true},
		{"foliotd", "github.com/x/y", false, true},
	} {
		if got := unlinkable(tt.program, tt.path, tt.standard); (got != "") != tt.refused {
			t.Errorf("unlinkable(%q, %q) = %q, want refused %v", tt.program, tt.path, got, tt.refused)
		}
	}
}
