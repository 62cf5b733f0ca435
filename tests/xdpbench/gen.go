// SPDX-License-Identifier: Apache-2.0

package main

//go:generate go tool bpf2go -tags linux -target bpfel -cc clang -cflags "-O2 -g -Wall -Wextra -Werror -mcpu=v3" bench ../../bpf/bench.bpf.c
