// SPDX-License-Identifier: Apache-2.0

package chronyconf

import (
	"io"
	"os"
	"path/filepath"
)

// Files is the access to files that parsing needs. Paths are used as written.
type Files interface {
	// Open opens a file for reading.
	Open(name string) (io.ReadCloser, error)
	// Glob returns the paths that match a shell pattern, sorted. It fails only
	// if the pattern is malformed.
	Glob(pattern string) ([]string, error)
	// List returns the names of the files in a directory, in any order.
	List(dir string) ([]string, error)
}

// OS is the file system of the machine.
type OS struct{}

// Open opens a file for reading.
func (OS) Open(name string) (io.ReadCloser, error) { return os.Open(name) }

// Glob returns the paths that match a shell pattern, sorted.
func (OS) Glob(pattern string) ([]string, error) { return filepath.Glob(pattern) }

// List returns the names of everything in a directory but directories.
func (OS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
