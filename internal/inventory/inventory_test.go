// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// brief is a host without its line, "-" for what it does not have.
func brief(h Host) string {
	h.Line = 0
	s := h.Rack + " " + h.Name + " " + h.Address
	if h.Port != DefaultPort {
		s += " port " + itoa(uint32(h.Port))
	}
	if h.Zone+h.Row != "" {
		s += " " + h.Zone + "/" + h.Row
	}
	if h.Key != 0 {
		s += " key " + itoa(h.Key)
	}
	return s
}

func itoa(n uint32) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

func TestFormats(t *testing.T) {
	tests := []struct {
		name, file, text string
		want             []string
	}{
		{"racks", "a.yaml", "racks:\n  r1:\n    zone: z\n    row: 7\n    hosts:\n      - a\n      - {host: b, address: 10.0.0.2, port: 1123, key: 5}\n  r2: [c, 'd:1124']\n",
			[]string{"r1 a a z/7", "r1 b 10.0.0.2 port 1123 z/7 key 5", "r2 c c", "r2 d:1124 d port 1124"}},
		{"hosts", "a.yml", "hosts:\n- host: a\n  rack: r1\n- b\n", []string{"r1 a a", "- b b"}},
		{"alias", "a.yaml", "racks:\n  r1: &l [a]\nhosts: [b]\n", []string{"r1 a a", "- b b"}},
		{"bare list", "", "- a\n- {host: b, rack: r}\n", []string{"- a a", "r b b"}},
		{"csv", "a.csv", "rack,host,port,zone,row,key\n# comment\nr1,a,,z,1,\n\"r2\",\"2001:db8::1\",1123,,,9\n",
			[]string{"r1 a a z/1", "r2 2001:db8::1 2001:db8::1 port 1123 key 9"}},
		{"csv sniffed", "-", "Host,Rack\na,r\n", []string{"r a a"}},
		{"list", "-", "# all\na r1\nb:1123 rack=r2 zone=z\n[2001:db8::1]:124\n2001:db8::2 # last\n",
			[]string{"r1 a a", "r2 b:1123 b port 1123 z/", "- [2001:db8::1]:124 2001:db8::1 port 124", "- 2001:db8::2 2001:db8::2"}},
		{"list begins with brackets", "-", "[2001:db8::1]:124 r1\n", []string{"r1 [2001:db8::1]:124 2001:db8::1 port 124"}},
		{"file_sd", "sd.json", "[\n\t{\"targets\": [\"a:9323\", \"[2001:db8::1]:9323\"], \"labels\": {\"rack\": \"r1\", \"job\": \"foliot\", \"port\": \"x\"}},\n\t{\"targets\": [\"b\"], \"labels\": {\"__meta_consul_metadata_rack\": \"r2\", \"ntp_port\": \"1123\"}}\n]",
			[]string{"r1 a a", "r1 2001:db8::1 2001:db8::1", "r2 b b port 1123"}},
		{"consul nodes", "-", `[{"ID":"x","Node":"a","Address":"10.1.1.1","Datacenter":"dc","TaggedAddresses":{"lan":"10.1.1.1"},"Meta":{"rack":"r1"},"CreateIndex":5}]`,
			[]string{"r1 a 10.1.1.1"}},
		{"consul service", "-", `[{"Node":"a","Address":"10.1.1.1","NodeMeta":{"rack":"r1"},"ServiceID":"n","ServiceName":"ntp","ServiceAddress":"10.9.9.9","ServicePort":1123,"ServiceMeta":null}]`,
			[]string{"r1 a 10.9.9.9 port 1123"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			hosts, err := Parse(tt.file, []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, h := range hosts {
				if h.Line == 0 {
					t.Errorf("%s has no line", h.Name)
				}
				got = append(got, brief(h))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	tests := []struct{ file, text, want string }{
		{"f.yaml", "racks:\n  r1:\n    hosts: [a]\n    colour: red\n", `f.yaml:4: unknown key "colour" (hosts, zone, row, port, key)`},
		{"f.yaml", "rack:\n  r1: [a]\n", `f.yaml:1: unknown key "rack" (racks, hosts)`},
		{"f.yaml", "racks:\n  \"r\\e[2J\": [a]\n", `f.yaml:2: rack "r\x1b[2J" has control characters`},
		{"f.yaml", "hosts:\n- a\n- host: b\n  prot: 5\n", `f.yaml:4: unknown field "prot" (host, address, port, rack, zone, row, key)`},
		{"f.yaml", "hosts:\n- a\n- host: b\n  port: 70000\n", `f.yaml:4: port "70000" (1..65535)`},
		{"f.yaml", "hosts: [a, b\n", "f.yaml:1: did not find expected ',' or ']'"},
		{"f.yaml", "hosts:\n- a\n- A\n", "f.yaml:3: host A is there already, in line 2"},
		{"f.yaml", "hosts: [[a]]\n", "f.yaml:1: a host must be a map"},
		{"f.yaml", "hosts: [~]\n", "f.yaml:1: a host must be a word or a number"},
		{"f.yaml", "racks:\n  r1: [a]\n  r1: [b]\n", `f.yaml:3: key "r1" is there already, in line 2`},
		{"f.yaml", "racks: {r1: [{host: a, rack: r2}]}\n", "f.yaml:1: host a of rack r1 claims rack r2"},
		{"f.yaml", "racks:\n  r1: {zone: z}\n", "f.yaml:2: rack r1 has no hosts"},
		{"f.yaml", "", "f.yaml: has no hosts"},
		{"f.yaml", "just words\n", "f.yaml:1: the inventory must be a map"},
		{"f.csv", "rack,host\nr1,a\nr1\n", "f.csv:3: wrong number of fields"},
		{"f.csv", "rack,hosts\nr1,a\n", `f.csv:1: unknown column "hosts" (host, address, port, rack, zone, row, key)`},
		{"f.csv", "rack,port\nr1,1\n", "f.csv:1: no column is named host"},
		{"f.csv", "host,host\na,b\n", `f.csv:1: column "host" is there twice`},
		{"f.csv", "host,key\na,0\n", `f.csv:2: key "0" (1..4294967295)`},
		{"f.txt", "a r1\nb c d\n", `f.txt:2: unexpected word "d", fields are NAME=VALUE`},
		{"f.txt", "a/b r1\n", `f.txt:1: "a/b" is neither a host name nor an address`},
		{"f.txt", "a:b\n", `f.txt:1: port "b" of "a:b" (1..65535)`},
		{"f.txt", "a:123 port=124\n", "f.txt:1: host a:123 has two ports, 123 and 124"},
		{"sd.json", `[{"targets": ["a"], "label": {}}]`, `sd.json:1: unknown key "label" (targets, labels)`},
		{"c.json", `[{"Node": "a", "Adress": "b"}]`, `c.json:1: unknown key "Adress"`},
	}
	for _, tt := range tests {
		_, err := Parse(tt.file, []byte(tt.text))
		if err == nil || err.Error() != tt.want {
			t.Errorf("%q: error %v, want %s", tt.text, err, tt.want)
		}
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "racks.txt")
	if err := os.WriteFile(path, []byte("a r1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, in string }{{path, ""}, {"-", "a r1\n"}} {
		hosts, err := Load(tt.path, strings.NewReader(tt.in))
		if err != nil || len(hosts) != 1 || hosts[0].Rack != "r1" {
			t.Errorf("%s: %v, %v", tt.path, hosts, err)
		}
	}
	if _, err := Load(path+".missing", nil); !os.IsNotExist(err) {
		t.Errorf("a missing file: %v", err)
	}
}

// FuzzParse: nothing panics, and what is accepted can be asked.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"racks: {r: [a]}", "rack,host\nr,a", "a r1\n[::1]:5", `[{"targets":["a:1"],"labels":{"rack":"r"}}]`,
		"a: &a [*a]\nhosts: *a", "hosts: &h [*h]"} {
		for _, name := range []string{"f.yaml", "f.csv", "f.txt", "-"} {
			f.Add(name, []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		hosts, err := Parse(name, text)
		if err != nil {
			return
		}
		for _, h := range hosts {
			if h.Address == "" || h.Name == "" || h.Port == 0 || h.Rack == "" {
				t.Errorf("%+v of %q", h, text)
			}
		}
	})
}
