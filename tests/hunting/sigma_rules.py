"""Sigma rules, converted for DuckDB, over the log: each finds what its query told of.

The back end for DuckDB writes SQL over a table `logs`, which is here the view of the questions; what it
writes, ClickHouse takes as well. The expected lines are picked from the log as it stands in the file, without any SQL.
"""

import json
import pathlib
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
    with open(path) as file:
        # A line of another query need not be taken apart.
        lines = (json.loads(line) for line in file if f'"{query}"' in line)
        return sorted(
            (line["hostIdentifier"], float(line["unixTime"]))
            for line in lines
            if line.get("columns", {}).get("dsplug_query") == query and line["counter"] > 0
        )


def check(path, engines):
    """Each rule over a log, on engines that have the view of it."""
    pipeline = (TOP / "packs/sigma/pipelines/hunting.yaml").read_text()
    back_end = DuckDBBackend(ProcessingPipeline.from_yaml(pipeline))
    for engine in engines:
        engine.make("CREATE VIEW logs AS SELECT * FROM dsplug_lines")
    for name in RULES:
        rule = SigmaCollection.from_yaml((TOP / "packs/sigma" / f"{name}.yml").read_text())
        (sql,) = back_end.convert(rule)
        expected = told(path, name)
        assert expected, name
        for engine in engines:
            found = sorted((row["host"], row["unix_time"]) for row in engine.rows(sql))
            assert found == expected, (name, sql, found, expected)


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "osqueryd.results.log"
        log.write(path)
        check(path, (DuckDB(path), ClickHouse(path)))


if __name__ == "__main__":
    main()
