// SPDX-License-Identifier: Apache-2.0

// Package inventory reads which hosts a cluster has and which rack each of them
// is in: from YAML, CSV, a plain list, or the JSON that Prometheus's file_sd and
// Consul's catalogue have. It asks no name server and opens no socket.
//
// The one concept is that an inventory is written by people and scripts, who
// mistype: what is not understood is an error with its file and line, and
// nothing is guessed. Labels of file_sd are free by nature, and pass.
package inventory

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// MaxSize is the longest inventory that is read, octets.
const MaxSize = 64 << 20

// DefaultPort is where hosts are asked that have no other port.
const DefaultPort = 123

// NoRack is the rack of hosts that were given none.
const NoRack = "-"

// Host is one that is to be measured.
type Host struct {
	Name    string // what people call it
	Address string // where to ask: a name or an address
	Port    uint16
	Rack    string // NoRack if none was given
	Zone    string // "" if none was given; likewise Row
	Row     string
	Key     uint32 // ID of the symmetric key, 0 for none
	Line    int    // where it was written
}

// Error is what is wrong with an inventory.
type Error struct {
	File string
	Line int // from 1; 0 if it is about the whole file
	Text string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// Load reads the inventory in a file, or with the path "-" what in has.
func Load(path string, in io.Reader) ([]Host, error) {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, MaxSize+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", path, err)
	case len(text) > MaxSize:
		return nil, &Error{File: path, Text: fmt.Sprintf("is longer than %d octets", MaxSize)}
	}
	return Parse(path, text)
}

// Parse reads an inventory. The name of the file tells its format if it ends in
// .yaml, .yml, .json or .csv, else what the text looks like does.
func Parse(file string, text []byte) ([]Host, error) {
	r := &reader{file: file, seen: map[string]int{}}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	var err error
	switch format(file, text) {
	case "yaml":
		err = r.yaml(text)
	case "csv":
		err = r.csv(text)
	default:
		err = r.list(text)
	}
	if err != nil {
		return nil, err
	}
	if len(r.hosts) == 0 {
		return nil, &Error{File: file, Text: "has no hosts"}
	}
	return r.hosts, nil
}

// format tells how a text is to be read. JSON is YAML.
func format(file string, text []byte) string {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".yaml", ".yml", ".json":
		return "yaml"
	case ".csv":
		return "csv"
	case ".txt", ".list":
		return "list"
	}
	first := firstLine(text)
	switch {
	case strings.HasPrefix(first, "{"), strings.HasPrefix(first, "- "), first == "racks:", first == "hosts:", first == "---":
		return "yaml"
	case strings.HasPrefix(first, "[") && !isHost(first):
		return "yaml"
	case slices.Contains(columns(first), "host"):
		return "csv"
	}
	return "list"
}

// isHost tells an IPv6 address in brackets from a list of JSON.
func isHost(line string) bool {
	word, _, _ := strings.Cut(line, " ")
	_, _, err := split(word)
	return err == nil
}

func columns(line string) []string {
	list := strings.Split(line, ",")
	for i := range list {
		list[i] = strings.ToLower(strings.Trim(list[i], " \t\""))
	}
	return list
}

// firstLine returns the first line that says something.
func firstLine(text []byte) string {
	for line := range bytes.Lines(text) {
		if s := strings.TrimSpace(string(line)); s != "" && s[0] != '#' {
			return s
		}
	}
	return ""
}

// reader collects hosts.
type reader struct {
	file  string
	hosts []Host
	seen  map[string]int // line of each host by where it is asked
}

func (r *reader) errorf(line int, format string, args ...any) error {
	return &Error{File: r.file, Line: line, Text: fmt.Sprintf(format, args...)}
}

// add takes a host in. Its address may be missing, or have a port.
func (r *reader) add(h Host) error {
	where := h.Address
	if where == "" {
		where = h.Name
	}
	address, port, err := split(where)
	if err != nil {
		return r.errorf(h.Line, "%v", err)
	}
	switch {
	case port != 0 && h.Port != 0 && port != h.Port:
		return r.errorf(h.Line, "host %s has two ports, %d and %d", where, port, h.Port)
	case h.Port == 0 && port != 0:
		h.Port = port
	case h.Port == 0:
		h.Port = DefaultPort
	}
	if h.Name == "" || h.Name == where {
		h.Name = where
		if port == DefaultPort {
			h.Name = address
		}
	}
	h.Address = address
	if h.Rack == "" {
		h.Rack = NoRack
	}
	id := strings.ToLower(net.JoinHostPort(address, strconv.Itoa(int(h.Port))))
	if before := r.seen[id]; before != 0 {
		return r.errorf(h.Line, "host %s is there already, in line %d", where, before)
	}
	r.seen[id] = h.Line
	r.hosts = append(r.hosts, h)
	return nil
}

// split divides "host", "host:port", "[v6]:port" and "v6".
func split(where string) (host string, port uint16, err error) {
	if a, err := netip.ParseAddr(strings.Trim(where, "[]")); err == nil {
		return a.Unmap().String(), 0, nil
	}
	host = where
	if name, p, err := net.SplitHostPort(where); err == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return "", 0, fmt.Errorf("port %q of %q (1..65535)", p, where)
		}
		host, port = name, uint16(n)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().String(), port, nil
	}
	if !isName(host) {
		return "", 0, fmt.Errorf("%q is neither a host name nor an address", where)
	}
	return host, port, nil
}

// isName tells whether s can be a host name (RFC 1123, and underscores).
func isName(s string) bool {
	if s == "" || len(s) > 253 || s[0] == '-' || s[0] == '.' {
		return false
	}
	for _, c := range []byte(s) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("-._", rune(c)) {
			return false
		}
	}
	return !strings.Contains(s, "..")
}

// set stores the value of a named field. It reports false for an unknown name.
func (h *Host) set(name, value string) (known bool, err error) {
	if strings.ContainsFunc(value, unicode.IsControl) {
		return true, fmt.Errorf("%s %q has control characters", name, value)
	}
	switch name {
	case "host", "name":
		h.Name = value
	case "address":
		h.Address = value
	case "rack":
		h.Rack = value
	case "zone":
		h.Zone = value
	case "row":
		h.Row = value
	case "port":
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil || n == 0 {
			return true, fmt.Errorf("port %q (1..65535)", value)
		}
		h.Port = uint16(n)
	case "key":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil || n == 0 {
			return true, fmt.Errorf("key %q (1..4294967295)", value)
		}
		h.Key = uint32(n)
	default:
		return false, nil
	}
	return true, nil
}

// fieldNames are those that set understands, for messages.
const fieldNames = "host, address, port, rack, zone, row, key"
