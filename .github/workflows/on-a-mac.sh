#!/bin/sh
# On a Mac that may be thrown away: installs what install/release has built beside a
# real osquery, asks the doctor and osqueryd, and removes it. The Mac must then be as
# it was.
set -eu
cd "$(dirname "$0")/../.."

[ "$(uname -s)" = Darwin ] && [ -n "${CI:-}" ] || { echo "only for a CI runner with macOS" >&2; exit 2; }

# Homebrew or the runner may have opened /opt; osqueryd's extension must not stand below that.
sudo chown root:wheel /opt
sudo chmod go-w /opt

state() { sudo find /opt/dsplug /var/osquery /var/db/dsplug -type f -exec shasum -a 256 {} + 2> /dev/null | sort || true; }
before=$(state)

work=$(mktemp -d)

# Apple's own tools judge the package that is built without them, beside their own of the same files.
mkdir -p "$work/payload/opt/dsplug/share"
cp LICENSE-MIT LICENSE-APACHE "$work/payload/opt/dsplug/share/"
SOURCE_DATE_EPOCH=1700000000 python3 install/tools/package.py --identifier com.dsplug.pkg --version 1 \
    --payload "$work/payload" "$work/ours.pkg"
pkgbuild --root "$work/payload" --ownership recommended --identifier com.dsplug.pkg --version 1 \
    --install-location / "$work/apples.pkg"
for whose in ours apples; do
    pkgutil --expand "$work/$whose.pkg" "$work/$whose"
    lsbom "$work/$whose/Bom" > "$work/$whose.list"
done
diff "$work/apples.list" "$work/ours.list"
sudo installer -pkg "$work/ours.pkg" -target /
pkgutil --pkg-info com.dsplug.pkg
cmp LICENSE-MIT /opt/dsplug/share/LICENSE-MIT
sudo rm -rf /opt/dsplug
sudo pkgutil --forget com.dsplug.pkg

tar -xzf target/dist/dsplug-*-macos.tar.gz -C "$work"
cd "$work"/dsplug-*
codesign --verify --strict --verbose=2 dsplug.ext
sudo install/install.sh --dry-run
sudo install/install.sh
sudo osqueryctl start
for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
    sudo /opt/dsplug/bin/dsplug.ext doctor && break
    sleep 5
done
sudo /opt/dsplug/bin/dsplug.ext doctor
sudo osqueryi --connect /var/osquery/osquery.em --json 'SELECT version FROM dsplug_status'
sudo osqueryctl stop
sudo /opt/dsplug/share/install/uninstall.sh

sudo rm -rf /var/osquery/osquery.db /var/osquery/osquery.em* /var/osquery/osquery.pid*
after=$(state)
[ "$before" = "$after" ] || { printf 'left behind:\n%s\nbefore:\n%s\n' "$after" "$before" >&2; exit 1; }
