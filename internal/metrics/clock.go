// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"runtime"

	"foliot/internal/clock"
	"foliot/internal/state"
)

// leaps are the values of a leap state, in the order of the leap indicator.
var leaps = []string{"none", "insert", "delete", "unsynchronised"}

// unix is an instant as Unix time; 0 stands for none.
func unix[C any](t clock.Instant[C]) float64 { return float64(t.Nanos()) * 1e-9 }

func aboutDaemon() []family {
	type S = state.State
	return []family{
		{name: "foliot_build_info", help: "Version of foliot and of the Go that built it; always 1.", kind: gauge,
			labels: []string{"version", "goversion"},
			each:   func(s *S, put func(sample)) { put(sample{1, []string{s.Version, runtime.Version()}}) }},
		one(gauge, "foliot_uptime_seconds", "Time since the daemon started.",
			func(s *S) float64 { return s.Now.Mono.Sub(s.Started).Seconds() }),
		one(gauge, "foliot_config_read_timestamp_seconds", "When the configuration was read last, Unix time.",
			func(s *S) float64 { return float64(s.Config.ReadAt.UnixMicro()) * 1e-6 }).
			onlyWhen(func(s *S) bool { return !s.Config.ReadAt.IsZero() }),
	}
}

func aboutTracking() []family {
	type S = state.State
	return []family{
		{name: "foliot_tracking_info", help: "What the clock follows; always 1.", kind: gauge,
			labels: []string{"source", "address", "refid"},
			each: func(s *S, put func(sample)) {
				t := &s.Tracking
				addr := ""
				if t.Addr.IsValid() {
					addr = t.Addr.String()
				}
				put(sample{1, []string{t.Source, addr, fmt.Sprintf("%08X", uint32(t.RefID))}})
			}},
		one(gauge, "foliot_tracking_synchronised", "Whether the clock follows a source.",
			func(s *S) float64 { return truth(s.Tracking.Synchronized) }),
		one(gauge, "foliot_tracking_local", "Whether the daemon serves its own clock for want of a source (directive local).",
			func(s *S) float64 { return truth(s.Tracking.Local) }),
		one(gauge, "foliot_tracking_stratum", "Stratum as served, 0 if not synchronised.",
			func(s *S) float64 { return float64(s.Tracking.Stratum) }),
		stateSet("foliot_tracking_leap", "What is announced about the next leap second, as a set of states.", leaps,
			func(s *S) int { return int(s.Tracking.Leap) }),
		one(gauge, "foliot_tracking_reference_timestamp_seconds", "When the clock was updated last, Unix time; 0 if it never was.",
			func(s *S) float64 { return unix(s.Tracking.RefTime) }),
		one(gauge, "foliot_tracking_remaining_offset_seconds", "What is still to be slewed out; positive if the clock is behind.",
			func(s *S) float64 { return float64(s.Tracking.Remaining) }),
		one(gauge, "foliot_tracking_last_offset_seconds", "Offset found at the last update; positive if the clock was behind.",
			func(s *S) float64 { return float64(s.Tracking.LastOffset) }),
		one(gauge, "foliot_tracking_rms_offset_seconds", "Long-term root mean square of the offset.",
			func(s *S) float64 { return s.Tracking.RMSOffset }),
		one(gauge, "foliot_tracking_offset_stddev_seconds", "Standard deviation of the last estimate of the offset.",
			func(s *S) float64 { return s.Tracking.OffsetSD }),
		one(gauge, "foliot_tracking_frequency_ratio", "Rate by which the uncorrected clock is slow; 1e-6 is one part per million.",
			func(s *S) float64 { return float64(s.Tracking.Frequency) }),
		one(gauge, "foliot_tracking_residual_frequency_ratio", "What the last update would still have changed of the frequency.",
			func(s *S) float64 { return float64(s.Tracking.Residual) }),
		one(gauge, "foliot_tracking_skew_ratio", "Bound of the error of the frequency.",
			func(s *S) float64 { return float64(s.Tracking.Skew) }),
		one(gauge, "foliot_tracking_root_delay_seconds", "Round trip to the reference clock at the root.",
			func(s *S) float64 { return s.Tracking.RootDelay }),
		one(gauge, "foliot_tracking_root_dispersion_seconds", "Sum of all errors up to the root but for the delay.",
			func(s *S) float64 { return s.Tracking.RootDisp }),
		one(gauge, "foliot_tracking_error_bound_seconds", "How far the clock may be from true time: remaining offset, dispersion and half the delay.",
			func(s *S) float64 { return s.Tracking.ErrorBound() }),
		one(gauge, "foliot_tracking_update_interval_seconds", "Time between the last two updates.",
			func(s *S) float64 { return s.Tracking.Interval }),
		one(counter, "foliot_tracking_updates_total", "Updates of the clock.",
			func(s *S) float64 { return float64(s.Tracking.Updates) }),
	}
}

func aboutControl() []family {
	type S = state.State
	smoothing := func(s *S) bool { return s.Smooth.Active }
	return []family{
		one(gauge, "foliot_clock_controlled", "Whether the daemon may set the clock (not with -x).",
			func(s *S) float64 { return truth(s.Clock.Controlled) }),
		one(counter, "foliot_clock_steps_total", "Steps of the clock by the daemon.",
			func(s *S) float64 { return float64(s.Clock.Steps) }),
		one(gauge, "foliot_clock_stepped_seconds", "Sum of the steps of the clock by the daemon with their signs; positive if forward.",
			func(s *S) float64 { return s.Clock.StepSum }),
		one(counter, "foliot_clock_slews_total", "Changes of the rate of the clock by the daemon.",
			func(s *S) float64 { return float64(s.Clock.Slews) }),
		one(counter, "foliot_clock_foreign_changes_total", "Changes of the clock by somebody else that the daemon noticed.",
			func(s *S) float64 { return float64(s.Clock.Foreign) }),
		one(counter, "foliot_clock_failures_total", "Changes of the clock that the kernel refused.",
			func(s *S) float64 { return float64(s.Clock.Failures) }),
		one(gauge, "foliot_clock_precision_seconds", "What reading the clock resolves.",
			func(s *S) float64 { return s.Clock.Precision }),
		one(gauge, "foliot_smoothing_active", "Whether served time is smoothed (smoothtime).",
			func(s *S) float64 { return truth(s.Smooth.Active) }),
		one(gauge, "foliot_smoothing_offset_seconds", "What smoothing adds to served time.",
			func(s *S) float64 { return float64(s.Smooth.Offset) }).onlyWhen(smoothing),
		one(gauge, "foliot_smoothing_frequency_ratio", "Rate by which smoothed time runs fast.",
			func(s *S) float64 { return float64(s.Smooth.Frequency) }).onlyWhen(smoothing),
		one(gauge, "foliot_smoothing_remaining_seconds", "Time until smoothing is over.",
			func(s *S) float64 { return s.Smooth.Remaining }).onlyWhen(smoothing),
	}
}

// aboutKernel is what adjtimex(2) tells every program.
func aboutKernel() []family {
	type S = state.State
	list := []family{
		one(gauge, "foliot_kernel_synchronised", "Whether the kernel says that its clock is synchronised (not STA_UNSYNC).",
			func(s *S) float64 { return truth(s.Kernel.Synchronized) }),
		one(gauge, "foliot_kernel_status", "Status bits of the kernel's clock (STA_ in linux/timex.h).",
			func(s *S) float64 { return float64(s.Kernel.Status) }),
		one(gauge, "foliot_kernel_offset_seconds", "Offset that the kernel's own loop still slews out.",
			func(s *S) float64 { return float64(s.Kernel.Offset) }),
		one(gauge, "foliot_kernel_frequency_ratio", "Correction of the kernel's clock, without the tick.",
			func(s *S) float64 { return float64(s.Kernel.Frequency) }),
		one(gauge, "foliot_kernel_max_error_seconds", "Bound of the error as the kernel tells it.",
			func(s *S) float64 { return float64(s.Kernel.MaxError) }),
		one(gauge, "foliot_kernel_estimated_error_seconds", "Estimated error as the kernel tells it.",
			func(s *S) float64 { return float64(s.Kernel.EstError) }),
		one(gauge, "foliot_kernel_loop_time_constant", "Time constant of the kernel's own loop.",
			func(s *S) float64 { return float64(s.Kernel.Constant) }),
		one(gauge, "foliot_kernel_precision_seconds", "Precision of the clock as the kernel tells it.",
			func(s *S) float64 { return s.Kernel.Precision }),
		one(gauge, "foliot_kernel_tolerance_ratio", "Largest correction of the frequency without the tick.",
			func(s *S) float64 { return float64(s.Kernel.Tolerance) }),
		one(gauge, "foliot_kernel_tai_offset_seconds", "TAI minus UTC as the kernel tells it.",
			func(s *S) float64 { return float64(s.Kernel.TAI) }),
		one(gauge, "foliot_kernel_tick_seconds", "Length of a tick of the kernel's clock.",
			func(s *S) float64 { return float64(s.Kernel.Tick) * 1e-6 }),
		stateSet("foliot_kernel_leap", "Leap second that the kernel was told about, as a set of states.", leaps[:3],
			func(s *S) int { return int(s.Kernel.Leap) }),
	}
	for i := range list {
		list[i] = list[i].onlyWhen(func(s *S) bool { return s.Kernel.Valid })
	}
	return list
}
