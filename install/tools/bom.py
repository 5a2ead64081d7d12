#!/usr/bin/env python3
"""The bill of materials of a macOS package: what `mkbom` writes and `lsbom` reads.

A store of numbered blocks (number 0 is empty) and of variables that name one each, every number
big-endian. `Paths` is a tree of all paths, in leaves of at most 256, each path three blocks: its
record, its name below the number of its parent, and its own number. The other variables are trees
with nothing in them. The format is nowhere written down by Apple; this is how bomutils and the
crate apple-bom understand it.
"""

import dataclasses
import struct

FILE, DIRECTORY, LINK = 1, 2, 3
LEAF = 256
# What mkbom of today writes where nothing is known of the architecture.
ANY_ARCHITECTURE = 15


@dataclasses.dataclass
class Entry:
    """One path of a payload: "." or "./opt/x", with what the record says of it."""

    path: str
    mode: int
    uid: int
    gid: int
    mtime: int
    content: bytes = b""
    target: str = ""

    @property
    def kind(self):
        """What it is, by the type in its mode."""
        return {0o040000: DIRECTORY, 0o100000: FILE, 0o120000: LINK}[self.mode & 0o170000]


def _table():
    """The table of the polynomial 0x04C11DB7, most significant bit first."""
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ 0x04C11DB7 if value & 0x80000000 else value << 1
        table.append(value & 0xFFFFFFFF)
    return table


_CRC = _table()


def cksum(data):
    """The check sum of POSIX `cksum`: a CRC of the bytes and then of their number."""
    crc = 0
    length = len(data)
    tail = length.to_bytes((length.bit_length() + 7) // 8, "little")
    for part in (data, tail):
        for byte in part:
            crc = (crc << 8 & 0xFFFFFFFF) ^ _CRC[crc >> 24 ^ byte]
    return crc ^ 0xFFFFFFFF


class Store:
    """Blocks and variables, and the file that they make."""

    def __init__(self):
        self.blocks = [b""]
        self.variables = []

    def block(self, data):
        """Adds a block; gives its number."""
        self.blocks.append(data)
        return len(self.blocks) - 1

    def variable(self, name, data):
        """Adds a block with a name."""
        self.variables.append((name.encode(), self.block(data)))

    def tree(self, child, count, size=4096):
        """The data of a tree over the paths in block `child`."""
        return struct.pack(">4s4IB", b"tree", 1, child, size, count, 0)

    def empty_tree(self, size=4096):
        """The data of a tree with nothing in it."""
        return self.tree(self.block(paths(True, [])), 0, size)

    def bytes(self):
        """The file."""
        variables = struct.pack(">I", len(self.variables))
        for name, block in self.variables:
            variables += struct.pack(">IB", block, len(name)) + name
        at = 512 + len(variables)
        index = struct.pack(">I", len(self.blocks))
        for data in self.blocks:
            index += struct.pack(">2I", at if data else 0, len(data))
            at += len(data)
        # The list of free blocks: none, and two places for some.
        index += struct.pack(">5I", 0, 0, 0, 0, 0)
        header = struct.pack(">8s6I", b"BOMStore", 1, len(self.blocks) - 1, at, len(index), 512, len(variables))
        return header.ljust(512, b"\0") + variables + b"".join(self.blocks) + index


def paths(is_leaf, pairs, after=0, before=0):
    """The data of one node of a tree: pairs of block numbers, and its neighbours."""
    return struct.pack(">2H2I", is_leaf, len(pairs), after, before) + b"".join(struct.pack(">2I", *p) for p in pairs)


def record(entry):
    """What is known of one path."""
    link = entry.target.encode() + b"\0" if entry.target else b""
    content = entry.target.encode() if entry.kind == LINK else entry.content
    has_content = entry.kind != DIRECTORY
    return struct.pack(
        ">2B2H4IBII",
        entry.kind,
        1,
        ANY_ARCHITECTURE,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.mtime,
        len(content) if has_content else 0,
        1,
        cksum(content) if has_content else 0,
        len(link),
    ) + link


def ordered(entries):
    """Each entry with its number and its parent's, level by level, by name within a parent."""
    children = {}
    for entry in entries:
        parent, _, name = entry.path.rpartition("/")
        children.setdefault(parent, []).append((name, entry))
    numbered, todo = [], [("", 0)]
    while todo:
        parent, number = todo.pop(0)
        for name, entry in sorted(children.get(parent, []), key=lambda child: child[0].encode()):
            own = len(numbered) + 1
            numbered.append((own, number, name, entry))
            todo.append((entry.path, own))
    if len(numbered) != len(entries):
        raise ValueError("a path has no parent among the others")
    return numbered


def bom(entries):
    """The bill of materials of these entries, "." among them."""
    numbered = ordered(entries)
    store = Store()
    store.variable("BomInfo", struct.pack(">3I4I", 1, len(numbered) + 1, 1, 0, 0, 0, 0))
    pairs = []
    for own, parent, name, entry in numbered:
        about = store.block(struct.pack(">2I", own, store.block(record(entry))))
        pairs.append((about, store.block(struct.pack(">I", parent) + name.encode() + b"\0")))
    leaves = [pairs[at:at + LEAF] for at in range(0, len(pairs), LEAF)]
    first = len(store.blocks)
    for index, leaf in enumerate(leaves):
        after = first + index + 1 if index + 1 < len(leaves) else 0
        store.block(paths(True, leaf, after, first + index - 1 if index else 0))
    child = first
    if len(leaves) > 1:
        # A node above them, for each leaf its block and the name that it ends with.
        child = store.block(paths(False, [(first + index, leaf[-1][1]) for index, leaf in enumerate(leaves)]))
    store.variable("Paths", store.tree(child, len(pairs)))
    store.variable("HLIndex", store.empty_tree())
    store.variable("VIndex", struct.pack(">3IB", 1, store.block(store.empty_tree(128)), 0, 0))
    store.variable("Size64", store.empty_tree())
    return store.bytes()
