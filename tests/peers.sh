#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Unpacks the time programs that cannot be installed beside chrony, or that this
# machine's release has in an older version, into a cache directory:
#
#   chronyd chronyc ntpd ntpq ntpdig timesyncd rdate   of Debian 13
#   busybox                                            with its ntpd, which Debian leaves out: from source
#
# Nothing is installed and no suite is added to the machine. A private
# configuration of apt reads the suite from the mirror that the machine has, and
# every program comes with all its libraries and runs through their dynamic
# loader, so that it is the same on every release. DIRECTORY/bin has the starters.
set -euo pipefail
umask 022 # some of them drop their rights

suite=trixie
programs=(chrony ntpsec ntpsec-ntpdig systemd-timesyncd rdate)

[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0

dir=${XDG_CACHE_HOME:-$HOME/.cache}/foliot-peers
version=$(sha256sum <"$0")
current() { [ "$(cat "$dir/version" 2>/dev/null)" = "$version" ]; }
current && exit 0

mkdir -p "${dir%/*}"
exec 9>"$dir.lock"
flock 9
current && exit 0 # another run was faster

echo "prepare: unpacking other time programs into $dir"
work=$(mktemp -d "$dir.XXXXXX")
trap 'rm -rf "$work"' EXIT
export DEBIAN_FRONTEND=noninteractive
cd "$work"
mkdir -p apt/lists/partial apt/archives/partial apt/none packages root/bin
: >apt/status

# The machine's own apt says where Debian is, and vouches for the keys of the suite.
apt-get update -qq
mirror=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(COMPONENT) $(CREATED_BY) $(RELEASE) $(REPO_URI)' |
	awk '$1 == "Debian" && $2 == "Debian" && $3 == "main" && $4 == "Packages" && $5 !~ /-/ { print $6; exit }')
[ -n "$mirror" ] || { echo "this machine has no Debian mirror" >&2; exit 1; }
apt-get download -qq -o APT::Sandbox::User=root debian-archive-keyring
dpkg -x debian-archive-keyring_*.deb keyring
trust=$work/keyring/usr/share/keyrings/debian-archive-keyring.gpg
cat >apt/sources.list <<EOF
deb [target=Packages signed-by=$trust] $mirror $suite main
deb-src [target=Sources signed-by=$trust] $mirror $suite main
EOF
private=(-qq -o APT::Sandbox::User=root -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts="$work/apt/none"
	-o Dir::Etc::preferencesparts="$work/apt/none" -o Dir::State="$work/apt"
	-o Dir::State::status="$work/apt/status" -o Dir::Cache="$work/apt")
apt-get "${private[@]}" update

# Each program alone, because they conflict: what apt would install on an empty
# machine, of that the libraries and Python.
needed() {
	apt-get "${private[@]}" install -s --no-install-recommends "$1" |
		awk -v program="$1" '$1 == "Inst" && ($2 == program || $2 ~ /^(lib|python3)/) { print $2 }'
}
all=$(for p in "${programs[@]}"; do needed "$p"; done | sort -u)
(cd packages && apt-get "${private[@]}" download $all)
for p in packages/*.deb; do dpkg -x "$p" root; done
rm -rf root/usr/share root/var

# BusyBox with nothing but ntpd.
apt-get "${private[@]}" source --download-only busybox >/dev/null
mkdir busybox
tar -xf busybox_*.orig.tar.* -C busybox --strip-components 1
build() {
	make -C busybox allnoconfig
	sed -i -E 's/^# CONFIG_(BUSYBOX|NTPD|FEATURE_NTP_AUTH|FEATURE_IPV6|LONG_OPTS) is not set/CONFIG_\1=y/' busybox/.config
	make -C busybox oldconfig </dev/null
	make -C busybox -j"$(nproc)"
}
build >build.log 2>&1 || { tail -n 20 build.log >&2; exit 1; }
cp busybox/busybox root/bin/

cd root
loader=$(echo usr/lib*/ld-linux*.so.*)
[ -e "$loader" ] || loader=$(echo usr/lib/*/ld-linux*.so.*)
python=$(echo usr/bin/python3.[0-9]*)
libs=$(echo usr/lib/*-linux-gnu*)
libraries="\$root/$libs:\$root/$libs/systemd"
ln -s "../../../${libs##*/}/ntp/libntpc.so.1" usr/lib/python3/dist-packages/ntp/libntpc.so

# starter NAME PROGRAM [WORDS]: bin/NAME runs PROGRAM, with WORDS before its own.
starter() {
	if ldd=$("./$loader" --library-path "$libs:$libs/systemd" --list "$2") && ! grep -q 'not found' <<<"$ldd"; then
		printf '#!/bin/sh\nroot=${0%%/*}/..\n%sexec "$root/%s" --library-path "%s" "$root/%s" %s"$@"\n' \
			"${4-}" "$loader" "$libraries" "$2" "${3-}" >"bin/$1"
		chmod 755 "bin/$1"
	else
		echo "libraries of $2: $ldd" >&2
		return 1
	fi
}
script() {
	starter "$1" "$python" "-B \"\$root/$2\" " \
		'export PYTHONHOME="$root/usr" PYTHONPATH="$root/usr/lib/python3/dist-packages"'$'\n'
}
starter chronyd usr/sbin/chronyd
starter chronyc usr/bin/chronyc
starter ntpd usr/sbin/ntpd
starter rdate usr/sbin/rdate
starter timesyncd usr/lib/systemd/systemd-timesyncd
script ntpq usr/bin/ntpq
script ntpdig usr/bin/ntpdig
cd ..

echo "$version" >root/version
[ ! -e "$dir" ] || mv "$dir" old
mv root "$dir"
