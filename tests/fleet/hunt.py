#!/usr/bin/env python3
"""Asks each question of packs/hunting of a fleet's log on DuckDB, and prints what it costs.

hunt.py [LOG.ndjson]; by default target/fleet/results.ndjson.
"""

import os
import pathlib
import sys
import time

import duckdb

TOP = pathlib.Path(__file__).resolve().parents[2]
HUNTING = TOP / "packs" / "hunting"


def main() -> None:
    log = sys.argv[1] if len(sys.argv) > 1 else str(TOP / "target/fleet/results.ndjson")
    view = (HUNTING / "views" / "duckdb.sql").read_text(encoding="utf-8")
    with duckdb.connect() as database:
        database.execute(view.replace("'osqueryd.*.log'", "'" + log.replace("'", "''") + "'"))
        print("| question | rows | seconds | seconds of CPU |\n|---|---|---|---|")
        for question in sorted(HUNTING.glob("*.sql")):
            sql = question.read_text(encoding="utf-8")
            wall, cpu = time.monotonic(), os.times()
            rows = len(database.execute(sql).fetchall())
            wall = time.monotonic() - wall
            spent = sum(os.times()[:2]) - sum(cpu[:2])
            print(f"| `{question.stem}` | {rows} | {wall:.1f} | {spent:.1f} |", flush=True)


if __name__ == "__main__":
    main()
