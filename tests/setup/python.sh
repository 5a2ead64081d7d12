#!/bin/sh
# Makes tests/.venv, the Python environment of the tests, when it is not there
# or its requirements have changed. Prints what it does; quick when done.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
wanted=$here/requirements.txt
venv=$(dirname "$here")/.venv
made=$venv/requirements.made

if [ -f "$made" ] && cmp -s "$wanted" "$made" && "$venv/bin/python" -c 'import osquery' 2>/dev/null; then
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
"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
# Last, so that a run that was broken off is made again.
cp "$wanted" "$made"
