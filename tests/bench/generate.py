"""What the extension costs over osquery's socket, beside `find` and `openssl dgst`.

    tests/.venv/bin/python tests/bench/generate.py BINARY DISK

`cargo bench` calls it, and prints its lines as part of its table. The manager is the tests' own,
on osquery's official bindings; its part of each call counts as ours.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "peer"))

from checks import Host, answers, call, within  # noqa: E402
from manager import Manager  # noqa: E402

ROUNDS = 5
# Longer than a scan answers, so that the next call scans.
PAUSE = 4.5


def timed(run, *arguments):
    """Milliseconds that a call takes."""
    begun = time.monotonic()
    run(*arguments)
    return (time.monotonic() - begun) * 1000


def program(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def generate(manager, uuid):
    answer = call(manager, uuid)
    assert answer.status.code == 0, answer.status.message
    assert all(row["hash"] for row in answer.response)


def registration(binary):
    """Milliseconds from the socket's appearing until the extension answers under its number."""
    host = Host(binary)
    try:
        host.start(timeout=30)
        time.sleep(1)
        manager = Manager(host.socket)
        began = time.monotonic()
        within(5, lambda: (uuid := manager.uuid()) and answers(manager, uuid), "registered")
        return (time.monotonic() - began) * 1000
    finally:
        host.clean()


def compare(name, ours, theirs=None):
    a = statistics.median(ours)
    if theirs is None:
        print(f"  {name:<42} {a:>7.1f} ms")
        return
    b = statistics.median(theirs)
    print(f"  {name:<42} {a:>7.1f} ms {b:>7.1f} ms {a / b:>7.2f}")


def main():
    binary, disk = (os.path.abspath(path) for path in sys.argv[1:])
    plugins = os.path.join(disk, "Library/DirectoryServices/PlugIns")
    files = [os.path.join(at, name) for at, _, names in os.walk(plugins) for name in names]
    find = ["find", plugins, "-printf", "%p %y %s %T@ %C@ %U %G %m %i\n"]
    compare("registered after the socket appears", [registration(binary) for _ in range(ROUNDS)])
    cold, warm, digests, finds = [], [], [], []
    for _ in range(ROUNDS):
        host = Host(binary)
        host.root = disk
        try:
            manager = Manager(host.socket)
            _, uuid = host.registered(manager)
            cold.append(timed(generate, manager, uuid))
            digests.append(timed(program, "openssl", "dgst", "-sha256", *files))
            time.sleep(PAUSE)
            warm.append(timed(generate, manager, uuid))
            finds.append(timed(program, *find))
        finally:
            host.clean()
    compare("first generate : openssl dgst -sha256", cold, digests)
    compare("later generate : find, a stat of every file", warm, finds)


if __name__ == "__main__":
    main()
