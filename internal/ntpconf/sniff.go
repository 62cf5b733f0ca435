// SPDX-License-Identifier: Apache-2.0

package ntpconf

import (
	"bufio"
	"io"
	"path/filepath"
	"strings"

	"foliot/internal/chronyconf"
)

// Recognize tells whether the file at path is written in the language of ntp.conf.
// Directives that only one of the languages has decide; where there are none, or of
// both, the name of the file does. A file that cannot be read is not recognised.
func Recognize(files chronyconf.Files, path string) bool {
	f, err := files.Open(path)
	if err != nil {
		return named(path)
	}
	defer f.Close()
	return RecognizeText(path, f)
}

// named tells whether a file has the name of an ntp.conf.
func named(path string) bool {
	base := strings.ToLower(filepath.Base(path))
	return strings.Contains(base, "ntp") && !strings.Contains(base, "chrony") && !strings.Contains(base, "foliot")
}

// RecognizeText does so for what text has and is to stand at path.
func RecognizeText(path string, text io.Reader) bool {
	ours, theirs := false, false
	mine := newParser(nil, nil).table
	chrony := chronyconf.Names()
	in := bufio.NewScanner(io.LimitReader(text, 1<<20))
	for in.Scan() {
		words, err := split(strings.TrimPrefix(in.Text(), "\ufeff"))
		if err != nil || len(words) == 0 || strings.Contains("!;%", words[0][:min(1, len(words[0]))]) {
			continue
		}
		name := strings.ToLower(words[0])
		_, isMine := mine[name]
		ours = ours || isMine && !chrony[name] || name == "server" && len(words) > 1 && clockAddress(words[1]).IsValid()
		theirs = theirs || !isMine && chrony[name]
	}
	if ours != theirs {
		return ours
	}
	return named(path)
}
