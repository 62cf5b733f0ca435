// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"
	"io"
)

// Lengths of generated secrets, bits, as in chronyc.
const (
	DefaultBits = 160
	MinBits     = WeakBits
	MaxBits     = 4096
)

// SecretBits returns how long the secret of a generated key is when bits are
// asked for: brought into MinBits to MaxBits and up to whole octets. AES has its
// own length, whatever is asked for.
func (t Type) SecretBits(bits int) int {
	if t < typeCount && types[t].keyLen != 0 {
		return types[t].keyLen * 8
	}
	return (min(max(bits, MinBits), MaxBits) + 7) / 8 * 8
}

// Generate makes a key with a secret of t.SecretBits(bits) read from random, and
// returns its line for a key file, as chronyc keygen prints it.
func Generate(id uint32, t Type, bits int, random io.Reader) (string, error) {
	secret := make([]byte, t.SecretBits(bits)/8)
	if _, err := io.ReadFull(random, secret); err != nil {
		return "", fmt.Errorf("generate key: %w", err)
	}
	if _, err := NewKey(id, t, secret); err != nil {
		return "", fmt.Errorf("generate key: %w", err)
	}
	return fmt.Sprintf("%d %s HEX:%X", id, t, secret), nil
}
