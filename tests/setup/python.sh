#!/bin/sh
# Makes tests/.venv, the Python environment of the tests, when it is not there
# or its requirements have changed. Prints what it does; quick when done.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
wanted=$(cat "$here/requirements.txt" "$here/engines.txt")
venv=$(dirname "$here")/.venv
made=$venv/requirements.made

if [ -f "$made" ] && [ "$wanted" = "$(cat "$made")" ] && "$venv/bin/python" -c 'import osquery' 2>/dev/null; then
    exit 0
fi

python=${PYTHON:-python3}
command -v "$python" >/dev/null || {
    echo "tests/setup/python.sh: $python is not there; install Python 3, or name one in PYTHON" >&2
    exit 1
}
echo "Making the tests' Python environment, tests/.venv"
rm -rf "$venv"
"$python" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
# Without what they say they need: none of it is used, and it is three times their size. Where they
# cannot be had, all else can.
if ! "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$here/engines.txt"; then
    echo "tests/setup/python.sh: no DuckDB or ClickHouse; the tests that need them will be skipped" >&2
fi
# Last, so that a run that was broken off is made again.
printf '%s\n' "$wanted" > "$made"
