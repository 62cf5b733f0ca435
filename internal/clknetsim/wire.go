// SPDX-License-Identifier: Apache-2.0

//go:build clknetsim

package clknetsim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// request identifies what a record asks for.
type request int32

// Requests. SETTIME, SEND and DEREGISTER are not answered.
const (
	reqRegister request = iota + 1
	reqGetTime
	reqSetTime
	reqAdjtimex
	reqAdjtime
	reqSelect
	reqSend
	reqReceive
	reqRefSample
	reqRefOffsets
	reqDeregister
)

// Sizes in octets. A record is one C struct, padded as on 64-bit machines, in
// the byte order of the machine; a request has a header before it.
const (
	headerLen     = 8 // int32 request, padding
	timesLen      = 40
	timexLen      = 208
	timexReplyLen = 8 + timexLen
	selectLen     = 64
	messageLen    = 24 // before the data
	sampleLen     = 24
	registeredLen = 8
	maxOffsets    = 1024
	maxReply      = 8 + 8*maxOffsets
)

// MaxData is the longest datagram that the simulator carries, in octets.
const MaxData = 4000

// errMalformed is the cause of every refusal of a reply.
var errMalformed = errors.New("malformed reply")

// Times is what the clocks of the node show, in seconds since the simulation
// began.
type Times struct {
	Real      float64 // CLOCK_REALTIME
	Monotonic float64 // CLOCK_MONOTONIC: runs at the rate that was set, is not stepped
	Raw       float64 // CLOCK_MONOTONIC_RAW: the oscillator
	Network   float64 // true time, unknown to any real node; for tests only
	FreqError float64 // true error of the rate of Real, ratio; for tests only
}

// Reason says why a select returned.
type Reason int32

// Reasons. The server looks for them in the order Terminated, TimedOut,
// Unicast, Broadcast.
const (
	TimedOut Reason = iota
	Unicast
	Broadcast
	Terminated
)

// Kind is the kind of a message.
type Kind uint32

// Kinds of message.
const (
	KindNone Kind = iota // nothing was queued
	KindUDP
	KindConnect    // TCP, as the others
	KindData       // TCP
	KindDisconnect // TCP
)

// Message is a datagram with its envelope.
type Message struct {
	Kind    Kind
	Host    Host // the other side: destination of what is sent, origin of what came
	SrcPort uint32
	DstPort uint32
	Data    []byte
}

// Wake is what ended a select.
type Wake struct {
	Reason Reason
	Next   Message // envelope of the oldest message; holds for Unicast and Broadcast
	Times  Times
}

// Timex is the part of the kernel's struct timex (linux/timex.h) that the
// simulator uses, in the kernel's units.
type Timex struct {
	Modes    uint32
	Offset   int64 // nanoseconds if StatusNano is on, else microseconds
	Freq     int64 // 2^-16 ppm
	MaxError int64 // microseconds
	EstError int64 // microseconds
	Status   int32
	Constant int64 // time constant, or TAI-UTC with AdjTAI
	Sec      int64 // of the step that AdjSetOffset makes
	Frac     int64 // of the same, nanoseconds with AdjNano, not negative
	Tick     int64 // microseconds per 10 ms
	TAI      int32 // seconds, only in replies
}

// Modes of Timex (linux/timex.h).
const (
	AdjFrequency = 0x0002
	AdjMaxError  = 0x0004
	AdjEstError  = 0x0008
	AdjStatus    = 0x0010
	AdjTAI       = 0x0080
	AdjSetOffset = 0x0100
	AdjNano      = 0x2000
	AdjTick      = 0x4000
)

// Bits of Timex.Status (linux/timex.h).
const (
	StatusInsert = 0x0010
	StatusDelete = 0x0020
	StatusUnsync = 0x0040
	StatusNano   = 0x2000
)

// Sample is a sample of the simulated reference clock.
type Sample struct {
	Time   float64 // when it was taken, by the node's clock, seconds since the start
	Offset float64 // the node's clock minus the reference clock, seconds
	Valid  bool
}

var order = binary.NativeEndian

func put32(b []byte, v ...uint32) []byte {
	for _, x := range v {
		b = order.AppendUint32(b, x)
	}
	return b
}

func putFloat(b []byte, v float64) []byte { return order.AppendUint64(b, math.Float64bits(v)) }

func float(b []byte) float64 { return math.Float64frombits(order.Uint64(b)) }

// appendHeader begins a request.
func appendHeader(b []byte, r request) []byte { return put32(b, uint32(r), 0) }

func appendSetTime(b []byte, clk uint32, t float64) []byte {
	return putFloat(put32(b, clk, 0), t)
}

func appendSelect(b []byte, timeout float64, read bool) []byte {
	b = putFloat(b, timeout)
	if read {
		return put32(b, 1, 0)
	}
	return put32(b, 0, 0)
}

func appendMessage(b []byte, m *Message) []byte {
	b = put32(b, uint32(m.Kind), m.Host.Subnet, m.Host.Node, m.SrcPort, m.DstPort, uint32(len(m.Data)))
	return append(b, m.Data...)
}

// appendTimex appends struct timex:
//
//	modes@0 offset@8 freq@16 maxerror@24 esterror@32 status@40 constant@48
//	precision@56 tolerance@64 time.sec@72 time.usec@80 tick@88 ... tai@160
func appendTimex(b []byte, t *Timex) []byte {
	at := len(b)
	b = append(b, make([]byte, timexLen)...)
	x := b[at:]
	order.PutUint32(x, t.Modes)
	order.PutUint32(x[40:], uint32(t.Status))
	order.PutUint32(x[160:], uint32(t.TAI))
	for _, f := range t.longs() {
		order.PutUint64(x[f.at:], uint64(*f.v))
	}
	return b
}

// long is a field of struct timex that is a C long.
type long struct {
	at int
	v  *int64
}

func (t *Timex) longs() [8]long {
	return [...]long{
		{8, &t.Offset}, {16, &t.Freq}, {24, &t.MaxError}, {32, &t.EstError},
		{48, &t.Constant}, {72, &t.Sec}, {80, &t.Frac}, {88, &t.Tick},
	}
}

// checkLen refuses a reply that is not as long as it must be.
func checkLen(b []byte, want int, what string) error {
	if len(b) != want {
		return fmt.Errorf("%s of %d octets, want %d: %w", what, len(b), want, errMalformed)
	}
	return nil
}

func decodeRegistered(b []byte) (subnets, clocks uint32, err error) {
	if err := checkLen(b, registeredLen, "registration"); err != nil {
		return 0, 0, err
	}
	return order.Uint32(b), order.Uint32(b[4:]), nil
}

func decodeTimes(b []byte) (Times, error) {
	if err := checkLen(b, timesLen, "times"); err != nil {
		return Times{}, err
	}
	t := Times{
		Real: float(b), Monotonic: float(b[8:]), Raw: float(b[16:]),
		Network: float(b[24:]), FreqError: float(b[32:]),
	}
	// What is shown must fit into nanoseconds of 64 bits.
	for _, v := range [...]float64{t.Real, t.Monotonic, t.Raw} {
		if !(math.Abs(v) < 9e9) {
			return Times{}, fmt.Errorf("clock at %g s: %w", v, errMalformed)
		}
	}
	return t, nil
}

// decodeAdjusted decodes the answer to ADJTIMEX: the clock's state (TIME_OK..,
// -1 for a refusal) and struct timex.
func decodeAdjusted(b []byte, t *Timex) (state int32, err error) {
	if err := checkLen(b, timexReplyLen, "adjtimex"); err != nil {
		return 0, err
	}
	x := b[8:]
	t.Modes = order.Uint32(x)
	t.Status = int32(order.Uint32(x[40:]))
	t.TAI = int32(order.Uint32(x[160:]))
	for _, f := range t.longs() {
		*f.v = int64(order.Uint64(x[f.at:]))
	}
	if t.Tick <= 0 { // a clock that stands still would never reach a deadline
		return 0, fmt.Errorf("adjtimex with tick %d: %w", t.Tick, errMalformed)
	}
	return int32(order.Uint32(b)), nil
}

func decodeWake(b []byte) (Wake, error) {
	if err := checkLen(b, selectLen, "select"); err != nil {
		return Wake{}, err
	}
	t, err := decodeTimes(b[24:])
	if err != nil {
		return Wake{}, err
	}
	w := Wake{Reason: Reason(order.Uint32(b)), Times: t}
	switch w.Reason {
	case TimedOut, Terminated: // the rest is undefined
	case Unicast, Broadcast:
		w.Next = Message{
			Kind: Kind(order.Uint32(b[4:])), Host: Host{order.Uint32(b[8:]), order.Uint32(b[12:])},
			SrcPort: order.Uint32(b[16:]), DstPort: order.Uint32(b[20:]),
		}
	default:
		return Wake{}, fmt.Errorf("select with reason %d: %w", w.Reason, errMalformed)
	}
	return w, nil
}

// decodeMessage decodes the answer to RECV; Data is a part of b.
func decodeMessage(b []byte) (Message, error) {
	if len(b) < messageLen {
		return Message{}, checkLen(b, messageLen, "message")
	}
	n := order.Uint32(b[20:])
	if n > MaxData || int(n) != len(b)-messageLen {
		return Message{}, fmt.Errorf("message of %d octets with %d of data: %w", len(b), n, errMalformed)
	}
	return Message{
		Kind: Kind(order.Uint32(b)), Host: Host{order.Uint32(b[4:]), order.Uint32(b[8:])},
		SrcPort: order.Uint32(b[12:]), DstPort: order.Uint32(b[16:]), Data: b[messageLen:],
	}, nil
}

func decodeSample(b []byte) (Sample, error) {
	if err := checkLen(b, sampleLen, "reference sample"); err != nil {
		return Sample{}, err
	}
	return Sample{Time: float(b), Offset: float(b[8:]), Valid: order.Uint32(b[16:]) != 0}, nil
}

func decodeOffsets(b []byte) ([]float64, error) {
	if len(b) < 8 {
		return nil, checkLen(b, 8, "reference offsets")
	}
	n := order.Uint32(b)
	if n > maxOffsets || len(b) != 8+8*int(n) {
		return nil, fmt.Errorf("%d reference offsets in %d octets: %w", n, len(b), errMalformed)
	}
	v := make([]float64, n)
	for i := range v {
		v[i] = float(b[8+8*i:])
	}
	return v, nil
}
