"""Reads the Mach-O files that the release writes: slices, load commands, signatures.

Formats: Apple's <mach-o/fat.h>, <mach-o/loader.h>, and cs_blobs.h of xnu. This
reads files that our own linker has just written, not hostile ones.
"""

import struct
from dataclasses import dataclass

FAT_MAGIC = 0xCAFEBABE
MH_MAGIC_64 = 0xFEEDFACF

LC_SYMTAB = 0x2
LC_DYSYMTAB = 0xB
LC_LOAD_DYLIB = 0xC
LC_LOAD_WEAK_DYLIB = 0x80000018
LC_REEXPORT_DYLIB = 0x8000001F
LC_SEGMENT_64 = 0x19
LC_CODE_SIGNATURE = 0x1D
LC_VERSION_MIN_MACOSX = 0x24
LC_BUILD_VERSION = 0x32

ARCHITECTURES = {0x01000007: "x86_64", 0x0100000C: "arm64"}
# The page of the machine, which segments are aligned to.
PAGE = {"x86_64": 0x1000, "arm64": 0x4000}


@dataclass
class Command:
    """A load command: where it stands in the slice, its number and its bytes."""

    offset: int
    number: int
    data: bytes

    def u32(self, offset):
        """The 32-bit number `offset` bytes into the command."""
        return struct.unpack_from("<I", self.data, offset)[0]

    def u64(self, offset):
        """The 64-bit number `offset` bytes into the command."""
        return struct.unpack_from("<Q", self.data, offset)[0]

    def string(self, offset):
        """The NUL-terminated text that begins at the offset stored at `offset`."""
        return self.data[self.u32(offset):].split(b"\0", 1)[0].decode()

    def segment_name(self):
        """The name of an LC_SEGMENT_64."""
        return self.data[8:24].rstrip(b"\0").decode()


class Slice:
    """One architecture of a Mach-O file."""

    def __init__(self, data):
        self.data = data
        magic, cpu, self.subtype, self.filetype, count, size = struct.unpack_from("<6I", data)
        if magic != MH_MAGIC_64:
            raise ValueError(f"not a 64-bit little-endian Mach-O: magic {magic:#x}")
        self.cputype = cpu
        self.arch = ARCHITECTURES.get(cpu, f"cpu {cpu:#x}")
        self.header_end = 32 + size
        self.commands = []
        offset = 32
        for _ in range(count):
            number, length = struct.unpack_from("<2I", data, offset)
            self.commands.append(Command(offset, number, data[offset:offset + length]))
            offset += length

    def find(self, *numbers):
        """Every command that has one of these numbers."""
        return [c for c in self.commands if c.number in numbers]

    def segment(self, name):
        """The LC_SEGMENT_64 of this name."""
        for command in self.find(LC_SEGMENT_64):
            if command.segment_name() == name:
                return command
        raise ValueError(f"{self.arch}: no segment {name}")

    def first_section_offset(self):
        """Where the first section's bytes begin: load commands may grow up to here."""
        offsets = []
        for command in self.find(LC_SEGMENT_64):
            for index in range(command.u32(64)):
                offset = command.u32(72 + index * 80 + 48)
                if offset:
                    offsets.append(offset)
        return min(offsets)

    def minimum_macos(self):
        """The minimum system that the slice names, as "11.0"."""
        for command in self.find(LC_BUILD_VERSION):
            return version(command.u32(12))
        for command in self.find(LC_VERSION_MIN_MACOSX):
            return version(command.u32(8))
        return "none"

    def sdk(self):
        """The SDK's version as stored, 0 when the slice names none."""
        for command in self.find(LC_BUILD_VERSION):
            return command.u32(16)
        for command in self.find(LC_VERSION_MIN_MACOSX):
            return command.u32(12)
        return 0

    def libraries(self):
        """The install names of every library that the slice links."""
        return [c.string(8) for c in self.find(LC_LOAD_DYLIB, LC_LOAD_WEAK_DYLIB, LC_REEXPORT_DYLIB)]

    def signature(self):
        """The bytes of the embedded signature, or None."""
        for command in self.find(LC_CODE_SIGNATURE):
            start = command.u32(8)
            return self.data[start:start + command.u32(12)]
        return None


def version(number):
    """A packed xxxx.yy.zz version as text, without a zero patch number."""
    major, minor, patch = number >> 16, number >> 8 & 0xFF, number & 0xFF
    return f"{major}.{minor}.{patch}" if patch else f"{major}.{minor}"


def slices(data):
    """The slices of a thin or universal file, in file order."""
    if struct.unpack_from(">I", data)[0] != FAT_MAGIC:
        return [Slice(data)]
    found = []
    for index in range(struct.unpack_from(">I", data, 4)[0]):
        _, _, offset, size, _ = struct.unpack_from(">5I", data, 8 + index * 20)
        found.append(Slice(data[offset:offset + size]))
    return found


def universal(parts):
    """One universal file out of slices, each aligned to 16 KiB as lipo aligns arm64."""
    align = 14
    header = struct.pack(">2I", FAT_MAGIC, len(parts))
    body = b""
    offset = 1 << align
    for part in parts:
        header += struct.pack(">5I", part.cputype, part.subtype, offset, len(part.data), align)
        padded = part.data + bytes(-len(part.data) % (1 << align))
        body += padded
        offset += len(padded)
    # The last slice needs no padding behind it.
    tail = -len(parts[-1].data) % (1 << align)
    whole = header.ljust(1 << align, b"\0") + body
    return whole[:len(whole) - tail] if tail else whole


def blobs(signature):
    """The blobs of an embedded signature by slot: {slot: bytes}."""
    magic, _, count = struct.unpack_from(">3I", signature)
    if magic != 0xFADE0CC0:
        raise ValueError(f"not an embedded signature: magic {magic:#x}")
    found = {}
    for index in range(count):
        slot, offset = struct.unpack_from(">2I", signature, 12 + index * 8)
        length = struct.unpack_from(">I", signature, offset + 4)[0]
        found[slot] = signature[offset:offset + length]
    return found
