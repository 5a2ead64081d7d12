#!/usr/bin/env python3
"""Signs a Mach-O file ad hoc with the hardened runtime, on any system.

    adhoc.py --identifier com.dsplug.extension FILE

arm64 Macs refuse to run unsigned code, and a cross linker signs only the arm64
slice, without the runtime flag. What is written here is what `codesign --sign -
--options runtime` embeds: a SHA-256 code directory, an empty requirement set and
an empty CMS wrapper (cs_blobs.h of xnu; Security's CodeSigner). An ad-hoc
signature names no signer: it holds the bytes together and nothing more.
"""

import argparse
import hashlib
import os
import struct
import sys

import macho

CS_ADHOC = 0x2
CS_RUNTIME = 0x10000
EXECSEG_MAIN_BINARY = 0x1
PAGE_BITS = 12
HASH_SHA256 = 2

SLOT_CODE_DIRECTORY = 0
SLOT_REQUIREMENTS = 2
SLOT_CMS = 0x10000


def blob(magic, body):
    """A blob: magic, length, body."""
    return struct.pack(">2I", magic, 8 + len(body)) + body


REQUIREMENTS = blob(0xFADE0C01, struct.pack(">I", 0))
CMS_WRAPPER = blob(0xFADE0B01, b"")


def code_directory(code, identifier, text, runtime):
    """The code directory over `code`, which ends where the signature begins.

    `text` is (file offset, file size) of __TEXT; `runtime` the packed version of
    the SDK, which the hardened runtime keys its compatibility on.
    """
    name = identifier.encode() + b"\0"
    special = [hashlib.sha256(REQUIREMENTS).digest(), bytes(32)]  # slots -2 and -1
    page = 1 << PAGE_BITS
    pages = [hashlib.sha256(code[at:at + page]).digest() for at in range(0, len(code), page)]
    fixed = 96  # through preEncryptOffset, version 0x20500
    hashes = fixed + len(name) + 32 * len(special)
    header = b"".join((
        struct.pack(">7I", 0x20500, CS_ADHOC | CS_RUNTIME, hashes, fixed, len(special), len(pages), len(code)),
        struct.pack(">4B", 32, HASH_SHA256, 0, PAGE_BITS),
        struct.pack(">4I", 0, 0, 0, 0),  # spare2, scatterOffset, teamOffset, spare3
        struct.pack(">Q", 0),            # codeLimit64
        struct.pack(">3Q", text[0], text[1], EXECSEG_MAIN_BINARY),
        struct.pack(">2I", runtime, 0),  # runtime, preEncryptOffset
    ))
    return blob(0xFADE0C02, header + name + b"".join(special) + b"".join(pages))


def superblob(parts):
    """The embedded signature that holds these (slot, blob) pairs."""
    offset = 12 + 8 * len(parts)
    index = body = b""
    for slot, data in parts:
        index += struct.pack(">2I", slot, offset + len(body))
        body += data
    return struct.pack(">3I", 0xFADE0CC0, offset + len(body), len(parts)) + index + body


def signature_size(code_size, identifier):
    """How many bytes the signature of so much code takes, padded to 16."""
    pages = (code_size + (1 << PAGE_BITS) - 1) >> PAGE_BITS
    directory = 96 + len(identifier) + 1 + 32 * (2 + pages)
    size = 12 + 8 * 3 + directory + len(REQUIREMENTS) + len(CMS_WRAPPER)
    return (size + 15) & ~15


def sign(part, identifier):
    """The slice, signed: an old signature replaced, a missing load command added."""
    data = bytearray(part.data)
    old = part.find(macho.LC_CODE_SIGNATURE)
    linkedit = part.segment("__LINKEDIT")
    if old:
        command = old[0].offset
        del data[old[0].u32(8):]
    else:
        command = part.header_end
        if command + 16 > part.first_section_offset():
            raise ValueError(f"{part.arch}: no room for a load command")
        count, size = struct.unpack_from("<2I", data, 16)
        struct.pack_into("<2I", data, 16, count + 1, size + 16)
    data += bytes(-len(data) % 16)
    start = len(data)
    length = signature_size(start, identifier)
    struct.pack_into("<4I", data, command, macho.LC_CODE_SIGNATURE, 16, start, length)
    # The signature is the last thing in __LINKEDIT: its sizes take it in.
    file_size = start + length - linkedit.u64(40)
    page = macho.PAGE[part.arch]
    struct.pack_into("<Q", data, linkedit.offset + 32, -(-file_size // page) * page)
    struct.pack_into("<Q", data, linkedit.offset + 48, file_size)
    text = part.segment("__TEXT")
    directory = code_directory(bytes(data), identifier, (text.u64(40), text.u64(48)), part.sdk())
    embedded = superblob([
        (SLOT_CODE_DIRECTORY, directory),
        (SLOT_REQUIREMENTS, REQUIREMENTS),
        (SLOT_CMS, CMS_WRAPPER),
    ])
    data += embedded.ljust(length, b"\0")
    return macho.Slice(bytes(data))


def main():
    """Signs the file in place, by a rename."""
    parser = argparse.ArgumentParser(description="Sign a Mach-O file ad hoc with the hardened runtime.")
    parser.add_argument("--identifier", required=True, help="the signing identifier")
    parser.add_argument("file")
    arguments = parser.parse_args()
    with open(arguments.file, "rb") as file:
        data = file.read()
    parts = [sign(part, arguments.identifier) for part in macho.slices(data)]
    signed = parts[0].data if len(parts) == 1 else macho.universal(parts)
    new = arguments.file + ".signed"
    with open(new, "wb") as file:
        file.write(signed)
    os.chmod(new, 0o755)
    os.replace(new, arguments.file)


if __name__ == "__main__":
    sys.exit(main())
