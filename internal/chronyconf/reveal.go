// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// leftOut is in place of what others must not see.
const leftOut = "(left out)"

// private are directives whose words are nobody else's business.
var private = map[string]bool{"commandkey": true, "mailonchange": true}

// Reveal writes the configuration at path, and every file that it includes, as
// others may see it: directives only, without the values of the option key, and
// nothing of a line that is no directive, which could be a secret in a wrong place.
// Files that the configuration only names, such as the key file, are not opened.
func Reveal(files Files, path string, w io.Writer) error {
	r := &revealing{Files: files, known: newParser(files).table}
	_, _, err := ParseFile(r, path)
	if _, werr := w.Write(r.text.Bytes()); werr != nil {
		return werr
	}
	return err
}

// revealing is a file system that writes down what it reads.
type revealing struct {
	Files
	known map[string]directive
	text  bytes.Buffer
}

// Open implements Files.
func (r *revealing) Open(name string) (io.ReadCloser, error) {
	f, err := r.Files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&r.text, "# file %s\n", name)
	number := 0
	for line := range strings.Lines(string(all)) {
		number++
		if words := strings.FieldsFunc(line, isSpace); len(words) > 0 && !strings.ContainsRune("!;#%", rune(words[0][0])) {
			fmt.Fprintln(&r.text, r.line(words, number))
		}
	}
	return io.NopCloser(bytes.NewReader(all)), nil
}

// line is what is shown of a directive.
func (r *revealing) line(words []string, number int) string {
	name := strings.ToLower(words[0])
	switch _, known := r.known[name]; {
	case !known:
		return fmt.Sprintf("# line %d is no directive %s", number, leftOut)
	case private[name]:
		return name + " " + leftOut
	}
	for i := 1; i+1 < len(words); i++ {
		if strings.EqualFold(words[i], "key") {
			words[i+1] = leftOut
		}
	}
	return strings.Join(words, " ")
}
