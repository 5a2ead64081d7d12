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
