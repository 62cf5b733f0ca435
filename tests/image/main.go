// SPDX-License-Identifier: Apache-2.0

// Command image makes the file system of the container image with the Dockerfile's
// own instructions and runs the daemon in it: no engine is needed. The machine
// itself, seen through an overlay, stands in for the image with Go.
//
// It needs root, and sets no clock: the daemon runs with -x and without
// CAP_SYS_TIME, in a network namespace of its own.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "inside" {
		must(inside(os.Args[2]))
		return
	}
	dir, err := os.MkdirTemp("", "foliot-image")
	must(err)
	// Mounts and namespaces end with the second process.
	cmd := exec.Command("/proc/self/exe", "inside", dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	err = cmd.Run()
	os.RemoveAll(dir)
	must(err)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// image is the final stage of the Dockerfile.
type image struct {
	builder, root string // file systems of the two stages
	dir           string // WORKDIR
	final         bool
	entry, cmd    []string
	health        []string
}

func inside(dir string) error {
	im := &image{builder: filepath.Join(dir, "builder"), root: filepath.Join(dir, "root"), dir: "/"}
	if err := im.overlay(dir); err != nil {
		return err
	}
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		if err := im.instruction(word, rest); err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
	}
	return im.try()
}

// overlay lets the commands of the build write to a copy of this machine.
func (im *image) overlay(dir string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	for _, d := range []string{"builder", "root"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	// What an overlay writes to must not be on an overlay itself.
	layer := filepath.Join(dir, "layer")
	if err := os.Mkdir(layer, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", layer, "tmpfs", 0, ""); err != nil {
		return err
	}
	for _, d := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(layer, d), 0o755); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=/,upperdir=%s/upper,workdir=%s/work", layer, layer)
	if err := syscall.Mount("overlay", im.builder, "overlay", 0, options); err != nil {
		return fmt.Errorf("mount overlay: %w", err)
	}
	for _, d := range []string{"/dev", "/proc"} {
		if err := syscall.Mount(d, im.builder+d, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
			return err
		}
	}
	return nil
}

func (im *image) instruction(word, rest string) error {
	switch word {
	case "FROM":
		im.final = rest == "scratch"
		return nil
	case "WORKDIR":
		im.dir = rest
		return os.MkdirAll(im.builder+rest, 0o755)
	case "RUN":
		return im.run(rest)
	case "COPY":
		return im.copy(strings.Fields(rest))
	case "ENTRYPOINT":
		return json.Unmarshal([]byte(rest), &im.entry)
	case "CMD":
		return json.Unmarshal([]byte(rest), &im.cmd)
	case "HEALTHCHECK":
		_, list, _ := strings.Cut(rest, "CMD ")
		return json.Unmarshal([]byte(list), &im.health)
	case "EXPOSE", "VOLUME":
		return nil
	}
	return errors.New("an instruction that this test does not know")
}

// run carries out a command of the build.
func (im *image) run(line string) error {
	cmd := exec.Command("/bin/sh", "-c", line)
	cmd.Dir = im.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: im.builder}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// copy is COPY: from the source tree into the build, or from there into the image.
func (im *image) copy(args []string) error {
	owner := "0:0"
	from := "."
	for len(args) > 0 && strings.HasPrefix(args[0], "--") {
		name, value, _ := strings.Cut(args[0], "=")
		switch name {
		case "--from":
			from = im.builder
		case "--chown":
			owner = value
		}
		args = args[1:]
	}
	to := args[len(args)-1]
	if !im.final {
		// The ignored directories are not in the context.
		if args[0] == "." {
			list, err := filepath.Glob("*")
			if err != nil {
				return err
			}
			args = append(list, to)
		}
		to = filepath.Join(im.builder, im.dir)
	} else {
		to = im.root + to
	}
	for _, a := range args[:len(args)-1] {
		if a == "bin" || a == ".git" {
			continue
		}
		if err := copyAll(filepath.Join(from, a), to, im.final); err != nil {
			return err
		}
	}
	if !im.final {
		return nil
	}
	return chown(to, owner)
}

// copyAll copies a file or tree; exact says that to is its new name, else it is the
// directory.
func copyAll(from, to string, exact bool) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	args := []string{"-a"}
	if exact {
		args = append(args, "-T")
	}
	out, err := exec.Command("cp", append(args, from, to)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func chown(path, owner string) error {
	u, g, _ := strings.Cut(owner, ":")
	uid, err1 := strconv.Atoi(u)
	gid, err2 := strconv.Atoi(g)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return filepath.WalkDir(path, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, uid, gid)
	})
}

// try runs the daemon as the image does, and as users are told to.
func (im *image) try() error {
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if len(im.entry) == 0 || len(im.cmd) == 0 || len(im.health) == 0 {
		return errors.New("the Dockerfile lacks ENTRYPOINT, CMD or HEALTHCHECK")
	}
	for _, v := range []struct {
		name string
		args []string
		uid  uint32
	}{
		{"started as root, serving only", append([]string{"-x"}, im.cmd...), 0},
		{"never root", []string{"-n", "-x", "-U", "-f", "default"}, 101},
	} {
		if err := im.serve(v.args, v.uid); err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
		fmt.Println("ok:", v.name)
	}
	return im.measure()
}

// What a start may take, and what memory then.
const (
	startLimit = 100 * time.Millisecond
	rssLimit   = 40 << 10 // kB
)

// measure reports the time from the start to the first answer, and the memory with
// metrics and the status page on. The machine may be busy: the best of five counts.
func (im *image) measure() error {
	best, rss := time.Hour, 0
	for range 5 {
		cmd := exec.Command(im.entry[0], "-n", "-x", "-u", "foliot", "local stratum 1", "allow", "metrics listen 127.0.0.1:9923")
		cmd.Dir, cmd.Env = "/", []string{}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: im.root}
		begin := time.Now()
		if err := cmd.Start(); err != nil {
			return err
		}
		took, err := answered(begin)
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if err != nil {
			return err
		}
		best = min(best, took)
		if _, line, ok := strings.Cut(string(status), "VmRSS:"); ok {
			fmt.Sscan(line, &rss)
		}
	}
	info, err := os.Stat(im.root + im.entry[0])
	if err != nil {
		return err
	}
	fmt.Printf("foliotd: %d octets, first answer %v after the start, %d kB resident\n", info.Size(), best.Round(time.Millisecond), rss)
	if best > startLimit || rss > rssLimit || rss == 0 {
		return fmt.Errorf("more than %v and %d kB", startLimit, rssLimit)
	}
	return nil
}

// answered asks for the time until there is an answer.
func answered(begin time.Time) (time.Duration, error) {
	conn, err := net.Dial("udp", "127.0.0.1:123")
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	request := make([]byte, 48)
	request[0] = 4<<3 | 3 // version and mode (RFC 5905 section 7.3)
	for time.Since(begin) < 5*time.Second {
		conn.Write(request) // refused while nobody listens
		conn.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
		if n, err := conn.Read(make([]byte, 100)); err == nil && n == 48 {
			return time.Since(begin), nil
		}
		time.Sleep(time.Millisecond)
	}
	return 0, errors.New("no answer within 5 s")
}

func (im *image) serve(args []string, uid uint32) error {
	var said bytes.Buffer
	cmd := exec.Command(im.entry[0], args...)
	cmd.Dir, cmd.Env = "/", []string{}
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: im.root, Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if uid != 0 {
		// Docker lets everybody open low ports in a container.
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0o644); err != nil {
			return err
		}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	}()
	var err error
	for range 50 {
		time.Sleep(100 * time.Millisecond)
		check := exec.Command(im.health[0], im.health[1:]...)
		check.Dir, check.Env = "/", []string{}
		check.SysProcAttr = &syscall.SysProcAttr{Chroot: im.root}
		var out []byte
		if out, err = check.CombinedOutput(); err == nil {
			return im.confirm(cmd.Process.Pid)
		}
		err = fmt.Errorf("health check: %w: %s", err, out)
	}
	return fmt.Errorf("%w\nfoliotd said:\n%s", err, said.String())
}

// confirm checks that the daemon is not root once it runs.
func (im *image) confirm(pid int) error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err
	}
	if !strings.Contains(string(status), "Uid:\t101\t101\t101\t101\n") {
		return fmt.Errorf("foliotd does not run as user 101:\n%s", status)
	}
	return nil
}
