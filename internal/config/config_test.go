// SPDX-License-Identifier: Apache-2.0

package config

import (
	"strings"
	"testing"
)

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	c.Sources = []Source{DefaultSource(KindPool, "a")}
	if err := c.Validate(); err != nil {
		t.Errorf("Validate: %v, want nil", err)
	}
	a, b := Default(), Default()
	a.Command.Open[0] = "changed"
	if b.Command.Open[0] == "changed" {
		t.Error("two defaults share a list")
	}
}

func TestValidate(t *testing.T) {
	one := func(change func(s *Source)) func(*Config) {
		return func(c *Config) {
			s := DefaultSource(KindServer, "a")
			s.Origin = Origin{File: "/f", Line: 3}
			change(&s)
			c.Sources = []Source{DefaultSource(KindServer, "good"), s}
		}
	}
	const place = "source a at line 3 in file /f: "
	tests := []struct {
		name   string
		change func(c *Config)
		want   string
	}{
		{"no records, rate limit", func(c *Config) { c.Server.NoClientLog, c.Server.RateLimit.Enabled = true, true },
			"ratelimit cannot be used together with noclientlog"},
		{"no records, command rate limit", func(c *Config) { c.Server.NoClientLog, c.Command.RateLimit.Enabled = true, true },
			"ratelimit cannot be used together with noclientlog"},
		{"rate limit alone", func(c *Config) { c.Server.RateLimit.Enabled = true }, ""},
		{"strata", func(c *Config) { c.Select.MinStratum, c.Select.MaxStratum = 4, 3 }, "minstratum 4 is above maxstratum 3"},
		{"no name", one(func(s *Source) { s.Name = "" }), "source  at line 3 in file /f: the name is empty"},
		{"poll too short", one(func(s *Source) { s.MinPoll = -8 }), place + "poll range -8..10 (min -7, max 24)"},
		{"poll too long", one(func(s *Source) { s.MaxPoll = 25 }), place + "poll range 6..25 (min -7, max 24)"},
		{"poll reversed", one(func(s *Source) { s.MaxPoll = 5 }), place + "poll range 6..5 (min -7, max 24)"},
		{"no members", one(func(s *Source) { s.MaxSources = 0 }), place + "maxsources 0 (min 1, max 16)"},
		{"many members", one(func(s *Source) { s.MaxSources = 17 }), place + "maxsources 17 (min 1, max 16)"},
		{"poll target", one(func(s *Source) { s.PollTarget = 0 }), place + "polltarget 0 (min 1)"},
		{"filter", one(func(s *Source) { s.Filter = 8193 }), place + "filter 8193 (min 0, max 8192)"},
		{"version", one(func(s *Source) { s.Version = 5 }), place + "version 5 (min 1, max 4)"},
		{"stratum", one(func(s *Source) { s.MinStratum = 16 }), place + "minstratum 16 (min 0, max 15)"},
		{"edges", one(func(s *Source) {
			s.MinPoll, s.MaxPoll, s.MaxSources, s.PollTarget = -7, 24, 16, 1
			s.Filter, s.Version, s.MinStratum = 8192, 4, 15
		}), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Default()
			tt.change(c)
			got := ""
			if err := c.Validate(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("Validate: %q, want %q", got, tt.want)
			}
		})
	}
}

func TestOrigin(t *testing.T) {
	if got, want := (Origin{File: "/f", Line: 2}).String(), "line 2 in file /f"; got != want {
		t.Errorf("String: %q, want %q", got, want)
	}
	if got := (Origin{Line: 2}).String(); !strings.HasPrefix(got, "line 2 ") || strings.Contains(got, "file") {
		t.Errorf("String: %q, want line 2 and no file", got)
	}
}

func TestKindNames(t *testing.T) {
	for kind, want := range map[SourceKind]string{KindServer: "server", KindPool: "pool", KindPeer: "peer"} {
		if got := kind.String(); got != want {
			t.Errorf("kind %d: %q, want %q", kind, got, want)
		}
	}
}
