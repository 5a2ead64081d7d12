"""The extension against a manager that osquery's own bindings make.

    checks.py BINARY NAME     runs one check
    checks.py --names         prints the names of all

A check that fails says so with a traceback and the extension's own log.
"""

import ctypes
import hashlib
import json
import multiprocessing
import os
import plistlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from manager import Extension, Manager, dead_entry, hostile_requests

# The long forms of what is short otherwise.
FULL = "DSPLUG_FULL" in os.environ

CHECKS = {}


def check(function):
    CHECKS[function.__name__] = function
    return function


def within(seconds, condition, what):
    """Waits for a condition, and fails when it does not come about in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s: {what}")


class Host:
    """A folder with osquery's socket, a Mac's disk, and what runs there."""

    def __init__(self, binary):
        self.binary = binary
        # A short path: that of a socket has 103 bytes on macOS.
        self.folder = tempfile.TemporaryDirectory(prefix="ds", dir="/tmp")
        self.socket = os.path.join(self.folder.name, "em")
        self.root = os.path.join(self.folder.name, "mac")
        self.plugins = os.path.join(self.root, "Library/DirectoryServices/PlugIns")
        os.makedirs(os.path.join(self.plugins, "Example.dsplug/Contents"))
        self.log = os.path.join(self.folder.name, "log")
        self.started = []

    def command(self, interval=1, timeout=3):
        # Separate words, as osqueryd gives them.
        return [
            self.binary,
            "--socket", self.socket,
            "--timeout", str(timeout),
            "--interval", str(interval),
            "--root", self.root,
        ]  # fmt: skip

    def start(self, interval=1, timeout=3, flags=(), **options):
        options.setdefault("stderr", open(self.log, "ab"))
        process = subprocess.Popen([*self.command(interval, timeout), *flags], **options)
        self.started.append(process)
        return process

    def registered(self, manager, **options):
        """An extension that is started, registered and answering; its process and uuid."""
        process = self.start(**options)
        uuid = within(3, manager.uuid, "registered")
        within(3, lambda: answers(manager, uuid), "answering")
        return process, uuid

    def slow(self):
        """A disk that takes seconds to scan: much to read, and nothing to store."""
        for number in range(12):
            os.makedirs(os.path.join(self.plugins, f"{number}.dsplug"))
            with open(os.path.join(self.plugins, f"{number}.dsplug", "data"), "wb") as file:
                file.truncate(1 << 30)

    def clean(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.folder.cleanup()


def answers(manager, uuid):
    try:
        with Extension(manager, uuid) as extension:
            return extension.ping().code == 0
    except (ConnectionError, OSError):
        return False


def call(manager, uuid, table="dsplug_bundles", **request):
    with Extension(manager, uuid, timeout=60) as extension:
        return extension.call("table", table, {"action": "generate", **request})


def ends(process, seconds):
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"still there after {seconds} s") from None


def proc(process, field):
    """A number of /proc/<pid>/status; none where there is no such file."""
    try:
        with open(f"/proc/{process.pid}/status") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
    except FileNotFoundError:
        pass
    return None


@check
def registers_every_table_with_its_columns(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    version = subprocess.run([host.binary, "--version"], capture_output=True, text=True)
    assert version.stdout.split() == ["dsplug", manager.infos[uuid].version]
    # The routes are what `schema` says, column by column, in its order. `op` 8 is
    # OPTIMIZED: osquery then pushes nothing down (osquery/core/tables.h).
    schema = subprocess.run(
        [host.binary, "schema", "--format", "json"], capture_output=True, text=True
    )
    wanted = {
        table["name"]: [
            {"id": "column", "name": column["name"], "type": column["type"], "op": "8"}
            for column in table["columns"]
        ]
        for table in json.loads(schema.stdout)
    }
    assert "dsplug_bundles" in wanted
    assert manager.registries[uuid]["table"] == wanted
    with Extension(manager, uuid) as extension:
        for table, columns in wanted.items():
            answer = extension.call("table", table, {"action": "columns"})
            assert (answer.status.code, answer.response) == (0, columns)


@check
def generates_rows(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    answer = call(manager, uuid)
    assert answer.status.code == 0
    assert [row["path"] for row in answer.response] == [
        "/Library/DirectoryServices/PlugIns/Example.dsplug"
    ]


@check
def accepts_any_context(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    columns = ["path", "mtime", "signer", "hash"]

    def context(*constraints):
        # As osquery writes it: every column, most without a constraint.
        first = {"name": "path", "affinity": "TEXT", "list": list(constraints)}
        rest = [{"name": name, "affinity": "TEXT", "list": []} for name in columns[1:]]
        return json.dumps(
            {"constraints": [first, *rest], "colsUsed": columns, "colsUsedBitset": 15}
        )

    whole = call(manager, uuid).response
    assert whole
    for given in [
        context(),
        context({"op": 2, "expr": "/elsewhere"}),
        context({"op": 65, "expr": "/%"}, {"op": 32, "expr": "5"}),
        context({"op": 73, "expr": "0"}, {"op": 74, "expr": "7"}),
        context({"op": 255, "expr": ""}),
        '{"constraints":{}}',
        "null",
        "{",
        "",
        "\x00",
    ]:
        answer = call(manager, uuid, context=given)
        assert (answer.status.code, answer.response) == (0, whole), given


@check
def unknown_actions_and_tables_fail(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    assert call(manager, uuid, action="explode").status.code == 1
    with Extension(manager, uuid) as extension:
        assert extension.call("table", "dsplug_bundles", {}).status.code == 1
    # Thrift's own exception, or a status: not silence, and not success.
    try:
        assert call(manager, uuid, table="no_such_table").status.code == 1
    except Exception as error:
        assert "no_such_table" in str(error), error
    assert answers(manager, uuid)


@check
def a_folder_that_cannot_be_listed_fails_the_query(host):
    manager = Manager(host.socket)
    # ENOTDIR, which stops even root.
    aside = host.plugins + ".aside"
    os.rename(host.plugins, aside)
    open(host.plugins, "w").close()
    process, uuid = host.registered(manager)
    answer = call(manager, uuid)
    assert answer.status.code == 1 and not answer.response, answer
    assert "/Library/DirectoryServices/PlugIns" in answer.status.message
    os.unlink(host.plugins)
    os.rename(aside, host.plugins)
    # A failure does not stay for long.
    within(10, lambda: call(manager, uuid).status.code == 0, "readable again")


@check
def waits_for_the_socket(host):
    process = host.start(timeout=10)
    time.sleep(1)
    assert process.poll() is None
    manager = Manager(host.socket)
    within(1, manager.uuid, "registered after the socket appeared")


@check
def gives_up_when_nobody_listens(host):
    begun = time.monotonic()
    process = host.start(timeout=1, stderr=subprocess.PIPE)
    assert ends(process, 5) == 1
    assert time.monotonic() - begun >= 1
    lines = process.stderr.read().decode().splitlines()
    assert len(lines) == 1 and host.socket in lines[0], lines


@check
def gives_up_on_a_manager_that_is_silent_from_the_start(host):
    manager = Manager(host.socket)
    manager.silent.set()
    assert ends(host.start(timeout=1), 8) == 1


@check
def clears_a_dead_entry_of_its_name(host):
    manager = Manager(host.socket)
    dead = dead_entry(manager)
    other = dead_entry(manager, "somebody_else")
    process = host.start()
    uuid = within(3, lambda: manager.uuid() not in (dead, None) and manager.uuid(), "registered")
    within(3, lambda: answers(manager, uuid), "answering")
    assert dead not in manager.infos and other in manager.infos
    assert not os.path.exists(f"{manager.path}.{dead}")


@check
def leaves_to_a_living_one_of_its_name(host):
    manager = Manager(host.socket)
    first, uuid = host.registered(manager)
    second = host.start(stderr=subprocess.PIPE)
    assert ends(second, 3) == 1
    lines = second.stderr.read().decode().splitlines()
    assert len(lines) == 1 and str(uuid) in lines[0], lines
    assert manager.uuid() == uuid and answers(manager, uuid)
    assert first.poll() is None


@check
def comes_back_after_each_kill(host):
    manager = Manager(host.socket)
    for _ in range(5):
        process = host.start()
        within(3, lambda: manager.uuid() and answers(manager, manager.uuid()), "answering")
        assert call(manager, manager.uuid()).response
        process.kill()
        process.wait()
    # What the killed ones left behind is cleared by the next.
    process = host.start()
    within(3, lambda: manager.uuid() and answers(manager, manager.uuid()), "answering")
    sockets = [name for name in os.listdir(host.folder.name) if "." in name]
    assert len(sockets) == 1, sockets


@check
def ends_when_the_manager_restarts_and_returns(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    manager.stop()
    manager.listen()
    assert ends(process, 8) == 1
    process, again = host.registered(manager)
    assert call(manager, again).response


@check
def ends_when_the_manager_is_gone(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    manager.stop()
    assert ends(process, 8) == 1
    assert not os.path.exists(f"{host.socket}.{uuid}")


@check
def ends_when_it_was_deregistered(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    manager.deregisterExtension(uuid)
    assert ends(process, 8) == 1


@check
def ends_when_its_socket_is_gone(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    os.unlink(f"{host.socket}.{uuid}")
    assert ends(process, 8) == 1
    assert manager.uuid() is None


@check
def ends_when_the_manager_falls_silent(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    manager.silent.set()
    assert ends(process, 15) == 1


@check
def one_miss_is_forgiven(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    time.sleep(0.5)  # the first look comes at once
    info = manager.infos.pop(uuid)
    # Longer than an interval, so one look misses; the next comes a second later.
    time.sleep(1.1)
    manager.infos[uuid] = info
    time.sleep(3)
    assert process.poll() is None and answers(manager, uuid)


@check
def ends_with_its_parent(host):
    manager = Manager(host.socket)
    # A parent of its own, which prints the extension's identifier.
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys\n"
            "child = subprocess.Popen(sys.argv[1:])\n"
            "print(child.pid, flush=True)\n"
            "child.wait()",
            # An interval that alone would keep it for a minute.
            *host.command(interval=60),
        ],
        stdout=subprocess.PIPE,
        stderr=open(host.log, "ab"),
    )
    host.started.append(parent)
    child = int(parent.stdout.readline())
    uuid = within(3, manager.uuid, "registered")
    # It answers only once it has taken note of its own registration.
    within(3, lambda: answers(manager, uuid), "answering")
    parent.kill()
    parent.wait()

    def alive():
        # An orphan that nobody reaps stays as a zombie.
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(child)], capture_output=True)
        return state.stdout.strip()[:1] not in (b"", b"Z")

    within(5, lambda: not alive(), "gone with its parent")
    assert manager.uuid() is None


def ends_in_a_scan(host, number):
    host.slow()
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    outcome = []

    def generate():
        try:
            outcome.append(call(manager, uuid))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=generate, daemon=True)
    thread.start()
    time.sleep(0.5)
    assert not outcome, f"the scan was over too soon: {outcome}"
    process.send_signal(number)
    assert ends(process, 2) == 0
    thread.join(2)
    assert isinstance(outcome[0], Exception), outcome
    assert manager.uuid() is None
    assert not [name for name in os.listdir(host.folder.name) if "." in name]


@check
def ends_on_sigterm_in_the_middle_of_a_scan(host):
    ends_in_a_scan(host, signal.SIGTERM)


@check
def ends_on_sigint_in_the_middle_of_a_scan(host):
    ends_in_a_scan(host, signal.SIGINT)


@check
def ends_on_sigterm_while_the_manager_is_silent(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    manager.silent.set()
    process.terminate()
    assert ends(process, 2) == 0


@check
def ends_on_sigterm_while_it_waits_for_the_socket(host):
    process = host.start(timeout=30)
    time.sleep(0.3)
    process.terminate()
    assert ends(process, 2) == 0


@check
def ends_when_osquery_asks(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    with Extension(manager, uuid) as extension:
        extension.shutdown()
    assert ends(process, 2) == 0
    assert not [name for name in os.listdir(host.folder.name) if "." in name]


@check
def answers_pings_while_it_scans(host):
    host.slow()
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    outcomes = []
    # Many calls, all on one scan.
    threads = [
        threading.Thread(target=lambda: outcomes.append(call(manager, uuid).status.code))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    assert not outcomes, "the scan was over too soon"
    begun = time.monotonic()
    assert answers(manager, uuid)
    assert time.monotonic() - begun < 2
    for thread in threads:
        thread.join(12)
    assert outcomes == [0] * 12, outcomes


@check
def its_socket_is_its_owners_whatever_the_umask_says(host):
    manager = Manager(host.socket)
    before = os.umask(0)
    try:
        process, uuid = host.registered(manager)
    finally:
        os.umask(before)
    assert os.stat(f"{host.socket}.{uuid}").st_mode & 0o077 == 0


@check
def a_scan_that_hangs_is_told_and_ends_the_process(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    status = lambda: call(manager, uuid, "dsplug_status").response[0]
    assert status()["error"] == ""
    place = os.path.join(host.plugins, "dead")
    os.mkdir(place)
    # The new directory wakes the watch, whose scan answers for 4 s: a mount wakes nobody.
    time.sleep(5)
    try:
        server = os.open("/dev/fuse", os.O_RDWR)
        mount(server, place)
    except OSError as error:
        print(f"skipped: nothing can be mounted: {error}", file=sys.stderr)
        return
    try:
        begun = time.monotonic()
        answer = []
        waiting = threading.Thread(target=lambda: answer.append(call(manager, uuid).status))
        waiting.start()
        time.sleep(0.5)
        # Neither a ping nor the table on the program itself waits for the scan.
        asked = time.monotonic()
        assert answers(manager, uuid)
        assert int(status()["scans"]) >= 1
        assert time.monotonic() - asked < 2, "it waited"
        waiting.join(20)
        assert not waiting.is_alive() and answer[0].code == 1, answer
        assert "hangs at /Library/DirectoryServices/PlugIns" in answer[0].message, answer
        assert 8 < time.monotonic() - begun < 15
        assert "hangs at /Library/DirectoryServices/PlugIns" in status()["error"], status()
        assert ends(process, 20) == 1
        assert "hangs at" in open(host.log).read()
    finally:
        os.close(server)
        subprocess.run(["umount", "-l", place])


def mount(server, place):
    """A file system of which nobody serves what is asked."""
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"none", place.encode(), b"fuse", 0, options) != 0:
        raise OSError(ctypes.get_errno(), "mount")


@check
def idle_connections_hold_nothing_up(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    for many in (10, 100):
        idle = []
        for _ in range(many):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(f"{host.socket}.{uuid}")
            idle.append(connection)
        assert answers(manager, uuid), many
        assert call(manager, uuid).status.code == 0, many
    # The half of a request on each is no better.
    halves = 0
    for connection in idle:
        try:
            connection.sendall(b"\x80\x01\x00\x01\x00\x00")
            halves += 1
        except OSError:
            pass  # the oldest have been closed to make room
    assert halves > 10
    assert answers(manager, uuid)
    assert call(manager, uuid).status.code == 0
    time.sleep(3)
    assert process.poll() is None, "its own look was held up"


def asking(host, uuid, table):
    """A connection over which a table is asked for, and nothing read."""
    call = b"\x80\x01\x00\x01" + struct.pack(">i", 4) + b"call" + struct.pack(">i", 1)
    text = lambda of: struct.pack(">i", len(of)) + of.encode()
    call += b"\x0b\x00\x01" + text("table") + b"\x0b\x00\x02" + text(table)
    call += b"\x0d\x00\x03\x0b\x0b" + struct.pack(">i", 1) + text("action") + text("generate")
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(f"{host.socket}.{uuid}")
    connection.sendall(call + b"\x00")
    return connection


def many_files(host):
    """A disk of which an answer is more than any socket holds."""
    for number in range(4):
        folder = os.path.join(host.plugins, f"{number}.dsplug/Contents/Resources")
        os.makedirs(folder)
        for file in range(400):
            open(os.path.join(folder, f"a-rather-long-name-of-a-file-{file}"), "w").close()


def error_of(manager, uuid):
    return call(manager, uuid, "dsplug_status").response[0]["error"]


@check
def who_does_not_read_holds_nobody_up(host):
    many_files(host)
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    assert len(call(manager, uuid, "dsplug_files").response) > 1600
    assert error_of(manager, uuid) == ""
    held, codes = [], []

    def told(table):
        codes.append(call(manager, uuid, f"dsplug_{table}").status.code)

    for many, most in ((1, 3), (5, 5), (90, 20)):
        for _ in range(many):
            # No more than the listener's queue at once.
            held.append(asking(host, uuid, "dsplug_files"))
        began = time.monotonic()
        assert answers(manager, uuid), many
        assert call(manager, uuid).status.code == 0, many
        took = time.monotonic() - began
        assert took < most, f"{took} s with {many}"
        # What was asked last is not what goes.
        threads = [threading.Thread(target=told, args=(table,)) for table in ("status", "folders")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert codes == [0, 0], f"{codes} with {many}"
        codes.clear()
    error = "somebody asked for dsplug_files over the extension's socket and did not take the answer"
    assert error_of(manager, uuid) == error
    time.sleep(3)
    assert process.poll() is None, "its own look was held up"
    assert answers(manager, uuid)
    height = proc(process, "VmHWM")
    assert height is None or height < 64 << 10, f"{height} kB at the height"


@check
def many_who_ask_without_a_pause_hold_little(host):
    """An allocator keeps for each thread what it has once used: beside very many files, while one is written."""
    resources = os.path.join(host.plugins, "0.dsplug/Contents/Resources")
    for number in range(44_000):
        folder = os.path.join(resources, str(number // 2_000))
        if number % 2_000 == 0:
            os.makedirs(folder)
        if number % 20_000 == 0:
            source = os.path.join(folder, "source")
            open(source, "w").close()
        os.link(source, os.path.join(folder, str(number)))
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    end = time.monotonic() + 20
    counts = []

    def ask(table):
        while time.monotonic() < end:
            counts.append(call(manager, uuid, f"dsplug_{table}").status.code)

    tables = ["files", "files", "bundles", "exceptions", "events", "status", "folders"] * 2
    threads = [threading.Thread(target=ask, args=(table,)) for table in tables]
    for thread in threads:
        thread.start()
    for number in range(4):
        time.sleep(5)
        with open(os.path.join(resources, "0/new"), "w") as file:
            file.write(str(number))
    for thread in threads:
        thread.join()
    assert counts and set(counts) == {0}, f"{len(counts)} answers, {set(counts)}"
    height = proc(process, "VmHWM")
    assert height is None or height < 64 << 10, f"{height} kB at the height"


def asks_ever_anew(host, uuid):
    """A stranger who asks, reads nothing, and asks again over another connection, for a minute at most."""
    held, end = [], time.monotonic() + 60
    while time.monotonic() < end:
        try:
            held.append(asking(host, uuid, "dsplug_files"))
        except OSError:
            pass  # the listener's queue is full
        time.sleep(0.004)
        if len(held) > 60:
            held.pop(0).close()


@check
def osquery_is_answered_before_those_who_ask_ever_anew(host):
    many_files(host)
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    assert call(manager, uuid).status.code == 0
    strangers = [
        multiprocessing.Process(target=asks_ever_anew, args=(host, uuid), daemon=True)
        for _ in range(2)
    ]
    for stranger in strangers:
        stranger.start()
    time.sleep(1)
    try:
        for round in range(8):
            for table in ("files", "bundles", "status"):
                began = time.monotonic()
                assert call(manager, uuid, f"dsplug_{table}").status.code == 0, (round, table)
                took = time.monotonic() - began
                assert took < 10, f"{table} after {took} s"
            assert answers(manager, uuid), round
        assert all(stranger.is_alive() for stranger in strangers)
    finally:
        for stranger in strangers:
            stranger.kill()
    assert "did not take the answer" in error_of(manager, uuid)
    height = proc(process, "VmHWM")
    assert height is None or height < 64 << 10, f"{height} kB at the height"


@check
def who_is_stopped_for_seconds_has_his_answer(host):
    many_files(host)
    manager = Manager(host.socket)
    _, uuid = host.registered(manager)
    stopped = asking(host, uuid, "dsplug_files")
    for _ in range(3):
        time.sleep(1.5)
        assert call(manager, uuid).status.code == 0
    stopped.settimeout(2)
    got = b""
    try:
        while piece := stopped.recv(1 << 16):
            got += piece
    except TimeoutError:
        pass  # the connection stays open after the answer
    # The end of its list and of itself.
    assert len(got) > 400_000 and got.endswith(b"\x00\x00"), f"cut off after {len(got)} bytes"
    assert error_of(manager, uuid) == ""


@check
def hostile_lengths_are_survived(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    before = proc(process, "VmRSS")
    for name, request in hostile_requests():
        for close in (False, True):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(10)
            connection.connect(f"{host.socket}.{uuid}")
            try:
                connection.sendall(request)
            except (BrokenPipeError, ConnectionResetError):
                pass
            if close:
                connection.close()
        assert answers(manager, uuid), name
    assert call(manager, uuid).status.code == 0
    assert process.poll() is None
    if before:
        growth = proc(process, "VmHWM") - before
        assert growth < 32 << 10, f"{growth} kB more at the height"


class Faults:
    """While it lasts, a call of one name fails in each thread of a process, the `number`th there."""

    def __init__(self, process, name, error, number):
        fault = f"inject={name}:error={error}:when={number}"
        options = ["-f", "-qq", "-o", "/dev/null", "-e", f"trace={name}", "-e", fault]
        self.strace = subprocess.Popen(["strace", *options, "-p", str(process.pid)])
        within(5, lambda: proc(process, "TracerPid") or process.poll() is not None, "traced")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.strace.terminate()
        self.strace.wait()


def can_trace():
    child = subprocess.Popen(["sleep", "5"])
    try:
        with Faults(child, "read", "EIO", 100):
            return True
    except (AssertionError, OSError):
        return False
    finally:
        child.kill()
        child.wait()


@check
def a_socket_that_fails_gives_no_half_answer(host):
    if not can_trace():
        print("skipped: peer::a_socket_that_fails_gives_no_half_answer: no strace", file=sys.stderr)
        return
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    right = call(manager, uuid).response
    cases = [("accept4", "EMFILE", 1), ("setsockopt", "ENOMEM", 1), ("connect", "EAGAIN", 1)]
    for error in ("ECONNRESET", "EIO", "EINTR"):
        cases += [("recvfrom", error, number) for number in (1, 2, 5, 12, 24, 40)]
        cases += [("sendto", error, number) for number in (1, 2, 3, 5)]
    for case in cases:
        # One that ended is started anew, as osqueryd does.
        if process.poll() is not None:
            manager.infos.clear()
            process, uuid = host.registered(manager)
        with Faults(process, *case):
            try:
                answer = call(manager, uuid)
            except Exception:  # whatever the bindings make of a connection that was cut
                answer = None
        if answer is None:
            assert case[1] != "EINTR", f"{case}: an interrupted call lost the answer"
        elif answer.status.code == 0:
            assert answer.response == right, f"{case}: {answer.response}"
        # It goes on, or has ended by itself; it neither hangs nor crashes.
        within(10, lambda: process.poll() is not None or answers(manager, uuid), f"{case}: over")
        assert process.poll() in (None, 0, 1), f"{case}: {process.poll()}"


@check
def what_one_scan_could_not_read_the_next_one_reads(host):
    if not can_trace():
        name = "what_one_scan_could_not_read_the_next_one_reads"
        print(f"skipped: peer::{name}: no strace", file=sys.stderr)
        return
    contents = os.path.join(host.plugins, "Example.dsplug/Contents")
    for name in ("Info.plist", "one", "two"):
        with open(os.path.join(contents, name), "w") as file:
            file.write("<plist><dict/></plist>")
    # What may be anything has each query scan.
    os.symlink("/nowhere", os.path.join(host.plugins, "other"))
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    sql = "SELECT * FROM dsplug_bundles"
    told = 0
    # The calls of a scan of this disk are 40 or so, of which some 20 look into the folder; each time
    # one file has changed.
    for number in (12, 20, 28):
        with open(os.path.join(contents, "one"), "w") as file:
            file.write(str(number))
        # An answer holds for four seconds, that of the watch's last look as well, which it makes
        # when a file has settled.
        time.sleep(5.5)
        with Faults(process, "openat", "EIO", number):
            answer = call(manager, uuid)
        for row in answer.response if answer.status.code == 0 else []:
            assert row["hash"] or row["error"], f"{number}: {row}"
            told += bool(row["error"])
        time.sleep(4.2)
        query = [host.binary, "query", "--root", host.root, "--format", "json", sql]
        right = json.loads(subprocess.run(query, capture_output=True, check=True).stdout)
        # A NULL is a column that is not there.
        found = [{name: row.get(name, "") for name in right[0]} for row in call(manager, uuid).response]
        assert found == right, f"{number}: {found}"
    assert told, "no fault was met"


@check
def stderr_may_be_closed(host):
    manager = Manager(host.socket)
    process = subprocess.Popen(
        ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *host.command(), "--verbose"]
    )
    host.started.append(process)
    uuid = within(3, manager.uuid, "registered")
    within(3, lambda: answers(manager, uuid), "answering")
    assert call(manager, uuid).status.code == 0
    manager.deregisterExtension(uuid)
    assert ends(process, 8) == 1


@check
def stderr_may_be_a_pipe_whose_reader_has_gone(host):
    manager = Manager(host.socket)
    reader, writer = os.pipe()
    os.close(reader)
    process, uuid = host.registered(manager, flags=["--verbose"], stderr=writer)
    assert call(manager, uuid).status.code == 0
    manager.deregisterExtension(uuid)
    assert ends(process, 8) == 1


@check
def stderr_may_be_a_pipe_that_nobody_reads(host):
    manager = Manager(host.socket)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(writer, True)
    environment = dict(os.environ, RUST_LOG="trace")
    process, uuid = host.registered(
        manager, flags=["--verbose"], stderr=writer, env=environment
    )
    for _ in range(50):
        assert call(manager, uuid).status.code == 0
    manager.deregisterExtension(uuid)
    assert ends(process, 8) == 1


@check
def what_excepts_nothing_is_logged_once_and_shortly(host):
    if os.geteuid() != 0:
        print("skipped: a file of exceptions must belong to root", file=sys.stderr)
        return
    place = os.path.join(host.root, "Library/Application Support/dsplug")
    os.makedirs(place)
    entries = [{"id": str(number), "k" * 200_000 + str(number): "x"} for number in range(16)]
    with open(os.path.join(place, "exceptions.plist"), "wb") as file:
        plistlib.dump({"Exceptions": entries}, file)
    os.chmod(file.name, 0o644)
    manager = Manager(host.socket)
    reader, writer = os.pipe()
    for stderr in (open(host.log, "ab"), writer):
        process = host.start(stderr=stderr)
        uuid = within(3, manager.uuid, "registered")
        within(3, lambda: answers(manager, uuid), "answering")
        for number in range(10):
            assert call(manager, uuid).status.code == 0
            os.utime(os.path.join(host.plugins, "Example.dsplug"))
            time.sleep(0.3)
        height = proc(process, "VmHWM")
        assert height is None or height < 64 << 10, f"{height} kB at the height"
        manager.deregisterExtension(uuid)
        assert ends(process, 8) == 1
    with open(host.log, "rb") as log:
        lines = [line for line in log if b"it excepts nothing" in line]
    assert len(lines) == 16, len(lines)
    assert max(map(len, lines)) < 1024


@check
def unknown_flags_are_ignored(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(
        manager, flags=["--verbose", "--no-such-flag", "--another=value", "--third", "value"]
    )
    assert call(manager, uuid).status.code == 0


@check
def many_queries_leave_nothing_behind(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)

    def held():
        files = f"/proc/{process.pid}/fd"
        count = len(os.listdir(files)) if os.path.isdir(files) else 0
        return proc(process, "Threads"), count

    def queries(count):
        for _ in range(count):
            assert call(manager, uuid).status.code == 0

    queries(100)
    memory, first = proc(process, "VmRSS"), held()
    queries(1000)
    if memory is not None:
        within(3, lambda: held() <= first, f"as few threads and descriptors as {first}")
        growth = proc(process, "VmRSS") - memory
        assert growth < 4 << 10, f"{growth} kB more"


@check
def many_rows_stay_within_64_megabytes(host):
    for number in range(3000):
        open(os.path.join(host.plugins, f"{number}.dsplug"), "w").close()
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    codes = []

    def calls():
        for _ in range(2):
            codes.append(call(manager, uuid).status.code)

    # From several callers, so that no thread's leavings add up.
    threads = [threading.Thread(target=calls) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 12
    height = proc(process, "VmHWM")
    assert height is None or height < 64 << 10, f"{height} kB at the height"


def bundle(host, name, code):
    """A bundle of one executable; its path."""
    path = os.path.join(host.plugins, name)
    os.makedirs(os.path.join(path, "Contents/MacOS"))
    with open(os.path.join(path, "Contents/MacOS/Code"), "wb") as file:
        file.write(code)
    return path


def digest(path):
    """The digest of a bundle of plain files and directories, by the README's recipe."""
    records = []
    for folder, folders, files in os.walk(path):
        for name in folders:
            records.append(("./" + os.path.relpath(os.path.join(folder, name), path), "d", "0" * 64))
        for name in files:
            at = os.path.join(folder, name)
            with open(at, "rb") as file:
                content = hashlib.sha256(file.read()).hexdigest()
            records.append(("./" + os.path.relpath(at, path), "f", content))
    whole = hashlib.sha256()
    for name, kind, content in sorted((os.fsencode(name), *rest) for name, *rest in records):
        whole.update(f"{kind} {content} ".encode() + name + b"\0")
    return whole.hexdigest()


@check
def what_stands_for_half_a_second_is_an_event(host):
    manager = Manager(host.socket)
    process, uuid = host.registered(manager)
    within(5, lambda: call(manager, uuid, "dsplug_events").status.code == 0, "the journal is open")
    time.sleep(1)
    many = 100 if FULL else 5
    wanted = {}
    for life, prefix in ((0.5, "L"), (0.1, "S")):
        for number in range(many):
            name = f"{prefix}{number}.dsplug"
            begun = time.monotonic()
            path = bundle(host, name, name.encode())
            wanted[name] = digest(path)
            time.sleep(max(0, life - (time.monotonic() - begun)))
            shutil.rmtree(path)
    time.sleep(1.5)
    rows = call(manager, uuid, "dsplug_events").response
    whole = {"L": 0, "S": 0}
    for name, value in wanted.items():
        of = [row for row in rows if row["path"].endswith("/" + name)]
        assert [row["action"] for row in of] == ["appeared", "gone"], (name, of)
        assert bool(of[0]["hash"]) != bool(of[0]["error"]), of
        whole[name[0]] += of[0]["hash"] == value
        if of[0]["hash"] != value:
            print(f"not whole: {of[0]}", file=sys.stderr)
    print(f"whole of {many}: {whole}", file=sys.stderr)
    assert whole["L"] == many and whole["S"] >= many * (0.9 if FULL else 0.5), whole


# Writes 800 times a second into one file after the other, and notes how often. Three of these are more
# than the two thousand writes that are asked for: one alone is held up by its own interpreter.
STORM = """
import os, sys, time
written, begun = 0, time.monotonic()
while True:
    if written > (time.monotonic() - begun) * 800:
        time.sleep(0.002)
        continue
    for path in sys.argv[2:10]:
        with open(os.path.join(path, "Contents/MacOS/Code"), "wb") as file:
            file.write(b"%d" % written)
        written += 1
    sys.argv[2:] = sys.argv[10:] + sys.argv[2:10]
    with open(sys.argv[1] + ".new", "w") as file:
        file.write(str(written))
    os.replace(sys.argv[1] + ".new", sys.argv[1])
"""


@check
def a_storm_holds_no_query_up_and_loses_no_last_state(host):
    manager = Manager(host.socket)
    place = os.path.join(host.folder.name, "state")
    seconds, kills = (20, 20) if FULL else (4, 2)
    paths = [bundle(host, f"B{number}.dsplug", b"begun") for number in range(50)]
    process, uuid = host.registered(manager, flags=["--state-dir", place])
    counts = [os.path.join(host.folder.name, f"written{number}") for number in range(3)]
    writers = [subprocess.Popen([sys.executable, "-c", STORM, at, *paths]) for at in counts]
    host.started += writers
    shown, slowest, height, most = {}, 0.0, 0, 0
    begun = time.monotonic()
    killed = 0
    while (now := time.monotonic() - begun) < seconds or killed < kills:
        for table in ("dsplug_events", "dsplug_bundles"):
            asked = time.monotonic()
            answer = call(manager, uuid, table)
            assert answer.status.code == 0, answer.status
            slowest = max(slowest, time.monotonic() - asked)
            if table == "dsplug_events":
                ids = [int(row["id"]) for row in answer.response]
                assert ids == sorted(set(ids)), "twice, or out of order"
                rows = {int(row["id"]): row for row in answer.response}
                lost = [number for number, row in shown.items() if rows.get(number) != row]
                assert not lost, f"shown and gone, or another: {lost}"
                shown = rows
        height = max(height, proc(process, "VmHWM") or 0)
        if os.path.isdir(f"/proc/{process.pid}/fd"):
            most = max(most, len(os.listdir(f"/proc/{process.pid}/fd")))
        if now > (killed + 1) * seconds / (kills + 1):
            process.kill()
            process.wait()
            killed += 1
            dead = uuid
            process = host.start(flags=["--state-dir", place])
            uuid = within(5, lambda: manager.uuid() != dead and manager.uuid(), "back")
            within(3, lambda: answers(manager, uuid), "answering again")
    for writer in writers:
        writer.terminate()
        writer.wait()
    assert killed == kills, killed
    last = {"/" + os.path.relpath(path, host.root): digest(path) for path in paths}

    def recorded():
        rows = call(manager, uuid, "dsplug_events").response
        ends = {row["path"]: row["hash"] for row in rows}
        return all(ends.get(path) == value for path, value in last.items())

    within(10, recorded, "the last state of each")
    rate = sum(int(open(at).read()) for at in counts) / now
    told = f"{rate:.0f} writes a second, slowest answer {slowest:.2f} s, {height} kB, {most} descriptors"
    print(told, file=sys.stderr)
    assert slowest < 2 and height < 32 << 10 and most < 128, told
    assert not FULL or rate >= 2000, told


def main():
    if sys.argv[1:] == ["--names"]:
        print("\n".join(CHECKS))
        return
    binary, name = sys.argv[1:]
    host = Host(binary)
    try:
        CHECKS[name](host)
    except BaseException:
        if os.path.exists(host.log):
            with open(host.log, errors="replace") as log:
                sys.stderr.write("the extension's log:\n" + log.read()[-8000:])
        raise
    finally:
        host.clean()


if __name__ == "__main__":
    main()
