#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Generates again what is generated from bpf/ and compares it with what is
# committed. The object depends on the compiler, so it is compared where clang is
# of the version that made it; any other has to be able to make one.
set -euo pipefail
cd "$(dirname "$0")/.."

made_by=14
packages=(internal/fastpath tests/xdpbench)

if ! version=$(clang -dumpversion 2>/dev/null); then
	if [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ]; then
		echo "check-generated needs clang, and there is none" >&2
		exit 1
	fi
	echo "check-generated: no clang, nothing compared"
	exit 0
fi

before=$(mktemp -d)
restore() {
	for p in "${packages[@]}"; do [ ! -d "$before/$p" ] || cp "$before/$p/"* "$p/"; done
	rm -rf "$before"
}
trap restore EXIT
for p in "${packages[@]}"; do
	mkdir -p "$before/$p"
	cp "$p"/*_bpfel.* "$before/$p/"
done
go generate "${packages[@]/#/./}"
if [ "${version%%.*}" != $made_by ]; then
	echo "check-generated: clang $version compiles it; what is committed was made by clang $made_by and is not compared"
	exit 0
fi
for p in "${packages[@]}"; do
	for f in "$before/$p"/*; do
		if ! cmp "$f" "$p/${f##*/}"; then
			echo "check-generated: $p/${f##*/} is not what bpf/ gives: run make generate and commit it" >&2
			exit 1
		fi
	done
done
echo "check-generated: what is committed is what bpf/ gives"
