// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"math"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// binary is the protobuf format: messages of type MetricFamily, each behind its
// length. It is the only one that carries native histograms. Field numbers are
// those of io/prometheus/client/metrics.proto.
type binary struct {
	b     []byte
	start int // of the message that is being written
	err   error
}

// Fields of MetricFamily, Metric, LabelPair, and of Gauge and Counter.
const (
	familyName, familyHelp, familyType, familyMetric protowire.Number = 1, 2, 3, 4

	metricLabel, metricGauge, metricCounter protowire.Number = 1, 2, 3

	labelName, labelValue protowire.Number = 1, 2
	simpleValue           protowire.Number = 1
)

var binaryKinds = map[kind]dto.MetricType{
	gauge: dto.MetricType_GAUGE, counter: dto.MetricType_COUNTER, histogram: dto.MetricType_HISTOGRAM,
}

// field appends a field of octets.
func field[T string | []byte](b []byte, n protowire.Number, v T) []byte {
	b = protowire.AppendTag(b, n, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(v)))
	return append(b, v...)
}

func (p *binary) begin(f *family) {
	p.start = len(p.b)
	p.b = field(p.b, familyName, f.name)
	p.b = field(p.b, familyHelp, f.help)
	p.b = protowire.AppendTag(p.b, familyType, protowire.VarintType)
	p.b = protowire.AppendVarint(p.b, uint64(binaryKinds[f.kind]))
}

// end puts the length before the message.
func (p *binary) end() {
	n := len(p.b) - p.start
	size := protowire.SizeVarint(uint64(n))
	p.b = append(p.b, make([]byte, size)...)
	copy(p.b[p.start+size:], p.b[p.start:])
	protowire.AppendVarint(p.b[:p.start], uint64(n))
}

// render writes labels as fields of a Metric.
func (p *binary) render(names, values []string) string {
	var pair [256]byte
	b := make([]byte, 0, 128)
	for i, n := range names {
		b = field(b, metricLabel, field(field(pair[:0], labelName, n), labelValue, values[i]))
	}
	return string(b)
}

func (p *binary) sample(f *family, labels, more string, v float64) {
	number := metricGauge
	if f.kind == counter {
		number = metricCounter
	}
	const double = 9         // octets of a Gauge or Counter: a tag and a double
	const value = 2 + double // of the field that it is in
	b := protowire.AppendTag(p.b, familyMetric, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(labels)+len(more)+value))
	b = append(append(b, labels...), more...)
	b = protowire.AppendTag(b, number, protowire.BytesType)
	b = protowire.AppendVarint(b, double)
	b = protowire.AppendTag(b, simpleValue, protowire.Fixed64Type)
	p.b = protowire.AppendFixed64(b, math.Float64bits(v))
}

func (p *binary) spread(_ *family, d *spread) {
	m, err := proto.Marshal(&dto.Metric{Histogram: histogramOf(d)})
	if err != nil {
		p.err = err
		return
	}
	p.b = field(p.b, familyMetric, m)
}

// Write appends p, so that a binary is an [io.Writer].
func (p *binary) Write(b []byte) (int, error) {
	p.b = append(p.b, b...)
	return len(b), nil
}

// histogramOf returns d as a histogram with the buckets that text formats show, and
// the same as native ones if they are powers of two of a second. In schema 0 the
// native bucket i ends at 2^i seconds; the first of ours is its zero bucket.
func histogramOf(d *spread) *dto.Histogram {
	first, last := 0, len(d.buckets)-1
	h := &dto.Histogram{}
	if d.unit == 1 {
		h.Schema, h.ZeroThreshold = proto.Int32(0), proto.Float64(d.end(first))
		h.ZeroCount = proto.Uint64(d.buckets[first])
		h.PositiveSpan = []*dto.BucketSpan{{Offset: proto.Int32(int32(d.first + 1)), Length: proto.Uint32(uint32(last))}}
	}
	n, before := uint64(0), int64(0)
	for i, c := range d.buckets {
		n += c
		if i < last {
			h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: proto.Float64(d.end(i)), CumulativeCount: proto.Uint64(n)})
		}
		if i > first && d.unit == 1 {
			h.PositiveDelta = append(h.PositiveDelta, int64(c)-before)
			before = int64(c)
		}
	}
	h.SampleCount, h.SampleSum = proto.Uint64(n), proto.Float64(d.sum)
	return h
}
