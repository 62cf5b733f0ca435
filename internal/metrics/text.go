// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"strconv"
	"strings"
)

// text is the text format of Prometheus (version 0.0.4) or, if open, that of
// OpenMetrics 1.0.
type text struct {
	b    []byte
	open bool
}

var (
	escapeHelp   = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	escapeQuoted = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// begin writes what a family is. OpenMetrics calls a counter by its name without
// _total.
func (t *text) begin(f *family) {
	name, help := f.name, escapeHelp.Replace(f.help)
	if t.open {
		help = escapeQuoted.Replace(f.help)
		if f.kind == counter {
			name = strings.TrimSuffix(name, "_total")
		}
	}
	t.line("# HELP ", name, " ", help)
	t.line("# TYPE ", name, " ", string(f.kind))
	if unit := f.unit(); t.open && unit != "" {
		t.line("# UNIT ", name, " ", unit)
	}
}

func (t *text) line(parts ...string) {
	for _, p := range parts {
		t.b = append(t.b, p...)
	}
	t.b = append(t.b, '\n')
}

func (t *text) end() {}

// render writes labels as they stand between the braces.
func (t *text) render(names, values []string) string {
	b := make([]byte, 0, 128)
	for i, n := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, n...), `="`...)
		b = append(append(b, escapeQuoted.Replace(values[i])...), '"')
	}
	return string(b)
}

func (t *text) sample(f *family, labels, more string, v float64) { t.put(f.name, labels, more, v) }

func (t *text) put(name, labels, more string, v float64) {
	t.b = append(t.b, name...)
	if labels != "" {
		t.b = append(append(t.b, '{'), labels...)
		if more != "" {
			t.b = append(append(t.b, ','), more...)
		}
		t.b = append(t.b, '}')
	}
	t.b = append(t.b, ' ')
	switch v {
	case 0: // as most samples of sets of states
		t.b = append(t.b, '0')
	case 1:
		t.b = append(t.b, '1')
	default:
		t.b = strconv.AppendFloat(t.b, v, 'g', -1, 64)
	}
	t.b = append(t.b, '\n')
}

func (t *text) spread(f *family, d *spread) {
	n := uint64(0)
	for i, c := range d.buckets {
		n += c
		le := "+Inf"
		if i < len(d.buckets)-1 {
			le = strconv.FormatFloat(d.end(i), 'g', -1, 64)
		}
		if t.open && !strings.ContainsAny(le, ".eI") {
			le += ".0" // as OpenMetrics writes whole numbers here
		}
		t.put(f.name+"_bucket", `le="`+le+`"`, "", float64(n))
	}
	t.put(f.name+"_sum", "", "", d.sum)
	t.put(f.name+"_count", "", "", float64(n))
}

// Write appends p, so that a text is an [io.Writer].
func (t *text) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	return len(p), nil
}
