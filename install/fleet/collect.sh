#!/bin/sh
# Collects all evidence on a plug-in bundle of this Mac into one archive, and prints its SHA-256 and
# path. For Fleet's script runner and any MDM that runs scripts as root: fill in the form at its end.
set -eu

fail() {
    printf 'dsplug: %s\n' "$*" >&2
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

main() {
    find_dsplug
    path='' expect='' place='' upload='' odd=''
    while IFS= read -r line; do
        case $line in
        path=*) path=${line#*=} ;;
        expect=*) expect=${line#*=} ;;
        place=*) place=${line#*=} ;;
        upload=*) upload=${line#*=} ;;
        ?*) odd=$line ;;
        esac
    done
    [ -z "$odd" ] || fail "this is no line of the form: $odd"
    case $path in
    '' | /*) ;;
    *) fail "path begins with a / and has no quotes, not: $path" ;;
    esac
    set -- "$path"
    if [ -z "$path" ]; then
        [ -z "$expect" ] || fail "expect is the digest of one bundle: fill in path"
        set -- --all
    elif [ -n "$expect" ]; then
        set -- --expect "$expect" "$path"
    fi
    umask 077
    mkdir -p "$place"
    # Whoever has a Mac names it: of that name goes into a path what leads nowhere else.
    host=$(hostname -s | LC_ALL=C tr -cd 'A-Za-z0-9-' | cut -c 1-63)
    archive="$place/dsplug-$host-$(date -u +%Y%m%dT%H%M%SZ)-$$.tar.gz"
    # What was collected is held to expect, and not what stands there before or behind that.
    status=0
    "$dsplug" collect --output "$archive" "$@" || status=$?
    if [ -n "$upload" ] && [ -e "$archive" ]; then
        curl --fail --silent --show-error --proto '=https' --upload-file "$archive" "$upload" ||
            fail "$archive was not uploaded"
    fi
    exit "$status"
}

# The form: each behind its =, as it is shown, without quotes. Whoever names a bundle may put quotes
# and commands into its name; here all is text to the end of the line, and what somebody made of more
# lines is never read. Not by $(cat <<'END'): the bash of a Mac ends that at a bracket in the text.
#   path    the column path; empty: every bundle
#   expect  the column hash; another digest is collected too, and the script ends with 1
#   place   where the archive stays, for root alone
#   upload  https://…: a place that takes a PUT, such as a pre-signed address of a bucket
main <<'END'
path=
expect=
place=/var/db/dsplug/collected
upload=
END
