"""What a day of the pack costs under a real osqueryd, beside osqueryd's own `file` joined with `hash`.

    python3 tests/bench/day.py BINARY OSQUERYD NAME=DISK...

`cargo bench -- day` calls it with an empty Mac, one with 3 bundles and one with 200. No day is waited
for: each rate is what a longer run of osqueryd costs more than a shorter one, by the system's own
account of the process and its threads (wait4), and a day is so many times that. All that runs beside each
other is measured by processor time, not by the clock.

- Idle: an osqueryd without a schedule that pings every 3 seconds, its default.
- A call: one query every 5 seconds, which is longer than a scan answers, so that each scans.
- The pack: as many calls as a day of its intervals has, none of them sharing a scan.
"""

import concurrent.futures
import glob
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DAY = 86_400
# Seconds of the shorter and of the longer run; two looks of the watch lie between them.
IDLE = (8, 68)
# The interval of a call, and the runs in seconds.
EVERY = 5
CALLS = (12, 52)

# Starts the extension in its place, and writes down what it had cost when it ended.
MEASURED = """
import json, os, signal, sys
out, *command = sys.argv[1:]
child = os.spawnv(os.P_NOWAIT, command[0], command)
held = {}
def end(number, _):
    try:
        for line in open(f"/proc/{child}/status"):
            if line.split(":")[0] in ("Threads", "VmRSS"):
                held[line.split(":")[0]] = int(line.split()[1])
        for line in open(f"/proc/{child}/io"):
            held[line.split(":")[0]] = int(line.split()[1])
        os.kill(child, number)
    except OSError:
        pass
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, end)
_, status, usage = os.wait4(child, 0)
spent = {"cpu": usage.ru_utime + usage.ru_stime, "wakes": usage.ru_nvcsw + usage.ru_nivcsw}
with open(out + ".part", "w") as file:
    json.dump({**spent, **held}, file)
os.rename(out + ".part", out)
"""


def osqueryd(program, seconds, schedule, extension=None):
    """What osqueryd cost in that time, and what its extension did."""
    with tempfile.TemporaryDirectory(prefix="ds", dir="/tmp") as folder:
        at = lambda name: os.path.join(folder, name)  # noqa: E731
        os.chmod(folder, 0o700)
        for name in ("db", "logs"):
            os.mkdir(at(name))
        flags = [
            f"--{flag}={at(name)}"
            for flag, name in {
                "flagfile": "flags",
                "pidfile": "pid",
                "database_path": "db",
                "logger_path": "logs",
                "config_path": "conf",
                "extensions_socket": "em",
            }.items()
        ]
        flags += ["--logger_plugin=filesystem", "--schedule_splay_percent=0"]
        if extension:
            binary, disk = extension
            pathlib.Path(at("measured.py")).write_text(MEASURED)
            command = [sys.executable, at("measured.py"), at("spent"), binary, "--root", disk]
            command += ["--state-dir", at("state")]
            words = " ".join(f"'{word}'" for word in command)
            pathlib.Path(at("dsplug.ext")).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
            os.chmod(at("dsplug.ext"), 0o755)
            pathlib.Path(at("load")).write_text(at("dsplug.ext") + "\n")
            flags += [f"--extensions_autoload={at('load')}", "--extensions_require=dsplug"]
            flags += ["--extensions_timeout=60", "--disable_watchdog=false"]
        else:
            flags += ["--disable_watchdog", "--disable_extensions"]
        pathlib.Path(at("flags")).write_text("")
        pathlib.Path(at("conf")).write_text(json.dumps({"schedule": schedule}))
        with open(at("out"), "wb") as out:
            process = subprocess.Popen([program, *flags], stdout=out, stderr=out)
            end = time.monotonic() + 120
            while extension and not glob.glob(at("em.*")) and time.monotonic() < end:
                time.sleep(0.05)
            time.sleep(seconds)
            process.send_signal(signal.SIGTERM)
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = 0
        own = {"cpu": usage.ru_utime + usage.ru_stime}
        if not extension:
            return own
        end = time.monotonic() + 10
        while not os.path.exists(at("spent")) and time.monotonic() < end:
            time.sleep(0.05)
        if not os.path.exists(at("spent")):
            raise SystemExit("the extension did not end:\n" + pathlib.Path(at("out")).read_text())
        return json.loads(pathlib.Path(at("spent")).read_text())


def rate(program, runs, schedule, extension=None):
    """What a second costs: the longer run without the shorter."""
    short, long = (osqueryd(program, seconds, schedule, extension) for seconds in runs)
    seconds = runs[1] - runs[0]
    spent = {key: (long[key] - short.get(key, 0)) / seconds for key in long}
    return {**spent, "threads": long.get("Threads"), "kB": long.get("VmRSS")}


def query(sql):
    return {"query": {"query": sql, "interval": EVERY}}


def calls():
    """Calls in a day of the pack, of the tables that scan and of those that do not."""
    pack = json.loads((ROOT / "packs/dsplug.conf").read_text())
    scans = others = 0
    for one in pack["queries"].values():
        times = DAY / one["interval"]
        tables = re.findall(r"(?i)\b(?:from|join)\s+(dsplug_\w+)", one["query"])
        others += times * sum(table == "dsplug_events" for table in tables)
        scans += times * any(table != "dsplug_events" for table in tables)
    return scans, others


def bill(program, binary, disk):
    """What a day costs on one disk."""
    extension = (binary, disk)
    jobs = {
        "idle": (IDLE, {}),
        "scan": (CALLS, query("SELECT path, hash, signature_state FROM dsplug_bundles")),
        "event": (CALLS, query("SELECT id FROM dsplug_events")),
    }
    with concurrent.futures.ThreadPoolExecutor() as pool:
        running = {
            name: pool.submit(rate, program, runs, schedule, extension)
            for name, (runs, schedule) in jobs.items()
        }
        rates = {name: one.result() for name, one in running.items()}
    scans, others = calls()
    day = {}
    for key in ("cpu", "wakes", "rchar"):
        idle = rates["idle"][key]
        a_scan, an_event = ((rates[name][key] - idle) * EVERY for name in ("scan", "event"))
        day[key] = idle * DAY + max(a_scan, 0) * scans + max(an_event, 0) * others
        day["a scan, " + key] = a_scan
    return rates["idle"], day


def join(program, disk):
    """What osqueryd's own join costs once."""
    plugins = os.path.join(disk, "Library/DirectoryServices/PlugIns")
    sql = (
        "SELECT f.path, f.mtime, h.sha256 FROM file f JOIN hash h USING (path) "
        f"WHERE f.path LIKE '{plugins}/%%' AND f.type = 'regular'"
    )
    every = 15
    runs = (every + 10, 4 * every + 10)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with_it = pool.submit(rate, program, runs, {"join": {"query": sql, "interval": every}})
        without = pool.submit(rate, program, runs, {})
        return (with_it.result()["cpu"] - without.result()["cpu"]) * every


def main():
    binary, program, *disks = sys.argv[1:]
    binary, program = os.path.abspath(binary), os.path.abspath(program)
    scans, others = calls()
    print(f"  a day of the pack: {scans:.0f} queries that scan, {others:.0f} of events alone")
    for word in disks:
        name, disk = word.split("=", 1)
        idle, day = bill(program, binary, disk)
        # Of one that had ended by itself nobody can say.
        held = f"{idle['kB'] / 1024:.1f} MB" if idle["kB"] else "memory not seen"
        print(
            f"  {name}, idle: {idle['cpu'] * 100:.4f} % of a core, {idle['wakes']:.1f} switches a"
            f" second, {idle['threads']} threads, {held}"
        )
        print(
            f"  {name}, a day: {day['cpu']:.1f} processor seconds, {day['wakes']:.0f} switches,"
            f" {day['rchar'] / 1e6:.0f} MB read; a call that scans {day['a scan, cpu'] * 1000:.2f} ms"
        )
        if name.endswith("bundles"):
            once = join(program, disk)
            theirs = once * DAY / 300
            print(
                f"  {name}, osqueryd's own join every 300 s: {theirs:.1f} processor seconds a day;"
                f" ratio {day['cpu'] / theirs:.2f}"
            )


if __name__ == "__main__":
    main()
