#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Before removal: of a deb with "remove", of an rpm with 0. An upgrade leaves the
# old daemon running until the new one is there.
set -e

case "${1:-}" in
remove | deconfigure | 0) ;;
*) exit 0 ;;
esac
command -v systemctl >/dev/null || exit 0
if [ -d /run/systemd/system ]; then
	systemctl stop foliot-wait.service foliotd.service || true
fi
# A deb that comes back is configured as an upgrade: this tells it otherwise.
if [ "$1" = remove ] && systemctl is-enabled -q foliotd.service 2>/dev/null; then
	: >/etc/foliot/.was-enabled
fi
systemctl disable foliot-wait.service foliotd.service 2>/dev/null || true
