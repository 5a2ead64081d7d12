"""What a bundle's signature is worth, by other means than dsplug's.

    python3 tests/oracle/signature.py BUNDLE

prints one JSON object: state, signer, team, cdhashes (one a slice), ticket, and why.

It shares no code with dsplug: property lists are read by Python's plistlib, the cryptographic part
is judged by the command openssl with Apple's roots, and hashes are hashlib's. It knows what real
bundles have and no more: it is a second opinion on files that are what they are, and no defence
against files that are made to deceive.
"""

import base64
import hashlib
import json
import pathlib
import plistlib
import re
import struct
import subprocess
import sys
import tempfile

ROOTS = pathlib.Path(__file__).resolve().parents[2] / "src/codesign/signer/roots"
HASHES = {
    1: ("hash", hashlib.sha1, 20),
    2: ("hash2", hashlib.sha256, 32),
    3: ("hash3", hashlib.sha256, 20),
    4: ("hash4", hashlib.sha384, 48),
}
BEST = [4, 2, 3, 1]
FAT, FAT_64 = 0xCAFEBABE, 0xCAFEBABF
THIN = {0xFEEDFACE: ("<", 28), 0xFEEDFACF: ("<", 32), 0xCEFAEDFE: (">", 28), 0xCFFAEDFE: (">", 32)}


class Fault(Exception):
    """Why a signature does not hold."""


def hashed(kind, content):
    """The hash of content as a code directory of that hash type has it."""
    _, algorithm, length = HASHES[kind]
    return algorithm(content).digest()[:length]


def is_code(content):
    """True when a file begins like a Mach-O file."""
    if len(content) < 8:
        return False
    magic, second = struct.unpack(">II", content[:8])
    little = struct.unpack("<I", content[:4])[0]
    return little in THIN or (magic in (FAT, FAT_64) and second < 45)


def slices(content):
    """The slices of a Mach-O file."""
    magic, count = struct.unpack(">II", content[:8])
    if magic not in (FAT, FAT_64):
        return [content]
    form, size = (">IIIII", 20) if magic == FAT else (">IIQQII", 32)
    found = []
    for index in range(count):
        record = struct.unpack_from(form, content, 8 + size * index)
        found.append(content[record[2] : record[2] + record[3]])
    return found


def signature_of(code):
    """What LC_CODE_SIGNATURE of a slice points to, and where that begins; None without."""
    order, at = THIN[struct.unpack("<I", code[:4])[0]]
    for _ in range(struct.unpack_from(order + "I", code, 16)[0]):
        command, size = struct.unpack_from(order + "II", code, at)
        if command == 0x1D:
            offset, length = struct.unpack_from(order + "II", code, at + 8)
            return code[offset : offset + length], offset
        at += size
    return None


class Directory:
    """A code directory."""

    def __init__(self, blob):
        self.blob = blob
        (_, _, self.version, self.flags, self.hashes, identifier, self.special, self.pages, limit) = (
            struct.unpack_from(">9I", blob)
        )
        size, self.kind, _, page = struct.unpack_from(">4B", blob, 36)
        if self.kind not in HASHES or size != HASHES[self.kind][2]:
            raise Fault("a code directory of another hash")
        self.size = size
        self.page = 1 << page if page else 0
        self.identifier = text(blob, identifier)
        team = struct.unpack_from(">I", blob, 48)[0] if self.version >= 0x20200 else 0
        self.team = text(blob, team) if team else ""
        wide = struct.unpack_from(">Q", blob, 56)[0] if self.version >= 0x20300 else 0
        self.limit = wide or limit

    @property
    def cdhash(self):
        """Its name."""
        return hashed(self.kind, self.blob)[:20].hex()

    def slot(self, number):
        """The hash of a page, or of a special slot; None when that is not bound."""
        if -number > self.special:
            return None
        at = self.hashes + number * self.size
        value = self.blob[at : at + self.size]
        return value if any(value) or number >= 0 else None

    def check_pages(self, code, end):
        """Every page of the code, to where the signature begins."""
        if self.limit != end:
            raise Fault("the code limit is not where the signature begins")
        page = self.page or self.limit
        for number in range(self.pages):
            content = code[number * page : min((number + 1) * page, self.limit)]
            if hashed(self.kind, content) != self.slot(number):
                raise Fault(f"page {number} has another hash")


def text(blob, at):
    """The text at an offset, to its NUL."""
    return blob[at : blob.index(b"\0", at)].decode()


def judge_slice(code, info, resources):
    """One slice: its claim, its best code directory, and who signed it."""
    found = signature_of(code)
    if found is None:
        return {"state": "unsigned", "cdhash": None, "signer": "", "team": ""}
    blob, end = found
    magic, _, count = struct.unpack_from(">3I", blob)
    if magic != 0xFADE0CC0:
        raise Fault("no SuperBlob")
    parts = {}
    for index in range(count):
        slot, offset = struct.unpack_from(">II", blob, 12 + 8 * index)
        length = struct.unpack_from(">I", blob, offset + 4)[0]
        parts[slot] = blob[offset : offset + length]
    slots = [0] + [s for s in range(0x1000, 0x1005) if s in parts]
    directories = [Directory(parts[s]) for s in slots]
    for directory in directories:
        directory.check_pages(code, end)
        for slot in range(1, directory.special + 1):
            content = {1: info, 3: resources}.get(slot, parts.get(slot))
            bound = directory.slot(-slot)
            if bound is None:
                continue
            if content is None or hashed(directory.kind, content) != bound:
                raise Fault(f"special slot {slot} has another hash")
    best = min(directories, key=lambda d: BEST.index(d.kind))
    found = {"cdhash": best.cdhash, "signer": "", "team": ""}
    if directories[0].flags & 2:
        return found | {"state": "adhoc"}
    cms = parts.get(0x10000, b"")[8:]
    signer, unit = verify(cms, directories[0].blob)
    if len(directories) > 1 and not names(cms, best):
        raise Fault("the best code directory is not in the CMS")
    team = best.team if best.team == unit else ""
    return found | {"state": "signed", "signer": signer, "team": team}


def names(cms, directory):
    """True when the CMS holds a code directory's hash, in Apple's one attribute or the other."""
    whole = HASHES[directory.kind][1](directory.blob).digest()
    short = base64.b64encode(bytes.fromhex(directory.cdhash))
    return whole in cms or short in re.sub(rb"\s", b"", cms)


def verify(cms, content):
    """The signer's common name and organizational unit, when openssl accepts the CMS and its chain."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, data in (("cms", cms), ("content", content)):
            (folder / name).write_bytes(data)
        roots = b"".join(pem(path) for path in sorted(ROOTS.glob("*.cer")))
        (folder / "roots").write_bytes(roots)
        openssl(
            "cms", "-verify", "-inform", "DER", "-in", folder / "cms", "-binary",
            "-content", folder / "content", "-CAfile", folder / "roots", "-purpose", "any",
            "-no_check_time", "-ignore_critical", "-signer", folder / "leaf", "-out", "/dev/null",
        )  # fmt: skip
        subject = openssl(
            "x509", "-in", folder / "leaf", "-noout", "-subject", "-nameopt", "multiline,utf8,-esc_msb"
        )
    parts = dict(
        line.strip().split("= ", 1) for line in subject.decode().splitlines() if "= " in line
    )
    parts = {key.strip(): value for key, value in parts.items()}
    return parts.get("commonName", ""), parts.get("organizationalUnitName", "")


def pem(path):
    """A certificate in DER as PEM."""
    return openssl("x509", "-inform", "DER", "-in", path)


def openssl(*arguments):
    """What openssl prints."""
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=False)
    if done.returncode:
        raise Fault("openssl: " + done.stderr.decode(errors="replace").strip().splitlines()[0])
    return done.stdout


def base_of(bundle):
    """The folder that the seal covers."""
    for name in ("Contents", "Versions/Current"):
        if (bundle / name).is_dir():
            return (bundle / name).resolve()
    return bundle


def info_of(base):
    """The Info.plist."""
    places = [base / "Info.plist", base / "Resources/Info.plist"]
    if base.name != "Contents":
        places.reverse()
    return next((place for place in places if place.is_file()), None)


def judge(bundle):
    """A bundle with everything in it."""
    base = base_of(bundle)
    info = info_of(base)
    name = plistlib.loads(info.read_bytes()).get("CFBundleExecutable") if info else None
    name = name or bundle.stem
    executable = next(p for p in (base / "MacOS" / name, base / name) if p.is_file())
    seal = base / "_CodeSignature/CodeResources"
    sealed = seal.read_bytes() if seal.is_file() else None
    found = judge_code(executable.read_bytes(), info and info.read_bytes(), sealed)
    if found["state"] in ("signed", "adhoc"):
        if base.name == "Contents":
            allowed = {"Contents", ".DS_Store", "Icon\r", ".LSOverride", ".SoftwareDepot.tracking"}
            strays = {p.name for p in bundle.iterdir()} - allowed
            if strays:
                raise Fault(f"beside Contents: {sorted(strays)}")
        check_seal(base, executable, sealed)
    return found


def judge_code(content, info=None, resources=None):
    """A Mach-O file, all of its slices."""
    if not is_code(content):
        return {"state": "unsigned", "signer": "", "team": "", "cdhashes": []}
    all_slices = [judge_slice(code, info, resources) for code in slices(content)]
    state = min((s["state"] for s in all_slices), key=["unsigned", "adhoc", "signed"].index)
    if state == "unsigned":
        return {"state": state, "signer": "", "team": "", "cdhashes": []}
    first = next(s for s in all_slices if s["state"] == state)
    cdhashes = list(dict.fromkeys(s["cdhash"] for s in all_slices))
    signed = state == "signed"
    return {
        "state": state,
        "signer": first["signer"] if signed else "",
        "team": first["team"] if signed else "",
        "cdhashes": cdhashes,
    }


def check_seal(base, executable, sealed):
    """Everything below the sealed folder, against the seal."""
    if sealed is None:
        raise Fault("there is no seal")
    seal = plistlib.loads(sealed)
    if "files2" not in seal:
        raise Fault("a seal of version 1 alone")
    rules = [(rule_weight(rule), re.compile(key.encode()), rule) for key, rule in seal["rules2"].items()]
    left = dict(seal["files2"])
    inside = []
    for path in walk(base, rules, inside):
        if path == executable or path.relative_to(base).parts[0] in (
            "_CodeSignature", "CodeResources", "_MASReceipt",
        ):  # fmt: skip
            continue
        key = path.relative_to(base).as_posix()
        rule = matching(rules, key)
        if path in inside:
            check_nested(path, left.pop(key, None))
        elif rule is None or (rule is not True and rule.get("omit")) or rule is False:
            continue
        else:
            check_file(path, left.pop(key, None))
    for key, entry in left.items():
        if not (isinstance(entry, dict) and entry.get("optional")):
            raise Fault(f"{key} is missing")


def rule_weight(rule):
    """A rule's weight."""
    return rule.get("weight", 1) if isinstance(rule, dict) else 1


def matching(rules, key):
    """The heaviest rule that matches."""
    hits = [(w, rule) for w, expression, rule in rules if expression.search(key.encode())]
    return max(hits, key=lambda hit: hit[0])[1] if hits else None


def walk(folder, rules, inside, base=None):
    """Files, symlinks and nested bundles; the last go into `inside` and are not entered."""
    base = base or folder
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or not path.is_dir():
            yield path
            continue
        rule = matching(rules, path.relative_to(base).as_posix())
        if isinstance(rule, dict) and rule.get("nested") and "." in path.name:
            inside.append(path)
            yield path
        else:
            yield from walk(path, rules, inside, base)


def check_file(path, entry):
    """A file or a symlink against its entry."""
    if entry is None:
        raise Fault(f"{path.name} was added")
    if isinstance(entry, bytes):
        entry = {"hash": entry}
    if "requirement" in entry:
        return check_nested(path, entry)
    if path.is_symlink() != ("symlink" in entry):
        raise Fault(f"{path.name} is of another kind")
    if path.is_symlink():
        if str(path.readlink()) != entry["symlink"]:
            raise Fault(f"{path.name} points elsewhere")
        return None
    content = path.read_bytes()
    for key, algorithm in (("hash2", hashlib.sha256), ("hash", hashlib.sha1)):
        if key in entry and algorithm(content).digest() != entry[key]:
            raise Fault(f"{path.name} has another {key}")
    return None


def check_nested(path, entry):
    """Code with a signature of its own, against the cdhash in its entry."""
    if entry is None or "cdhash" not in entry:
        raise Fault(f"{path.name} is not sealed as code")
    found = judge(path) if path.is_dir() else judge_code(path.read_bytes())
    if found["state"] == "unsigned" or not any(
        entry["cdhash"].hex() == c or c in entry["requirement"] for c in found["cdhashes"]
    ):
        raise Fault(f"{path.name} is other code than was sealed")


def main():
    bundle = pathlib.Path(sys.argv[1])
    ticket = bundle / "Contents/CodeResources"
    stapled = ticket.is_file() and not ticket.is_symlink() and ticket.read_bytes()[:4] == b"s8ch"
    try:
        found = judge(bundle) | {"why": ""}
    except (Fault, StopIteration, KeyError, IndexError, ValueError, struct.error) as fault:
        found = {"state": "broken", "signer": "", "team": "", "cdhashes": [], "why": str(fault)}
    print(json.dumps(found | {"ticket": stapled}, ensure_ascii=False))


if __name__ == "__main__":
    main()
