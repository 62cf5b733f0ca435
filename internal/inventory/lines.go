// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
)

// list reads lines of
//
//	HOST [RACK] [NAME=VALUE]...
//
// with comments after "#".
func (r *reader) list(text []byte) error {
	n := 0
	for line := range bytes.Lines(text) {
		n++
		s, _, _ := strings.Cut(string(line), "#")
		words := strings.Fields(s)
		if len(words) == 0 {
			continue
		}
		h := Host{Name: words[0], Line: n}
		for i, w := range words[1:] {
			name, value, ok := strings.Cut(w, "=")
			if !ok && i == 0 {
				name, value = "rack", w
			} else if !ok {
				return r.errorf(n, "unexpected word %q, fields are NAME=VALUE", w)
			}
			if err := r.field(&h, n, name, value); err != nil {
				return err
			}
		}
		if err := r.add(h); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) field(h *Host, line int, name, value string) error {
	known, err := h.set(name, value)
	switch {
	case err != nil:
		return r.errorf(line, "%v", err)
	case !known:
		return r.errorf(line, "unknown field %q (%s)", name, fieldNames)
	}
	return nil
}

// csv reads comma-separated values with a line of names first.
func (r *reader) csv(text []byte) error {
	in := csv.NewReader(bytes.NewReader(text))
	in.Comment, in.TrimLeadingSpace, in.ReuseRecord = '#', true, true
	var names []string
	for {
		record, err := in.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return r.badCSV(err)
		}
		line, _ := in.FieldPos(0)
		if names == nil {
			if names, err = r.header(record, line); err != nil {
				return err
			}
			continue
		}
		h := Host{Line: line}
		for i, v := range record {
			if v = strings.TrimSpace(v); v == "" {
				continue
			}
			if err := r.field(&h, line, names[i], v); err != nil {
				return err
			}
		}
		if err := r.add(h); err != nil {
			return err
		}
	}
}

// header takes the names of the columns.
func (r *reader) header(record []string, line int) ([]string, error) {
	names := make([]string, len(record))
	for i, v := range record {
		names[i] = strings.ToLower(strings.TrimSpace(v))
		if known, _ := new(Host).set(names[i], "1"); !known {
			return nil, r.errorf(line, "unknown column %q (%s)", v, fieldNames)
		}
		if slices.Contains(names[:i], names[i]) {
			return nil, r.errorf(line, "column %q is there twice", v)
		}
	}
	if !slices.Contains(names, "host") && !slices.Contains(names, "name") && !slices.Contains(names, "address") {
		return nil, r.errorf(line, "no column is named host")
	}
	return names, nil
}

func (r *reader) badCSV(err error) error {
	var e *csv.ParseError
	if errors.As(err, &e) {
		return r.errorf(e.Line, "%v", e.Err)
	}
	return r.errorf(0, "%v", err)
}
