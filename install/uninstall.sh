#!/bin/sh
# Takes dsplug off this Mac: everything that install.sh did, and nothing more.

here=$(cd "$(dirname "$0")" && pwd -P) || exit 1
# shellcheck source=install/common.sh
. "$here/common.sh"

usage() {
    cat <<'USAGE'
usage: uninstall.sh [--dry-run] [--restart]

  --dry-run  print what would change, and change nothing
  --restart  restart osqueryd afterwards; without it, nothing is restarted, and the
             extension that is running stays until osqueryd stops
DESTDIR in the environment stands before every path.
USAGE
}

restart=
while [ $# -gt 0 ]; do
    case $1 in
    --dry-run) DRY_RUN=1 ;;
    --restart) restart=1 ;;
    -h | --help) usage; exit 0 ;;
    *) printf 'dsplug: unknown argument: %s\n' "$(tame "$1")" >&2; usage >&2; exit 2 ;;
    esac
    shift
done

# Takes our part out of a file that has a receipt. A file that is as we left it
# becomes what it was, byte for byte; of one that was edited since, only our lines go.
restore() {
    path=$1
    kept=$(receipt "$path")
    target=$DESTDIR$path
    [ -f "$target" ] || return 0
    if [ -f "$DESTDIR$kept.before" ] && cmp -s "$target" "$DESTDIR$kept.before"; then return 0; fi
    is=$(role "$path")
    if [ "$is" = whole ] || cmp -s "$target" "$DESTDIR$kept.after"; then
        if [ -f "$DESTDIR$kept.before" ]; then
            put "$DESTDIR$kept.before" "$path" keep
        else
            remove "$path"
        fi
        return 0
    fi
    # A configuration that was made for us holds nothing of ours, and is the admin's by now.
    case $is in
    load | flags) without "$is" < "$target" > "$STAGE/without" ;;
    *) return 0 ;;
    esac
    if [ -s "$STAGE/without" ] || [ -f "$DESTDIR$kept.before" ]; then
        put "$STAGE/without" "$path" keep
    else
        remove "$path"
    fi
}

# Refuses before anything is changed: what was safe when it was installed may have become another's.
check() {
    refuse_unsafe_ancestors "$BINARY"
    for kept in "$DESTDIR$RECEIPTS"/*.after; do
        [ -f "$kept" ] || continue
        path=$(receipt_path "$kept")
        refuse_unsafe_ancestors "$path"
        [ -f "$DESTDIR$path" ] || continue
        case $(role "$path") in
        load | flags)
            refuse_unsafe_file "$path"
            refuse_odd_text "$path" ;;
        whole) refuse_unsafe_file "$path" ;;
        *) refuse_unsafe_file "$path" unread ;;
        esac
    done
    [ ! -f "$DESTDIR$RECEIPTS/directories" ] ||
        LC_ALL=C sort -ru "$DESTDIR$RECEIPTS/directories" > "$STAGE/directories"
    [ -f "$STAGE/directories" ] || return 0
    while read -r path; do
        refuse_unsafe_ancestors "$path"
    done < "$STAGE/directories"
}

# The whole change, inside one transaction.
apply() {
    for kept in "$DESTDIR$RECEIPTS"/*.after; do
        [ -f "$kept" ] || continue
        restore "$(receipt_path "$kept")"
    done
    remove "$BINARY"
}

# What follows the transaction takes away only what is empty or our own, and is the
# same when done again. The receipts go before the uninstaller: those that nobody
# knows of would have a later one take away what an admin wrote since.
clean() {
    if command -v pkgutil > /dev/null; then
        if pkgutil ${DESTDIR:+--volume "$DESTDIR"} --pkg-info "$PACKAGE_ID" > /dev/null 2>&1; then
            step pkgutil ${DESTDIR:+--volume "$DESTDIR"} --forget "$PACKAGE_ID"
        fi
    fi
    clean_directories
    step rm -rf "$DESTDIR$RECEIPTS"
    [ ! -d "$DESTDIR$PRODUCT" ] || [ -n "$TOLD" ] || tell remove "$PRODUCT"
    step rm -rf "$DESTDIR${PRODUCT:?}/share/install/uninstall.sh" "$DESTDIR$PRODUCT"
    # Those above it.
    clean_directories
}

# Takes away what is empty of the directories that were made.
clean_directories() {
    [ -f "$STAGE/directories" ] || return 0
    while read -r path; do
        if [ -d "$DESTDIR$path" ]; then step rmdir "$DESTDIR$path" 2> /dev/null || :; fi
    done < "$STAGE/directories"
}

begin
lock
recover
check
host=$(read_or_nothing "$RECEIPTS/host")
# Of a run that was killed behind the receipts the rest is here.
host=${host:-$(detect)}
# shellcheck disable=SC2119 # its receipts name what it touches
open_journal
apply
close_journal
[ -n "$DRY_RUN" ] || clean
if [ -z "$TOLD" ]; then
    say "nothing to remove: dsplug is not installed here"
    exit 0
fi
restart_osqueryd "$host" "$restart"
