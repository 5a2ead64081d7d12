#!/bin/sh
# Takes dsplug off a Mac that Fleet manages; orbit is restarted after this has ended.
set -eu

uninstaller=${DESTDIR-}/opt/dsplug/share/install/uninstall.sh
if [ ! -f "$uninstaller" ]; then
    echo "dsplug is not installed"
    exit 0
fi
sh "$uninstaller" --restart
