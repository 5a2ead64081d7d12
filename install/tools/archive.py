#!/usr/bin/env python3
"""Packs a folder into a .tar.gz whose bytes depend on nothing but its files.

    archive.py FOLDER OUT.tar.gz

Entries come in order of their paths, belong to root:wheel, are 0755 or 0644, and
bear the time SOURCE_DATE_EPOCH.
"""

import gzip
import os
import sys
import tarfile


def entries(folder):
    """Every path below a folder, itself first, in order."""
    found = [folder]
    for parent, directories, files in os.walk(folder):
        found += [os.path.join(parent, name) for name in directories + files]
    return sorted(found)


def main():
    """Writes the archive."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    folder, out = sys.argv[1].rstrip("/"), sys.argv[2]
    if "SOURCE_DATE_EPOCH" not in os.environ:
        sys.exit("archive.py: SOURCE_DATE_EPOCH is not set: the time of the source, in seconds since 1970")
    when = int(os.environ["SOURCE_DATE_EPOCH"])
    base = os.path.dirname(os.path.abspath(folder))
    with open(out, "wb") as file, \
            gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=when) as packed, \
            tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in entries(os.path.abspath(folder)):
            entry = archive.gettarinfo(path, arcname=os.path.relpath(path, base))
            entry.uid = entry.gid = 0
            entry.uname, entry.gname = "root", "wheel"
            entry.mtime = when
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            if entry.isfile():
                with open(path, "rb") as content:
                    archive.addfile(entry, content)
            else:
                archive.addfile(entry)
    return 0


if __name__ == "__main__":
    sys.exit(main())
