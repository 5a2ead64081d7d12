"""The engines, with the view `dsplug_lines` over a log: DuckDB, and ClickHouse as a library."""

import json
import pathlib
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
HUNTING = TOP / "packs" / "hunting"

try:
    import duckdb
    from chdb.session import Session
except ImportError as missing:
    print(
        f"skipped: {sys.argv[0]}: {missing}; run tests/setup/python.sh", file=sys.stderr
    )
    sys.exit(0)


def statement(path):
    return path.read_text().rstrip().removesuffix(";")


def view(engine, log):
    """The engine's view over that log: the one line that a user changes."""
    sql = statement(HUNTING / "views" / f"{engine}.sql")
    assert sql.count("'osqueryd.*.log'") == 1
    return sql.replace("'osqueryd.*.log'", f"'{log}'")


def questions():
    return {path.stem: statement(path) for path in sorted(HUNTING.glob("*.sql"))}


def same(value):
    """A value as all engines give it: they differ in the widths and kinds of numbers alone."""
    return round(float(value), 6) if isinstance(value, (int, float)) else str(value)


class DuckDB:
    def __init__(self, log):
        self.database = duckdb.connect()
        self.make(view("duckdb", log))

    def make(self, sql):
        self.database.execute(sql)

    def rows(self, sql):
        answer = self.database.execute(sql)
        names = [column[0] for column in answer.description]
        return [dict(zip(names, map(same, row))) for row in answer.fetchall()]


class ClickHouse:
    def __init__(self, log):
        self.session = Session()
        self.make(view("clickhouse", log))

    def make(self, sql):
        self.session.query(sql)

    def rows(self, sql):
        answer = str(self.session.query(sql, "JSONEachRow"))
        rows = map(json.loads, answer.splitlines())
        return [{name: same(value) for name, value in row.items()} for row in rows]
