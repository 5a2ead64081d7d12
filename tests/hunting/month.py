"""The questions and the Sigma rules over a simulated month (tests/fleet), against the truth of it.

    python tests/hunting/month.py DIRECTORY [--time]

DIRECTORY has `results.ndjson` and `truth.ndjson`. Every question must give the same rows on both engines;
what the fleet alone can tell must be of the Macs that were attacked, and of no other. `--time` prints
how many seconds of one core each took, as the table of packs/hunting/README.md has it.
"""

import argparse
import json
import pathlib
import time

import sigma_rules
from engines import ClickHouse, DuckDB, questions

# Attacks whose content the fleet knows, or that have no digest: rarity cannot tell them.
KNOWN = {
    "e05b",  # the folder is moved and a link put in its place
    "e06b",  # the same with the vendor's bundle
    "e14a",  # the version before, which all others had
    "e17b",  # a link to itself
    "e20a",  # modules of OpenDirectory, of which other queries tell
    "e20b",
}
# A signed bundle that another's, or a broken, signature replaces.
RESIGNED = {"e01b", "e08b", "e13a", "e13b"}
# osqueryd's database is emptied meanwhile.
EMPTIED = {"e11a"}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("directory", type=pathlib.Path)
    arguments.add_argument("--time", action="store_true")
    arguments = arguments.parse_args()
    log = arguments.directory / "results.ndjson"
    truth = (arguments.directory / "truth.ndjson").read_text().splitlines()
    truth = [json.loads(line) for line in truth]
    engines = DuckDB(log), ClickHouse(log)
    rows = {}
    for name, sql in questions().items():
        answers, seconds = [], []
        for engine in engines:
            begun = time.process_time()
            answers.append(engine.rows(sql))
            seconds.append(time.process_time() - begun)
        rows[name], other = answers
        assert rows[name] == other, (name, first_difference(rows[name], other))
        if arguments.time:
            print(f"| `{name}` | {len(other)} | {seconds[0]:.1f} | {seconds[1]:.1f} |", flush=True)
    sigma_rules.check(log, engines)
    held_against(truth, rows)


def first_difference(some, other):
    both = [pair for pair in zip(some, other) if pair[0] != pair[1]]
    return len(some), len(other), both[:1]


def held_against(truth, rows):
    attacked = {fact["host"]: fact["evasion"] for fact in truth if fact["kind"] == "attack"}
    (fleet,) = (fact for fact in truth if fact["kind"] == "fleet")

    def evasions(hosts):
        strangers = hosts - set(attacked)
        assert not strangers, strangers
        return {attacked[host] for host in hosts}

    rare = {row[end] for row in rows["rare_digests"] for end in ("a_host", "another_host")}
    assert evasions(rare) >= set(attacked.values()) - KNOWN
    changed = {row["host"] for row in rows["signer_changed_alone"]}
    assert evasions(changed) >= RESIGNED
    hidden = {row["host"] for row in rows["hidden_in_base_line"] if row["hosts"] < 3}
    assert evasions(hidden) == EMPTIED
    # Who fell silent three days before the end is told of, in whatever way.
    silent = {row["host"] for row in rows["silent_hosts"]}
    for fact in truth:
        if fact["kind"] == "silent" and fact["time"] < fleet["end"] - 3 * 86400:
            assert fact["host"] in silent, fact


main()
