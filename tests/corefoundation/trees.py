#!/usr/bin/env python3
"""Writes cases of plug-in folders and bundles in the form that tests/suite/corefoundation/trees.rs reads:
trees.py CASES.jsonl.xz > trees.jsonl. With --all, all of them, else a sample: one of each kind of name.

A line is an object of `name`, `tree` and what CoreFoundation made of it: `accepted`, the paths that it
lists and the loader takes, or `bundle`, what it reads of the one bundle X.dsplug, and where the loader stops
(`process`; absent where CoreFoundation does not come back). An entry of a tree is its path, its kind (d, f, l, p), and
the text of a link or the bytes of a file, as the characters U+0000 to U+00FF or, from U+E000 on, pieces that
the first line has; `@macho` is a universal bundle without load commands. P/ is the plug-in folder."""
import base64, collections, json, lzma, re, sys

FOLDER = "Library/DirectoryServices/PlugIns/"
everything = sys.argv[1] == "--all"
cases = [json.loads(line) for line in lzma.open(sys.argv[-1])]
# Order of the disk decides some, and no name with a newline could be asked for.
cases = [c for c in cases if c["set"] in ("folder", "bundle") and not re.match(r"order|chain|same |named 'X\\n", c["name"])]
counts = collections.Counter()
if not everything:
    def kind(case):
        words = re.sub(r"'[^']*'|\[[^]]*\]|\d+", "#", case["name"]).split()
        if words[0] == "random": return case["set"], len(case["tree"])
        return case["set"], " ".join(words[:2] + ([words[-1]] if case["set"] == "folder" else []))
    kept = []
    for case in cases:
        counts[kind(case)] += 1
        if counts[kind(case)] == 1: kept.append(case)
    cases = kept
bodies = collections.Counter(e[2] for c in cases for e in c["tree"] if e[1] == "f" and e[2] != "@macho")
text = lambda content: base64.b64decode(content).decode("latin1")
split = lambda content: re.findall(r"<\?xml.*?<dict>|<key>CFPlugInTypes</key><dict><key>[^<]*</key><array><string>|</string></array></dict><key>CFPlugInFactories</key><dict><key>|</key><string>F</string></dict></dict>\n</plist>\n|<key>[^<]*</key><string>|</string>|.", content, re.S)
pieces = collections.Counter(p for body, times in bodies.items() for p in split(text(body)) if len(p) > 4 for _ in range(times))
table = [piece for piece, times in pieces.most_common(400) if times > 2]
index = {piece: chr(0xE000 + number) for number, piece in enumerate(table)}
print(json.dumps({"pieces": table}, ensure_ascii=False, separators=(",", ":")))
short = lambda path: path.replace(FOLDER, "P/", 1)
for case in cases:
    cf = case["cf"]
    tree = [[short(e[0]), e[1]] + ([] if len(e) < 3 else [e[2] if e[1] == "l" or e[2] == "@macho" else "".join(index.get(p, p) for p in split(text(e[2])))]) for e in case["tree"]]
    out = {"name": case["name"], "tree": tree}
    if case["set"] == "folder": out["accepted"] = [short(p.strip("/")) for p in cf.get("in_directory", []) if cf.get("process", {}).get(p) == "ok"]
    else:
        names = ("process", "created", "plist", "exe", "CFBundleIdentifier", "CFBundleName", "CFBundleShortVersionString", "CFPluginNameString")
        out["bundle"] = {n: short(cf[n].strip("/")) if n in ("plist", "exe") else cf[n] for n in names if cf.get(n) is not None}
    print(json.dumps(out, ensure_ascii=False, separators=(",", ":")))
