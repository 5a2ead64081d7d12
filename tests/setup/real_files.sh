#!/bin/sh
# Fetches the real signed files that tests compare with other implementations; quick when they are there.
set -eu
cd "$(dirname "$0")/../.."
if ! command -v npm > /dev/null; then
    echo '!! npm is not installed: some of the real signed files cannot be fetched'
fi
python3 tests/setup/fetch_real_files.py
exec python3 tests/oracle/compare.py --fetch-only
