// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yaml reads YAML and JSON, of one of four forms:
//
//	racks: {RACK: {zone: Z, row: R, hosts: [HOST...]}}, or racks: {RACK: [HOST...]}
//	hosts: [HOST...], or the list alone
//	[{targets: [HOST...], labels: {...}}...]   Prometheus's file_sd
//	[{Node: ..., Address: ..., NodeMeta: {...}}...]   Consul's catalogue
//
// where HOST is a name, or a map of fields.
func (r *reader) yaml(text []byte) error {
	if json.Valid(text) {
		// YAML has no tabs between tokens, and JSON none inside them.
		text = bytes.ReplaceAll(text, []byte("\t"), []byte(" "))
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return r.badYAML(err)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	root := resolved(doc.Content[0])
	if root.Kind == yaml.SequenceNode {
		return r.sequence(root)
	}
	return r.each(root, "the inventory", func(key, value *yaml.Node) error {
		switch key.Value {
		case "racks":
			return r.racks(value)
		case "hosts":
			return r.hostList(value, Host{})
		}
		return r.errorf(key.Line, "unknown key %q (racks, hosts)", key.Value)
	})
}

// lineOf finds the line in an error of the library.
var lineOf = regexp.MustCompile(`line (\d+): (.*)`)

func (r *reader) badYAML(err error) error {
	if m := lineOf.FindStringSubmatch(err.Error()); m != nil {
		n, _ := strconv.Atoi(m[1])
		return r.errorf(n, "%s", m[2])
	}
	return r.errorf(0, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
}

// resolved follows an alias to what it stands for.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// each calls do for the pairs of a map, whose keys must differ.
func (r *reader) each(n *yaml.Node, what string, do func(key, value *yaml.Node) error) error {
	n = resolved(n)
	if n.Kind != yaml.MappingNode {
		return r.errorf(n.Line, "%s must be a map", what)
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], resolved(n.Content[i+1])
		if before := seen[key.Value]; before != 0 {
			return r.errorf(key.Line, "key %q is there already, in line %d", key.Value, before)
		}
		seen[key.Value] = key.Line
		if err := do(key, value); err != nil {
			return err
		}
	}
	return nil
}

// text returns the value of a scalar as it was written.
func (r *reader) text(n *yaml.Node, what string) (string, error) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return "", r.errorf(n.Line, "%s must be a word or a number", what)
	}
	return n.Value, nil
}

func (r *reader) racks(n *yaml.Node) error {
	return r.each(n, "racks", func(key, value *yaml.Node) error {
		var shared Host
		if err := r.field(&shared, key.Line, "rack", key.Value); err != nil {
			return err
		}
		if value.Kind == yaml.SequenceNode {
			return r.hostList(value, shared)
		}
		var hosts *yaml.Node
		err := r.each(value, "rack "+key.Value, func(k, v *yaml.Node) error {
			if k.Value == "hosts" {
				hosts = v
				return nil
			}
			if !strings.Contains(" zone row port key ", " "+k.Value+" ") {
				return r.errorf(k.Line, "unknown key %q (hosts, zone, row, port, key)", k.Value)
			}
			return r.scalar(&shared, k, v)
		})
		switch {
		case err != nil:
			return err
		case hosts == nil:
			return r.errorf(key.Line, "rack %s has no hosts", key.Value)
		}
		return r.hostList(hosts, shared)
	})
}

func (r *reader) scalar(h *Host, key, value *yaml.Node) error {
	s, err := r.text(value, key.Value)
	if err != nil {
		return err
	}
	return r.field(h, key.Line, key.Value, s)
}

// hostList reads hosts that share what shared has.
func (r *reader) hostList(n *yaml.Node, shared Host) error {
	n = resolved(n)
	if n.Kind != yaml.SequenceNode {
		return r.errorf(n.Line, "hosts must be a list")
	}
	for _, c := range n.Content {
		if err := r.host(resolved(c), shared); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) host(n *yaml.Node, h Host) error {
	h.Line = n.Line
	if n.Kind == yaml.ScalarNode {
		name, err := r.text(n, "a host")
		if err != nil {
			return err
		}
		h.Name = name
		return r.add(h)
	}
	rack := h.Rack
	err := r.each(n, "a host", func(k, v *yaml.Node) error { return r.scalar(&h, k, v) })
	if err == nil && rack != "" && h.Rack != rack {
		err = r.errorf(n.Line, "host %s of rack %s claims rack %s", h.Name, rack, h.Rack)
	}
	if err != nil {
		return err
	}
	return r.add(h)
}

// sequence reads a list: of hosts, of file_sd's groups, or of Consul's nodes. The
// first element decides.
func (r *reader) sequence(n *yaml.Node) error {
	for _, c := range n.Content {
		c = resolved(c)
		var err error
		switch {
		case has(c, "targets"):
			err = r.group(c)
		case has(c, "Node") || has(c, "ServiceID"):
			err = r.consul(c)
		default:
			err = r.host(c, Host{})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func has(n *yaml.Node, key string) bool {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}
