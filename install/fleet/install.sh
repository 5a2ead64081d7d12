#!/bin/sh
# Installs dsplug on a Mac that Fleet manages without an update server of its own.
#
# It is uploaded as it is, in one of two ways:
# - as the install script of the custom package dsplug-VERSION.pkg: Fleet sets
#   INSTALLER_PATH to the package that it has downloaded;
# - as a script by itself: fill in the two lines below, and it fetches the archive.
set -eu

url=    # https://…/dsplug-VERSION-macos.tar.gz
sha256= # its line in SHA256SUMS

[ "$(id -u)" = 0 ] || { echo "dsplug: this needs root" >&2; exit 1; }

# A list that orbit writes hides every other one: say so before anything is fetched.
if [ -s "${DESTDIR-}/opt/orbit/extensions.load" ]; then
    echo "dsplug: this fleet's update server ships extensions already, and orbit makes osqueryd read its list alone." >&2
    echo "dsplug: cure: ship dsplug by the update server too: install/fleet/README.md" >&2
    exit 1
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/dsplug.XXXXXX")
trap 'rm -rf "$work"' EXIT

if [ -n "${INSTALLER_PATH:-}" ] && [ "${INSTALLER_PATH%.pkg}" != "$INSTALLER_PATH" ]; then
    installer -pkg "$INSTALLER_PATH" -target "${DESTDIR:-/}"
    # orbit runs this script: it is restarted after the script has ended.
    (sleep 10 && launchctl kickstart -k system/com.fleetdm.orbit) > /dev/null 2>&1 < /dev/null &
    exit 0
fi

if [ -z "$url" ] || [ -z "$sha256" ]; then
    echo "dsplug: no package and no address: fill in url and sha256" >&2
    exit 1
fi
curl --fail --silent --show-error --location --proto '=https' --output "$work/dsplug.tar.gz" "$url"
printf '%s  %s\n' "$sha256" "$work/dsplug.tar.gz" | shasum -a 256 -c - > /dev/null || {
    printf 'dsplug: %s is not what sha256 names\n' "$url" >&2
    exit 1
}
tar -xzf "$work/dsplug.tar.gz" -C "$work"
sh "$work"/dsplug-*/install/install.sh --for fleet --restart
