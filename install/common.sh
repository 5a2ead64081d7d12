# shellcheck shell=sh
# shellcheck disable=SC2034 # its names are used by the scripts that read it
# shellcheck disable=SC2012 # ls: `stat` has no form that macOS and Linux share, and the names are ours
# What the installer and the uninstaller share: where things stand on a Mac, the
# refusal of unsafe places, and a journal that makes a run all or nothing.
#
# Every change to the disk is one command behind `step`, is written down in the
# journal before it happens, and replaces a file by a rename. A run that fails
# undoes itself; a run that was killed is undone by the next run before it
# begins. DESTDIR, when set, stands before every path.
#
# Test hook: DSPLUG_INSTALL_STOP_AFTER=N kills the script with SIGKILL before its
# step N+1, as a power cut would.

DESTDIR=${DESTDIR-}
DESTDIR=${DESTDIR%/}

PRODUCT=/opt/dsplug
BINARY=$PRODUCT/bin/dsplug.ext
OSQUERY=/var/osquery
STATE=/var/db/dsplug
RECEIPTS=$STATE/receipts
JOURNAL=$STATE/journal
PACKAGE_ID=com.dsplug.pkg
TABLES='dsplug_bundles dsplug_events dsplug_exceptions dsplug_files dsplug_folders dsplug_quarantine dsplug_status'

ME=$(id -u)
DRY_RUN=
TOLD=
STEPS=0
WALKED=0
OPERATIONS=0
STAGE=
IN_TRANSACTION=
LOCKED=
SAFE=

# No honest file has more, in bytes: a text that is read or replaced, the binary, and a file of the state
# directory that is no copy of those. Nor has the state directory more files, or a list of it more lines.
MOST_OF_TEXT=1048576
MOST_OF_BINARY=67108864
MOST_OF_STATE=65536
MOST_FILES=500
# Directories on the ways to all paths of a run.
MOST_WALKED=3000

# --- What is said -------------------------------------------------------------

# What a terminal obeys, and what turns the order of signs around: control characters of one byte, and of two
# and three in UTF-8.
MISLEADING=$(printf '%b' 's/\0302[\0200-\0237]/?/g;s/\0342\0200[\0213-\0217\0250-\0256]/?/g;s/\0342\0201[\0240-\0257]/?/g;s/\0357\0273\0277/?/g')

# Lines of a file as they may be shown.
tame_lines() { LC_ALL=C tr '\001-\010\013-\037\177' '?' | LC_ALL=C sed "$MISLEADING"; }

# Text of the volume or of the caller, in one line that may be shown.
tame() { printf '%.2000s' "$1" | LC_ALL=C tr '\001-\037' '?' | tame_lines; }

# Text as one word, the same in sh, bash, zsh and fish: see src/shell.rs.
quoted() { printf "'%s'" "$(printf '%s' "$1" | LC_ALL=C sed "s/['\\\\]/'\\\\&'/g")"; }

# What to do about a path, in a command that can be pasted: `cure COMMAND PATH`.
cure() {
    if [ "$(tame "$2")" = "$2" ]; then
        printf 'cure: %s %s' "$1" "$(quoted "$2")"
    else
        printf 'cure: %s what is called so; its name has signs that are not shown' "$1"
    fi
}

say() { printf '%s\n' "$(tame "$*")"; }
note() { printf 'dsplug: note: %s\n' "$(tame "$*")" >&2; }

# Ends the run: `die what-is-wrong what-to-do`.
die() {
    printf 'dsplug: %s\n' "$(tame "$1")" >&2
    [ $# -lt 2 ] || printf 'dsplug: %s\n' "$(tame "$2")" >&2
    exit 1
}

# --- Safety -----------------------------------------------------------------

# "MODE UID GID" of a path itself, as `ls` prints them: `stat` has no common form.
attributes() { LC_ALL=C ls -ldn -- "$1" | awk 'NR == 1 { print $1, $3, $4 }'; }

# True when this uid may own what root will run: root, or under DESTDIR whoever stages.
trusted_uid() { [ "$1" = 0 ] || { [ -n "$DESTDIR" ] && [ "$1" = "$ME" ]; }; }

# Refuses a path that anyone but root could change. One that passed is not asked again.
refuse_unsafe() {
    case $SAFE in *"|$1|"*) return 0 ;; esac
    attributes "$1" > "$STAGE/attributes" || die "$1: cannot be read"
    read -r mode uid gid < "$STAGE/attributes"
    trusted_uid "$uid" ||
        die "$1 belongs to uid $uid: its owner could replace what root runs" "$(cure 'chown root:wheel' "$1")"
    case $mode in
    ????????w*) die "$1 is writable by everyone ($mode)" "$(cure 'chmod go-w' "$1")" ;;
    esac
    case $mode in
    ?????w*)
        # On a Mac, group 0 is wheel, whose one member is root.
        [ "$gid" = 0 ] || die "$1 is writable by group $gid ($mode)" "$(cure 'chmod go-w' "$1")" ;;
    esac
    case $mode in
    ??????????[!.]*)
        # A mark. macOS shows one alone, and that of extended attributes (@) hides that of an access control
        # list (+), whose entries it shows with -e. The dot is SELinux's.
        LC_ALL=C ls -lde -- "$1" > "$STAGE/list" 2> /dev/null ||
            die "$1: the access control list cannot be read" "cure: run it where ls has -e, or take the list off"
        if grep -E '^ *[0-9]+: .* allow .*(write|append|add_file|add_subdirectory|delete|chown)' "$STAGE/list" > /dev/null; then
            die "$1 has an access control list that lets others write" "$(cure 'chmod -N' "$1")"
        fi ;;
    esac
    SAFE="$SAFE|$1|"
}

# Refuses a path that is not below DESTDIR as it is written: the text of a flag, a receipt or a journal.
refuse_leading_out() {
    [ ${#1} -le 1024 ] || die "$(printf '%.100s' "$1")... is longer than any path" "cure: name it by a plain absolute path"
    case $1/ in
    *[[:cntrl:]]*) die "$1 holds control characters" "cure: name it by a plain absolute path" ;;
    */../*) die "$1 leads up again (..)" "cure: name it by a plain absolute path" ;;
    /*) ;;
    *) die "$1 is not absolute" "cure: name it by a plain absolute path" ;;
    esac
}

# True for one of the system's own links at the top, of the very text that it has on every Mac: any other
# text may lead out of DESTDIR.
is_systems_link() {
    case $1 in
    "$DESTDIR/var" | "$DESTDIR/etc" | "$DESTDIR/tmp") ;;
    *) return 1 ;;
    esac
    leads_to=$(readlink "$1") || return 1
    [ "$leads_to" = "private/${1##*/}" ] || { [ -z "$DESTDIR" ] && [ "$leads_to" = "/private/${1##*/}" ]; }
}

# Refuses a link, and what others can change, where a directory should be.
refuse_unsafe_directory() {
    # Where a link leads can be another's to change, on the whole way there.
    [ ! -L "$1" ] ||
        die "$1 is a symbolic link: whoever can change what it leads to could replace what root runs" \
            "cure: put a directory in its place"
    [ -d "$1" ] || die "$1 is not a directory" "cure: move it away"
    refuse_unsafe "$1/"
}

# Refuses unsafe ancestors of a path, from the root down to its parent, as far as they exist.
refuse_unsafe_ancestors() {
    refuse_leading_out "$1"
    rest=${1%/*}
    rest=${rest#/}
    at=$DESTDIR
    refuse_unsafe "$at/"
    while [ -n "$rest" ]; do
        # Each costs a call, and a volume may name paths of hundreds of names by the hundred.
        WALKED=$((WALKED + 1))
        [ "$WALKED" -le "$MOST_WALKED" ] ||
            die "the paths that $DESTDIR names have more directories than any run of this touches" \
                "cure: see $DESTDIR$STATE and osquery's flags there, and take out what is none of yours"
        at=$at/${rest%%/*}
        case $rest in */*) rest=${rest#*/} ;; *) rest= ;; esac
        [ -e "$at" ] || [ -L "$at" ] || return 0
        if [ -L "$at" ] && is_systems_link "$at"; then
            refuse_unsafe_directory "$DESTDIR/private"
            refuse_unsafe_directory "$DESTDIR/private/${at##*/}"
        else
            refuse_unsafe_directory "$at"
        fi
    done
}

# Makes the file whose rename is to come, for this uid alone: never through a link, nor into a file
# that somebody has open. What stands at its name goes.
claim() {
    rm -f "$1"
    (set -C && : > "$1")
}

# Refuses a file of more bytes than that, and never reads it: whoever fills a volume makes one of any size,
# of which nothing stands on the disk. `refuse_large FILE MOST`.
refuse_large() {
    [ -f "$1" ] || return 0
    large=$(find "$1" -prune -size "+${2}c") || die "$1: its size cannot be read"
    [ -z "$large" ] || die "$1 has more than $2 bytes, which no honest one has" "cure: find out who made it, and move it away"
}

# Refuses what is no regular file where one is to be read, written or removed: a link leads elsewhere, and
# a FIFO never ends. One that is not read, `refuse_odd_file PATH unread`, has any size.
refuse_odd_file() {
    if [ -L "$DESTDIR$1" ]; then
        die "$DESTDIR$1 is a symbolic link: a rename would replace it" \
            "cure: make it a regular file, or manage that file yourself (install/README.md says what it needs)"
    fi
    [ ! -e "$DESTDIR$1" ] || [ -f "$DESTDIR$1" ] ||
        die "$DESTDIR$1 is not a regular file" "cure: move it away"
    case $1:${2-} in
    *:unread) ;;
    "$BINARY:") refuse_large "$DESTDIR$1" "$MOST_OF_BINARY" ;;
    *) refuse_large "$DESTDIR$1" "$MOST_OF_TEXT" ;;
    esac
}

# The same of what the editors read. Where blanks are many, what takes them off the end of a line begins anew
# at each, and takes hours.
refuse_odd_text() {
    refuse_odd_file "$1"
    [ ! -f "$DESTDIR$1" ] || LC_ALL=C awk '
        BEGIN { blanks = sprintf("%256s", "") }
        { gsub(/[\t\r]/, " ") }
        index($0, blanks) { odd = 1; exit }
        END { exit odd }' "$DESTDIR$1" ||
        die "$DESTDIR$1 has 256 blanks in a row, which no honest one has" "cure: find out who wrote it, and mend it"
}

# Refuses to write a file through a link, or one that others may write.
refuse_unsafe_file() {
    refuse_odd_file "$1" "${2-}"
    [ ! -e "$DESTDIR$1" ] || refuse_unsafe "$DESTDIR$1"
}

# Refuses what is in the state directory and no script of ours has written: what stands there is read, and
# a journal tells what is undone.
refuse_foreign_state() {
    for kept in lock made receipts journal journal.done; do
        [ -e "$DESTDIR$STATE/$kept" ] || [ -L "$DESTDIR$STATE/$kept" ] || continue
        case $kept in
        lock | made) directory= ;;
        *)
            directory=$kept
            refuse_unsafe_directory "$DESTDIR$STATE/$kept" ;;
        esac
        owner=0
        [ -z "$DESTDIR" ] || owner=$ME
        foreign=$(cd "$DESTDIR$STATE" && find "$kept" \
            \( ! -type f ! -name "$directory" \) -o \( ! -user 0 ! -user "$owner" \)) ||
            die "$DESTDIR$STATE/$kept: cannot be read"
        [ -z "$foreign" ] ||
            die "$DESTDIR$STATE/$(printf '%s\n' "$foreign" | head -n 1) is no regular file of root's: no run of this has left it" \
                "cure: find out who made it, and remove it"
        refuse_large_state "$kept"
    done
}

# The same of more than a run leaves there: `refuse_large_state NAME`. A text was replaced by one with some
# lines more.
refuse_large_state() {
    copy=$((2 * MOST_OF_TEXT))
    [ "$1" = receipts ] || copy=$MOST_OF_BINARY
    large=$(cd "$DESTDIR$STATE" && find "$1" -type f \( -size "+${copy}c" -o \
        -size "+${MOST_OF_STATE}c" ! -name '*.before' ! -name '*.after' ! -name .dsplug.new \)) ||
        die "$DESTDIR$STATE/$1: cannot be read"
    [ -z "$large" ] ||
        die "$DESTDIR$STATE/$(printf '%s\n' "$large" | head -n 1) has more than any run of this leaves" \
            "cure: find out who made it, and remove it"
    many=$(cd "$DESTDIR$STATE" && find "$1" | awk -v most="$MOST_FILES" 'NR > most { print "many"; exit }')
    [ -z "$many" ] ||
        die "$DESTDIR$STATE/$1 has more files than any run of this leaves" \
            "cure: find out who made them, and remove them"
    case $1 in
    made) lists=$DESTDIR$STATE/made ;;
    receipts) lists=$DESTDIR$RECEIPTS/directories ;;
    *) lists=$DESTDIR$STATE/$1/touches ;;
    esac
    [ -f "$lists" ] || return 0
    many=$(awk -v most="$MOST_FILES" 'NR > most { print "many"; exit }' "$lists")
    [ -z "$many" ] ||
        die "$lists has more lines than any run of this writes" "cure: find out who wrote them, and remove them"
}

# --- Steps, and the journal ---------------------------------------------------

# Runs one command that changes the disk.
step() {
    if [ "${DSPLUG_INSTALL_STOP_AFTER:-}" = "$STEPS" ]; then
        kill -9 $$
    fi
    STEPS=$((STEPS + 1))
    "$@"
}

# Gives a new file or directory its mode and, where that is possible, to root:wheel: a
# user who stages a tree under DESTDIR cannot.
settle() {
    chmod "$1" "$2"
    [ "$ME" != 0 ] || chown 0:0 "$2"
}

# Where drafts are made: not where somebody else could exchange one that was checked for another.
drafts() {
    kept_by=$(attributes "${TMPDIR:-/tmp}/") || kept_by=
    case $kept_by in
    ????????w[!tT]* | ?????w???[!tT]*) kept_by= ;;
    esac
    kept_by=${kept_by#* }
    if trusted_uid "${kept_by%% *}"; then printf '%s' "${TMPDIR:-/tmp}"; else printf /tmp; fi
}

# Starts a run: strict shell, private files, a place for drafts, a way out.
begin() {
    set -eu
    umask 077
    STAGE=$(mktemp -d "$(drafts)/dsplug.XXXXXX") || die "no temporary directory" "cure: check TMPDIR"
    trap 'leave $?' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    case $DESTDIR in
    *[[:cntrl:]]*) die "DESTDIR $DESTDIR holds control characters" "cure: name the volume anew" ;;
    esac
    [ -n "$DESTDIR" ] || [ "$ME" = 0 ] || die "this needs root" "cure: run it with sudo"
    [ -z "$DESTDIR" ] || [ -d "$DESTDIR" ] || die "DESTDIR $DESTDIR is not a directory" "cure: make it"
    refuse_unsafe_ancestors "$STATE/journal"
}

# When a process began, in words that are the same whenever they are asked for. On Linux `ps` reckons it by the
# clock, which may be set meanwhile; macOS keeps what the clock said then.
began() {
    if [ -r "/proc/$1/stat" ]; then
        sed 's/.*) //' "/proc/$1/stat" 2> /dev/null | cut -d ' ' -f 20
    else
        TZ=UTC0 LC_ALL=C ps -p "$1" -o lstart= 2> /dev/null
    fi
}

# True while the run is under way that has left the lock: `is_under_way NUMBER BEGAN`. Any user can wait for
# the number of one that was killed, call himself so, and have root's programs run by that name.
is_under_way() {
    [ -n "$1" ] && [ "$1" != $$ ] || return 1
    trusted_uid "$(ps -p "$1" -o uid= 2> /dev/null | tr -d ' ')" || return 1
    case $(ps -p "$1" -o args= 2> /dev/null) in
    *[/\ ]install.sh* | *[/\ ]uninstall.sh*) ;;
    *) return 1 ;;
    esac
    # Earlier releases did not write it.
    [ -z "$2" ] || [ "$2" = "$(began "$1")" ]
}

# Takes the state directory for this run alone; a dead run's lock is no lock. A dry run takes nothing.
lock() {
    refuse_foreign_state
    if [ -e "$DESTDIR$STATE/lock" ]; then
        owner=$(sed -n 1p "$DESTDIR$STATE/lock" | tr -cd '0-9' | cut -c 1-16)
        ! is_under_way "$owner" "$(sed -n 2p "$DESTDIR$STATE/lock")" ||
            die "another run ($owner) is under way" "cure: wait for it"
    fi
    [ -z "$DRY_RUN" ] || return 0
    make_state "$STATE"
    printf '%s\n%s\n' "$$" "$(began $$)" > "$STAGE/lock"
    step cp "$STAGE/lock" "$DESTDIR$STATE/lock"
    LOCKED=1
}

# Makes the state directory. Its parent is there on every Mac; under a DESTDIR it
# may be missing, and is then taken away again by `drop_state`.
make_state() {
    [ ! -d "$DESTDIR$1" ] || return 0
    make_state "${1%/*}"
    step mkdir "$DESTDIR$1"
    if [ "$1" != "$STATE" ]; then
        step settle 0755 "$DESTDIR$1"
        printf '%s\n' "$1" >> "$STAGE/made_state"
        return 0
    fi
    step settle 0700 "$DESTDIR$1"
    if [ -e "$STAGE/made_state" ]; then
        step cp "$STAGE/made_state" "$DESTDIR$STATE/made"
    fi
}

# Takes the state directory away when it holds nothing that a later run needs.
drop_state() {
    rm -f "$DESTDIR$STATE/lock"
    if [ -d "$DESTDIR$RECEIPTS" ] || [ -d "$DESTDIR$JOURNAL" ] || [ ! -d "$DESTDIR$STATE" ]; then
        return 0
    fi
    [ ! -e "$DESTDIR$STATE/made" ] || LC_ALL=C sort -ru "$DESTDIR$STATE/made" > "$STAGE/unmake"
    rm -f "$DESTDIR$STATE/made"
    rmdir "$DESTDIR$STATE" 2>/dev/null
    [ ! -e "$STAGE/unmake" ] || while read -r path; do
        case $STATE in "$path"/*) rmdir "$DESTDIR$path" 2>/dev/null ;; esac
    done < "$STAGE/unmake"
    return 0
}

# Leaves the script: undoes what is half done, and cleans up behind itself.
leave() {
    status=$1
    trap - EXIT INT TERM HUP
    set +e
    if [ -n "$IN_TRANSACTION" ]; then
        IN_TRANSACTION=
        if (refuse_unsafe_undo); then
            roll_back
            say "dsplug: failed; everything is as it was before" >&2
        else
            say "dsplug: failed; the next run puts back what this one has changed" >&2
        fi
    fi
    [ -z "$LOCKED" ] || drop_state
    [ -z "$STAGE" ] || rm -rf "$STAGE"
    exit "$status"
}

# A run that was killed left its journal: put back what it had changed. A dry run only looks whether that
# would be refused.
recover() {
    if [ -n "$DRY_RUN" ]; then
        refuse_unsafe_undo
        return 0
    fi
    if [ -d "$DESTDIR$JOURNAL.done" ]; then
        step rm -rf "$DESTDIR$JOURNAL.done"
    fi
    if [ -d "$DESTDIR$JOURNAL" ]; then
        note "the last run was cut short: undoing it first"
        refuse_unsafe_undo
        roll_back
    fi
}

# `open_journal [PATH...]`: files that the run may touch and whose names it has from the flags. They stand in
# the journal before anything is done, for the flags may name others when it is undone.
open_journal() {
    [ -z "$DRY_RUN" ] || return 0
    step mkdir "$DESTDIR$JOURNAL"
    IN_TRANSACTION=1
    [ $# -gt 0 ] || return 0
    printf '%s\n' "$@" > "$STAGE/touches"
    step cp "$STAGE/touches" "$DESTDIR$JOURNAL/touches"
}

# The one moment at which the run counts.
close_journal() {
    [ -z "$DRY_RUN" ] || return 0
    step mv "$DESTDIR$JOURNAL" "$DESTDIR$JOURNAL.done"
    IN_TRANSACTION=
    step rm -rf "$DESTDIR$JOURNAL.done"
}

# Writes down an operation before it is done: `record put|remove|mkdir PATH [NEW]`.
# It counts from the rename on.
record() {
    OPERATIONS=$((OPERATIONS + 1))
    entry=$DESTDIR$JOURNAL/$(printf '%04d' "$OPERATIONS")
    step note_down "$@"
    step mv "$entry.new" "$entry.operation"
}

note_down() {
    if [ "$1" != mkdir ] && [ -f "$DESTDIR$2" ]; then cp -p "$DESTDIR$2" "$entry.before"; fi
    if [ "$1" = put ]; then cp "$3" "$entry.after"; fi
    printf '%s\n%s\n' "$1" "$2" > "$entry.new"
}

# The files that a run can have written, beside receipts: undoing touches nothing else, whoever wrote the
# journal.
ours() {
    flags=$OSQUERY/osquery.flags
    refuse_unsafe_ancestors "$flags"
    refuse_odd_text "$flags"
    list=$(flag extensions_autoload "$DESTDIR$flags") || :
    conf=$(flag config_path "$DESTDIR$flags") || :
    conf=${conf:-$OSQUERY/osquery.conf}
    printf '%s\n' "$PRODUCT/share/install/common.sh" "$PRODUCT/share/install/uninstall.sh" "$BINARY" \
        "$flags" "${list:-$OSQUERY/extensions.load}" "$OSQUERY/extensions.load" \
        "$conf" "$conf.d/dsplug.conf" "$OSQUERY/packs/dsplug.conf" "$RECEIPTS/host"
    # What they were called then, for flags may name others now: before anything was done, and since.
    [ ! -f "$DESTDIR$JOURNAL/touches" ] || cat "$DESTDIR$JOURNAL/touches"
    for kept in "$DESTDIR$RECEIPTS"/*.after; do
        [ ! -f "$kept" ] || { receipt_path "$kept"; echo; }
    done
}

# True when a run can have done this: `is_ours OPERATION PATH`.
is_ours() {
    [ -n "$2" ] || return 1
    case $1 in
    mkdir) below=$2/ awk 'index($0, ENVIRON["below"]) == 1 { found = 1 } END { exit !found }' "$STAGE/ours" ;;
    put | remove)
        case $2 in
        "$RECEIPTS"/*/*) return 1 ;;
        "$RECEIPTS"/*) return 0 ;;
        esac
        grep -Fqx -- "$2" "$STAGE/ours" ;;
    *) return 1 ;;
    esac
}

# Refuses to undo what no run of this has done, and what stands where others than root can write by now: the
# journal waits.
refuse_unsafe_undo() {
    [ -d "$DESTDIR$JOURNAL" ] || return 0
    ours > "$STAGE/ours"
    for entry in "$DESTDIR$JOURNAL"/*.operation; do
        [ -f "$entry" ] || continue
        operation=
        path=
        { read -r operation && read -r path; } < "$entry" || :
        name=${entry##*/}
        case ${name%.operation} in *[!0-9]*) operation= ;; esac
        is_ours "$operation" "$path" ||
            die "$entry is about $path, which the installer does not write: nothing is undone" \
                "$(cure 'find out who made it, and: rm -r' "$DESTDIR$JOURNAL")"
        case $operation in
        mkdir) refuse_unsafe_ancestors "$path/" ;;
        *) refuse_unsafe_ancestors "$path" ;;
        esac
        [ "$operation" = mkdir ] || refuse_odd_file "$path" unread
        # Put back is what was kept, and compared with that what stands there.
        [ "$path" = "$BINARY" ] || for kept in before after; do
            refuse_large "${entry%.operation}.$kept" $((2 * MOST_OF_TEXT))
        done
    done
}

# Undoes the journal, last operation first. It may itself be killed: undoing twice
# is the same as undoing once. A file that someone else has changed since stays.
roll_back() {
    for entry in $(ls "$DESTDIR$JOURNAL" | sed -n 's/\.operation$//p' | LC_ALL=C sort -r); do
        entry=$DESTDIR$JOURNAL/$entry
        { read -r operation && read -r path; } < "$entry.operation" || :
        target=$DESTDIR$path
        case $operation in
        mkdir)
            step rm -f "$target/.dsplug.new"
            [ ! -d "$target" ] || step rmdir "$target" 2>/dev/null || : ;;
        *)
            step rm -f "${target%/*}/.dsplug.new"
            if [ -e "$entry.before" ] && cmp -s "$entry.before" "$target" 2>/dev/null; then
                : # never reached, or undone already
            elif [ -e "$target" ] && ! { [ "$operation" = put ] && cmp -s "$target" "$entry.after"; }; then
                note "$target was changed by someone else since: left as it is"
            elif [ -e "$entry.before" ]; then
                step claim "${target%/*}/.dsplug.new"
                step cp -p "$entry.before" "${target%/*}/.dsplug.new"
                step mv -f "${target%/*}/.dsplug.new" "$target"
            else
                step rm -f "$target"
            fi ;;
        esac
    done
    step mv "$DESTDIR$JOURNAL" "$DESTDIR$JOURNAL.done"
    step rm -rf "$DESTDIR$JOURNAL.done"
}

# --- Operations of a transaction ----------------------------------------------

# Says what was done, or would be: `tell VERB PATH`.
tell() {
    case $2 in "$STATE"/*) return 0 ;; esac
    TOLD=1
    say "${DRY_RUN:+would }$1 $DESTDIR$2"
}

# Makes a directory and its missing ancestors, 0755 and root's, and lists them, so
# that the uninstaller can take them away.
make_directory() {
    [ ! -d "$DESTDIR$1/" ] || return 0
    refuse_unsafe_ancestors "$1"
    make_directory "${1%/*}"
    if [ -e "$STAGE/made" ] && grep -Fqx "$1" "$STAGE/made"; then return 0; fi
    tell make "$1"
    printf '%s\n' "$1" >> "$STAGE/made"
    [ -z "$DRY_RUN" ] || return 0
    record mkdir "$1"
    step mkdir "$DESTDIR$1"
    step settle 0755 "$DESTDIR$1"
}

# Puts a file in its place by a rename: `put NEW PATH MODE`. A file that exists
# keeps its owner and mode when MODE is `keep`. Nothing happens when it is so already.
put() {
    put_mode=$3
    refuse_unsafe_ancestors "$2"
    refuse_odd_file "$2"
    if [ -f "$DESTDIR$2" ] && cmp -s "$1" "$DESTDIR$2"; then
        [ "$put_mode" != keep ] || return 0
        attributes "$DESTDIR$2" > "$STAGE/attributes"
        read -r mode uid gid < "$STAGE/attributes"
        case $put_mode:$mode in
        0755:-rwxr-xr-x* | 0644:-rw-r--r--* | 0600:-rw-------*)
            if [ "$uid" = "$ME" ]; then return 0; fi ;;
        esac
    fi
    if [ -e "$DESTDIR$2" ]; then tell replace "$2"; else tell write "$2"; fi
    [ -z "$DRY_RUN" ] || return 0
    record put "$2" "$1"
    new=$DESTDIR${2%/*}/.dsplug.new
    step claim "$new"
    if [ "$put_mode" = keep ] && [ -e "$DESTDIR$2" ]; then
        step cp -p "$DESTDIR$2" "$new"
        step cp "$1" "$new"
    else
        [ "$put_mode" != keep ] || put_mode=0644
        step cp "$1" "$new"
        step settle "$put_mode" "$new"
    fi
    step mv -f "$new" "$DESTDIR$2"
}

# Removes a file.
remove() {
    refuse_unsafe_ancestors "$1"
    refuse_odd_file "$1"
    [ -e "$DESTDIR$1" ] || return 0
    tell remove "$1"
    [ -z "$DRY_RUN" ] || return 0
    record remove "$1"
    step rm -f "$DESTDIR$1"
}

# --- Receipts: what an admin's file was before us, and what we made of it -------

# The receipt's name for a path: its slashes as percent signs.
receipt() { printf '%s/%s' "$RECEIPTS" "$(printf '%s' "${1#/}" | tr '/' '%')"; }

# The path that a receipt speaks of, from its name.
receipt_path() { printf '/%s' "$(printf '%s' "${1##*/}" | sed 's/\.after$//' | tr '%' '/')"; }

# What a file is to us: `whole`, all of it is ours; `load`, the list of extensions; `flags`; `config`, the
# admin's configuration, which was made because there was none. Its name tells nothing of that: the flags
# may call any of them anything.
role() {
    kept=$DESTDIR$(receipt "$1")
    if [ -f "$kept.role" ]; then
        cat "$kept.role"
    else
        # Earlier releases did not write it: by what they wrote into the file.
        case $1 in
        "$OSQUERY/packs/dsplug.conf") echo whole; return 0 ;;
        "$OSQUERY/osquery.flags") echo flags; return 0 ;;
        "$OSQUERY/extensions.load") echo load; return 0 ;;
        esac
        load_without < "$kept.after" > "$STAGE/lacks"
        if ! cmp -s "$STAGE/lacks" "$kept.after"; then
            echo load
        elif [ "$(head -n 1 "$kept.after")" = '{}' ]; then
            echo config
        else
            case $1 in
            *.d/dsplug.conf) echo whole ;;
            *) echo config ;;
            esac
        fi
    fi
}

# A file of that role on standard input, without our part.
without() {
    case $1 in
    load) load_without ;;
    flags) flags_without "$(timeout_owner)" ;;
    *) cat ;;
    esac
}

# Replaces an admin's file and keeps a receipt: `edit NEW PATH ROLE`.
edit() {
    target=$DESTDIR$2
    kept=$(receipt "$2")
    printf '%s\n' "$3" > "$STAGE/role"
    if [ -f "$target" ] && cmp -s "$1" "$target"; then
        [ -n "$DRY_RUN" ] || [ ! -f "$DESTDIR$kept.after" ] || put "$STAGE/role" "$kept.role" 0600
        return 0
    fi
    if [ -n "$DRY_RUN" ]; then
        if [ -f "$target" ]; then tell edit "$2"; else tell write "$2"; fi
        { if [ -f "$target" ]; then diff "$target" "$1" || :; else sed 's/^/> /' "$1"; fi; } | tame_lines
        return 0
    fi
    if [ ! -f "$target" ]; then
        remove "$kept.before"
    elif [ ! -e "$DESTDIR$kept.after" ]; then
        put "$target" "$kept.before" 0600
    elif [ "$3" = whole ] || cmp -s "$target" "$DESTDIR$kept.after"; then
        :
    elif [ ! -e "$DESTDIR$kept.before" ] || ! cmp -s "$target" "$DESTDIR$kept.before"; then
        without "$3" < "$target" > "$STAGE/before"
        # awk ends the last line; a file that lacks nothing of ours stays as it is.
        if { cat "$target"; echo; } | cmp -s - "$STAGE/before"; then cp "$target" "$STAGE/before"; fi
        put "$STAGE/before" "$kept.before" 0600
    fi
    put "$STAGE/role" "$kept.role" 0600
    put "$1" "$kept.after" 0600
    put "$1" "$2" keep
}

# --- The admin's files --------------------------------------------------------

# Each editor reads standard input and writes standard output.

# extensions.load with exactly one line of ours: the first that names a dsplug.ext
# becomes it, others go.
load_with() {
    awk -v line="$BINARY" '
        { bare = $0; gsub(/^[ \t]+|[ \t\r]+$/, "", bare) }
        bare !~ /^[#;]/ && bare ~ /(^|\/)dsplug\.ext$/ { if (!done) print line; done = 1; next }
        { print }
        END { if (!done) print line }'
}

load_without() {
    awk -v line="$BINARY" '
        { bare = $0; gsub(/^[ \t]+|[ \t\r]+$/, "", bare) }
        bare == line { next }
        { print }'
}

# What awk programs over flags have in common: the name of the flag in a line, a dash in it being an underscore
# as to gflags, and a line without the white space before it and the end of line behind it.
FLAG_LINES='
    function bare(line) { sub(/^[ \t\v\f]+/, "", line); sub(/\r$/, "", line); return line }
    function name_of(line) {
        if (line !~ /^-/) return ""
        sub(/^--?/, "", line); sub(/=.*/, "", line); gsub(/-/, "_", line)
        return line
    }
    function value_of(line) { sub(/^[^=]*=/, "", line); return line }'

# The value that a flags file gives a flag that is no bool: the last line counts, as in gflags, and one without
# `=` is none. Status 1 when it gives none, for an empty value is one.
flag() {
    [ -f "$2" ] || return 1
    awk -v name="$1" "$FLAG_LINES"'
        { line = bare($0) }
        name_of(line) == name && index(line, "=") { found = value_of(line); given = 1 }
        END { if (!given) exit 1; print found }' "$2"
}

# True when a flags file says yes to a flag, in the words of gflags.
flag_says_yes() {
    [ -f "$2" ] || return 1
    awk -v name="$1" "$FLAG_LINES"'
        { line = bare($0) }
        name_of(line) == name { found = index(line, "=") ? tolower(value_of(line)) : "1" }
        name_of(line) == "no" name { found = "0" }
        END { exit (found !~ /^(1|t|true|y|yes)$/) }' "$2"
}

# The value of a flag, or what is meant where it is not given: `flag_or DEFAULT NAME FILE WHAT-EMPTY-DOES`. An
# empty value is none that we could go by.
flag_or() {
    if value=$(flag "$2" "$3"); then
        [ -n "$value" ] || die "${3#"$DESTDIR"} has --$2= without a value: $4" "cure: take the line out, or give it a value"
        printf '%s' "$value"
    else
        printf '%s' "$1"
    fi
}

# True when a flag that is a comma list names it: `flag_lists NAME ITEM FILE`.
flag_lists() { flag "$1" "$3" | tr -d ' \t' | tr ',' '\n' | grep -Fqx -- "$2"; }

# The first table of ours that a flags file takes away; none where osqueryd has them all.
table_left_out() {
    for table in $TABLES; do
        if flag_lists disable_tables "$table" "$1" ||
            { [ -n "$(flag enable_tables "$1")" ] && ! flag_lists enable_tables "$table" "$1"; }; then
            printf '%s' "$table"
            return 0
        fi
    done
}

# Refuses a flags file of which osqueryd takes lines for others than they seem: what we read there, or add, may
# be none. gflags ends the text at a NUL, and lines at a carriage return as long as one follows; a line that is
# neither flag nor comment names programs, for which alone the flags are that follow.
refuse_odd_flags() {
    [ -f "$DESTDIR$1" ] || return 0
    LC_ALL=C tr -d '\000' < "$DESTDIR$1" > "$STAGE/plain"
    cmp -s "$STAGE/plain" "$DESTDIR$1" ||
        die "$1 holds a NUL: osqueryd reads nothing behind it" "cure: take it out"
    LC_ALL=C awk '
        /\r./ || (/\r/ && plain) { odd = 1; exit }
        !/\r/ { plain = 1 }
        END { exit odd }' "$DESTDIR$1" ||
        die "$1 ends lines in two ways: osqueryd takes several for one" "cure: end all lines with a line feed alone"
    LC_ALL=C awk "$FLAG_LINES"'
        { line = bare($0) }
        line !~ /^[-#]/ && line != "" { print line; exit }' "$DESTDIR$1" > "$STAGE/section"
    [ ! -s "$STAGE/section" ] ||
        die "$1: $(cat "$STAGE/section") is no flag and no comment: osqueryd takes the flags that follow for other programs'" \
            "cure: take the line out"
}

# osquery.flags with dsplug among the required extensions and a timeout.
flags_with() {
    awk "$FLAG_LINES"'
        { lines[NR] = $0; line = bare($0) }
        !index(line, "=") { next }
        name_of(line) == "extensions_require" { require = NR }
        name_of(line) == "extensions_timeout" { timeout = NR }
        END {
            if (require) {
                end = lines[require] ~ /\r$/ ? "\r" : ""
                value = value_of(lines[require]); gsub(/[ \t\r]/, "", value)
                count = split(value, names, ",")
                for (i = 1; i <= count; i++) if (names[i] == "dsplug") present = 1
                if (!present) {
                    sub(/[ \t\r]+$/, "", lines[require])
                    lines[require] = lines[require] (value == "" ? "" : ",") "dsplug" end
                }
            }
            for (i = 1; i <= NR; i++) print lines[i]
            if (!require) print "--extensions_require=dsplug"
            if (!timeout) print "--extensions_timeout=10"
        }'
}

# osquery.flags without dsplug; the timeout goes when `timeout` says that we wrote it.
flags_without() {
    awk -v timeout="$1" "$FLAG_LINES"'
        { line = bare($0); sub(/[ \t]+$/, "", line) }
        name_of(line) == "extensions_require" && index(line, "=") {
            kept = "," value_of(line) ","; had = 0
            # Of two that follow each other the comma between them counts for the first alone.
            while (gsub(/,dsplug,/, ",", kept)) had = 1
            kept = substr(kept, 2, length(kept) - 2)
            if (had && kept == "") next
            if (had) $0 = substr($0, 1, index($0, "=")) kept ($0 ~ /\r$/ ? "\r" : "")
        }
        timeout == "ours" && line == "--extensions_timeout=10" { next }
        { print }'
}

# Who wrote the timeout: `ours` when the installer did.
timeout_owner() { if [ -f "$DESTDIR$RECEIPTS/timeout" ]; then echo ours; else echo theirs; fi; }

# A file's content, or nothing when there is no such file.
read_or_nothing() { [ ! -f "$DESTDIR$1" ] || cat "$DESTDIR$1"; }

# --- osqueryd -----------------------------------------------------------------

# Who runs osqueryd on this host, by what stands on it.
detect() {
    if [ -e "$DESTDIR/opt/osquery/lib/osquery.app" ]; then
        echo osquery
    elif [ -e "$DESTDIR/opt/orbit/bin/orbit" ]; then
        echo fleet
    elif [ -e "$DESTDIR/etc/kolide-k2" ]; then
        echo kolide
    elif [ -e "$DESTDIR/Library/Elastic/Agent" ]; then
        echo elastic
    else
        echo osquery
    fi
}

# The launchd label of what runs osqueryd on such a host.
label() {
    case $1 in
    fleet) echo com.fleetdm.orbit ;;
    kolide) echo com.kolide-k2.launcher ;;
    osquery) echo io.osquery.agent ;;
    esac
}

# Restarts what runs osqueryd when that was asked for, and says how when it was
# not: `restart_osqueryd HOST ASKED`.
restart_osqueryd() {
    service=$(label "$1")
    if [ -z "$service" ]; then
        say "osqueryd takes this up when its agent starts it next (install/README.md)"
    elif [ -z "$2" ]; then
        say "osqueryd takes this up when it starts next: launchctl kickstart -k system/$service"
    elif [ -n "$DRY_RUN" ]; then
        say "would restart $service"
    elif [ "$1" = fleet ]; then
        # orbit may be what runs this script: it must not be stopped under it.
        (sleep 10 && launchctl kickstart -k "system/$service") > /dev/null 2>&1 < /dev/null &
        say "restarts $service in ten seconds"
    else
        launchctl kickstart -k "system/$service"
    fi
}
