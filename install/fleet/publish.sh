#!/bin/sh
# Adds dsplug to a Fleet update server of one's own, which orbit downloads it from.
# Runs where fleetctl and the repository's keys are, not on a managed Mac.
#
#   publish.sh REPOSITORY VERSION DSPLUG_EXT
set -eu

[ $# = 3 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
repository=$1
version=$2
binary=$3

command -v fleetctl > /dev/null || { echo "dsplug: fleetctl is not on PATH" >&2; exit 1; }
[ "${binary##*/}" = dsplug.ext ] || { printf 'dsplug: %s: the file must be called dsplug.ext\n' "$binary" >&2; exit 1; }
[ -f "$binary" ] || { printf 'dsplug: %s: no such file\n' "$binary" >&2; exit 1; }

# One version for the channel `stable` and for those who pin a minor or a major one.
fleetctl updates add --path "$repository" --target "$binary" --name extensions/dsplug \
    --platform macos --version "$version" -t "${version%.*}" -t "${version%%.*}" -t stable
