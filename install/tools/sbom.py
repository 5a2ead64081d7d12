#!/usr/bin/env python3
"""Writes the bill of materials of the binary, CycloneDX 1.5 JSON, to standard output.

    sbom.py --binary dsplug.ext [--target TRIPLE]...

It lists what is compiled into the binary for these targets, and what runs while it
is built; crates that only tests use are left out. Two runs on the same source give
the same bytes: the time is SOURCE_DATE_EPOCH, the serial number is drawn from the
content.
"""

import argparse
import datetime
import hashlib
import json
import os
import re
import subprocess
import sys
import uuid


def metadata(targets):
    """What cargo knows of the workspace, for these targets."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    for target in targets:
        command += ["--filter-platform", target]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if answer.returncode:
        sys.exit(f"sbom.py: {' '.join(command)} failed, for the reason above")
    return json.loads(answer.stdout)


def checksums(lock):
    """The SHA-256 of each crate's archive, as Cargo.lock has it: {(name, version): hex}."""
    found = {}
    for package in lock.split("[[package]]")[1:]:
        fields = dict(re.findall(r'^(name|version|checksum) = "([^"]*)"$', package, re.MULTILINE))
        if "checksum" in fields:
            found[fields["name"], fields["version"]] = fields["checksum"]
    return found


def reachable(graph, start):
    """The packages that `start` needs to be built, itself included."""
    nodes = {node["id"]: node for node in graph["resolve"]["nodes"]}
    found, todo = {}, [start]
    while todo:
        identity = todo.pop()
        if identity in found:
            continue
        needs = [
            dependency["pkg"]
            for dependency in nodes[identity]["deps"]
            if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"])
        ]
        found[identity] = needs
        todo += needs
    return found


def component(package, sums, kind="library"):
    """One crate as a component."""
    purl = f"pkg:cargo/{package['name']}@{package['version']}"
    entry = {
        "type": kind,
        "bom-ref": purl,
        "name": package["name"],
        "version": package["version"],
        "purl": purl,
    }
    if package.get("description"):
        entry["description"] = package["description"].strip()
    if package.get("license"):
        # The slash of older manifests is an OR, and no SPDX expression.
        entry["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    checksum = sums.get((package["name"], package["version"]))
    if checksum:
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package.get("repository"):
        entry["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return entry


def main():
    """Writes the document."""
    parser = argparse.ArgumentParser(description="Write the bill of materials of the binary.")
    parser.add_argument("--binary", required=True)
    parser.add_argument("--target", action="append", default=[])
    arguments = parser.parse_args()
    if "SOURCE_DATE_EPOCH" not in os.environ:
        parser.error("SOURCE_DATE_EPOCH is not set: the time of the source, in seconds since 1970")
    graph = metadata(arguments.target)
    with open(os.path.join(graph["workspace_root"], "Cargo.lock"), encoding="utf-8") as file:
        sums = checksums(file.read())
    packages = {package["id"]: package for package in graph["packages"]}
    (start,) = [p["id"] for p in graph["packages"] if p["name"] == "dsplug" and p["source"] is None]
    needs = reachable(graph, start)
    purl = {identity: f"pkg:cargo/{packages[identity]['name']}@{packages[identity]['version']}" for identity in needs}

    product = component(packages[start], sums, "application")
    with open(arguments.binary, "rb") as file:
        product["hashes"] = [{"alg": "SHA-256", "content": hashlib.sha256(file.read()).hexdigest()}]
    when = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "component": product},
        "components": sorted(
            (component(packages[identity], sums) for identity in needs if identity != start),
            key=lambda entry: entry["bom-ref"],
        ),
        "dependencies": sorted(
            ({"ref": purl[identity], "dependsOn": sorted({purl[need] for need in of})} for identity, of in needs.items()),
            key=lambda entry: entry["ref"],
        ),
    }
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"
    json.dump(document, sys.stdout, indent=2, sort_keys=True)
    print()


if __name__ == "__main__":
    sys.exit(main())
