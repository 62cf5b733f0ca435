// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"time"

	"foliot/internal/cmdmon"
)

const trackingText = `Reference ID    : % (%)
Stratum         : %
Ref time (UTC)  : %
System time     : % of NTP time
Last offset     : % seconds
RMS offset      : % seconds
Frequency       : %
Residual freq   : % ppm
Skew            : % ppm
Root delay      : % seconds
Root dispersion : % seconds
Update interval : % seconds
Leap status     : %
`

// Tracking is the report tracking. The name is that of the reference.
func Tracking(p *Printer, m *cmdmon.TrackingReply, name string) {
	p.print(trackingText,
		refID("reference_id", m.RefID), word("reference_name", name),
		count("stratum", m.Stratum, 0),
		instant("reference_time", m.RefTime),
		aside(number("system_time_behind_seconds", m.Correction, 9), m.Correction, "seconds", "slow", "fast"),
		signed("last_offset_seconds", m.LastOffset, 9),
		number("rms_offset_seconds", m.RMSOffset, 9),
		aside(number("frequency_fast_ppm", m.Frequency, 3), m.Frequency, "ppm", "fast", "slow"),
		signed("residual_frequency_ppm", m.Residual, 3),
		number("skew_ppm", m.Skew, 3),
		number("root_delay_seconds", m.RootDelay, 9),
		number("root_dispersion_seconds", m.RootDispersion, 9),
		number("update_interval_seconds", m.Interval, 1),
		leap("leap_status", m.Leap))
}

// Try is a line of waitsync.
func Try(p *Printer, n int, m *cmdmon.TrackingReply, correction float64) {
	p.print("try: %, refid: %, correction: %, skew: %\n",
		count("try", n, 0), refID("reference_id", m.RefID),
		number("correction_seconds", correction, 9), number("skew_ppm", m.Skew, 3))
}

const smoothingText = `Active         : % %
Offset         : % seconds
Frequency      : % ppm
Wander         : % ppm per second
Last update    : % seconds ago
Remaining time : % seconds
`

// Smoothing is the report smoothing.
func Smoothing(p *Printer, m *cmdmon.SmoothingReply) {
	only := ""
	if m.Flags&cmdmon.FlagSmoothLeapOnly != 0 {
		only = "(leap second only)"
	}
	leapOnly := word("leap_second_only", only)
	leapOnly.json = only != ""
	p.print(smoothingText,
		yes("active", m.Flags&cmdmon.FlagSmoothActive != 0), leapOnly,
		signed("offset_seconds", m.Offset, 9), signed("frequency_ppm", m.Frequency, 6),
		signed("wander_ppm_per_second", m.Wander, 6), number("last_update_seconds", m.LastUpdate, 1),
		number("remaining_seconds", m.Remaining, 1))
}

const rtcText = `RTC ref time (UTC) : %
Number of samples  : %
Number of runs     : %
Sample span period : %
RTC is fast by     : % seconds
RTC gains time at  : % ppm
`

// RTC is the report rtcdata.
func RTC(p *Printer, m *cmdmon.RTCReply) {
	p.print(rtcText,
		instant("reference_time", m.RefTime), count("samples", m.Samples, 0), count("runs", m.Runs, 0),
		age("span_seconds", m.Span), wide(number("fast_seconds", m.Fast, 6), 12), wide(number("gain_ppm", m.Gain, 3), 9))
}

// ManualList is the report manual list.
func ManualList(p *Printer, m *cmdmon.ManualListReply) {
	n := min(m.N, cmdmon.MaxManualSamples)
	p.Begin(fmt.Sprintf("210 n_samples = %d", n),
		"#    Date     Time(UTC)    Slewed   Original   Residual",
		"=======================================================")
	defer p.End()
	for i, s := range m.Samples[:n] {
		when := time.Unix(s.When.Sec, 0).UTC().Format(time.DateTime)
		p.print("% % % % %\n", count("index", i, 2), word("time", when), wide(number("slewed_seconds", s.Slewed, 2), 10),
			wide(number("original_seconds", s.Original, 2), 10), wide(number("residual_seconds", s.Residual, 2), 10))
	}
}

// ManualTimestamp is what settime found. It has no values in CSV, as in chronyc.
func ManualTimestamp(p *Printer, m *cmdmon.ManualTimestampReply) {
	cells := []cell{
		number("fast_seconds", m.Offset, 2), number("frequency_change_ppm", m.FrequencyShift, 2),
		number("frequency_ppm", m.Frequency, 2),
	}
	if p.Format == JSON {
		p.object(cells)
		return
	}
	fmt.Fprint(p.W, fill("Clock was % seconds fast.  Frequency change = %ppm, new frequency = %ppm\n", cells))
}
