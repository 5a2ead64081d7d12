"""Sigma rules, converted for DuckDB, over the log: each finds what its query told of.

The back end for DuckDB writes SQL over a table `logs`, which is here the view of the questions; what it
writes, ClickHouse takes as well. The expected lines are picked from the log as it stands in the file, without any SQL.
"""

import json
import pathlib
import sys
import tempfile

import log
from engines import TOP, ClickHouse, DuckDB

from sigma.collection import SigmaCollection
from sigma.processing.pipeline import ProcessingPipeline
from sigma_backend_duckdb.backend import DuckDBBackend

# Bundles that changed, what happened between two runs, and folders written.
RULES = ["modified", "events", "folder_changed"]


def told(path, query):
    """Host and time of the lines of a query that are no base line."""
    lines = map(json.loads, path.read_text().splitlines())
    return sorted(
        (line["hostIdentifier"], float(line["unixTime"]))
        for line in lines
        if line.get("columns", {}).get("dsplug_query") == query and line["counter"] > 0
    )


def main():
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            path = pathlib.Path(sys.argv[1])
        else:
            path = pathlib.Path(folder) / "osqueryd.results.log"
            log.write(path)
        engines = DuckDB(path), ClickHouse(path)
        for engine in engines:
            engine.make("CREATE VIEW logs AS SELECT * FROM dsplug_lines")
        pipeline = (TOP / "packs/sigma/pipelines/hunting.yaml").read_text()
        back_end = DuckDBBackend(ProcessingPipeline.from_yaml(pipeline))
        for name in RULES:
            rule = SigmaCollection.from_yaml((TOP / "packs/sigma" / f"{name}.yml").read_text())
            (sql,) = back_end.convert(rule)
            expected = told(path, name)
            assert expected, name
            for engine in engines:
                found = sorted((row["host"], row["unix_time"]) for row in engine.rows(sql))
                assert found == expected, (name, sql, found, expected)


main()
