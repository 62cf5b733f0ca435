#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# After removal: of a deb with "remove" or "purge", of an rpm with 0 for the last.
set -e

case "${1:-}" in
purge)
	rm -rf /var/lib/foliot /var/log/foliot /run/foliot-dhcp
	rm -f /etc/foliot/*.before-adopt /etc/foliot/.was-enabled
	rmdir /etc/foliot 2>/dev/null || true
	if command -v userdel >/dev/null && getent passwd foliot >/dev/null; then
		userdel foliot || true
	fi
	;;
esac
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
