// SPDX-License-Identifier: Apache-2.0

// Package wire is what a test and the agent in a virtual machine say to each
// other: a line of JSON each way. It knows nothing of either.
package wire

// What a Request wants done.
const (
	Run   = "run"   // Script, by sh, for at most Seconds
	Clock = "clock" // read the clock and the kernel's opinion of it
	Rate  = "rate"  // set the clock's rate to PPM
	Shift = "shift" // step the clock by Seconds
)

// Request is what the test asks for.
type Request struct {
	ID      int     `json:"id"`
	Do      string  `json:"do"`
	Script  string  `json:"script,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	PPM     float64 `json:"ppm,omitempty"` // positive: the clock runs faster
}

// Reply is the answer to the Request with the same ID.
type Reply struct {
	ID    int    `json:"id"`
	Error string `json:"error,omitempty"`
	Out   string `json:"out,omitempty"`
	Code  int    `json:"code,omitempty"`
	Clock State  `json:"clock"`
}

// State is the clock of the machine and what adjtimex(2) says about it.
type State struct {
	Wall     int64   `json:"wall"`      // CLOCK_REALTIME, ns
	Raw      int64   `json:"raw"`       // CLOCK_MONOTONIC_RAW, ns
	State    int     `json:"state"`     // TIME_OK (0) to TIME_ERROR (5)
	Status   int     `json:"status"`    // STA_ bits
	MaxError float64 `json:"max_error"` // seconds
	EstError float64 `json:"est_error"` // seconds
	PPM      float64 `json:"ppm"`       // rate, positive: the clock runs faster
	TAI      int     `json:"tai"`       // TAI-UTC, seconds
}
