#!/bin/sh
# Collects all evidence on a plug-in bundle of this Mac into one archive, and prints its SHA-256 and
# path. For Fleet's script runner and any MDM that runs scripts as root: fill in the lines below.
set -eu

path=   # as the column path has it; empty: every bundle
expect= # the column hash; another digest is collected too, and the script ends with 1
place=/var/db/dsplug/collected # where the archive stays, for root alone
upload= # https://…: a place that takes a PUT, such as a pre-signed address of a bucket

fail() {
    echo "dsplug: $*" >&2
    exit 1
}

# DSPLUG names another binary; else that of the installer, or of Fleet's update server.
find_dsplug() {
    for dsplug in "${DSPLUG-}" /opt/dsplug/bin/dsplug.ext \
        /opt/orbit/bin/extensions/dsplug/macos/*/dsplug.ext; do
        if [ -n "$dsplug" ] && [ -x "$dsplug" ]; then
            return
        fi
    done
    fail "dsplug is not installed here"
}

# A text as SQL has it.
sql() {
    printf "'%s'" "$(printf %s "$1" | sed "s/'/''/g")"
}

find_dsplug
umask 077
mkdir -p "$place"
# Whoever has a Mac names it: of that name goes into a path what leads nowhere else.
host=$(hostname -s | LC_ALL=C tr -cd 'A-Za-z0-9-' | cut -c 1-63)
archive="$place/dsplug-$host-$(date -u +%Y%m%dT%H%M%SZ)-$$.tar.gz"
if [ -n "$path" ]; then
    "$dsplug" collect --output "$archive" "$path"
else
    "$dsplug" collect --output "$archive" --all
fi
if [ -n "$upload" ]; then
    curl --fail --silent --show-error --proto '=https' --upload-file "$archive" "$upload" ||
        fail "$archive was not uploaded"
fi
if [ -n "$expect" ]; then
    hash=$("$dsplug" query --format csv "SELECT hash FROM dsplug_bundles WHERE path = $(sql "$path")" | sed 1d)
    [ "$hash" = "$expect" ] || fail "$path is not what was expected: its digest is $hash"
fi
