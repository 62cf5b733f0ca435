// SPDX-License-Identifier: Apache-2.0

package netns

import (
	"fmt"
	"io"
	"net"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// PassXDP attaches an XDP program that lets everything pass to one end of a link,
// until it is closed. A veth device delivers what the XDP program at the other end
// sends back only where there is such a program: else frames stay in its ring
// (veth_xdp_flush of drivers/net/veth.c).
func (s *Space) PassXDP(dev string) (io.Closer, error) {
	const pass = 2 // XDP_PASS
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, License: "Apache-2.0",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, pass), asm.Return()},
	})
	if err != nil {
		return nil, fmt.Errorf("load XDP program: %w", err)
	}
	defer prog.Close()
	var l link.Link
	err = s.Inside(func() error {
		iface, err := net.InterfaceByName(dev)
		if err != nil {
			return err
		}
		l, err = link.AttachXDP(link.XDPOptions{Program: prog, Interface: iface.Index, Flags: link.XDPDriverMode})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("attach XDP program to %s: %w", dev, err)
	}
	return l, nil
}
