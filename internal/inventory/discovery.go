// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"net"
	"strings"

	"go.yaml.in/yaml/v3"
)

// group reads an element of file_sd: targets that share labels. A target's port
// is where Prometheus asks, not where NTP is spoken; that is the label ntp_port,
// or 123.
func (r *reader) group(n *yaml.Node) error {
	shared := Host{}
	var targets *yaml.Node
	err := r.each(n, "a group of targets", func(k, v *yaml.Node) error {
		switch k.Value {
		case "targets":
			targets = v
			return nil
		case "labels":
			return r.labels(&shared, v)
		}
		return r.errorf(k.Line, "unknown key %q (targets, labels)", k.Value)
	})
	if err != nil {
		return err
	}
	if targets.Kind != yaml.SequenceNode {
		return r.errorf(targets.Line, "targets must be a list")
	}
	for _, t := range targets.Content {
		h := shared
		h.Line = t.Line
		if h.Name, err = r.text(t, "a target"); err != nil {
			return err
		}
		if host, _, err := net.SplitHostPort(h.Name); err == nil {
			h.Name = host
		}
		if err := r.add(h); err != nil {
			return err
		}
	}
	return nil
}

// labels takes those labels that mean something here, also with the prefixes of
// service discovery (__meta_consul_metadata_rack).
func (r *reader) labels(h *Host, n *yaml.Node) error {
	return r.each(n, "labels", func(k, v *yaml.Node) error {
		name := k.Value
		if strings.HasPrefix(name, "__meta_") {
			name = name[strings.LastIndexByte(name, '_')+1:]
		}
		if name == "ntp_key" {
			name = "key"
		}
		switch k.Value {
		case "ntp_port":
			name = "port"
		case "port", "host", "name", "address", "key":
			return nil // of somebody else
		}
		if !strings.Contains(" rack zone row port key ", " "+name+" ") {
			return nil
		}
		s, err := r.text(v, k.Value)
		if err != nil || s == "" {
			return err
		}
		return r.field(h, k.Line, name, s)
	})
}

// consul reads a node of /v1/catalog/nodes or /v1/catalog/service. The port of a
// service counts if the service is ntp.
func (r *reader) consul(n *yaml.Node) error {
	h := Host{Line: n.Line}
	var service, port, serviceAddress string
	texts := map[string]*string{
		"Node": &h.Name, "Address": &h.Address, "ServiceAddress": &serviceAddress,
		"ServiceName": &service, "ServicePort": &port,
	}
	err := r.each(n, "a node", func(k, v *yaml.Node) error {
		switch k.Value {
		case "NodeMeta", "Meta", "ServiceMeta":
			if v.Tag == "!!null" {
				return nil
			}
			return r.labels(&h, v)
		}
		to := texts[k.Value]
		if to == nil {
			if strings.Contains(consulKeys, " "+k.Value+" ") || strings.HasPrefix(k.Value, "Service") {
				return nil
			}
			return r.errorf(k.Line, "unknown key %q", k.Value)
		}
		var err error
		*to, err = r.text(v, k.Value)
		return err
	})
	if err != nil {
		return err
	}
	if service == "ntp" && port != "" && port != "0" {
		if err := r.field(&h, n.Line, "port", port); err != nil {
			return err
		}
	}
	if serviceAddress != "" {
		h.Address = serviceAddress
	}
	return r.add(h)
}

// consulKeys are what else the catalogue says of a node.
const consulKeys = " ID Datacenter TaggedAddresses CreateIndex ModifyIndex Partition PeerName Namespace Locality "
