#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs the programs that the tests work with and that are missing: the peer
# daemon (chrony), tools for namespaces (iproute2, util-linux), a reader of manual
# pages (mandoc), the C compiler that the race detector links with, and the one that
# compiles bpf/. peers.sh then unpacks the peers that cannot be installed beside it.
# Does nothing without root or apt-get: tests that miss a program say so. A time
# daemon that the machine has is never replaced, and the one installed here is not
# started.
set -euo pipefail

[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need chronyd chrony
need ip iproute2
need setpriv util-linux
need unshare util-linux
need ethtool ethtool
need gcc build-essential
need mandoc mandoc
need clang clang
need llvm-strip llvm

install() {
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q
	plan=$(apt-get install -s -q --no-install-recommends "${missing[@]}")
	if grep -q '^Remv' <<<"$plan"; then
		echo "prepare: installing ${missing[*]} would remove packages of this machine, so nothing is installed:" >&2
		grep '^Remv' <<<"$plan" >&2
		return
	fi
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
		trap 'rm -f $policy' EXIT
	fi
	apt-get install -y -q --no-install-recommends "${missing[@]}"
}
[ ${#missing[@]} -eq 0 ] || install

"${0%/*}/peers.sh" || echo "prepare: without the other time programs their tests skip" >&2
