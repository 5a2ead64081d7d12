"""What Trino and BigQuery make of the questions and views, as far as sqlglot knows their languages.

Neither engine can be had from a registry. Each statement is read as theirs, must use none of their
reserved words as a name, is rewritten for DuckDB by its meaning there (the division of whole numbers, for one),
and must give the rows that the same file gives when DuckDB reads it. The tables of Athena and
BigQuery are read, not made.
"""

import pathlib
import tempfile

import log
from engines import HUNTING, DuckDB, questions, statement

import sqlglot
from sqlglot import exp
from sqlglot.generators.bigquery import BigQueryGenerator
from sqlglot.generators.presto import PrestoGenerator

RESERVED = {
    "trino": PrestoGenerator.RESERVED_KEYWORDS,
    "bigquery": BigQueryGenerator.RESERVED_KEYWORDS,
}


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "osqueryd.results.log"
        log.write(path)
        duckdb = DuckDB(path)
        columns = list(duckdb.rows("SELECT * FROM dsplug_lines LIMIT 1")[0])
        for dialect, reserved in RESERVED.items():
            assert {"select", "where"} <= {word.lower() for word in reserved}
            for name, sql in questions().items():
                tree = read(sql, dialect, reserved)
                rewritten = tree.sql("duckdb")
                assert duckdb.rows(rewritten) == duckdb.rows(sql), (dialect, name, rewritten)
            made = read(statement(HUNTING / "views" / f"{dialect}.sql"), dialect, reserved)
            assert isinstance(made, exp.Create)
            assert made.expression.named_selects == columns, dialect
        for name in ("athena_table", "bigquery_table"):
            dialect = name.removesuffix("_table")
            made = sqlglot.parse_one(statement(HUNTING / "views" / f"{name}.sql"), dialect=dialect)
            fields = {column.name for column in made.this.expressions}
            assert {"hostIdentifier", "columns", "snapshot"} <= fields, fields


def read(sql, dialect, reserved):
    tree = sqlglot.parse_one(sql, dialect=dialect)
    names = {name.name for name in tree.find_all(exp.Identifier) if not name.quoted}
    # After a dot BigQuery takes every word.
    dotted = {name.name for column in tree.find_all(exp.Dot, exp.Column) for name in column.parts[1:]}
    wrong = {name for name in names - dotted if name.lower() in {r.lower() for r in reserved}}
    assert not wrong, (dialect, wrong)
    return tree


main()
