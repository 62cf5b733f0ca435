#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the disk of a virtual machine: image.sh SUITE KERNEL DIRECTORY makes disk.img,
# vmlinuz and initrd there, of Debian SUITE with the kernel package KERNEL, and
# the packages of other daemons under /opt/debs, not installed. What is done once is
# kept; a change of this file does it again.
set -euo pipefail
suite=$1 kernel=$2 out=$3
mirror=${FOLIOT_VM_MIRROR:-http://deb.debian.org/debian}

mark=$(cat "$0" - <<<"$kernel" | sha256sum | cut -c1-16)
[ ! -e "$out/$mark" ] || exit 0
[ "$(id -u)" = 0 ] || { echo "building a disk needs root" >&2; exit 1; }
for tool in debootstrap mkfs.ext4; do
	command -v "$tool" >/dev/null || { echo "$tool is missing: apt install debootstrap e2fsprogs" >&2; exit 1; }
done

rm -rf "$out"
mkdir -p "$out"
root=$out/root
trap 'rm -rf "$root"' EXIT

nice debootstrap --variant=minbase \
	--include="systemd,systemd-sysv,udev,dbus,kmod,iproute2,procps,nftables,$kernel,initramfs-tools,adduser" \
	"$suite" "$root" "$mirror" >"$out/debootstrap.log" 2>&1 || { tail "$out/debootstrap.log" >&2; exit 1; }
mkdir -p "$root/opt/debs" "$root/payload"

# What chronyd wants of the system is there, so that it is installed without a
# network; the daemon itself comes later, or it would start.
archives=$root/var/cache/apt/archives
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
chroot "$root" apt-get install -q -y --no-install-recommends --download-only chrony >>"$out/debootstrap.log" 2>&1
mv "$archives"/chrony_*.deb "$root/opt/debs/"
if ls "$archives"/*.deb >/dev/null 2>&1; then
	chroot "$root" sh -c 'dpkg -i /var/cache/apt/archives/*.deb' >>"$out/debootstrap.log" 2>&1
fi

# Its source has a test of the real clock, of which only the archive is wanted.
echo "deb-src $mirror $suite main" >"$root/etc/apt/sources.list.d/source.list"
chroot "$root" sh -c 'apt-get -q update && cd /opt/debs && apt-get -q source --download-only chrony' >>"$out/debootstrap.log" 2>&1
rm -f "$root"/opt/debs/*.dsc "$root"/opt/debs/*.debian.tar.* "$root"/opt/debs/*.asc "$root/etc/apt/sources.list.d/source.list"

cat >"$root/etc/systemd/system/agent.service" <<'UNIT'
[Unit]
Description=what the tests outside talk to
After=basic.target
[Service]
ExecStartPre=/bin/mount -o ro /dev/disk/by-id/virtio-payload /payload
ExecStart=/payload/agent
ExecStopPost=/bin/umount /payload
Restart=always
RestartSec=1
StandardOutput=journal+console
StandardError=journal+console
[Install]
WantedBy=multi-user.target
UNIT
chroot "$root" systemctl enable agent.service >/dev/null 2>&1
# The time of the tests is no time for housekeeping.
chroot "$root" systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
	fstrim.timer e2scrub_reap.service systemd-pcrlock.socket getty@tty1.service >/dev/null 2>&1 || true
mkdir -p "$root/var/log/journal"
echo '/dev/vda / ext4 rw,relatime 0 1' >"$root/etc/fstab"
: >"$root/etc/machine-id"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/usr/share/{doc,locale,man}/*

cp "$root"/boot/vmlinuz-* "$out/vmlinuz"
cp "$root"/boot/initrd.img-* "$out/initrd"
nice mkfs.ext4 -q -L root -d "$root" "$out/disk.img" 2G
touch "$out/$mark"
