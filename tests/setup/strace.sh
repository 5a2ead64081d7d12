#!/bin/sh
# Installs strace, by which the tests make system calls fail, where apt-get can do so unasked;
# quick when it is there.
set -eu

if command -v strace > /dev/null || [ "$(uname)" != Linux ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo 'tests/setup/strace.sh: strace is not there; install it, or the tests of faults are skipped' >&2
    exit 1
fi
echo 'Installing strace'
DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq strace > /dev/null
