"""A small log of a fleet, by hand: the lines as osqueryd writes them.

The fields and their order are those of `serializeQueryLogItem` and `serializeEvent` in osquery's
core/query.cpp: one object a row for a difference, one object with all rows for a snapshot, and
without rows an empty list (scheduler.cpp logs a snapshot whatever it holds). Values are texts.
"""

import calendar
import json
import time

DAY = 86400
# 2 November 2026, midnight, UTC.
START = calendar.timegm((2026, 11, 2, 0, 0, 0))

KANAKA = "/Library/DirectoryServices/PlugIns/Kanaka.dsplug"
CENTRIFY = "/Library/DirectoryServices/PlugIns/Centrify.dsplug"
UPDATER = "/Library/DirectoryServices/PlugIns/Updater.dsplug"

VENDOR = {
    "signature_state": "signed",
    "anchor": "developer_id",
    "signer": "Developer ID Application: Example (TEAM000001)",
    "team_identifier": "TEAM000001",
    "load_verdict": "loadable",
}
NOBODY = {
    "signature_state": "unsigned",
    "anchor": "none",
    "signer": "",
    "team_identifier": "",
    "load_verdict": "loadable",
}


def at(day, clock):
    """Seconds of a day, counted from 0, and a time as 09:00."""
    hours, minutes = clock.split(":")
    return START + day * DAY + int(hours) * 3600 + int(minutes) * 60


def bundle(path, digest, ctime, signed=VENDOR):
    return {"path": path, "kind": "directory", "hash": digest, "ctime": str(ctime), **signed}


def head(host, seconds, name, counter):
    moment = time.gmtime(min(max(seconds, 0), 253402300799))
    return {
        "name": f"pack_dsplug_{name}",
        "hostIdentifier": host,
        "calendarTime": time.strftime("%a %b %e %H:%M:%S %Y UTC", moment),
        "unixTime": seconds,
        "epoch": 0,
        "counter": counter,
        "numerics": False,
    }


def line(host, seconds, query, counter, action="added", **columns):
    columns = {"dsplug_query": query, **columns}
    return {**head(host, seconds, query, counter), "columns": columns, "action": action}


def modified(host, seconds, counter, of):
    columns = {key: value for key, value in of.items() if key not in ("ctime", "load_verdict")}
    return line(host, seconds, "modified", counter, **columns)


def inventory(host, seconds, *bundles):
    rows = [{"dsplug_query": "inventory", **of} for of in bundles]
    return {"snapshot": rows, "action": "snapshot", **head(host, seconds, "inventory", 0)}


def lines():
    old = at(-300, "12:00")
    one = bundle(KANAKA, "1" * 64, old)
    update = bundle(KANAKA, "2" * 64, at(2, "10:00"))
    installed = str(at(3, "08:28"))
    log = []
    # Twelve Macs with one vendor's plug-in. On the third day it is updated, on mac-10 an hour later
    # than everywhere; mac-11 and mac-12 sleep from the first day on and on.
    for number in range(1, 13):
        host = f"mac-{number:02}"
        log.append(line(host, at(0, "09:00"), "presence", 0, path=KANAKA))
        log.append(modified(host, at(0, "09:00"), 0, one))
        log.append(inventory(host, at(0, "09:00"), one))
        if number > 10:
            continue
        late = 63 if number == 10 else 0
        log.append(modified(host, at(2, "10:04") + late * 60, 1, update))
        for day in range(1, 6):
            if host in ("mac-04", "mac-05") and day > 2:
                continue
            again = host == "mac-08" and day > 2
            stands = one if day < 2 else {**update, "ctime": installed} if again else update
            log.append(inventory(host, at(day, "12:00"), stands))
    # mac-05 goes on to write lines of another pack, and no inventory: its extension does not run.
    for day in (3, 4, 5):
        other = line("mac-05", at(day, "11:00"), "x", 3, path="/bin/sh", pid="7")
        other["name"] = "pack_incident_processes"
        del other["columns"]["dsplug_query"]
        log.append(other)
    # mac-03: a plug-in that nobody signed, and that is gone after a minute, and the folder's line.
    planted = bundle(UPDATER, "a" * 64, at(3, "02:00"), NOBODY)
    event = {key: value for key, value in planted.items() if key != "ctime"}
    seen = str(at(3, "02:00"))
    log.append(
        line("mac-03", at(3, "02:01"), "events", 1, id="1", time=seen, **event)
        | {"decorations": {"site": "b"}}
    )
    log[-1]["columns"]["action"] = "appeared"
    log.append(
        line("mac-03", at(3, "02:02"), "events", 2, id="2", time=str(at(3, "02:01")), **event)
    )
    log[-1]["columns"].update(action="gone", stood_ms="60000")
    folder = "/Library/DirectoryServices/PlugIns"
    written = str(at(3, "02:01"))
    log.append(
        line("mac-03", at(3, "02:03"), "folder_changed", 1, path=folder, ctime=written, mtime="0")
    )
    # mac-04: the vendor's bundle is altered and signed ad hoc. The Mac slept: the line is late.
    altered = bundle(
        KANAKA, "b" * 64, at(3, "03:00"), {**NOBODY, "signature_state": "adhoc"}
    )
    log.append(modified("mac-04", at(3, "07:00"), 2, altered))
    for day in (3, 4, 5):
        log.append(inventory("mac-04", at(day, "12:00"), altered))
    # mac-08: the vendor's plug-in is taken away and installed again.
    log.append(line("mac-08", at(3, "08:00"), "presence", 1, "removed", path=KANAKA))
    log.append(line("mac-08", at(3, "08:30"), "presence", 2, path=KANAKA))
    log.append(modified("mac-08", at(3, "08:30"), 3, update))
    # mac-06: osquery's database is emptied, and what was planted comes as a base line.
    hidden = bundle(CENTRIFY, "c" * 64, at(4, "03:00"), NOBODY)
    for of in (update, hidden):
        log.append(line("mac-06", at(4, "03:10"), "presence", 0, path=of["path"]))
        log.append(modified("mac-06", at(4, "03:10"), 0, of))
    log.append(inventory("mac-06", at(5, "13:00"), update, hidden))
    # Of that one the fleet is told when it goes: it came by no change all the same.
    event = {key: value for key, value in hidden.items() if key != "ctime"}
    left = str(at(5, "14:00"))
    log.append(line("mac-06", at(5, "14:01"), "events", 1, id="2", time=left, **event))
    log[-1]["columns"].update(action="gone", stood_ms="125400000")
    # mac-07 is imaged again: its base line has what the fleet knows.
    log.append(modified("mac-07", at(4, "08:00"), 0, update))
    # mac-13 has no plug-in at all, mac-14 a clock that is years ahead, mac-15 no inventory ever.
    for day in range(0, 6):
        log.append(inventory("mac-13", at(day, "12:00")))
    log.append(inventory("mac-14", at(3000, "12:00")))
    helper = "/usr/libexec/dspluginhelperd"
    for counter, day in enumerate((1, 5)):
        log.append(line("mac-15", at(day, "12:00"), "helper_running", counter, path=helper))
    # What osquery's own log has beside: another pack's snapshot, and a server that is no Mac.
    for day in (1, 5):
        other = inventory("server-1", at(day, "12:00"), {"path": "/etc/passwd", "uid": "0"})
        del other["snapshot"][0]["dsplug_query"]
        other["name"] = "pack_incident_files"
        log.append(other)
    # A number that no clock gives.
    forged = inventory("mac-13", at(5, "12:00"))
    forged["unixTime"] = 9_000_000_000_000_000_000
    forged["hostIdentifier"] = "forged"
    log.append(forged)
    return log


def write(path):
    with open(path, "w") as file:
        for one in lines():
            # RapidJSON writes no blanks.
            file.write(json.dumps(one, separators=(",", ":")) + "\n")
