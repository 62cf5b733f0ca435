// SPDX-License-Identifier: Apache-2.0

package mode6

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/facebook/time/ntp/control"
)

// wire is a connection to a lab: what is written is answered at once.
type wire struct {
	*lab
	queue [][]byte
}

func (w *wire) Write(b []byte) (int, error) {
	for _, f := range w.send(slices.Clone(b)) {
		w.queue = append(w.queue, slices.Clone(f))
	}
	return len(b), nil
}

func (w *wire) Read(b []byte) (int, error) {
	if len(w.queue) == 0 {
		w.Fatal("the client waits for an answer that does not come")
	}
	n := copy(b, w.queue[0])
	w.queue = w.queue[1:]
	return n, nil
}

// TestOracle reads the lab with the client of facebook/time, which does not pad its
// requests.
func TestOracle(t *testing.T) {
	w := &wire{lab: newLab(t)}
	c := control.NTPClient{Sequence: 1, Connection: w}
	ask := func(op uint8, assoc uint16, data string) *control.NTPControlMsg {
		t.Helper()
		head := &control.NTPControlMsgHead{VnMode: control.MakeVnMode(3, control.Mode), REMOp: op, AssociationID: assoc}
		m, err := c.CommunicateWithData(head, []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		if m.HasError() || !m.IsResponse() || m.GetVersion() != 3 || m.Sequence != head.Sequence || m.AssociationID != assoc {
			t.Fatalf("answer %+v to %+v", m.NTPControlMsgHead, head)
		}
		return m
	}
	m := ask(control.OpReadStatus, 0, "")
	status, err := m.GetSystemStatus()
	if err != nil || *status != (control.SystemStatusWord{ClockSource: 6, SystemEventCounter: 1, SystemEventCode: 5}) {
		t.Errorf("system status %+v, %v", status, err)
	}
	peers, err := m.GetAssociations()
	if err != nil {
		t.Fatal(err)
	}
	want := map[uint16]uint8{
		1: control.SelSYSPeer, 2: control.SelCandidate, 3: control.SelFalseTick, 4: control.SelOutlier,
		5: control.SelReject, 6: control.SelReject, 65535: control.SelReject,
	}
	got := map[uint16]uint8{}
	for id, p := range peers {
		got[id] = p.PeerSelection
		if again, err := ask(control.OpReadVariables, id, "").GetPeerStatus(); err != nil || *again != *p {
			t.Errorf("association %d: status %+v in the list, %+v alone, %v", id, p, again, err)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("selection %v, want %v", got, want)
	}
	if p := peers[3].PeerStatus; !p.Configured || !p.AuthEnabled || !p.AuthOK || !p.Reachable || p.Broadcast {
		t.Errorf("association 3: %+v", p)
	}
	for _, tt := range []struct {
		assoc uint16
		vars  string
		want  map[string]string
	}{
		{0, "", map[string]string{"version": "foliotd 1.2", "stratum": "2", "offset": "0.012345", "frequency": "-12.345", "refid": "192.0.2.1", "tai": "37"}},
		{1, "", map[string]string{"srcadr": "192.0.2.1", "offset": "0.123456", "reach": "0xff", "delay": "10.500000", "flash": "0x0"}},
		{5, "", map[string]string{"stratum": "16", "reach": "0x0", "unreach": "9", "flash": "0x1000"}},
		{0, "ss_uptime,ss_reset,ss_received,ss_thisver,ss_oldver,ss_badformat,ss_badauth,ss_declined,ss_restricted,ss_limited,ss_kodsent,ss_processed",
			map[string]string{"ss_uptime": "86400", "ss_received": "1615", "ss_processed": "1000", "ss_limited": "511"}},
	} {
		m, err := ask(control.OpReadVariables, tt.assoc, tt.vars).GetAssociationInfo()
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range tt.want {
			if m[name] != v {
				t.Errorf("association %d: %s is %q, want %q in %v", tt.assoc, name, m[name], v, m)
			}
		}
		for name := range m {
			if name == "" || strings.ContainsAny(name, " \r\n\"") {
				t.Errorf("association %d: name %q", tt.assoc, name)
			}
		}
	}
	if len(w.queue) != 0 {
		t.Errorf("%d datagrams are left over", len(w.queue))
	}
}
