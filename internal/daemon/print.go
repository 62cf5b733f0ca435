// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"

	"foliot/internal/chronyconf"
)

// print is -p: the directives of the configuration, those of included files in
// their place.
func print(o *Options, stdout, stderr io.Writer) int {
	rec := &recording{}
	var err error
	if len(o.Directives) > 0 {
		_, _, err = chronyconf.ParseLines(rec, o.Directives)
		for _, d := range o.Directives {
			fmt.Fprintln(&rec.text, d)
		}
	} else {
		_, _, err = chronyconf.ParseFile(rec, o.File)
	}
	if err != nil {
		fmt.Fprintf(stderr, "foliotd: %s\n", err)
		return exitFatal
	}
	stdout.Write(rec.text.Bytes())
	return exitOK
}

// recording is the file system, and remembers the directives read from it.
type recording struct {
	builtIn
	text bytes.Buffer
}

func (r *recording) Open(name string) (io.ReadCloser, error) {
	f, err := r.builtIn.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	for s := bufio.NewScanner(bytes.NewReader(all)); s.Scan(); {
		line := strings.Join(strings.Fields(s.Text()), " ")
		if line == "" || strings.ContainsRune("!;#%", rune(line[0])) || isInclusion(line) {
			continue
		}
		fmt.Fprintln(&r.text, line)
	}
	return io.NopCloser(bytes.NewReader(all)), nil
}

// isInclusion tells whether the line is replaced by what it includes.
func isInclusion(line string) bool {
	switch strings.ToLower(strings.Fields(line)[0]) {
	case "include", "confdir":
		return true
	}
	return false
}
