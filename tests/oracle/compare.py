#!/usr/bin/env python3
"""Compares dsplug with tests/oracle/signature.py on real bundles, whole with their seals.

    python3 tests/oracle/compare.py [--all] [--fetch] DSPLUG
    python3 tests/oracle/compare.py [--all] --fetch-only

The bundles come out of published packages by the registries' own clients (npm and pip), each
package pinned by its SHA-256, and stay in tests/cache. Without --fetch only what is there already
is compared; with --all the larger ones too, which a person runs by hand. Prints a line for
each, and exits with 1 when the two differ.
"""

import argparse
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "setup"))
import fetch_real_files as real  # noqa: E402

RUNNER = "Products/Release-iphonesimulator/DetoxXCUITestRunner-Runner.app"

# name, client, package, version, SHA-256 of the package, archive in it or "", bundles in that,
# True for what is small enough to be fetched for every run of the tests
PACKAGES = [
    # Developer ID, universal, stapled, with a system extension that is a bundle in it.
    (
        "mitmproxy", "pip", "mitmproxy-macos", "0.11.5",
        "8f7aaa646acc64ba4790a7f4d46cb9fbfd7cb0411b9b7a567db0404864bff28d",
        "mitmproxy_macos/Mitmproxy Redirector.app.tar", ["Mitmproxy Redirector.app"], True,
    ),
    # Apple's own, and ad hoc, for the simulator of iOS; universal.
    (
        "detox-runner", "npm", "detox", "20.51.4",
        "e0628d627fe660930d57406047dd1fa6cd3a9a32d5f283af97f361e30b7981de",
        "package/Detox-ios-xcuitest.tbz",
        [
            "Products/Release-iphonesimulator/DetoxXCUITestRunnerApp.app",
            RUNNER,
            f"{RUNNER}/PlugIns/DetoxXCUITestRunner.xctest",
            *(
                f"{RUNNER}/Frameworks/{name}.framework"
                for name in (
                    "Testing", "XCTAutomationSupport", "XCTest", "XCTestCore",
                    "XCTestSupport", "XCUIAutomation", "XCUnit",
                )
            ),
        ],
        False,
    ),
    # Ad hoc.
    (
        "detox-framework", "npm", "detox", "20.51.4",
        "e0628d627fe660930d57406047dd1fa6cd3a9a32d5f283af97f361e30b7981de",
        "package/Detox-ios-framework.tbz",
        [
            "Detox.framework",
            *(
                f"Detox.framework/Frameworks/{name}.framework"
                for name in ("COSTouchVisualizer", "DetoxSync", "LNViewHierarchyDumper")
            ),
        ],
        False,
    ),
    # Ad hoc, universal, of the version-folder kind. The wheel holds no links, so that what stands in the
    # frameworks' own folders is not found from above, and two seals that list a framework are broken.
    (
        "sdl2", "pip", "pysdl2-dll", "2.32.0",
        "61adecf7501e074a8b476eebffbc1661f1553681db8d01b3047a9674b737b9fa",
        "",
        [
            f"sdl2dll/dll/{name}.framework/Versions/A"
            for name in (
                "SDL2", "SDL2_gfx", "SDL2_image", "SDL2_mixer", "SDL2_ttf",
                *(f"SDL2_image.framework/Versions/A/Frameworks/{of}" for of in ("avif", "webp")),
                *(
                    f"SDL2_mixer.framework/Versions/A/Frameworks/{of}"
                    for of in ("gme", "ogg", "opus", "wavpack", "xmp")
                ),
            )
        ],
        False,
    ),
    # Unsigned.
    (
        "node-notifier", "npm", "node-notifier", "10.0.1",
        "5e75d1bb41696f3334481ec083204335e519920d292855cb6afb6b0e2d9afe9b",
        "", ["package/vendor/mac.noindex/terminal-notifier.app"], False,
    ),
]  # fmt: skip

PLUGINS = "Library/DirectoryServices/PlugIns"
COLUMNS = "signature_state, signer, team_identifier, cdhash, notarization_ticket"


def package(name, client, wanted, version, sha256, may_fetch):
    """The package's archive in the cache; None when it is not there."""
    folder = real.CACHE / "packages" / name
    archive = next(folder.iterdir(), None) if folder.is_dir() else None
    if archive is None:
        if not may_fetch:
            return None
        with tempfile.TemporaryDirectory() as scratch:
            fetched = real.fetch(client, wanted, version, scratch)
            folder.mkdir(parents=True, exist_ok=True)
            archive = pathlib.Path(shutil.move(fetched, folder / fetched.name))
    if hashlib.sha256(archive.read_bytes()).hexdigest() != sha256:
        raise ValueError(f"{archive}: its SHA-256 is not the pinned one")
    return archive


def unpack(archive, inner, folder):
    """Unpacks an archive, or one in it, with the modes and links that it has."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as files:
            files.extractall(folder)
    else:
        with tarfile.open(archive) as files:
            files.extractall(folder, filter="tar")
    if inner:
        with tarfile.open(folder / inner) as files:
            files.extractall(folder, filter="tar")


def ours(dsplug, bundle, folder):
    """What dsplug says of a bundle that stands in a plug-in folder."""
    place = folder / "root" / PLUGINS / "Bundle.dsplug"
    place.parent.mkdir(parents=True)
    shutil.copytree(bundle, place, symlinks=True)
    query = f"SELECT {COLUMNS} FROM dsplug_bundles WHERE path = '/{PLUGINS}/Bundle.dsplug'"
    command = [dsplug, "query", "--thorough", "--root", folder / "root", "--format", "json", query]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    shutil.rmtree(folder / "root")
    (row,) = json.loads(done.stdout)
    return {
        # What cannot be parsed is broken for the oracle.
        "state": {"malformed": "broken"}.get(row["signature_state"], row["signature_state"]),
        "signer": row["signer"],
        "team": row["team_identifier"],
        "cdhashes": row["cdhash"].split(";") if row["cdhash"] else [],
        "ticket": row["notarization_ticket"] == "1",
    }


def theirs(bundle):
    """What the oracle says of it."""
    command = [sys.executable, HERE / "signature.py", bundle]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    found = json.loads(done.stdout)
    if found["state"] != "signed":
        found["team"] = found["signer"] = ""
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dsplug", nargs="?")
    parser.add_argument("--fetch-only", action="store_true", help="fetch, and compare nothing")
    parser.add_argument("--all", action="store_true", help="the larger packages too")
    parser.add_argument("--fetch", action="store_true", help="fetch what is not in tests/cache")
    options = parser.parse_args()
    if not (options.dsplug or options.fetch_only):
        parser.error("DSPLUG is missing")
    differ = compared = failed = 0
    for name, client, wanted, version, sha256, inner, bundles, small in PACKAGES:
        if not (small or options.all):
            continue
        may_fetch = options.fetch or options.fetch_only
        try:
            archive = package(name, client, wanted, version, sha256, may_fetch)
        except real.FAULTS as error:
            print(f"{wanted} {version}: {error}", file=sys.stderr)
            failed += 1
            continue
        if archive is None:
            print(f"skipped: {wanted} {version} was not fetched; run tests/setup/real_files.sh")
            continue
        if options.fetch_only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            unpack(archive, inner, folder / "files")
            for path in bundles:
                bundle = folder / "files" / path
                theirs_says, ours_says = theirs(bundle), ours(options.dsplug, bundle, folder)
                why = theirs_says.pop("why")
                same = theirs_says == ours_says
                compared, differ = compared + 1, differ + (not same)
                print(f"{'same' if same else 'DIFFERS'}: {wanted} {version} {path}: {ours_says}")
                if not same:
                    print(f"    the oracle: {theirs_says} {why}")
    if not options.fetch_only:
        print(f"{compared} bundles compared, {differ} differ")
    return int(differ + failed > 0)


if __name__ == "__main__":
    sys.exit(main())
