// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"

	"foliot/internal/clock"
	"foliot/internal/ntp"
)

// State is what a server is set up to be, and the rows that are tested in it.
type State struct {
	Name     string
	Config   string // directives for whatever server; access and keys are given anyway
	Upstream uint8  // stratum of the server at UpstreamAddr that it follows, 0 for none
	OnlyCore string // why daemons cannot be put into the state, if so
	NoChrony string // why chronyd cannot, if so
	Since    int    // chronyd understands Config from this version on, 100 times the major number and the minor
	Before   string // what older ones understand, if anything
	Says     Says
	But      map[string]Says // what targets say instead
	Why      string          // they do, and why that is meant
	Rows     []Row
	Limits   []LimitRow
}

// Says is what answers say about the clock.
type Says struct {
	Leap      ntp.Leap
	Stratum   uint8
	RefID     ntp.RefID
	Reference bool       // there is a reference time
	Delay     [2]float64 // root delay from, to, seconds
	Disp      [2]float64 // root dispersion
	MinPoll   int8       // answers tell clients to ask no more often, log2 seconds
}

// says returns what a target says in the state.
func (s *State) says(target string) *Says {
	if o, ok := s.But[target]; ok {
		return &o
	}
	return &s.Says
}

// kissed is what a kiss of death says. Chronyd's tells of the clock what its other
// answers do; ours is no sample, for nobody.
func (s *Says) kissed(target string) *Says {
	k := Says{MinPoll: s.MinPoll}
	if target == Chronyd {
		k = *s
	}
	k.Leap, k.Stratum, k.RefID = ntp.LeapUnsync, 0, ntp.KissRate
	return &k
}

// judge checks what an answer says about the clock.
func (s *Says) judge(a *ntp.Packet, x *Exchanged) error {
	switch {
	case a.Leap != s.Leap:
		return fmt.Errorf("leap %d, want %d", a.Leap, s.Leap)
	case a.Stratum != s.Stratum:
		return fmt.Errorf("stratum %d, want %d", a.Stratum, s.Stratum)
	case a.RefID != s.RefID:
		return fmt.Errorf("reference ID %#08x, want %#08x", uint32(a.RefID), uint32(s.RefID))
	case a.Precision < -32 || a.Precision > -10:
		return fmt.Errorf("precision %d", a.Precision)
	case (a.Reference != 0) != s.Reference:
		return fmt.Errorf("reference time %#x, want one: %v", a.Reference, s.Reference)
	}
	if age := x.After.Sub(a.Reference.Served()); s.Reference && (age < -clock.Second || age > 3600*clock.Second) {
		return fmt.Errorf("reference time %v s ago", age.Seconds())
	}
	if v := a.RootDelay.Seconds(); v < s.Delay[0] || v > s.Delay[1] {
		return fmt.Errorf("root delay %v, want %v", v, s.Delay)
	}
	if v := a.RootDisp.Seconds(); v < s.Disp[0] || v > s.Disp[1] {
		return fmt.Errorf("root dispersion %v, want %v", v, s.Disp)
	}
	return nil
}
