// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"foliot/internal/acl"
	"foliot/internal/clientlog"
	"foliot/internal/clock"
	"foliot/internal/fastpath"
	"foliot/internal/responder"
	"foliot/tests/netns"
)

// bench is the loop: generator and sink at the near end of a link, servers at the
// far one.
type bench struct {
	options
	objs      benchObjects
	lab       *netns.Lab
	near, far *netns.Space
	link      *netns.Link
	ifindex   int // of the near end
	sink      link.Link
	snap      responder.Snapshot
}

func newBench(o *options) (*bench, error) {
	b := &bench{options: *o}
	if err := loadBenchObjects(&b.objs, nil); err != nil {
		return nil, fmt.Errorf("load programs: %w", err)
	}
	if err := b.build(); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bench) build() (err error) {
	if b.lab, err = netns.NewLab(); err != nil {
		return err
	}
	for _, s := range []**netns.Space{&b.near, &b.far} {
		if *s, err = b.lab.Space(); err != nil {
			return err
		}
	}
	if b.link, err = b.lab.Link(b.near, b.far); err != nil {
		return err
	}
	to, err := mac(b.far, b.link.BDev)
	if err != nil {
		return err
	}
	err = b.near.Inside(func() error {
		iface, err := net.InterfaceByName(b.link.ADev)
		if err != nil {
			return err
		}
		b.ifindex = iface.Index
		if err := b.template(iface.HardwareAddr, to); err != nil {
			return err
		}
		b.sink, err = link.AttachXDP(link.XDPOptions{Program: b.objs.Absorb, Interface: iface.Index, Flags: link.XDPDriverMode})
		return err
	})
	if err != nil {
		return err
	}
	// The clients are beyond the near end, and have no other way there.
	if err := b.far.IP("route", "add", "10.0.0.0/12", "via", b.link.A4.String()); err != nil {
		return err
	}
	now := clock.At[clock.Realtime](time.Now().UnixNano())
	b.snap = responder.Snapshot{Stratum: 1, RefID: 0x4c4f434c, RefTime: clock.ServedAt(now, 0), Precision: -25, DispRate: 1e-6}
	return nil
}

func mac(s *netns.Space, dev string) (a net.HardwareAddr, err error) {
	err = s.Inside(func() error {
		iface, err := net.InterfaceByName(dev)
		if err == nil {
			a = iface.HardwareAddr
		}
		return err
	})
	return a, err
}

// template gives the generator the request that it makes all others from.
func (b *bench) template(from, to net.HardwareAddr) error {
	be := binary.BigEndian
	f := append(append([]byte(nil), to...), from...)
	f = append(f, 8, 0)
	f = append(f, 0x45, 0, 0, 76, 0, 0, 0x40, 0, 64, 17, 0, 0, 0, 0, 0, 0)
	f = append(f, b.link.B4.AsSlice()...)
	f = append(f, 0x9c, 0x40, 0, 123, 0, 56, 0, 0)
	request := [48]byte{0: 4<<3 | 3, 2: 6, 40: 1}
	f = append(f, request[:]...)
	sum := func(b []byte) (n uint32) {
		for i := 0; i < len(b); i += 2 {
			n += uint32(binary.LittleEndian.Uint16(b[i:]))
		}
		return n
	}
	pseudo := sum(b.link.B4.AsSlice()) + uint32(be.Uint16([]byte{17, 0})) + uint32(be.Uint16([]byte{56, 0}))
	v := &b.objs.benchVariables
	return errors.Join(
		v.Template.Set(append(f, 0, 0)), v.IpSum.Set(sum(f[14:34])), v.UdpSum.Set(sum(f[34:])+pseudo),
	)
}

// row is one line of the table.
type row struct {
	name string
	run  func() (result, error)
}

// rows are the servers that are compared.
func (b *bench) rows() []row {
	limit := clientlog.NewLimit(-29, 255, 4, 0) // so short that nobody ever exceeds it
	rows := []row{
		{"frames dropped by the server", func() (result, error) { return b.plain(b.objs.Drop, b.objs.Dropped) }},
		{"bare reflector", func() (result, error) { return b.plain(b.objs.Reflect, b.objs.Received) }},
		{"answers, no rate limit, 1 client", func() (result, error) { return b.answerer(1, nil) }},
	}
	for _, n := range []uint32{1, 4000, 40_000, 1_000_000} {
		rows = append(rows, row{fmt.Sprintf("answers, %d clients", n), func() (result, error) { return b.answerer(n, limit) }})
	}
	if b.chronyd && runtime.NumCPU() > 1 {
		rows = append(rows, row{"chronyd, of its own processor time", b.stock})
	}
	return rows
}

// plain measures a server that is one program of ours.
func (b *bench) plain(p *ebpf.Program, count *ebpf.Variable) (r result, err error) {
	var l link.Link
	err = b.far.Inside(func() error {
		iface, err := net.InterfaceByName(b.link.BDev)
		if err == nil {
			l, err = link.AttachXDP(link.XDPOptions{Program: p, Interface: iface.Index, Flags: link.XDPDriverMode})
		}
		return err
	})
	if err != nil {
		return r, err
	}
	r, err = b.loop(1, count)
	return r, errors.Join(err, l.Close())
}

// tableSize is the memory for records of so many clients, octets: room for all and
// some more, as a server of that size would be given.
func tableSize(clients uint32) int64 { return max(8<<20, 96*int64(clients)) }

// load returns the programs under test, attached to nothing. Clients are allowed
// by one of a thousand rules.
func (b *bench) load(clients uint32, limit *clientlog.Limit) (*fastpath.Fastpath, error) {
	f, err := fastpath.Load(fastpath.Config{Clients: tableSize(clients), Key: clientlog.HashKey{5, 6}})
	if err != nil {
		return nil, err
	}
	rules := []acl.Rule{{Allow: true, Prefix: netip.MustParsePrefix("10.0.0.0/8")}}
	for i := range 999 {
		rules = append(rules, acl.Rule{Allow: true, Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(i), byte(i >> 8), 0}), 24)})
	}
	_, err = f.SetAddrs([]fastpath.Own{{Addr: b.link.B4}})
	err = errors.Join(err, f.SetPolicy(acl.New(rules), limit), f.Publish(&b.snap, 4*clock.Second, fastpath.Leads{}))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// answerer measures the programs under test with so many clients.
func (b *bench) answerer(clients uint32, limit *clientlog.Limit) (r result, err error) {
	f, err := b.load(clients, limit)
	if err != nil {
		return r, err
	}
	err = b.far.Inside(func() error { _, err := f.Attach(b.link.BDev, fastpath.Native); return err })
	if err == nil {
		r, err = b.loop(clients, b.objs.Received)
	}
	list, counted := f.Counters()
	if err = errors.Join(err, counted); err == nil {
		in := &list[0].In
		if n := in.Packets() - in.Verdict(fastpath.Answered); n > in.Packets()/1000 {
			err = fmt.Errorf("%d of %d requests were not answered in the kernel: %v", n, in.Packets(), in.Verdicts[0])
		}
	}
	return r, errors.Join(err, f.Close())
}

// loop lets the generator run, and returns what arrived where count counts.
func (b *bench) loop(clients uint32, count *ebpf.Variable) (r result, err error) {
	if err := b.population(clients); err != nil {
		return r, err
	}
	// All clients become known first: that is no part of the pace.
	if err := b.send(max(int(clients), 20_000)); err != nil {
		return r, err
	}
	before, err := value(count)
	if err != nil {
		return r, err
	}
	sent, begin := 0, time.Now()
	for time.Since(begin) < b.duration {
		const some = 200_000 // a run takes some 20 ms to begin and end
		if err := b.send(some); err != nil {
			return r, err
		}
		sent += some
	}
	took := time.Since(begin)
	after, err := value(count)
	got := float64(after - before)
	return result{rate: got / took.Seconds(), lost: 1 - got/float64(sent)}, err
}

// population sets how many clients there are. Each asks once before any asks
// again, in an order that scatters them.
func (b *bench) population(n uint32) error {
	step := uint32(1)
	for _, s := range []uint32{618_033, 24_733, 2477} {
		if s < n {
			step = s // a prime that does not divide any of our numbers
			break
		}
	}
	v := &b.objs.benchVariables
	return errors.Join(v.Clients.Set(n), v.Step.Set(min(step, n-1)), v.Client.Set(uint32(0)))
}

func value(v *ebpf.Variable) (n uint64, err error) { return n, v.Get(&n) }

// liveFrames is BPF_F_TEST_XDP_LIVE_FRAMES of linux/bpf.h: what the program
// returns is done with the frame.
const liveFrames = 1 << 1

// xdpMD is struct xdp_md of linux/bpf.h.
type xdpMD struct{ Data, DataEnd, DataMeta, IngressIfindex, RxQueueIndex, EgressIfindex uint32 }

// send sends n requests, on the processor of the loop, which then does all the
// rest on the way.
func (b *bench) send(n int) error {
	return b.near.Inside(func() error {
		return netns.OnCPU(b.cpu, func() error {
			_, err := b.objs.Generate.Run(&ebpf.RunOptions{
				Data: make([]byte, 90), Repeat: uint32(n), Flags: liveFrames, BatchSize: 64,
				Context: &xdpMD{DataEnd: 90, IngressIfindex: uint32(b.ifindex)},
			})
			return err
		})
	})
}

// stock measures chronyd: what it answers in a second of its own processor time.
// The way of a request to its socket is paid by the loop's processor.
func (b *bench) stock() (r result, err error) {
	var pass io.Closer
	if pass, err = b.far.PassXDP(b.link.BDev); err != nil {
		return r, err
	}
	defer pass.Close()
	var d *netns.Daemon
	err = netns.OnCPU((b.cpu+1)%runtime.NumCPU(), func() error {
		d, err = b.far.Chronyd("chronyd", "allow all\nlocal stratum 1\nnoclientlog\n")
		return err
	})
	if err != nil {
		return r, err
	}
	defer d.Kill()
	if err := b.population(4000); err != nil {
		return r, err
	}
	if err := b.ready(); err != nil {
		return r, err
	}
	before, _ := value(b.objs.Received)
	used, err := d.CPU()
	if err != nil {
		return r, err
	}
	sent := 0
	for begin := time.Now(); time.Since(begin) < 2*b.duration; time.Sleep(200 * time.Microsecond) {
		const some = 40 // fits into the socket's buffer
		if err := b.send(some); err != nil {
			return r, err
		}
		sent += some
	}
	time.Sleep(50 * time.Millisecond)
	after, _ := value(b.objs.Received)
	now, err := d.CPU()
	got := float64(after - before)
	return result{rate: got / (now - used).Seconds(), lost: 1 - got/float64(sent)}, err
}

// ready waits until somebody answers.
func (b *bench) ready() error {
	before, _ := value(b.objs.Received)
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err := b.send(1); err != nil {
			return err
		}
		if now, _ := value(b.objs.Received); now != before {
			return nil
		}
	}
	return errors.New("chronyd does not answer")
}

// close removes everything.
func (b *bench) close() error {
	var errs []error
	if b.sink != nil {
		errs = append(errs, b.sink.Close())
	}
	if b.lab != nil {
		errs = append(errs, b.lab.Close())
	}
	return errors.Join(append(errs, b.objs.Close())...)
}
