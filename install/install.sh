#!/bin/sh
# Installs dsplug on this Mac, or updates it. What it does stands in README.md.

here=$(cd "$(dirname "$0")" && pwd -P) || exit 1
# shellcheck source=install/common.sh
. "$here/common.sh"

usage() {
    cat <<'USAGE'
usage: install.sh [--for osquery|fleet|kolide|elastic] [--binary FILE] [--pack FILE]
                  [--dry-run] [--restart]

  --for      who runs osqueryd here; found out when left out. osquery: binary,
             extensions.load, flags and pack. fleet, kolide: binary and
             extensions.load; flags and queries come from their server. elastic:
             the binary alone.
  --binary   the extension to install; without it, the dsplug.ext of this package
  --pack     the pack to install; without it, the packs/dsplug.conf of this package
  --dry-run  print what would change, and change nothing
  --restart  restart osqueryd afterwards; without it, nothing is restarted
DESTDIR in the environment stands before every path.
USAGE
}

host=
binary=
pack=
load=
config=
restart=
while [ $# -gt 0 ]; do
    case $1 in
    --for) [ $# -gt 1 ] || { usage >&2; exit 2; }; host=$2; shift ;;
    --binary) [ $# -gt 1 ] || { usage >&2; exit 2; }; binary=$2; shift ;;
    --pack) [ $# -gt 1 ] || { usage >&2; exit 2; }; pack=$2; shift ;;
    --dry-run) DRY_RUN=1 ;;
    --restart) restart=1 ;;
    -h | --help) usage; exit 0 ;;
    *) printf 'dsplug: unknown argument: %s\n' "$(tame "$1")" >&2; usage >&2; exit 2 ;;
    esac
    shift
done
case $host in
'') host=$(detect) ;;
osquery | fleet | kolide | elastic) ;;
*) printf 'dsplug: --for %s: not one of osquery, fleet, kolide, elastic\n' "$(tame "$host")" >&2; exit 2 ;;
esac

# The first of these files that exists.
first() {
    for file in "$@"; do
        [ ! -f "$file" ] || { printf '%s' "$file"; return; }
    done
}

# Refuses to install what the next run would refuse to replace: `refuse_unlike FILE MOST`.
refuse_unlike() {
    large=$(find "$1" -prune -size "+${2}c") || die "$(tame "$1"): its size cannot be read"
    [ -z "$large" ] || die "$(tame "$1") has more than $2 bytes: it could be installed and not updated" "cure: make it smaller"
}

# Refuses flags by which one file would be two things to us, in any of the ways that a path is written.
refuse_two_roles() {
    printf '%s\n' "$BINARY" "$flags" "$load" "$config" "$config.d/dsplug.conf" "$OSQUERY/packs/dsplug.conf" |
        sed -e ':again' -e 's|/\./|/|' -e 't again' -e 's|//*|/|g' | tr '[:upper:]' '[:lower:]' |
        LC_ALL=C sort | uniq -d > "$STAGE/twice"
    [ ! -s "$STAGE/twice" ] ||
        die "$flags names one file for two things: $(head -n 1 "$STAGE/twice")" \
            "cure: name a file of its own by --extensions_autoload and by --config_path"
}

# Every check that needs no change of the disk, so that a refusal costs nothing.
check() {
    [ -n "$binary" ] || binary=$(first "$here/../dsplug.ext" "$here/../../bin/dsplug.ext" "$here/dsplug.ext")
    [ -n "$binary" ] && [ -f "$binary" ] || die "no dsplug.ext to install" "cure: name it with --binary"
    refuse_unlike "$binary" "$MOST_OF_BINARY"
    cp "$binary" "$STAGE/dsplug.ext"
    if [ "$host" = osquery ]; then
        [ -n "$pack" ] || pack=$(first "$here/../packs/dsplug.conf" "$here/dsplug.conf")
        [ -n "$pack" ] && [ -f "$pack" ] || die "no pack to install" "cure: name it with --pack"
        refuse_unlike "$pack" "$MOST_OF_TEXT"
        cp "$pack" "$STAGE/dsplug.conf"
    fi
    # What is checked is the draft, which nobody else can write, not its source.
    if [ -f "$here/../SHA256SUMS" ] && [ "$binary" = "$here/../dsplug.ext" ]; then
        grep ' dsplug\.ext$' "$here/../SHA256SUMS" > "$STAGE/sums" || die "SHA256SUMS does not name dsplug.ext"
        if command -v shasum > /dev/null; then sum='shasum -a 256'; else sum=sha256sum; fi
        (cd "$STAGE" && $sum -c sums > /dev/null 2>&1) ||
            die "dsplug.ext does not match SHA256SUMS" "cure: fetch the release again"
    fi
    if command -v codesign > /dev/null; then
        codesign --verify --strict "$STAGE/dsplug.ext" ||
            die "codesign does not accept dsplug.ext" "cure: fetch the release again"
    fi
    refuse_unsafe_ancestors "$BINARY"
    refuse_unsafe_file "$BINARY"
    for script in common.sh uninstall.sh; do
        refuse_unsafe_ancestors "$PRODUCT/share/install/$script"
        refuse_odd_file "$PRODUCT/share/install/$script"
    done
    [ "$host" != elastic ] || return 0

    flags=$OSQUERY/osquery.flags
    refuse_unsafe_ancestors "$flags"
    refuse_odd_text "$flags"
    if [ "$host" = osquery ]; then
        refuse_odd_flags "$flags"
        load=$(flag_or "$OSQUERY/extensions.load" extensions_autoload "$DESTDIR$flags" "osqueryd starts no extension")
        timeout=$(flag_or '' extensions_timeout "$DESTDIR$flags" "osqueryd does not start")
        plugin=$(flag_or filesystem config_plugin "$DESTDIR$flags" "osqueryd reads no configuration")
        # A configuration that is a server's has no path.
        [ "$plugin" != filesystem ] ||
            config=$(flag_or "$OSQUERY/osquery.conf" config_path "$DESTDIR$flags" "osqueryd reads no configuration")
    fi
    load=${load:-$OSQUERY/extensions.load}
    config=${config:-$OSQUERY/osquery.conf}
    case $load:$config in
    *%* | [!/]* | */ | */:/* | *[[:blank:]] | *[[:blank:]]:/*)
        die "$flags names a path that is relative, a directory's, holds a percent sign or ends in a blank" \
            "cure: name plain absolute paths" ;;
    esac
    refuse_leading_out "$load"
    refuse_leading_out "$config"
    refuse_unsafe_ancestors "$load"
    refuse_unsafe_file "$load"
    refuse_odd_text "$load"
    if [ "$host" = fleet ] && [ -s "$DESTDIR/opt/orbit/extensions.load" ]; then
        die "Fleet's update server already ships extensions to this host (/opt/orbit/extensions.load is not empty): orbit then passes --extensions_autoload for that file, and osqueryd never reads $load" \
            "cure: ship dsplug by the update server too (install/fleet/README.md)"
    fi
    if [ "$host" != osquery ]; then return 0; fi
    refuse_two_roles
    if [ -e "$DESTDIR/opt/orbit/bin/orbit" ]; then
        note "osquery and Fleet's orbit are both on this host: this is for osquery; for the other use --for fleet"
    fi
    refuse_unsafe_ancestors "$OSQUERY/packs/dsplug.conf"
    refuse_unsafe_ancestors "$config.d/dsplug.conf"
    refuse_unsafe_file "$flags"
    refuse_unsafe_file "$config" unread
    refuse_unsafe_file "$config.d/dsplug.conf"
    refuse_unsafe_file "$OSQUERY/packs/dsplug.conf"
    ! flag_says_yes disable_extensions "$DESTDIR$flags" ||
        note "$flags has --disable_extensions: no extension runs until you take it out"
    ! flag_says_yes disable_logging "$DESTDIR$flags" ||
        note "$flags has --disable_logging: osqueryd logs no line until you take it out"
    table=$(table_left_out "$DESTDIR$flags")
    [ -z "$table" ] ||
        note "$flags leaves $table out by --disable_tables or --enable_tables: queries on it fail until you change that"
    case $timeout in
    '' | *[!0-9]* | ??*) ;;
    *) note "$flags has --extensions_timeout=$timeout, left as it is: 10 gives a slow start more time" ;;
    esac
    case $plugin in
    filesystem) ;;
    *)
        note "osqueryd takes its configuration from '$plugin': add the pack there; no file is written for it"
        config= ;;
    esac
}

# The whole change, inside one transaction.
apply() {
    make_directory "$PRODUCT/bin"
    make_directory "$PRODUCT/share/install"
    put "$here/common.sh" "$PRODUCT/share/install/common.sh" 0644
    put "$here/uninstall.sh" "$PRODUCT/share/install/uninstall.sh" 0755
    [ -n "$DRY_RUN" ] || make_directory "$RECEIPTS"
    printf '%s\n' "$host" > "$STAGE/host"
    put "$STAGE/host" "$RECEIPTS/host" 0600
    put "$STAGE/dsplug.ext" "$BINARY" 0755

    if [ "$host" = osquery ] && [ -n "$config" ]; then
        make_directory "$OSQUERY/packs"
        edit "$STAGE/dsplug.conf" "$OSQUERY/packs/dsplug.conf" whole
        make_directory "$config.d"
        # osqueryd reads <config_path>.d only when <config_path> itself is there.
        if [ ! -e "$DESTDIR$config" ]; then
            printf '{}\n' > "$STAGE/osquery.conf"
            edit "$STAGE/osquery.conf" "$config" config
        fi
        printf '{"packs": {"dsplug": "%s"}}\n' "$OSQUERY/packs/dsplug.conf" > "$STAGE/drop-in"
        edit "$STAGE/drop-in" "$config.d/dsplug.conf" whole
    fi
    if [ "$host" != elastic ]; then
        make_directory "${load%/*}"
        read_or_nothing "$load" | load_with > "$STAGE/load"
        edit "$STAGE/load" "$load" load
    fi
    if [ "$host" = osquery ]; then
        read_or_nothing "$flags" | flags_with > "$STAGE/flags"
        edit "$STAGE/flags" "$flags" flags
        if [ -z "$timeout" ] && [ -z "$DRY_RUN" ]; then
            printf 'ours\n' > "$STAGE/timeout"
            put "$STAGE/timeout" "$RECEIPTS/timeout" 0600
        fi
    fi
    if [ -s "$STAGE/made" ] && [ -z "$DRY_RUN" ]; then
        { read_or_nothing "$RECEIPTS/directories"; cat "$STAGE/made"; } |
            grep -v "^$STATE" | LC_ALL=C sort -u > "$STAGE/directories" || :
        put "$STAGE/directories" "$RECEIPTS/directories" 0600
    fi
}

begin
lock
recover
check
open_journal ${load:+"$load"} ${config:+"$config" "$config.d/dsplug.conf"}
apply
close_journal
if [ -z "$DRY_RUN" ] && command -v xattr > /dev/null; then
    xattr -d com.apple.quarantine "$DESTDIR$BINARY" 2> /dev/null || :
fi
if [ -z "$TOLD" ]; then
    say "nothing to change: dsplug is installed as this release has it"
    [ -n "$restart" ] || exit 0
fi
restart_osqueryd "$host" "$restart"
