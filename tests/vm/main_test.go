// SPDX-License-Identifier: Apache-2.0

//go:build vm

package vm

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// lab is what all machines share.
var lab struct {
	cache   string
	payload string // disk with the agent, the package and the check programs
	epoch   time.Time
	// port is the UDP port on loopback over which the last network goes: each
	// test has one of its own.
	port  atomic.Int32
	build sync.Mutex // held while a disk is built
}

func TestMain(m *testing.M) { os.Exit(prepare(m)) }

func prepare(m *testing.M) int {
	dir, err := os.MkdirTemp("", "foliot-vm")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	cache, err := os.UserCacheDir()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	lab.cache, lab.epoch = filepath.Join(cache, "foliot-vm"), time.Now()
	lab.port.Store(20000 + int32(os.Getpid()%20000))
	if err := makePayload(dir); err != nil {
		fmt.Fprintln(os.Stderr, "make payload:", err)
		return 1
	}
	return m.Run()
}

// makePayload puts what the machines get into a file system.
func makePayload(dir string) error {
	files := filepath.Join(dir, "payload")
	if err := os.Mkdir(files, 0o755); err != nil {
		return err
	}
	for _, p := range []string{"agent", "kudu"} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", files, "./"+p)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w: %s", p, err, out)
		}
	}
	debs, err := filepath.Glob("../../bin/packages/foliot_*_amd64.deb")
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("%d packages in bin/packages, want one: make packages ARCHS=amd64", len(debs))
	}
	if err := copyFile(filepath.Join(files, "foliot.deb"), debs[0]); err != nil {
		return err
	}
	lab.payload = filepath.Join(dir, "payload.img")
	out, err := exec.Command("mkfs.ext4", "-q", "-d", files, lab.payload, "64M").CombinedOutput()
	if err != nil {
		return fmt.Errorf("mkfs.ext4: %w: %s", err, out)
	}
	return nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// image returns the directory of a disk, built if need be.
func image(t *testing.T, suite, kernel string) string {
	t.Helper()
	lab.build.Lock()
	defer lab.build.Unlock()
	dir := filepath.Join(lab.cache, suite+"-"+kernel)
	cmd := exec.Command("./image.sh", suite, kernel, dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build disk of %s: %v: %s", suite, err, out)
	}
	return dir
}

// trixie returns the disk that most machines have.
func trixie(t *testing.T) string { return image(t, "trixie", "linux-image-cloud-amd64") }
