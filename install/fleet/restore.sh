#!/bin/sh
# Puts a plug-in bundle back that quarantine.sh took from this Mac. For Fleet's script runner and any
# MDM that runs scripts as root: fill in the lines below.
set -eu

path=   # where it stood, as the column path of dsplug_quarantine has it
expect= # its digest, the column hash

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
[ -n "$path" ] && [ -n "$expect" ] || fail "fill in path and expect"
id=$("$dsplug" query --format csv "SELECT id FROM dsplug_quarantine WHERE state = 'quarantined'
    AND path = $(sql "$path") AND hash = $(sql "$expect") ORDER BY time DESC LIMIT 1" | sed 1d)
[ -n "$id" ] || fail "the vault holds no $path of that digest"
"$dsplug" restore "$id"
