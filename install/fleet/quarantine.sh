#!/bin/sh
# Takes a plug-in bundle of this Mac out of its folder and ends the process that has loaded it, when
# its digest is the one that was judged. The evidence is kept first. For Fleet's script runner and
# any MDM that runs scripts as root: fill in the form at its end.
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
    path='' expect='' reason='' upload='' odd=''
    while IFS= read -r line; do
        case $line in
        path=*) path=${line#*=} ;;
        expect=*) expect=${line#*=} ;;
        reason=*) reason=${line#*=} ;;
        upload=*) upload=${line#*=} ;;
        ?*) odd=$line ;;
        esac
    done
    [ -z "$odd" ] || fail "this is no line of the form: $odd"
    case $path in
    '' | /*) ;;
    *) fail "path begins with a / and has no quotes, not: $path" ;;
    esac
    [ -n "$path" ] && [ -n "$expect" ] || fail "fill in path and expect"
    status=0
    told=$("$dsplug" quarantine "$path" --expect "$expect" --reason "$reason") || status=$?
    [ -z "$told" ] || printf '%s\n' "$told"
    # As this call told it: the ledger may have other entries of that path and digest. It is told where the
    # bundle is in the vault and its loader goes on, too.
    archive=$(printf '%s\n' "$told" | sed -n 's/^evidence  *//p')
    if [ -n "$upload" ] && { [ "$status" = 0 ] || [ -n "$archive" ]; }; then
        curl --fail --silent --show-error --proto '=https' --upload-file "$archive" "$upload" ||
            fail "it is in the vault, but $archive was not uploaded"
    fi
    exit "$status"
}

# The form: each behind its =, as it is shown, without quotes. Whoever names a bundle may put quotes
# and commands into its name; here all is text to the end of the line, and what somebody made of more
# lines is never read. Not by $(cat <<'END'): the bash of a Mac ends that at a bracket in the text.
#   path    the column path
#   expect  the column hash: a bundle of another digest is left alone
#   reason  for the ledger, such as a ticket's number
#   upload  https://…: a place that takes a PUT of the evidence
main <<'END'
path=
expect=
reason=
upload=
END
