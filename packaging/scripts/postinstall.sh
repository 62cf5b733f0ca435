#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# After unpacking: of a deb with "configure" and the version before, of an rpm with
# the number of versions that are installed now.
set -e

fresh=false
case "${1:-}" in
configure) [ -n "${2:-}" ] || fresh=true ;;
1) fresh=true ;;
abort-*) exit 0 ;;
esac
# The deb was removed, its configuration was not, and it ran (preremove.sh).
if [ -e /etc/foliot/.was-enabled ]; then
	rm -f /etc/foliot/.was-enabled
	fresh=true
fi

# others lists the time daemons that are enabled or run.
others() {
	for unit in chrony chronyd ntpsec ntp ntpd openntpd ntpd-rs; do
		if systemctl is-active -q "$unit" 2>/dev/null || systemctl is-enabled -q "$unit" 2>/dev/null; then
			echo "$unit.service"
		fi
	done
}

if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers foliot.conf
elif ! getent passwd foliot >/dev/null; then
	useradd --system --user-group --home-dir /var/lib/foliot --no-create-home --shell /usr/sbin/nologin foliot
fi
chown root:foliot /etc/foliot/foliot.keys
chmod 0640 /etc/foliot/foliot.keys
if command -v systemd-tmpfiles >/dev/null; then
	systemd-tmpfiles --create foliot.conf || true
fi
command -v systemctl >/dev/null || exit 0

running=false
if [ -d /run/systemd/system ]; then
	running=true
	systemctl daemon-reload || true
fi

# Another daemon is never stopped or disabled here but timesyncd, which every
# system has and which hands over to whoever is installed, by Debian's custom.
if $fresh; then
	found=$(others | sort -u | tr '\n' ' ')
	if [ -n "$found" ]; then
		echo "foliot: this machine's clock is kept by $found: foliotd is neither enabled nor started."
		echo "foliot: to change over: foliotctl adopt; systemctl disable --now $found; systemctl enable --now foliotd"
		exit 0
	fi
	if systemctl is-enabled -q systemd-timesyncd 2>/dev/null; then
		echo "foliot: systemd-timesyncd.service is disabled in favour of foliotd.service"
		systemctl disable systemd-timesyncd.service || true
	fi
	systemctl enable foliotd.service || true
fi
if $running; then
	if $fresh; then
		verb=start
	elif systemctl is-active -q foliotd.service; then
		verb=restart
	else
		exit 0
	fi
	if command -v deb-systemd-invoke >/dev/null; then
		deb-systemd-invoke "$verb" foliotd.service || true
	else
		systemctl "$verb" foliotd.service || true
	fi
fi
