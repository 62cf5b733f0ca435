// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"net/netip"
	"slices"
	"testing"

	"foliot/internal/clock"
	"foliot/internal/config"
	"foliot/internal/engine"
	"foliot/internal/setup"
)

// TestExchange replaces sources as the files that they are written in change.
func TestExchange(t *testing.T) {
	w, _ := world(4)
	l := newLab(t, w, options{config: servers("10.0.0.1", "10.0.0.2", "10.0.0.2", "nowhere.test"), osc: fast})
	w.Run(1800)
	check := l.untouched(addrOf(1))
	c := config.Default()
	made := func(names ...string) (list []engine.SourceConfig) {
		for _, name := range names {
			s := config.DefaultSource(config.KindServer, name)
			s.IBurst, s.MinPoll, s.MaxPoll = true, 4, 6
			list = append(list, setup.Source(c, &s, &l.files, &setup.Machine{Quantum: 1e-9}))
		}
		return list
	}
	exchange := func(gone, added []engine.SourceConfig) (answers []engine.Answer) {
		l.tell(func(e *engine.Engine, now clock.Now, out *engine.Actions) {
			answers = e.Exchange(now, gone, added, out)
		})
		return answers
	}
	have := func() (list []netip.Addr) {
		for ref := range l.node.Engine.Associations() {
			list = append(list, ref.Addr.Addr())
		}
		return list
	}
	for _, step := range []struct {
		name        string
		gone, added []engine.SourceConfig
		answers     []engine.Answer
		have        []netip.Addr
	}{
		{"nothing", nil, nil, []engine.Answer{}, []netip.Addr{addrOf(1), addrOf(2)}},
		{"what is there twice", made("10.0.0.2"), nil, []engine.Answer{}, []netip.Addr{addrOf(1), addrOf(2)}},
		{"what is not there", made("10.0.0.4"), made("10.0.0.3", "10.0.0.1"), []engine.Answer{engine.Done, engine.AlreadyKnown}, []netip.Addr{addrOf(1), addrOf(2), addrOf(3)}},
		{"one for another", made("10.0.0.2", "nowhere.test"), made("10.0.0.4"), []engine.Answer{engine.Done}, []netip.Addr{addrOf(1), addrOf(3), addrOf(4)}},
	} {
		if got := exchange(step.gone, step.added); !slices.Equal(got, step.answers) || !slices.Equal(have(), step.have) {
			t.Errorf("%s: %v, then %v; want %v, %v", step.name, got, have(), step.answers, step.have)
		}
	}
	for range l.node.Engine.Unresolved() {
		t.Error("the name is still there")
	}
	w.Run(2400)
	check("after the exchange")
}
