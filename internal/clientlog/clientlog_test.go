// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"reflect"
	"testing"
)

// TestSize: what New divides by is what a record takes.
func TestSize(t *testing.T) {
	if n := int(reflect.TypeFor[Record]().Size()); n != RecordSize {
		t.Errorf("a record has %d octets, RecordSize is %d", n, RecordSize)
	}
}

// TestSipHash compares with the vectors of the reference implementation for the
// message 00 01 .. 0f and the key 00 01 .. 0f (SipHash-2-4).
func TestSipHash(t *testing.T) {
	k := HashKey{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	if got := k.siphash(2, 4, 0x0706050403020100, 0x0f0e0d0c0b0a0908); got != 0x3f2acc7f57c29bdb {
		t.Errorf("SipHash-2-4 of 16 octets is %#x, want 0x3f2acc7f57c29bdb", got)
	}
}
