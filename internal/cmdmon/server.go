// SPDX-License-Identifier: Apache-2.0

package cmdmon

// ServerStatsReply is the report serverstats.
type ServerStatsReply struct {
	NTPHits, NKEHits, CmdHits    uint64
	NTPDrops, NKEDrops, CmdDrops uint64
	LogDrops                     uint64
	AuthHits, InterleavedHits    uint64
	Timestamps                   uint64 // held for interleaved mode
	Span                         uint64 // of those, seconds
	DaemonRx, DaemonTx           uint64 // stamps; from here not in chrony before 4.4
	KernelRx, KernelTx           uint64
	HardwareRx, HardwareTx       uint64
}

// ReplyType implements [Reply].
func (m *ServerStatsReply) ReplyType() ReplyType { return ReplyServerStats }

func (m *ServerStatsReply) fields(w *wire) {
	w.integers64(&m.NTPHits, &m.NKEHits, &m.CmdHits, &m.NTPDrops, &m.NKEDrops, &m.CmdDrops, &m.LogDrops,
		&m.AuthHits, &m.InterleavedHits, &m.Timestamps, &m.Span,
		&m.DaemonRx, &m.DaemonTx, &m.KernelRx, &m.KernelTx, &m.HardwareRx, &m.HardwareTx)
	w.ones(32)
}

// ServerStats3Reply is a [ServerStatsReply] as it was before chrony 4.4. Its
// counters have 32 bits and wrap.
type ServerStats3Reply struct{ ServerStatsReply }

// ReplyType implements [Reply].
func (m *ServerStats3Reply) ReplyType() ReplyType { return ReplyServerStats3 }

func (m *ServerStats3Reply) fields(w *wire) {
	for _, v := range []*uint64{&m.NTPHits, &m.NKEHits, &m.CmdHits, &m.NTPDrops, &m.NKEDrops, &m.CmdDrops,
		&m.LogDrops, &m.AuthHits, &m.InterleavedHits, &m.Timestamps, &m.Span} {
		n := uint32(*v)
		integer32(w, &n)
		if !w.writing {
			*v = uint64(n)
		}
	}
}

// ClientsRequest is the data of [Clients]: a page of the log of clients.
type ClientsRequest struct {
	First   uint32 // record to begin with
	N       uint32 // how many records
	MinHits uint32
	Reset   bool // the counters, after they are read
}

func (m *ClientsRequest) fields(w *wire) {
	w.counts(&m.First, &m.N, &m.MinHits)
	w.flag(&m.Reset)
}

// MaxClients is how many clients a [ClientsReply] holds.
const MaxClients = 8

// NoInterval is in place of an interval that is not known.
const NoInterval = 127

// Client is one client. Intervals are log2 seconds between requests, ages are
// seconds since the last one, NoSample if there was none.
type Client struct {
	Addr                         IPAddr // none for a record that is empty
	NTPHits, NKEHits, CmdHits    uint32
	NTPDrops, NKEDrops, CmdDrops uint32
	NTPInterval, NKEInterval     int8
	CmdInterval                  int8
	TimeoutInterval              int8 // between requests, leaving out answers that were lost
	NTPLast, NKELast, CmdLast    uint32
}

func (m *Client) fields(w *wire) {
	w.addrs(&m.Addr)
	w.counts(&m.NTPHits, &m.NKEHits, &m.CmdHits, &m.NTPDrops, &m.NKEDrops, &m.CmdDrops)
	integer8(w, &m.NTPInterval)
	integer8(w, &m.NKEInterval)
	integer8(w, &m.CmdInterval)
	integer8(w, &m.TimeoutInterval)
	w.counts(&m.NTPLast, &m.NKELast, &m.CmdLast)
}

// ClientsReply is a page of the report clients.
type ClientsReply struct {
	Indices uint32 // how many records there are
	Next    uint32 // where the next page begins
	N       uint32 // how many of Clients count
	Clients [MaxClients]Client
}

// ReplyType implements [Reply].
func (m *ClientsReply) ReplyType() ReplyType { return ReplyClients }

func (m *ClientsReply) fields(w *wire) {
	w.counts(&m.Indices, &m.Next, &m.N)
	for i := range m.Clients {
		m.Clients[i].fields(w)
	}
}

// Subnet is the data of [Allow] and the seven like it. No address means both
// families.
type Subnet struct {
	Addr IPAddr
	Bits int32
}

func (m *Subnet) fields(w *wire) {
	w.addrs(&m.Addr)
	integer32(w, &m.Bits)
}

// Local is the data of [Local3].
type Local struct {
	On           bool
	Stratum      int32
	Distance     float64 // root distance up to which it counts, seconds
	Orphan       bool
	Activate     float64 // root distance that must be reached first, seconds
	WaitSynced   float64 // seconds
	WaitUnsynced float64 // seconds
}

func (m *Local) fields(w *wire) {
	m.common(w)
	w.floats(&m.Activate, &m.WaitSynced, &m.WaitUnsynced)
}

func (m *Local) common(w *wire) {
	w.flag(&m.On)
	integer32(w, &m.Stratum)
	w.floats(&m.Distance)
	w.flag(&m.Orphan)
}

// LocalOlder is a [Local] as it was before chrony 4.6, the data of [Local2].
type LocalOlder struct{ Local }

func (m *LocalOlder) fields(w *wire) { m.common(w) }
