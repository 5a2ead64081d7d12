"""Each question of packs/hunting over the log of log.py: what it must answer, on every engine.

The expected rows are read off the story in log.py by hand. Each list is whole: a row that is not in it
must not be there.
"""

import pathlib
import re
import tempfile

import log
from engines import TOP, ClickHouse, DuckDB, questions

D = {letter: letter * 64 for letter in "12abc"}
TEAM = "Developer ID Application: Example (TEAM000001)"
UPDATED = [f"mac-{n:02}" for n in range(1, 10)]

# For each question the columns to look at, and the rows, in order.
EXPECTED = {
    "prevalence_digest": (
        "digest hosts percent hosts_now a_state a_team first_day last_day",
        [
            # Of fifteen hosts that wrote of bundles; it came and went.
            (D["a"], 1, 6.67, 0, "unsigned", "", "2026-11-05", "2026-11-05"),
            (D["b"], 1, 6.67, 1, "adhoc", "", "2026-11-05", "2026-11-07"),
            (D["c"], 1, 6.67, 1, "unsigned", "", "2026-11-06", "2026-11-07"),
            # mac-04's newest inventory has the altered one.
            (D["2"], 10, 66.67, 9, "signed", "TEAM000001", "2026-11-04", "2026-11-07"),
            # mac-11 and mac-12 have not told of anything since.
            (D["1"], 12, 80, 2, "signed", "TEAM000001", "2026-11-02", "2026-11-03"),
        ],
    ),
    "prevalence_signer": (
        "signature_state anchor signer team_identifier hosts hosts_now digests",
        [
            ("adhoc", "none", "", "", 1, 1, 1),
            ("unsigned", "none", "", "", 2, 1, 2),
            ("signed", "developer_id", TEAM, "TEAM000001", 12, 11, 2),
        ],
    ),
    "prevalence_path": (
        "path hosts hosts_now digests signers",
        [
            (log.CENTRIFY, 1, 1, 1, 0),
            (log.UPDATER, 1, 0, 1, 0),
            (log.KANAKA, 12, 12, 3, 1),
        ],
    ),
    "first_seen_in_fleet": (
        "first_utc first_host digest hosts newest_host_utc verdict",
        [
            ("2026-11-06 03:10:00", "mac-06", D["c"], 1, "2026-11-06 03:10:00", "loadable"),
            ("2026-11-05 07:00:00", "mac-04", D["b"], 1, "2026-11-05 07:00:00", "loadable"),
            ("2026-11-05 02:01:00", "mac-03", D["a"], 1, "2026-11-05 02:01:00", "loadable"),
            ("2026-11-04 10:04:00", "mac-01", D["2"], 10, "2026-11-04 11:07:00", "loadable"),
            ("2026-11-02 09:00:00", "mac-01", D["1"], 12, "2026-11-02 09:00:00", "loadable"),
        ],
    ),
    # No base line of what others had before, mac-07's second one among them.
    "first_seen_on_host": (
        "host digest came_as first_in_fleet hours_after_fleet",
        [
            ("mac-06", D["c"], "base_line", "yes", 0),
            ("mac-04", D["b"], "change", "yes", 0),
            ("mac-03", D["a"], "change", "yes", 0),
            # 1.05 hours: engines round a half of their own each way.
            ("mac-10", D["2"], "change", "no", 1.1),
            *[(host, D["2"], "change", "yes" if host == "mac-01" else "no", 0) for host in UPDATED],
            ("mac-01", D["1"], "base_line", "yes", 0),
        ],
    ),
    "rare_digests": (
        "digest hosts a_host state verdict on_disk_now",
        [
            (D["c"], 1, "mac-06", "unsigned", "loadable", "yes"),
            (D["a"], 1, "mac-03", "unsigned", "loadable", "no"),
            (D["b"], 1, "mac-04", "adhoc", "loadable", "yes"),
        ],
    ),
    # The vendor's update changed no signer.
    "signer_changed_alone": (
        "changed_utc host path signature_before signature old_digest new_digest",
        [
            (
                "2026-11-05 07:00:00",
                "mac-04",
                log.KANAKA,
                f"signed|developer_id|{TEAM}|TEAM000001",
                "adhoc|none||",
                D["2"],
                D["b"],
            )
        ],
    ),
    # Not mac-13, which has no plug-in and says so every day, and not the server.
    "silent_hosts": (
        "host silence last_line_utc last_inventory_utc days_silent",
        [
            ("mac-05", "blind", "2026-11-07 11:00:00", "2026-11-04 12:00:00", 3),
            ("mac-14", "clock", "2035-01-19 12:00:00", "2035-01-19 12:00:00", -2995),
            ("forged", "clock", "2100-01-01 00:00:00", "2100-01-01 00:00:00", -26717.5),
            ("mac-11", "gone", "2026-11-02 09:00:00", "2026-11-02 09:00:00", 5.1),
            ("mac-12", "gone", "2026-11-02 09:00:00", "2026-11-02 09:00:00", 5.1),
            ("mac-15", "never", "2026-11-07 12:00:00", "", 4),
        ],
    ),
    # The last day of the fleet, and not those of clocks that are ahead.
    "changed_on_day": (
        "time_utc host dsplug_query what digest new_to_fleet base_line",
        [
            ("2026-11-07 12:00:00", "mac-15", "helper_running", "added", "", "no", "no"),
            ("2026-11-07 14:01:00", "mac-06", "events", "gone", D["c"], "no", "no"),
        ],
    ),
    "time_to_line": (
        "dsplug_query changes hosts fastest_seconds average_seconds slowest_seconds"
        " later_than_ten_minutes",
        [
            ("events", 3, 2, 60, 60, 60, 0),
            ("folder_changed", 1, 1, 120, 120, 120, 0),
            # One after two minutes, nine after four, one after 67, one after four hours.
            ("modified", 12, 10, 120, 1725, 14400, 2),
        ],
    ),
    "late_lines": (
        "time_utc host dsplug_query digest seconds",
        [
            ("2026-11-05 07:00:00", "mac-04", "modified", D["b"], 14400),
            ("2026-11-04 11:07:00", "mac-10", "modified", D["2"], 4020),
        ],
    ),
    # Not what mac-06 had before, and not mac-07, which was imaged again.
    "hidden_in_base_line": (
        "first_utc host digest a_path hosts",
        [("2026-11-06 03:10:00", "mac-06", D["c"], log.CENTRIFY, 1)],
    ),
    # No base line of a first day, none of mac-06 or mac-07, and nothing of another query.
    "timeline": (
        "day appeared changed gone events hosts",
        [
            ("2026-11-04", 0, 10, 0, 0, 10),
            ("2026-11-05", 1, 2, 1, 2, 3),
            ("2026-11-07", 0, 0, 0, 1, 1),
        ],
    ),
    "lines_by_day": (
        "day dsplug_query line_count base_lines hosts digests",
        [
            ("2026-11-02", "inventory", 13, 0, 13, 1),
            ("2026-11-02", "modified", 12, 12, 12, 1),
            ("2026-11-02", "presence", 12, 12, 12, 0),
            ("2026-11-03", "helper_running", 1, 1, 1, 0),
            ("2026-11-03", "inventory", 11, 0, 11, 1),
            ("2026-11-04", "inventory", 11, 0, 11, 1),
            ("2026-11-04", "modified", 10, 0, 10, 1),
            ("2026-11-05", "events", 2, 0, 1, 1),
            ("2026-11-05", "folder_changed", 1, 0, 1, 0),
            ("2026-11-05", "inventory", 10, 0, 10, 2),
            ("2026-11-05", "modified", 2, 0, 2, 2),
            ("2026-11-05", "presence", 2, 0, 1, 0),
            ("2026-11-06", "inventory", 10, 0, 10, 2),
            ("2026-11-06", "modified", 3, 3, 2, 2),
            ("2026-11-06", "presence", 2, 2, 1, 0),
            ("2026-11-07", "events", 1, 0, 1, 1),
            ("2026-11-07", "helper_running", 1, 0, 1, 0),
            ("2026-11-07", "inventory", 12, 0, 10, 3),
            ("2035-01-19", "inventory", 1, 0, 1, 0),
            ("2100-01-01", "inventory", 1, 0, 1, 0),
        ],
    ),
}

# Another value of a setting: its line of the file, what it becomes, and what is expected then.
EDITED = [
    (
        "changed_on_day",
        "'' AS day_asked",
        "'2026-11-05' AS day_asked",
        "time_utc host dsplug_query what digest new_to_fleet base_line",
        [
            ("2026-11-05 02:01:00", "mac-03", "events", "appeared", D["a"], "yes", "no"),
            ("2026-11-05 02:02:00", "mac-03", "events", "gone", D["a"], "yes", "no"),
            ("2026-11-05 02:03:00", "mac-03", "folder_changed", "added", "", "no", "no"),
            ("2026-11-05 07:00:00", "mac-04", "modified", "added", D["b"], "yes", "no"),
            ("2026-11-05 08:00:00", "mac-08", "presence", "removed", "", "no", "no"),
            ("2026-11-05 08:30:00", "mac-08", "modified", "added", D["2"], "no", "no"),
            ("2026-11-05 08:30:00", "mac-08", "presence", "added", "", "no", "no"),
        ],
    ),
    # Of the base lines of that day the one that nobody knew, and no other.
    (
        "changed_on_day",
        "'' AS day_asked",
        "'2026-11-06' AS day_asked",
        "host dsplug_query digest new_to_fleet base_line",
        [("mac-06", "modified", D["c"], "yes", "yes")],
    ),
    ("rare_digests", "3 AS fewer_than", "1 AS fewer_than", "digest", []),
    (
        "silent_hosts",
        "'no' AS every_host",
        "'yes' AS every_host",
        "host silence",
        [
            ("mac-05", "blind"),
            ("mac-14", "clock"),
            ("forged", "clock"),
            ("mac-11", "gone"),
            ("mac-12", "gone"),
            ("mac-15", "never"),
            ("server-1", "never"),
        ],
    ),
]


def check_the_log():
    """Each column of a line is one that its query has, by the query's file."""
    for line in log.lines():
        for row in line.get("snapshot") or [line.get("columns", {})]:
            if query := row.get("dsplug_query"):
                sql = (TOP / "packs" / "queries" / f"{query}.sql").read_text()
                sql = "".join(one for one in sql.splitlines(True) if not one.startswith("--"))
                words = set(re.findall(r"\w+", sql))
                assert set(row) <= words, (query, set(row) - words)


def picked(rows, columns):
    return [tuple(row[column] for column in columns.split()) for row in rows]


def plain(rows):
    return [tuple(float(v) if isinstance(v, (int, float)) else v for v in row) for row in rows]


def main():
    check_the_log()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "osqueryd.results.log"
        log.write(path)
        asked = questions()
        assert sorted(asked) == sorted(EXPECTED), set(asked) ^ set(EXPECTED)
        cases = [(name, asked[name], *EXPECTED[name]) for name in asked]
        for name, line, other, columns, rows in EDITED:
            assert asked[name].count(line) == 1, (name, line)
            cases.append((name, asked[name].replace(line, other), columns, rows))
        duckdb, clickhouse = DuckDB(path), ClickHouse(path)
        for name, sql, columns, expected in cases:
            rows = duckdb.rows(sql)
            assert picked(rows, columns) == plain(expected), (name, picked(rows, columns))
            others = clickhouse.rows(sql)
            assert others == rows, (name, rows, others)


main()
