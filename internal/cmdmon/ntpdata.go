// SPDX-License-Identifier: Apache-2.0

package cmdmon

// Flags of [NTPDataReply]. The lower ten bits are the acceptance tests, the
// first one the highest.
const (
	FlagTests         = 0x3ff
	FlagInterleaved   = 0x4000
	FlagAuthenticated = 0x8000
)

// NTPDataReply is the report ntpdata: the last valid answer of a source and what
// came of it. Times are in seconds; a positive offset means that the local clock
// is behind.
type NTPDataReply struct {
	Remote, Local   IPAddr
	RemotePort      uint16
	Leap            uint8
	Version         uint8
	Mode            uint8
	Stratum         uint8
	Poll, Precision int8 // log2 seconds
	RootDelay       float64
	RootDispersion  float64
	RefID           uint32
	RefTime         Timespec
	Offset          float64
	PeerDelay       float64
	PeerDispersion  float64
	ResponseTime    float64 // how long the source took
	JitterAsymmetry float64 // -0.5 to 0.5
	Flags           uint16
	TxStamp         byte // 'D', 'K' or 'H': daemon, kernel, hardware
	RxStamp         byte
	Tx, Rx, Valid   uint32 // packets
	Good            uint32 // of the valid, those with samples
	KernelTx        uint32 // stamps; from here not in chrony before 4.6
	KernelRx        uint32
	HardwareTx      uint32
	HardwareRx      uint32
}

// ReplyType implements [Reply].
func (m *NTPDataReply) ReplyType() ReplyType { return ReplyNTPData }

func (m *NTPDataReply) fields(w *wire) {
	m.common(w)
	w.counts(&m.KernelTx, &m.KernelRx, &m.HardwareTx, &m.HardwareRx)
	w.ones(16)
}

func (m *NTPDataReply) common(w *wire) {
	w.addrs(&m.Remote, &m.Local)
	integer16(w, &m.RemotePort)
	integer8(w, &m.Leap)
	integer8(w, &m.Version)
	integer8(w, &m.Mode)
	integer8(w, &m.Stratum)
	integer8(w, &m.Poll)
	integer8(w, &m.Precision)
	w.floats(&m.RootDelay, &m.RootDispersion)
	integer32(w, &m.RefID)
	w.time(&m.RefTime)
	w.floats(&m.Offset, &m.PeerDelay, &m.PeerDispersion, &m.ResponseTime, &m.JitterAsymmetry)
	integer16(w, &m.Flags)
	integer8(w, &m.TxStamp)
	integer8(w, &m.RxStamp)
	w.counts(&m.Tx, &m.Rx, &m.Valid, &m.Good)
}

// NTPData1Reply is an [NTPDataReply] as it was before chrony 4.6.
type NTPData1Reply struct{ NTPDataReply }

// ReplyType implements [Reply].
func (m *NTPData1Reply) ReplyType() ReplyType { return ReplyNTPData1 }

func (m *NTPData1Reply) fields(w *wire) {
	m.common(w)
	w.ones(12)
}

// AuthMode is how a source is authenticated.
type AuthMode uint16

// Modes of authentication.
const (
	AuthNone AuthMode = iota
	AuthSymmetric
	AuthNTS
)

// AuthDataReply is a row of the report authdata.
type AuthDataReply struct {
	Mode       AuthMode
	KeyType    uint16 // algorithm of the key
	KeyID      uint32
	KeyBits    uint16
	KEAttempts uint16 // since the last key exchange that succeeded
	LastKE     uint32 // seconds ago; NoSample if there was none
	Cookies    uint16
	CookieLen  uint16 // octets
	NAK        uint16 // an NTS NAK came since the last request
}

// ReplyType implements [Reply].
func (m *AuthDataReply) ReplyType() ReplyType { return ReplyAuthData }

func (m *AuthDataReply) fields(w *wire) {
	integer16(w, &m.Mode)
	integer16(w, &m.KeyType)
	integer32(w, &m.KeyID)
	integer16(w, &m.KeyBits)
	integer16(w, &m.KEAttempts)
	integer32(w, &m.LastKE)
	integer16(w, &m.Cookies)
	integer16(w, &m.CookieLen)
	integer16(w, &m.NAK)
	w.skip(2)
}
