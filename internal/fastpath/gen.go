// SPDX-License-Identifier: Apache-2.0

package fastpath

// The object runs on every little-endian machine, amd64 and arm64 among them.
//go:generate go tool bpf2go -tags linux -target bpfel -cc clang -cflags "-O2 -g -Wall -Wextra -Werror -mcpu=v3" ntp ../../bpf/ntp.bpf.c
