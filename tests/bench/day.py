"""What a day of the pack costs under a real osqueryd, beside osqueryd's own `file` joined with `hash`.

    python3 tests/bench/day.py BINARY OSQUERYD NAME=DISK...

`cargo bench -- day` calls it with an empty Mac, one with 3 bundles and one with 200. No day is waited
for: each rate is what passes between two moments of one run, by the system's own account of the process
and all its threads, those that have ended as well (clock_getcpuclockid), and a day is so many times
that. All that runs beside each other is measured by processor time, not by the clock.

- Idle: an osqueryd without a schedule that pings every 3 seconds, its default.
- A call: one query every 5 seconds, which is longer than a scan answers by itself; whether each scans, or is answered by the
  watch's last look, is as in a day, for a day's calls come no more than a minute apart.
- The pack: as many calls as a day of its intervals has, none of them sharing the rows of another.
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
# Seconds from the start to the first moment and to the second; the watch looks twice between them at the least.
IDLE = (8, 248)
# The interval of a call, and the moments.
EVERY = 5
CALLS = (12, 252)

# Takes the extension's place, and says which process it is.
STARTED = """
import os, sys
out, *command = sys.argv[1:]
with open(out + ".part", "w") as file:
    file.write(str(os.getpid()))
os.rename(out + ".part", out)
os.execv(command[0], command)
"""


def spent(pid):
    """What a process has cost by now."""
    # The clock of a process: clock_getcpuclockid of glibc.
    now = {"cpu": time.clock_gettime(~pid << 3 | 2)}
    for line in open(f"/proc/{pid}/io"):
        if line.startswith("rchar"):
            now["rchar"] = int(line.split()[1])
    wakes = 0
    for status in glob.glob(f"/proc/{pid}/task/*/status"):
        try:
            lines = open(status).read().splitlines()
        except OSError:
            continue
        wakes += sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
    now["wakes"] = wakes
    return now


def held(pid):
    """What a process holds: threads, and kB of memory."""
    lines = (line.split(":") for line in open(f"/proc/{pid}/status"))
    status = {name: value.split()[0] for name, value in lines if value.strip()}
    return {"threads": int(status["Threads"]), "kB": int(status["VmRSS"])}


def rate(program, moments, schedule, extension=None):
    """What a second costs of the extension, or of osqueryd itself where there is none."""
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
            pathlib.Path(at("started.py")).write_text(STARTED)
            command = [sys.executable, at("started.py"), at("started"), binary, "--root", disk]
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
            try:
                pid = process.pid
                if extension:
                    pid = started(at)
                time.sleep(moments[0])
                first = spent(pid)
                time.sleep(moments[1] - moments[0])
                second = spent(pid)
                seconds = moments[1] - moments[0]
                rates = {key: (second[key] - first[key]) / seconds for key in first}
                return {**rates, **held(pid)}
            except OSError as error:
                raise SystemExit(f"{error}:\n" + pathlib.Path(at("out")).read_text()) from error
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()


def started(at):
    """The extension's process, once it is registered."""
    end = time.monotonic() + 120
    while not (glob.glob(at("em.*")) and os.path.exists(at("started"))):
        if time.monotonic() > end:
            raise SystemExit("no extension:\n" + pathlib.Path(at("out")).read_text())
        time.sleep(0.05)
    return int(pathlib.Path(at("started")).read_text())


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
            name: pool.submit(rate, program, moments, schedule, extension)
            for name, (moments, schedule) in jobs.items()
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
    moments = (every + 10, 5 * every + 10)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with_it = pool.submit(rate, program, moments, {"join": {"query": sql, "interval": every}})
        without = pool.submit(rate, program, moments, {})
        return (with_it.result()["cpu"] - without.result()["cpu"]) * every


def main():
    binary, program, *disks = sys.argv[1:]
    binary, program = os.path.abspath(binary), os.path.abspath(program)
    scans, others = calls()
    print(f"  a day of the pack: {scans:.0f} queries that scan, {others:.0f} of events alone")
    for word in disks:
        name, disk = word.split("=", 1)
        idle, day = bill(program, binary, disk)
        print(
            f"  {name}, idle: {idle['cpu'] * 100:.4f} % of a core, {idle['wakes']:.1f} switches a"
            f" second, {idle['threads']} threads, {idle['kB'] / 1024:.1f} MB"
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
