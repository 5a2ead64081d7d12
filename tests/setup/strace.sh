#!/bin/sh
# Installs strace, by which the tests make system calls fail; quick when it is there. It uses apt-get
# when a person at the terminal says yes, or where DSPLUG_MAY_INSTALL=1 is set.
set -eu

if command -v strace > /dev/null || [ "$(uname)" != Linux ]; then
    exit 0
fi
refuse() {
    echo "tests/setup/strace.sh: $1; install strace, or the tests of faults are skipped" >&2
    exit 1
}
command -v apt-get > /dev/null || refuse 'there is no apt-get'
if [ "$(id -u)" = 0 ]; then
    as_root=
elif sudo -n true 2> /dev/null; then
    as_root='sudo -n'
else
    refuse 'only root can install it'
fi
if [ "${DSPLUG_MAY_INSTALL:-}" != 1 ]; then
    [ -t 0 ] && [ -t 1 ] || refuse 'DSPLUG_MAY_INSTALL=1 lets it use apt-get'
    printf 'Install strace by apt-get, for the tests of faults? [y/N] '
    read -r answer
    case $answer in
    y | Y | yes) ;;
    *) refuse 'not installed' ;;
    esac
fi
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq strace > /dev/null
}
echo 'Installing strace'
# A machine just made may have no list of packages, or an old one.
install 2> /dev/null || { $as_root apt-get update -qq > /dev/null && install; } ||
    refuse 'apt-get could not install it'
