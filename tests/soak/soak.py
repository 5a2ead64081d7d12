"""Queries a running extension while another process changes the disk under it.

    tests/.venv/bin/python tests/soak/soak.py target/release/dsplug [QUERIES]

The other process creates, changes, renames and deletes bundles and writes down when. Each answer
is held against that: a bundle that stood still while the query ran, and as long before
as an answer may be old, has its row with its digest, or none; any other has a digest that it
had meanwhile. At the end the extension holds no more memory, threads or descriptors than before.
"""

import hashlib
import json
import multiprocessing
import os
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "peer"))

from checks import Host, call, proc, within  # noqa: E402
from manager import Manager  # noqa: E402

NAMES = [f"Bundle{number}.dsplug" for number in range(24)]
# How old an answer may be, in seconds: calls that follow closely share a scan for eight.
AGE = 10.0
# Between two queries, in seconds: a day's worth of queries in minutes.
PAUSE = 0.02
# Queries before memory is measured the first time.
WARM = 500


def digest(content):
    """The digest of a bundle that holds this one file, as the README defines it."""
    inner = hashlib.sha256(content).hexdigest()
    records = b"d " + b"0" * 64 + b" ./Contents\0f " + inner.encode() + b" ./Contents/data\0"
    return hashlib.sha256(records).hexdigest()


def changes(plugins, aside, journal, stop):
    """Changes bundles, each step at once by a rename, until told to stop."""
    chance = random.Random(6)
    there = {}
    count = 0
    with open(journal, "w") as log:
        while not stop.is_set():
            count += 1
            name = chance.choice(NAMES)
            path = os.path.join(plugins, name)
            content = b"%d" % count * chance.randrange(1, 2000)
            begun = time.monotonic()
            states = {}
            if name not in there:
                what = os.path.join(aside, "new")
                os.makedirs(os.path.join(what, "Contents"))
                with open(os.path.join(what, "Contents/data"), "wb") as file:
                    file.write(content)
                os.rename(what, path)
                states[name] = digest(content)
            elif chance.random() < 0.5:
                with open(os.path.join(aside, "data"), "wb") as file:
                    file.write(content)
                os.rename(os.path.join(aside, "data"), os.path.join(path, "Contents/data"))
                states[name] = digest(content)
            elif chance.random() < 0.5 and len(there) < len(NAMES):
                other = chance.choice([n for n in NAMES if n not in there])
                os.rename(path, os.path.join(plugins, other))
                states[other] = there[name]
                states[name] = None
            else:
                os.rename(path, os.path.join(aside, "old"))
                states[name] = None
                os.unlink(os.path.join(aside, "old/Contents/data"))
                os.rmdir(os.path.join(aside, "old/Contents"))
                os.rmdir(os.path.join(aside, "old"))
            for changed, state in states.items():
                there[changed] = state
                if state is None:
                    del there[changed]
            log.write(json.dumps([begun, time.monotonic(), states]) + "\n")
            log.flush()
            time.sleep(chance.choice([0.001, 0.05, 0.5, 3.0]))


def main():
    binary = os.path.abspath(sys.argv[1])
    queries = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    host = Host(binary)
    aside = os.path.join(host.folder.name, "aside")
    journal = os.path.join(host.folder.name, "journal")
    os.mkdir(aside)
    stop = multiprocessing.Event()
    changer = multiprocessing.Process(target=changes, args=[host.plugins, aside, journal, stop])
    try:
        manager = Manager(host.socket)
        process, uuid = host.registered(manager, interval=5)
        changer.start()
        answers = []

        def held():
            return proc(process, "Threads"), len(os.listdir(f"/proc/{process.pid}/fd"))

        for number in range(queries):
            begun = time.monotonic()
            answer = call(manager, uuid)
            ended = time.monotonic()
            assert answer.status.code == 0, answer.status.message
            rows = {os.path.basename(r["path"]): r for r in answer.response}
            time.sleep(PAUSE)
            answers.append((begun, ended, {n: (r["hash"], r["error"]) for n, r in rows.items()}))
            if number == WARM:
                memory, first = proc(process, "VmRSS"), held()
        stop.set()
        changer.join()
        assert changer.exitcode == 0
        if queries > WARM:
            within(5, lambda: held() <= first, f"as few threads and descriptors as {first}")
            growth = proc(process, "VmRSS") - memory
            assert growth < 4 << 10, f"{growth} kB more"
            print(f"{proc(process, 'VmRSS')} kB held, {growth} kB more than after {WARM} queries")
        with open(journal) as lines:
            steps = [json.loads(line) for line in lines]
        judge(answers, steps)
    except BaseException:
        with open(host.log, errors="replace") as log:
            sys.stderr.write("the extension's log:\n" + log.read()[-4000:])
        raise
    finally:
        if changer.is_alive():
            stop.set()
            changer.join(10)
        host.clean()


def judge(answers, steps):
    """Holds every answer against what was done."""
    still = moving = seen = 0
    last = {}
    of = {n: [(b, e, c[n]) for b, e, c in steps if n in c] for n in NAMES}
    for begun, ended, rows in answers:
        for name in NAMES:
            # What it was when the window opened, and everything it became in it.
            states = {None}
            for start, end, state in of[name]:
                if start > ended:
                    break
                states = {state} if end < begun - AGE else states | {state}
            found, error = rows.get(name, (None, ""))
            if len(states) == 1:
                still += 1
                assert {found} == states, f"{name}: {found} {error}, and it was {states}"
                seen += last.get(name) != found
                last[name] = found
            else:
                moving += 1
                # A digest that it never had would be a line that did not happen.
                assert found in states or (found == "" and error), f"{name}: {found}, not {states}"
    assert {"Example.dsplug"} | set(NAMES) >= {n for _, _, rows in answers for n in rows}
    print(
        f"{len(answers)} queries, {len(steps)} changes; {still} rows of what stood still were right,"
        f" {seen} changes of these seen; {moving} of what moved were among what it was"
    )


if __name__ == "__main__":
    main()
