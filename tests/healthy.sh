#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Tells whether the kernel answers rtnetlink, within 20 seconds. After an oops with
# the lock of the network configuration held it never does, until the machine is
# started again: whoever asks hangs and cannot be ended, tests included.
set -euo pipefail
command -v ip >/dev/null || exit 0 # nothing can be asked, so tests shall say what is missing
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
(ip -o link show && echo answered) >"$answer" 2>/dev/null </dev/null &
for _ in $(seq 100); do
	sleep 0.2
	grep -q answered "$answer" && exit 0
done
exit 1
