#!/usr/bin/env python3
"""Writes cases of property lists in the form that tests/suite/corefoundation.rs reads:
compact.py CASES.jsonl.xz > property_lists.jsonl. With --all, all of them, else a sample: one of each
kind of name, and of the mutated lists one in eight.

A line is an object of `name`, `list`, and `xml` or `crash`. Bytes of the list are the characters
U+0000 to U+00FF; U+E000 and up stand for the pieces in the first line, which most lists share. `xml`
is what CoreFoundation wrote of the value that it read, null where it read none, and true where it
read one that it does not write, or not whole: one with a null, a set, or a key that is no text, or a long one."""
import base64, collections, json, lzma, re, sys

BODY = [
    "<key>CFPlugInTypes</key><dict><key>697B5D6C-87A1-1226-89CA-000502C1C736</key><array><string>2E4C8F10-6A0B-11D8-9B1C-000A95C9A4D2</string></array></dict>",
    "<key>CFPlugInFactories</key><dict><key>2E4C8F10-6A0B-11D8-9B1C-000A95C9A4D2</key><string>F</string></dict>",
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n<plist version="1.0">\n',
    "<key>CFBundleIdentifier</key><string>I</string>", "<key>CFBundleName</key><string>N</string>",
    "<key>CFBundleShortVersionString</key><string>V</string>", "<key>CFPluginNameString</key><string>P</string>",
    "<key>CFBundleExecutable</key><string>X</string>",
    "\n\t<key>CFPlugInFactories</key>\n\t<dict>\n\t\t<key>2E4C8F10-6A0B-11D8-9B1C-000A95C9A4D2</key>\n\t\t<string>F</string>\n\t</dict>\n\t<key>CFPlugInTypes</key>\n\t<dict>\n\t\t<key>697B5D6C-87A1-1226-89CA-000502C1C736</key>\n\t\t<array>\n\t\t\t<string>2E4C8F10-6A0B-11D8-9B1C-000A95C9A4D2</string>\n\t\t</array>\n\t</dict>\n",
    "<key>CFBundleExecutable</key>\n\t<string>X</string>\n\t<key>CFBundleIdentifier</key>\n\t<string>I</string>\n\t<key>CFBundleName</key>\n\t<string>N</string>\n\t<key>CFBundleShortVersionString</key>\n\t<string>V</string>",
    "\t<key>CFPluginNameString</key>\n\t<string>P</string>\n",
    "697B5D6C-87A1-1226-89CA-000502C1C736", "2E4C8F10-6A0B-11D8-9B1C-000A95C9A4D2",
    "CFBundleExecutable", "CFBundleIdentifier", "CFBundleName", "CFBundleShortVersionString", "CFPluginNameString", "CFPlugInFactories", "CFPlugInTypes",
    "<key>k</key><array>", "<array><array><array><array><array><array><array><array>", "</array></array></array></array></array></array></array></array>",
    "<dict><key>a</key>" * 8, "</dict>" * 8, "\t" * 64, "</string>", "<string>", "</key>", "<key>", "\0\0\0", "\0",
]

def short(text):
    for number, piece in enumerate(BODY): text = text.replace(piece, chr(0xE000 + number))
    return text

everything, sample = sys.argv[1] == "--all", collections.Counter()
print(json.dumps({"pieces": BODY}, ensure_ascii=True, separators=(",", ":")))
for line in lzma.open(sys.argv[-1]):
    case = json.loads(line)
    if case["set"] != "plist": continue
    kind = re.sub(r"\d+", "0", case["name"])
    sample[kind] += 1
    size = len(case["plist"])
    most = 3 if re.match(r"date|integer|real|string", kind) else 1
    is_one = sample[kind] <= most or kind == "mut 0" and sample[kind] % 12 == 0
    # The many that differ in their encoding are long, and are of one cause each.
    is_long = size > 6000 or re.match(r"enc utf-0(?!-sig).*( decl| odd| trailing| nodoctype)|enc cp0 decl|bin trunc", kind)
    if not everything and (is_long or not is_one): continue
    out = {"name": case["name"], "list": short(base64.b64decode(case["plist"]).decode("latin1"))}
    cf = case["cf"]
    out |= {"crash": True} if "crash" in cf else {"xml": short(cf["xml"]) if (cf.get("xml") or "(long)") != "(long)" else cf["ok"] or None}
    print(json.dumps(out, ensure_ascii=False, separators=(",", ":")))
