#!/usr/bin/env python3
"""Builds a flat package for macOS Installer, on any system: what `pkgbuild` makes.

    package.py --identifier ID --version V --payload FOLDER [--scripts FOLDER] OUT.pkg

It is an archive of the kind xar with four files: PackageInfo, Bom, Payload and Scripts, the last two
cpio archives of the portable format in gzip. Everything belongs to root:wheel, is 0755 or 0644, and
bears the time SOURCE_DATE_EPOCH, so that the bytes depend on nothing but the files. `rcodesign sign`
and `productsign` sign it.
"""

import argparse
import gzip
import hashlib
import os
import stat
import struct
import sys
import time
import zlib
from xml.sax.saxutils import quoteattr

import bom


def entries(folder, when):
    """Every path below a folder, "." first, parents before what is in them."""
    found = [bom.Entry(".", 0o040755, 0, 0, when)]
    for parent, directories, files in os.walk(folder):
        directories.sort()
        below = "./" + os.path.relpath(parent, folder) if parent != folder else "."
        for name in sorted(directories + files):
            at, path = os.path.join(parent, name), f"{below}/{name}"
            mode = os.lstat(at).st_mode
            if stat.S_ISLNK(mode):
                found.append(bom.Entry(path, 0o120755, 0, 0, when, target=os.readlink(at)))
            elif stat.S_ISDIR(mode):
                found.append(bom.Entry(path, 0o040755, 0, 0, when))
            else:
                with open(at, "rb") as file:
                    content = file.read()
                mode = 0o100755 if mode & 0o111 else 0o100644
                found.append(bom.Entry(path, mode, 0, 0, when, content))
    return found


def cpio(found):
    """The entries in cpio's portable format (POSIX, `cpio -H odc`), in gzip."""
    out = bytearray()
    end = bom.Entry("TRAILER!!!", 0, 0, 0, 0)
    for number, entry in enumerate([*found, end], 1):
        name = entry.path.encode() + b"\0"
        data = entry.target.encode() or entry.content
        links = 2 if stat.S_ISDIR(entry.mode) else 1
        head = (0, number if entry is not end else 0, entry.mode, entry.uid, entry.gid, links, 0)
        out += b"070707" + b"".join(b"%06o" % field for field in head)
        out += b"%011o%06o%011o" % (entry.mtime, len(name), len(data)) + name + data
    return gzip.compress(bytes(out), 9, mtime=0)


def package_info(arguments, found, scripts):
    """What the package is, for Installer."""
    kilobytes = (sum(len(entry.content) for entry in found) + 1023) // 1024
    hooks = "".join(
        f'\n        <{name} file="./{name}"/>' for name in ("preinstall", "postinstall") if f"./{name}" in scripts
    )
    hooks = f"\n    <scripts>{hooks}\n    </scripts>" if hooks else ""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<pkg-info overwrite-permissions="true" relocatable="false" identifier={quoteattr(arguments.identifier)}'
        f' postinstall-action="none" version={quoteattr(arguments.version)} format-version="2"'
        ' generator-version="dsplug" install-location="/" auth="root">\n'
        f'    <payload numberOfFiles="{len(found)}" installKBytes="{kilobytes}"/>{hooks}\n'
        "</pkg-info>\n"
    ).encode()


def xar(files, when):
    """An archive of files, (name, bytes) each: a header, a table of contents, a heap of what it lists."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
    # The heap begins with the check sum of the table.
    heap, listed = b"", ""
    for number, (name, data) in enumerate(files, 1):
        digest = hashlib.sha1(data).hexdigest()
        listed += (
            f'<file id="{number}"><name>{name}</name><type>file</type><mode>0644</mode>'
            "<uid>0</uid><user>root</user><gid>0</gid><group>wheel</group>"
            f"<mtime>{stamp}</mtime><data><length>{len(data)}</length><offset>{20 + len(heap)}</offset>"
            f'<size>{len(data)}</size><encoding style="application/octet-stream"/>'
            f'<extracted-checksum style="sha1">{digest}</extracted-checksum>'
            f'<archived-checksum style="sha1">{digest}</archived-checksum></data></file>'
        )
        heap += data
    table = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<xar><toc>'
        f"<creation-time>{stamp[:-1]}</creation-time>"
        f'<checksum style="sha1"><offset>0</offset><size>20</size></checksum>{listed}</toc></xar>\n'
    ).encode()
    packed = zlib.compress(table, 9)
    header = struct.pack(">4s2H2QI", b"xar!", 28, 1, len(packed), len(table), 1)
    return header + packed + hashlib.sha1(packed).digest() + heap


def main():
    """Builds the package."""
    parser = argparse.ArgumentParser(description="Build a flat package for macOS Installer.")
    parser.add_argument("--identifier", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--payload", required=True)
    parser.add_argument("--scripts")
    parser.add_argument("out")
    arguments = parser.parse_args()
    if "SOURCE_DATE_EPOCH" not in os.environ:
        parser.error("SOURCE_DATE_EPOCH is not set: the time of the source, in seconds since 1970")
    when = int(os.environ["SOURCE_DATE_EPOCH"])
    payload = entries(arguments.payload, when)
    scripts = entries(arguments.scripts, when) if arguments.scripts else []
    for entry in scripts:
        if entry.path in ("./preinstall", "./postinstall") and not entry.mode & 0o111:
            sys.exit(f"package.py: {entry.path} is not executable")
    files = [
        ("Bom", bom.bom(payload)),
        ("Payload", cpio(payload)),
        ("PackageInfo", package_info(arguments, payload, {entry.path for entry in scripts})),
    ]
    if scripts:
        files.insert(2, ("Scripts", cpio(scripts)))
    with open(arguments.out, "wb") as file:
        file.write(xar(files, when))
    return 0


if __name__ == "__main__":
    sys.exit(main())
