// SPDX-License-Identifier: Apache-2.0

// Command racksbench measures "foliotctl racks run": many addresses of one foliotd
// in a namespace, behind a veth pair, asked from another namespace on one
// processor. All clocks are one, so every offset is an error. It shows how a run of
// a few hosts and one of thousands differ, what they cost, and beside them, in the
// same minute, what "chronyd -Q" and github.com/beevik/ntp find. It needs root; it
// sets no clock.
//
// The one concept is that a prober must not see itself: round trips and errors must
// be the same however many hosts it asks.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"foliot/internal/rackstat"
	"foliot/tests/netns"
)

// limits are what a run must keep to.
const (
	maxSeconds = 30.0
	maxRSS     = 200 << 20
)

type options struct {
	hosts      int
	few        int
	count      int
	interval   time.Duration
	directives string
	others     int
}

func main() {
	var o options
	flag.IntVar(&o.hosts, "hosts", 2000, "hosts of the large run")
	flag.IntVar(&o.few, "few", 10, "hosts of the small run")
	flag.IntVar(&o.count, "count", 10, "requests to each host")
	flag.DurationVar(&o.interval, "interval", 2*time.Second, "between two requests to a host")
	flag.StringVar(&o.directives, "directives", "", "more lines for the configuration of the server, \\n between them (as for a server in the kernel)")
	flag.IntVar(&o.others, "others", 20, "hosts that the others are given")
	flag.Parse()
	if err := bench(&o); err != nil {
		fmt.Fprintln(os.Stderr, "racksbench:", err)
		os.Exit(1)
	}
}

// measured is a line of the outcome.
type measured struct {
	name           string
	hosts, answers int
	offsets        []float64 // seconds
	delayP50       float64
	delayP99       float64
	lateP50        float64
	lateP99        float64
	wall, cpu      time.Duration
	rss            int64 // octets
	beyond         int   // offsets beyond their bounds
}

func bench(o *options) (err error) {
	if err := netns.Ready(); err != nil {
		return err
	}
	lab, err := netns.NewLab()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	bins, err := netns.Build(".", lab.Dir)
	if err != nil {
		return err
	}
	client, addrs, err := serve(lab, bins, o)
	if err != nil {
		return err
	}
	var list []*measured
	for _, n := range []int{o.few, o.hosts} {
		m, err := run(lab, client, bins, o, addrs[:n])
		if err != nil {
			return err
		}
		list = append(list, m)
	}
	for _, other := range []func(*netns.Lab, *netns.Space, []netip.Addr, int) (*measured, error){chronyQ, beevik} {
		m, err := other(lab, client, addrs[:min(o.others, o.few)], 3)
		if err != nil {
			fmt.Println("left out:", err)
			continue
		}
		list = append(list, m)
	}
	print(list)
	return judge(list[1])
}

// serve starts foliotd at all addresses.
func serve(lab *netns.Lab, bins *netns.Binaries, o *options) (client *netns.Space, addrs []netip.Addr, err error) {
	client, err = lab.Space()
	if err != nil {
		return nil, nil, err
	}
	server, err := lab.Space()
	if err != nil {
		return nil, nil, err
	}
	link, err := lab.Link(client, server)
	if err != nil {
		return nil, nil, err
	}
	var batch strings.Builder
	for i := range o.hosts {
		a := netip.AddrFrom4([4]byte{10, 99, byte(i >> 8), byte(i)})
		addrs = append(addrs, a)
		fmt.Fprintf(&batch, "addr add %s/32 dev lo\n", a)
	}
	path, err := lab.Write(batch.String(), "addresses")
	if err != nil {
		return nil, nil, err
	}
	if err := server.IP("-batch", path); err != nil {
		return nil, nil, err
	}
	if err := client.IP("route", "add", "10.99.0.0/16", "via", link.B4.String()); err != nil {
		return nil, nil, err
	}
	conf := "local stratum 3\nallow\n" + strings.ReplaceAll(o.directives, `\n`, "\n") + "\n"
	if _, err := server.Foliotd(bins, "server", conf); err != nil {
		return nil, nil, err
	}
	time.Sleep(2 * time.Second)
	return client, addrs, nil
}

// run is one call of foliotctl on one processor.
func run(lab *netns.Lab, client *netns.Space, bins *netns.Binaries, o *options, addrs []netip.Addr) (*measured, error) {
	var list strings.Builder
	for i, a := range addrs {
		fmt.Fprintf(&list, "%s r%d\n", a, i/20)
	}
	path, err := lab.Write(list.String(), "hosts")
	if err != nil {
		return nil, err
	}
	out := filepath.Join(lab.Dir, "report.json")
	cmd := client.Command("taskset", "-c", "0", bins.Foliotctl, "racks", "run", "--quiet", "-n", strconv.Itoa(o.count), "-i", o.interval.String(),
		"--against", "self", "--json", out, path)
	begin := time.Now()
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("racks run: %w: %s", err, text)
	}
	m := &measured{name: "foliotctl racks", hosts: len(addrs), wall: time.Since(begin)}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	m.cpu, m.rss = cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime(), usage.Maxrss*1024
	text, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	var r rackstat.Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, err
	}
	m.answers = int(r.Self.Answers)
	m.delayP50, m.delayP99, m.lateP50, m.lateP99 = r.Self.DelayP50, r.Self.DelayP99, r.Self.LateP50, r.Self.LateP99
	for i := range r.Hosts {
		if h := &r.Hosts[i]; h.Measured {
			m.offsets = append(m.offsets, h.Raw)
			if math.Abs(h.Raw) > h.Bound {
				m.beyond++
			}
		}
	}
	return m, nil
}

// chronyQ asks each host by "chronyd -Q", which measures four times or so and
// prints what it would do.
func chronyQ(lab *netns.Lab, client *netns.Space, addrs []netip.Addr, _ int) (*measured, error) {
	chronyd, err := exec.LookPath("chronyd")
	if err != nil {
		return nil, err
	}
	wrong := regexp.MustCompile(`System clock wrong by (-?[0-9.]+) seconds`)
	m := &measured{name: "chronyd -Q", hosts: len(addrs)}
	begin := time.Now()
	for _, a := range addrs {
		cmd := client.Command(chronyd, "-Q", "-f", "/dev/null", "-t", "10", "server "+a.String()+" iburst", "pidfile "+filepath.Join(lab.Dir, "q.pid"),
			"cmdport 0", "bindcmdaddress /")
		text, err := cmd.CombinedOutput()
		if found := wrong.FindSubmatch(text); found != nil {
			v, _ := strconv.ParseFloat(string(found[1]), 64)
			m.offsets = append(m.offsets, v)
			m.answers++
		} else if err != nil {
			return nil, fmt.Errorf("chronyd -Q: %w: %s", err, text)
		}
		m.cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	m.wall = time.Since(begin)
	return m, nil
}

// beevik asks each host by a program that uses github.com/beevik/ntp.
func beevik(lab *netns.Lab, client *netns.Space, addrs []netip.Addr, rounds int) (*measured, error) {
	program := filepath.Join(lab.Dir, "beevik")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = "tests/racksbench/beevik"
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build beevik: %w: %s", err, text)
	}
	args := []string{program, "-rounds", strconv.Itoa(rounds)}
	for _, a := range addrs {
		args = append(args, a.String())
	}
	cmd := client.Command(args...)
	begin := time.Now()
	text, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	m := &measured{name: "beevik/ntp", hosts: len(addrs), wall: time.Since(begin)}
	m.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	var delays []float64
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		var offset, delay float64
		if _, err := fmt.Sscan(lines.Text(), &offset, &delay); err != nil {
			return nil, err
		}
		m.offsets, delays = append(m.offsets, offset), append(delays, delay)
	}
	m.answers = len(delays)
	m.delayP50, m.delayP99 = netns.Quantile(delays, 0.5), netns.Quantile(delays, 0.99)
	return m, nil
}

func print(list []*measured) {
	us := func(v float64) string { return strconv.FormatFloat(v*1e6, 'f', 2, 64) }
	fmt.Printf("%-16s %6s %8s %9s %9s %9s %9s %9s %9s %7s %7s %7s %7s\n", "", "hosts", "answers", "|median|", "|p99|", "rtt p50", "rtt p99",
		"late p50", "late p99", "wall s", "cpu s", "RSS MB", "beyond")
	for _, m := range list {
		sizes := slices.Clone(m.offsets)
		for i := range sizes {
			sizes[i] = math.Abs(sizes[i])
		}
		fmt.Printf("%-16s %6d %8d %9s %9s %9s %9s %9s %9s %7.1f %7.2f %7.1f %7d\n", m.name, m.hosts, m.answers,
			us(math.Abs(netns.Quantile(m.offsets, 0.5))), us(netns.Quantile(sizes, 0.99)), us(m.delayP50), us(m.delayP99), us(m.lateP50), us(m.lateP99),
			m.wall.Seconds(), m.cpu.Seconds(), float64(m.rss)/(1<<20), m.beyond)
	}
	fmt.Println("times in microseconds unless told otherwise; offsets are errors, since all clocks are one")
}

// judge says what a large run did not keep to.
func judge(m *measured) error {
	var errs []error
	if m.wall.Seconds() > maxSeconds {
		errs = append(errs, fmt.Errorf("%d hosts took %.1f s (at most %.0f)", m.hosts, m.wall.Seconds(), maxSeconds))
	}
	if m.rss > maxRSS {
		errs = append(errs, fmt.Errorf("%d hosts took %d MB (at most %d)", m.hosts, m.rss>>20, maxRSS>>20))
	}
	if len(m.offsets) < m.hosts {
		errs = append(errs, fmt.Errorf("%d of %d hosts were not measured", m.hosts-len(m.offsets), m.hosts))
	}
	if m.beyond > 0 {
		errs = append(errs, fmt.Errorf("%d offsets are beyond their bounds", m.beyond))
	}
	return errors.Join(errs...)
}
