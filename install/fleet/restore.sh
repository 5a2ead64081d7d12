#!/bin/sh
# Puts a plug-in bundle back that quarantine.sh took from this Mac. For Fleet's script runner and any
# MDM that runs scripts as root: fill in the form at its end.
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

# A text as SQL has it.
sql() {
    printf "'%s'" "$(printf %s "$1" | sed "s/'/''/g")"
}

main() {
    find_dsplug
    path='' expect='' odd=''
    while IFS= read -r line; do
        case $line in
        path=*) path=${line#*=} ;;
        expect=*) expect=${line#*=} ;;
        ?*) odd=$line ;;
        esac
    done
    [ -z "$odd" ] || fail "this is no line of the form: $odd"
    case $path in
    '' | /*) ;;
    *) fail "path begins with a / and has no quotes, not: $path" ;;
    esac
    [ -n "$path" ] && [ -n "$expect" ] || fail "fill in path and expect"
    # What was interrupted is settled by the call that restores.
    ids=$("$dsplug" query --format csv "SELECT id FROM dsplug_quarantine WHERE state <> 'restored'
        AND path = $(sql "$path") AND hash = $(sql "$expect")
        AND id GLOB '[0-9]*' AND id NOT GLOB '*[^0-9A-Za-z-]*'
        ORDER BY state = 'quarantined' DESC, time DESC" | sed 1d)
    # What the ledger says is a text: the first that has the digest itself goes back.
    for id in $ids; do
        if "$dsplug" restore "$id" --expect "$expect"; then
            exit
        fi
    done
    # Whoever has the ledger makes it larger than is read, or an entry unreadable.
    unread=$("$dsplug" query --format csv "SELECT error FROM dsplug_quarantine WHERE state = 'incomplete'
        AND path = '' ORDER BY error LIKE 'limit:%' DESC LIMIT 1" | sed 1d)
    [ -z "$unread" ] ||
        fail "whether the vault holds $path is not known, for not all of the ledger can be read: $unread;" \
            "dsplug restore ID --expect HASH asks for one entry"
    [ -z "$ids" ] || exit 1
    fail "by its ledger the vault holds no $path of that digest"
}

# The form: each behind its =, as it is shown, without quotes. Whoever names a bundle may put quotes
# and commands into its name; here all is text to the end of the line, and what somebody made of more
# lines is never read. Not by $(cat <<'END'): the bash of a Mac ends that at a bracket in the text.
#   path    where it stood, as the column path of dsplug_quarantine has it
#   expect  its digest, the column hash: what is of another digest stays in the vault
main <<'END'
path=
expect=
END
