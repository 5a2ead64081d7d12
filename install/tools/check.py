#!/usr/bin/env python3
"""Checks what a release promises of its binary, slice by slice.

    check.py [--minimum-macos 11.0] [--identifier ID] FILE

Both slices are there, name the minimum system, link only what is allowed, are
under 5 MB and stripped, and carry a signature with the hardened runtime whose
page hashes hold. Exit status 1 and one line for each thing that is not so.
"""

import argparse
import hashlib
import struct
import sys

import macho

# What every macOS since 11.0 has in its shared cache; no framework is among them.
ALLOWED = {
    "/usr/lib/libSystem.B.dylib",
    "/usr/lib/libiconv.2.dylib",
    "/usr/lib/libcharset.1.dylib",
}
LIMIT = 5_000_000
CS_RUNTIME = 0x10000
HASHES = {1: "sha1", 2: "sha256"}


def signature_faults(part, identifier):
    """What is wrong with the embedded signature of a slice."""
    signature = part.signature()
    if signature is None:
        return ["not signed"]
    found = macho.blobs(signature)
    directory = found.get(0)
    if directory is None:
        return ["the signature has no code directory"]
    faults = []
    fields = struct.unpack_from(">7I4B", directory, 8)
    _, flags, hashes, name_at, special, pages, limit, size, kind, _, bits = fields
    name = directory[name_at:].split(b"\0", 1)[0].decode()
    if not flags & CS_RUNTIME:
        faults.append(f"signed without the hardened runtime: flags {flags:#x}")
    if identifier and name != identifier:
        faults.append(f"signed as {name}, not as {identifier}")
    if kind not in HASHES:
        return faults + [f"code directory with hash type {kind}"]
    def digest(data):
        return hashlib.new(HASHES[kind], data).digest()[:size]
    start = part.find(macho.LC_CODE_SIGNATURE)[0].u32(8)
    if limit != start:
        faults.append(f"the signature covers {limit} bytes of {start}")
    for page in range(pages):
        at = page << bits
        stored = directory[hashes + page * size:hashes + (page + 1) * size]
        if digest(part.data[at:min(at + (1 << bits), limit)]) != stored:
            faults.append(f"page {page} does not match its hash")
            break
    if pages != -(-limit // (1 << bits)):
        faults.append(f"{pages} page hashes for {limit} bytes")
    if special >= 2 and 2 in found:
        stored = directory[hashes - 2 * size:hashes - size]
        if digest(found[2]) != stored:
            faults.append("the requirements do not match their hash")
    return faults


def faults(part, minimum, identifier):
    """What is wrong with a slice."""
    found = []
    if part.minimum_macos() != minimum:
        found.append(f"names minimum macOS {part.minimum_macos()}, not {minimum}")
    found += [f"links {name}" for name in part.libraries() if name not in ALLOWED]
    if len(part.data) >= LIMIT:
        found.append(f"has {len(part.data)} bytes, not under {LIMIT}")
    local = sum(command.u32(12) for command in part.find(macho.LC_DYSYMTAB))
    if local or any(c.segment_name() == "__DWARF" for c in part.find(macho.LC_SEGMENT_64)):
        found.append(f"is not stripped: {local} local symbols")
    return found + signature_faults(part, identifier)


def main():
    """Checks one file and says what was found."""
    parser = argparse.ArgumentParser(description="Check the binary of a release.")
    parser.add_argument("--minimum-macos", default="11.0")
    parser.add_argument("--identifier", default="")
    parser.add_argument("file")
    arguments = parser.parse_args()
    with open(arguments.file, "rb") as file:
        parts = macho.slices(file.read())
    status = 0
    for name in sorted({"arm64", "x86_64"} - {part.arch for part in parts}):
        print(f"{arguments.file}: no {name} slice", file=sys.stderr)
        status = 1
    for part in parts:
        wrong = faults(part, arguments.minimum_macos, arguments.identifier)
        for fault in wrong:
            print(f"{arguments.file}: {part.arch}: {fault}", file=sys.stderr)
            status = 1
        if not wrong:
            print(f"{part.arch}: {len(part.data)} bytes, macOS {part.minimum_macos()}, "
                  f"hardened runtime, links {' '.join(part.libraries())}")
    return status


if __name__ == "__main__":
    sys.exit(main())
