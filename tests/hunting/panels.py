"""The panels over the log: what each of Grafana's shows, and what each of Kibana's would.

A panel of Grafana runs as it stands in ClickHouse and must show what its question answers; its fields
are those that Grafana's own types know. Kibana is not run: its objects are held against the form that
its sources ask for, and each chart is worked out over the documents that Osquery Manager would
make of the log, by the meaning of the few operations that it uses.
"""

import json
import pathlib
import re
import tempfile
from collections import defaultdict

import log
from engines import TOP, ClickHouse, DuckDB, questions

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

VENDOR, NOBODY = "Developer ID Application: Example (TEAM000001)", ""


def grafana(duckdb, clickhouse):
    dashboard = json.loads((TOP / "packs/grafana/dsplug.json").read_text())
    # What Grafana's types do not know is not there any more when they have read it.
    read = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(dashboard)))
    missing = list(lost(dashboard, read))
    assert not missing, missing
    asked = questions()
    # Each without its header.
    names = {re.sub(r"(?m)^--.*\n", "", sql): name for name, sql in asked.items()}
    shown = set()
    filled = set()
    for panel in dashboard["panels"]:
        (target,) = panel["targets"]
        sql = target["rawSql"]
        # Grafana puts variables and macros where a $ stands.
        assert "$" not in sql, panel["title"]
        name = names[sql]
        shown.add(name)
        rows = clickhouse.rows(sql)
        assert rows and rows == duckdb.rows(asked[name]), name
        if panel["type"] == "barchart":
            assert panel["options"]["xField"] == list(rows[0])[0]
            (override,) = panel["fieldConfig"]["overrides"]
            assert override["matcher"]["options"] in rows[0]
        filled |= place(panel["gridPos"], 24, filled)
    assert {"timeline", "prevalence_signer", "first_seen_in_fleet", "silent_hosts"} <= shown


def lost(before, after, path=""):
    if isinstance(before, dict):
        for key, value in before.items():
            if not isinstance(after, dict) or key not in after:
                yield f"{path}.{key}"
            else:
                yield from lost(value, after[key], f"{path}.{key}")
    elif isinstance(before, list):
        for at, value in enumerate(before):
            yield from lost(value, after[at], f"{path}[{at}]")
    elif before != after:
        yield f"{path}: {before} {after}"


def place(grid, width, filled):
    """The cells of a panel; two panels have none in common."""
    cells = {
        (x, y)
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    }
    assert not cells & filled and grid["x"] + grid["w"] <= width, grid
    return cells


def documents():
    """The results as Osquery Manager publishes them: one for each row."""
    for line in log.lines():
        rows = line["snapshot"] if "snapshot" in line else [line["columns"]]
        for row in rows:
            yield {
                "@timestamp": line["unixTime"],
                "host.name": line["hostIdentifier"],
                "osquery_meta.counter": line["counter"],
                "osquery_meta.action": line["action"],
                **{f"osquery.{name}": value for name, value in row.items()},
            }


def fields():
    """What a chart may name: the columns of the pack, by its files, and what is beside them."""
    sql = "".join(path.read_text() for path in (TOP / "packs/queries").glob("*.sql"))
    columns = {f"osquery.{word}" for word in re.findall(r"\w+", sql)}
    return columns | {"@timestamp", "host.name", "osquery_meta.counter", "osquery_meta.action"}


def holds(query, document):
    """Kibana's query language, as far as the panels use it."""
    tokens = re.findall(r'\(|\)|"[^"]*"|[^\s()"]+', query)

    def either():
        found = both()
        while tokens and tokens[0] == "or":
            tokens.pop(0)
            found = both() or found
        return found

    def both():
        found = one()
        while tokens and tokens[0] == "and":
            tokens.pop(0)
            found = one() and found
        return found

    def one():
        word = tokens.pop(0)
        if word == "not":
            return not one()
        if word == "(":
            found = either()
            assert tokens.pop(0) == ")"
            return found
        assert tokens.pop(0) == ":" and word in fields_known, word
        value = tokens.pop(0)
        if value == "*":
            return word in document
        return str(document.get(word)) == value.strip('"')

    found = either()
    assert not tokens, tokens
    return found


# What each operation of Lens makes of the documents of a bucket.
OPERATIONS = {
    "unique_count": lambda found, of: len({one[of] for one in found if of in one}),
    "count": lambda found, of: len(found),
    "min": lambda found, of: min(one[of] for one in found),
    "max": lambda found, of: max(one[of] for one in found),
    "last_value": lambda found, of: max(
        (one for one in found if of in one), key=lambda one: one["@timestamp"], default={}
    ).get(of),
}


def chart(state):
    """The rows of a chart, in no order."""
    (layer,) = state["datasourceStates"]["formBased"]["layers"].values()
    columns = layer["columns"]
    assert sorted(columns) == sorted(layer["columnOrder"])
    buckets = [name for name in layer["columnOrder"] if columns[name]["isBucketed"]]
    # Lens wants the buckets first.
    assert layer["columnOrder"][: len(buckets)] == buckets
    found = defaultdict(list)
    for document in documents():
        if holds(state["query"]["query"], document):
            key = [bucket(columns[name], document, columns) for name in buckets]
            if None not in key:
                found[tuple(key)].append(document)
    rows = []
    for key, of in found.items():
        row = dict(zip(buckets, key))
        for name in layer["columnOrder"][len(buckets) :]:
            column = columns[name]
            assert column["sourceField"] in fields_known | {"___records___"}, column
            if column["operationType"] == "last_value":
                assert column["params"]["sortField"] == "@timestamp"
                assert column["filter"]["query"] == f'"{column["sourceField"]}": *'
            row[name] = OPERATIONS[column["operationType"]](of, column["sourceField"])
        rows.append(row)
    return rows


def bucket(column, document, columns):
    field = column["sourceField"]
    assert field in fields_known, field
    if column["operationType"] == "date_histogram":
        return (document[field] - log.START) // log.DAY
    assert column["operationType"] == "terms"
    order = columns[column["params"]["orderBy"]["columnId"]]
    # By these a list of values can be ordered; by the newest of texts it cannot.
    assert order["operationType"] in ("unique_count", "count", "min", "max"), order
    return document.get(field)


def kibana():
    view, dashboard = map(json.loads, (TOP / "packs/kibana/dsplug.ndjson").read_text().splitlines())
    assert view["attributes"]["title"] == "logs-osquery_manager.result*"
    attributes = dashboard["attributes"]
    # Kibana's schema of a dashboard (dashboard_saved_object/schema/v1) forbids any other.
    assert set(attributes) <= {
        *"title description kibanaSavedObjectMeta timeRestore timeFrom timeTo refreshInterval".split(),
        *"controlGroupInput panelsJSON optionsJSON hits version".split(),
    }
    assert {each["id"] for each in dashboard["references"]} == {view["id"]}
    references = {each["name"] for each in dashboard["references"]}
    filled = set()
    rows = {}
    for panel in json.loads(attributes["panelsJSON"]):
        state = panel["embeddableConfig"]["attributes"]["state"]
        (own,) = panel["embeddableConfig"]["attributes"]["references"]
        references.remove(f"{panel['panelIndex']}:{own['name']}")
        ((layer, asked),) = state["datasourceStates"]["formBased"]["layers"].items()
        assert own["name"] == f"indexpattern-datasource-layer-{layer}"
        shown = state["visualization"]
        if "columns" in shown:
            assert shown["layerId"] == layer
            assert [each["columnId"] for each in shown["columns"]] == asked["columnOrder"]
        else:
            (bars,) = shown["layers"]
            assert bars["layerId"] == layer
            used = [bars["xAccessor"], bars["splitAccessor"], *bars["accessors"]]
            assert used == asked["columnOrder"]
        filled |= place(panel["gridData"], 48, filled)
        rows[panel["panelIndex"]] = chart(state)
    assert not references, references
    return rows


EXPECTED = {
    # On the third day ten updates; on the fourth what came and went with its folder, the altered one, and
    # the one that was installed again. No base line, and no line of another pack.
    "timeline": {
        (2, "modified", 10),
        (3, "events", 2),
        (3, "folder_changed", 1),
        (3, "modified", 2),
        (3, "presence", 2),
        (5, "events", 1),
        (5, "helper_running", 1),
    },
    "signers": {(VENDOR, "signed", 12), (NOBODY, "adhoc", 1), (NOBODY, "unsigned", 1)},
    "digests": {
        ("1" * 64, log.at(0, "09:00"), 12, log.KANAKA, "signed", VENDOR, "TEAM000001"),
        ("2" * 64, log.at(2, "10:04"), 10, log.KANAKA, "signed", VENDOR, "TEAM000001"),
        ("a" * 64, log.at(3, "02:01"), 1, log.UPDATER, "unsigned", NOBODY, ""),
        ("b" * 64, log.at(3, "07:00"), 1, log.KANAKA, "adhoc", NOBODY, ""),
        ("c" * 64, log.at(4, "03:10"), 1, log.CENTRIFY, "unsigned", NOBODY, ""),
    },
    "silent": {
        *[(f"mac-{n:02}", log.at(5, "12:00")) for n in (1, 2, 3, 4, 7, 8, 9, 10)],
        ("mac-06", log.at(5, "13:00")),
        ("mac-05", log.at(2, "12:00")),
        ("mac-11", log.at(0, "09:00")),
        ("mac-12", log.at(0, "09:00")),
    },
}


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "osqueryd.results.log"
        log.write(path)
        grafana(DuckDB(path), ClickHouse(path))
    found = {name: {tuple(row.values()) for row in rows} for name, rows in kibana().items()}
    for name in EXPECTED | found:
        assert found[name] == EXPECTED[name], (name, found[name] ^ EXPECTED[name])


fields_known = fields()
main()
