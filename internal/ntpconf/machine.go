// SPDX-License-Identifier: Apache-2.0

package ntpconf

import (
	"fmt"
	"net"
	"net/netip"

	"foliot/internal/chronyconf"
	"foliot/internal/config"
)

// This is the machine that runs the program.
func This() ([]Address, error) {
	faces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	var list []Address
	for _, f := range faces {
		addrs, err := f.Addrs()
		if err != nil {
			continue // it went away
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				list = append(list, Address{f.Name, p.Addr().Unmap().String()})
			}
		}
	}
	return list, nil
}

// Read reads a configuration in either language: that of ntp.conf if ntp says so or
// the file looks like it. It returns which it was.
func Read(files chronyconf.Files, path string, ntp bool) (c *config.Config, warnings []chronyconf.Warning, isNTP bool, err error) {
	if ntp || Recognize(files, path) {
		c, warnings, err = ParseFile(files, This, path)
		return c, warnings, true, err
	}
	c, warnings, err = chronyconf.ParseFile(files, path)
	return c, warnings, false, err
}
