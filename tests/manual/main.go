// SPDX-License-Identifier: Apache-2.0

// Command manual writes the manual pages and the completions of shells into a
// directory: man/ and completions/.
package main

import (
	"flag"
	"log"
	"os"
	"path/filepath"

	"foliot/internal/manual"
)

// files are what is written, by its path.
var files = map[string]func() string{
	"man/foliotctl.1":            manual.ClientPage,
	"man/foliotd.8":              manual.DaemonPage,
	"man/foliot.conf.5":          manual.ConfigPage,
	"completions/foliotctl.bash": manual.BashCompletion,
	"completions/_foliotctl":     manual.ZshCompletion,
	"completions/foliotctl.fish": manual.FishCompletion,
}

func main() {
	log.SetFlags(0)
	dir := flag.String("dir", "bin", "where to write")
	flag.Parse()
	for name, text := range files {
		path := filepath.Join(*dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text()), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
