// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// File is a log that lines are appended to. It may be moved away at any time:
// Reopen begins a new one at the same path. Safe for concurrent use.
type File struct {
	mu   sync.Mutex
	path string
	file *os.File
	torn bool // the last write ended within a line
}

// OpenFile opens or creates the log at path. A symbolic link at that name is
// refused: the directory may belong to someone less trusted than the daemon.
func OpenFile(path string) (*File, error) {
	f := &File{path: path}
	return f, f.Reopen()
}

// Reopen closes the file and opens the one that is at the path now. After an
// error the old file is closed all the same, and the next Write tries again.
func (f *File) Reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.close()
	return f.open()
}

func (f *File) open() error {
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	f.file, f.torn = file, false
	return nil
}

func (f *File) close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

// Write appends whole lines with one system call. If the disk was full and took
// half a line, the next Write begins with a newline.
func (f *File) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		if err := f.open(); err != nil {
			return 0, err
		}
	}
	if f.torn {
		if _, err := f.file.Write([]byte("\n")); err != nil {
			return 0, err
		}
		f.torn = false
	}
	n, err := f.file.Write(b)
	if n > 0 && n < len(b) {
		f.torn = true
	}
	return n, err
}

// Close closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.close()
}

// Replace writes data to path so that every reader, and the next start after a
// power cut, sees either the old content or the new. It writes path.tmp, syncs
// it and renames it. The file at path keeps its content after an error.
func Replace(path string, data []byte, perm os.FileMode) error {
	tmp := path + ".tmp"
	// What an interrupted Replace left, or someone planted.
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename in dir last over a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// readSmall returns the content of the plain file at path, which may have at
// most limit octets. It does not follow a symbolic link in the last element.
func readSmall(path string, limit int) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > int64(limit) {
		return nil, &os.PathError{Op: "read", Path: path, Err: errNotOurs}
	}
	b := make([]byte, info.Size())
	n, err := f.ReadAt(b, 0)
	if n < len(b) {
		return nil, err
	}
	return b, nil
}

var errNotOurs = errors.New("not a small plain file")
