// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"foliot/internal/clock"
)

// maxRacks is how many racks have histograms of their own; a configuration with
// more of them shows the rest together.
const maxRacks = 64

// otherRacks is the label of those.
const otherRacks = "other"

// observer holds the histograms of measurements. Observing takes no lock that a
// scrape holds: racks are looked up in a map of the loop's own, and the number of
// native buckets is bounded by what the values can be, not by merging, which
// would lock.
type observer struct {
	offset, delay *prometheus.HistogramVec
	racks         map[string]*rack // the loop's
}

type rack struct{ offset, delay prometheus.Observer }

// Bounds of what is counted, seconds: smaller and larger values count as these.
const least, most = 1e-9, 1e5

// bounds are the buckets that text formats show, seconds.
var bounds = []float64{1e-7, 3e-7, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1}

func newObserver() *observer {
	vec := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: bounds,
			// Four native buckets to each doubling, about 190 from least to most.
			NativeHistogramBucketFactor: 1.19, NativeHistogramZeroThreshold: least,
		}, []string{"peer_rack"})
	}
	return &observer{
		offset: vec("foliot_measurement_offset_seconds", "Sizes of measured offsets, whatever their sign."),
		delay:  vec("foliot_measurement_delay_seconds", "Measured round trips."),
		racks:  map[string]*rack{},
	}
}

// of returns the histograms of a rack.
func (o *observer) of(name string) *rack {
	if r := o.racks[name]; r != nil {
		return r
	}
	if len(o.racks) >= maxRacks && name != otherRacks {
		return o.of(otherRacks)
	}
	r := &rack{o.offset.WithLabelValues(name), o.delay.WithLabelValues(name)}
	o.racks[name] = r
	return r
}

// Measured takes in a measurement that was accepted from a source of the rack,
// "" for none. Only the loop may call it.
func (m *Metrics) Measured(rack string, offset clock.Offset, delay clock.Delay) {
	r := m.observer.of(rack)
	r.offset.Observe(bounded(math.Abs(float64(offset))))
	r.delay.Observe(bounded(float64(delay)))
}

func bounded(v float64) float64 { return min(max(v, least), most) }
