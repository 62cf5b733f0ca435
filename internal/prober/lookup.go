// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"foliot/internal/resolve"
)

// Lookup is what became of a name.
type Lookup struct {
	Addr  netip.Addr // the best one; invalid if there is none
	Other int        // how many more addresses the name has
	Err   error
}

// Addresses looks names up, many at a time, and returns what each of them is, in
// the same order. An address needs no look-up. A name with addresses of the other
// family only is an error that says so.
func Addresses(ctx context.Context, names []string, f resolve.Family) []Lookup {
	found := make([]Lookup, len(names))
	where := map[string][]int{}
	var waiting []string
	for i, name := range names {
		if a, err := netip.ParseAddr(name); err == nil {
			found[i] = chosen(name, resolve.Result{Addrs: []netip.Addr{a.Unmap()}}, f)
			continue
		}
		if where[name] == nil {
			waiting = append(waiting, name)
		}
		where[name] = append(where[name], i)
	}
	answers := make(chan resolve.Result, resolve.Queue+resolve.Workers)
	r := resolve.New(func(a resolve.Result) { answers <- a })
	next, open := 0, 0
	for next < len(waiting) || open > 0 {
		for next < len(waiting) && open < resolve.Queue {
			if r.Resolve(waiting[next], resolve.Any) != nil {
				break // full: an answer makes room
			}
			next++
			open++
		}
		select {
		case a := <-answers:
			open--
			for _, i := range where[a.Name] {
				found[i] = chosen(a.Name, a, f)
			}
			delete(where, a.Name)
		case <-ctx.Done():
			r.Close()
			for _, list := range where {
				for _, i := range list {
					found[i].Err = fmt.Errorf("not looked up: %w", context.Cause(ctx))
				}
			}
			return found
		}
	}
	r.Close()
	return found
}

// chosen picks an address of the family.
func chosen(name string, a resolve.Result, f resolve.Family) Lookup {
	if a.Err != nil {
		return Lookup{Err: a.Err}
	}
	fits := slices.DeleteFunc(slices.Clone(a.Addrs), func(x netip.Addr) bool {
		return f == resolve.IPv4 && !x.Is4() || f == resolve.IPv6 && x.Is4()
	})
	switch {
	case len(a.Addrs) == 0:
		return Lookup{Err: fmt.Errorf("%s has no address", name)}
	case len(fits) == 0 && f == resolve.IPv4:
		return Lookup{Err: fmt.Errorf("%s has IPv6 addresses only", name)}
	case len(fits) == 0:
		return Lookup{Err: fmt.Errorf("%s has IPv4 addresses only", name)}
	}
	return Lookup{Addr: fits[0], Other: len(fits) - 1}
}
