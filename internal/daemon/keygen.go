// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"foliot/internal/auth"
)

// KeyRequest is what --keygen asks for.
type KeyRequest struct {
	ID   uint32
	Type auth.Type
	Bits int
}

// parseKeyRequest reads the arguments of chronyc's keygen: [ID [TYPE [BITS]]].
func parseKeyRequest(args []string) (*KeyRequest, error) {
	r := &KeyRequest{ID: 1, Type: auth.SHA1, Bits: auth.DefaultBits}
	if len(args) > 3 {
		return nil, fmt.Errorf("option --keygen takes up to 3 arguments (ID, TYPE, BITS), got %d", len(args))
	}
	if len(args) > 0 {
		id, err := strconv.ParseUint(args[0], 10, 32)
		if err != nil || id == 0 {
			return nil, fmt.Errorf("invalid key ID %q (min 1, max %d)", args[0], uint32(math.MaxUint32))
		}
		r.ID = uint32(id)
	}
	if len(args) > 1 {
		t, err := auth.ParseType(args[1])
		if err != nil {
			return nil, fmt.Errorf("invalid key type %q (one of %s)", args[1], keyTypes())
		}
		r.Type = t
	}
	if len(args) > 2 {
		n, err := strconv.ParseInt(args[2], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("invalid number of bits %q (min %d, max %d)", args[2], auth.MinBits, auth.MaxBits)
		}
		r.Bits = int(n)
	}
	return r, nil
}

func keyTypes() string {
	var names []string
	for t := auth.MD5; t <= auth.AES256; t++ {
		names = append(names, t.String())
	}
	return strings.Join(names, ", ")
}

// generate is --keygen. Lengths out of range are brought into it as chronyc
// does, and unlike there it is said.
func (r *KeyRequest) generate(random io.Reader, stdout, stderr io.Writer) int {
	line, err := auth.Generate(r.ID, r.Type, r.Bits, random)
	if err != nil {
		fmt.Fprintf(stderr, "foliotd: %s\n", err)
		return exitFatal
	}
	if _, err := fmt.Fprintln(stdout, line); err != nil {
		fmt.Fprintf(stderr, "foliotd: write key: %s\n", err)
		return exitFatal
	}
	if note := r.note(); note != "" {
		fmt.Fprintf(stderr, "foliotd: %s\n", note)
	}
	return exitOK
}

// note says that the key has another length than was asked for, but for what
// makes whole octets.
func (r *KeyRequest) note() string {
	lo, hi := r.Type.SecretBits(0), r.Type.SecretBits(math.MaxInt32)
	switch {
	case lo == hi && r.Bits != lo && r.Bits != auth.DefaultBits:
		return fmt.Sprintf("%s has %d bits, not %d", r.Type, lo, r.Bits)
	case lo < hi && (r.Bits < lo || r.Bits > hi):
		return fmt.Sprintf("made a key of %d bits, not %d (min %d, max %d)", r.Type.SecretBits(r.Bits), r.Bits, lo, hi)
	}
	return ""
}
