// SPDX-License-Identifier: Apache-2.0

package rings

// A ring is a layer of the module.
type ring string

const (
	base    ring = "base"    // values
	core    ring = "core"    // decisions
	edge    ring = "edge"    // the kernel
	shell   ring = "shell"   // wiring, configuration, people
	worlds  ring = "worlds"  // simulated worlds
	program ring = "program" // cmd/...
	data    ring = "data"    // embedded files
	outside ring = "tests"   // tests/... and this package
)

// ringOf is the ring of each package, by its path below the module.
var ringOf = map[string]ring{
	"internal/clock": base, "internal/ntp": base, "internal/auth": base, "internal/cmdmon": base,
	"internal/traffic": base,

	"internal/stats": core, "internal/source": core, "internal/selection": core, "internal/discipline": core,
	"internal/leap": core, "internal/smooth": core, "internal/acl": core, "internal/drifts": core,
	"internal/clientlog": core, "internal/responder": core, "internal/engine": core,
	"internal/stability": core, "internal/probe": core, "internal/rackstat": core,

	"internal/sysclock": edge, "internal/udpstamp": edge, "internal/resolve": edge, "internal/guard": edge, "internal/prober": edge, "internal/links": edge,
	"internal/fastpath": edge,

	"internal/config": shell, "internal/chronyconf": shell, "internal/ntpconf": shell, "internal/convert": shell, "internal/setup": shell, "internal/narrate": shell,
	"internal/logfile": shell, "internal/process": shell, "internal/control": shell, "internal/ctl": shell,
	"internal/daemon": shell, "internal/worker": shell, "internal/state": shell, "internal/mode6": shell,
	"internal/adopt": shell, "internal/cmdclient": shell, "internal/report": shell, "internal/getdate": shell,
	"internal/metrics": shell, "internal/web": shell, "internal/figures": shell, "internal/top": shell, "internal/diag": shell, "internal/manual": shell, "internal/chronyc": shell,
	"internal/survey": shell, "internal/command": shell, "internal/keeper": shell,
	"internal/inventory": shell, "internal/rackview": shell, "internal/racksctl": shell,

	"internal/sim": worlds, "internal/scenario": worlds, "internal/clknetsim": worlds,

	"cmd/foliotd": program, "cmd/foliotctl": program,
	"configs":        data,
	"internal/rings": outside,
}

// inward lists the rings that a ring may import.
var inward = map[ring][]ring{
	base:    {base},
	core:    {base, core},
	edge:    {base, core, edge},
	shell:   {base, core, edge, shell, data},
	worlds:  {base, core, worlds},
	program: {base, core, edge, shell, data},
	data:    {},
	outside: {base, core, edge, shell, worlds, data, outside},
}

// ringReason says why the arrows of a ring end where they do.
var ringReason = map[ring]string{
	base:    "base holds values that every other ring is written in; an arrow outwards would drag the world into all of them",
	core:    "the core decides from facts alone, so that the same facts give the same actions in every world",
	edge:    "the edge wraps the kernel for whoever runs the core; it must not know who that is",
	shell:   "the shell is linked into the daemon, which must not contain simulations or tests",
	worlds:  "a simulated world must not reach the real clock, network or files",
	program: "the programs must not contain simulations or tests",
	data:    "an embedded file needs no code",
}

// exceptions are arrows that the table above would refuse, each with its reason.
var exceptions = map[string]string{
	"internal/scenario -> internal/config": "scenarios are written as configurations; config is values and pure",
	"internal/scenario -> internal/setup":  "scenarios configure the engine as the daemon does; setup is pure translation",
}

// tagged packages may be imported only by files behind the build tag of the
// same name, whatever the ring: ordinary builds do not contain them.
var tagged = map[string]string{"internal/clknetsim": "clknetsim"}

// pureStd are the standard packages that base and core may import: they
// compute, and touch nothing.
var pureStd = set("bytes", "cmp", "container/heap", "crypto/aes", "crypto/cipher", "crypto/md5", "crypto/sha1",
	"crypto/sha256", "crypto/sha3", "crypto/sha512", "crypto/subtle", "encoding/binary", "encoding/hex", "errors",
	"fmt", "hash", "iter", "maps", "math", "math/big", "math/bits", "math/rand/v2", "net/netip", "slices", "sort",
	"strconv", "strings", "unicode", "unicode/utf8")

// coreStd are standard packages that base and core may import with the uses
// that banned lists left out.
var coreStd = map[string]string{
	"time": "durations and calendar arithmetic only",
	"io":   "interfaces only",
	"sync": "sync.Pool only",
}

// bannedImports are imports refused in base and core, with the reason.
var bannedImports = map[string]string{
	"os":           "the core reads no files, environment or process state: they are facts that the shell brings",
	"os/signal":    "signals are facts that the shell brings",
	"net":          "the core opens no sockets: a world sends and receives for it",
	"syscall":      "system calls are the edge's",
	"context":      "the core never waits, so there is nothing to cancel",
	"log":          "the core writes no log: it returns events, and the shell words them",
	"log/slog":     "the core writes no log: it returns events, and the shell words them",
	"sync/atomic":  "one goroutine owns the core; a world publishes its snapshots",
	"runtime":      "what the core does must not depend on the machine",
	"crypto/rand":  "randomness comes from a seeded generator in the configuration, or runs would not replay",
	"math/rand":    "randomness comes from a seeded math/rand/v2 generator in the configuration",
	"expvar":       "metrics are the shell's",
	"net/http":     "the core opens no sockets: a world sends and receives for it",
	"os/exec":      "the core starts no processes",
	"reflect":      "the core is explicit about its types",
	"text/scanner": "parsing of configurations is the shell's",
}

// bannedNames are uses refused in base and core although their package is
// allowed, with the reason.
var bannedNames = map[string]string{
	"time.Now":       "the core reads no clock: every fact carries the time at which it happened",
	"time.Since":     "the core reads no clock: every fact carries the time at which it happened",
	"time.Until":     "the core reads no clock: every fact carries the time at which it happened",
	"time.After":     "the core has no timers: it names its next deadline",
	"time.AfterFunc": "the core has no timers: it names its next deadline",
	"time.NewTimer":  "the core has no timers: it names its next deadline",
	"time.NewTicker": "the core has no timers: it names its next deadline",
	"time.Tick":      "the core has no timers: it names its next deadline",
	"time.Sleep":     "the core never waits: it names its next deadline",
	"time.Local":     "what the core does must not depend on the machine's time zone",
	"sync.Mutex":     "one goroutine owns the core, so a lock hides a mistake",
	"sync.RWMutex":   "one goroutine owns the core, so a lock hides a mistake",
	"sync.Once":      "one goroutine owns the core, so a lock hides a mistake",
	"sync.OnceFunc":  "one goroutine owns the core, so a lock hides a mistake",
	"sync.OnceValue": "one goroutine owns the core, so a lock hides a mistake",
	"sync.Cond":      "one goroutine owns the core, so there is nobody to wait for",
	"sync.WaitGroup": "one goroutine owns the core, so there is nobody to wait for",
	"sync.Map":       "one goroutine owns the core, so an ordinary map does",
	"fmt.Print":      "the core writes nothing: it returns events",
	"fmt.Printf":     "the core writes nothing: it returns events",
	"fmt.Println":    "the core writes nothing: it returns events",
}

// randNames are what base and core may use of math/rand/v2. Everything else
// there draws from the process's generator.
var randNames = set("New", "NewPCG", "NewChaCha8", "NewZipf", "Rand", "Source", "PCG", "ChaCha8", "Zipf")

// doors are imports that only some packages may have, with the reason. The
// value of each package says what it needs them for.
var doors = map[string]struct {
	reason string
	open   map[string]string
}{
	"unsafe": {
		"memory layouts are the kernel's business, which the edge translates",
		map[string]string{
			"internal/sysclock": "timex", "internal/udpstamp": "messages and control data", "internal/guard": "a shared page",
			"internal/resolve": "edge", "internal/process": "process control", "internal/clknetsim": "the simulator's layouts",
			"internal/fastpath": "sizes of what eBPF programs share",
		},
	},
	"golang.org/x/sys/unix": {
		"system calls are the edge's, so that the rest runs in every world",
		map[string]string{
			"internal/sysclock": "clocks", "internal/udpstamp": "sockets", "internal/guard": "signals and processes",
			"internal/resolve": "edge", "internal/process": "process control", "internal/clknetsim": "the simulator's socket",
			"internal/fastpath": "clocks, capabilities and errors of the kernel", "internal/links": "rtnetlink",
		},
	},
	"github.com/cilium/ebpf": {
		"programs in the kernel are loaded and talked to in one place",
		map[string]string{"internal/fastpath": "that is its business"},
	},
	"os/exec":   {"a time daemon starts no programs, least of all with its privileges", nil},
	"C":         {"the programs are static and build without a C compiler", nil},
	"log":       {"messages go through log/slog, which the shell formats", nil},
	"testing":   {"test support does not belong into production", nil},
	"math/rand": {"math/rand/v2 replaces it", nil},
	"plugin":    {"the programs are static", nil},
}

// moduleDoors are doors to whole modules.
var moduleDoors = map[string]struct {
	reason string
	open   map[string]string
}{
	"github.com/prometheus/": {
		"views render the state; one of them does so for Prometheus",
		map[string]string{"internal/metrics": "histograms, the runtime's metrics, formats"},
	},
	"go.yaml.in/": {
		"the daemon's configuration is chrony's; YAML is how people list hosts",
		map[string]string{"internal/inventory": "inventories"},
	},
	"google.golang.org/protobuf/": {
		"it is a format of metrics and of nothing else",
		map[string]string{"internal/metrics": "the format that native histograms need"},
	},
	"net/http": {
		"the daemon has one listener that speaks it, off the path of packets",
		map[string]string{"internal/metrics": "a handler", "internal/web": "the listener"},
	},
}

// slogHomes are the rings that may write log messages.
var slogHomes = set(shell, program)

// linkable are the modules beside the standard library that may be linked into
// the programs, each with what it is for.
var linkable = map[string]string{
	"golang.org/x/sys/":            "system calls",
	"github.com/cilium/ebpf":       "loading eBPF programs, without C",
	"github.com/prometheus/":       "metrics: histograms, formats, what the runtime and /proc tell",
	"go.yaml.in/yaml/v3":           "inventories",
	"google.golang.org/protobuf/":  "of prometheus: the format that native histograms need",
	"github.com/beorn7/perks/":     "of prometheus: quantiles",
	"github.com/cespare/xxhash/":   "of prometheus: hashes of labels",
	"github.com/munnerz/goautoneg": "of prometheus: the choice of a format",
}

// daemonOnly are packages and modules that foliotd may contain and other
// programs may not.
var daemonOnly = []string{"net/http", "github.com/prometheus/", "google.golang.org/protobuf/", "github.com/cilium/ebpf"}

// exceptLinked are packages of the standard library that are linked although ours
// may not import them, with the reason.
var exceptLinked = map[string]string{
	"os/exec": "cilium/ebpf names it in a part that only Windows runs",
}

func set[T comparable](all ...T) map[T]bool {
	m := make(map[T]bool, len(all))
	for _, v := range all {
		m[v] = true
	}
	return m
}
