//! What the fuzz targets and the writer of their seeds share.

pub mod signer;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dsplug::codesign::{
    BundleEntry, BundleView, CodeFacts, EntryKind, FileCheck, Limits, MainExecutable, Roots,
    is_macho, wants_bytes,
};
use dsplug_fixtures::Plugin;
use dsplug_fixtures::macho::{Cpu, MachO};
use dsplug_fixtures::signature::{CMS_SLOT, Signature, blob, superblob};
use sha2::Digest as _;

/// The name of every bundle, its executable and its identifier.
pub const NAME: &str = "Fuzz";
/// The team of every signer.
pub const TEAM: &str = "FUZZ012345";

/// Where the corpora stand, a folder for each target.
pub fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// Where the seeds' own root certificate stands, in DER.
pub fn root_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("root.der")
}

/// Apple's roots, and the seeds' own, so that a signature can hold.
pub fn roots() -> Roots {
    let mut roots = Roots::apple().certificates().to_vec();
    roots.extend(fs::read(root_path()));
    Roots::of(roots)
}

/// The check of a file that comes in chunks of that length.
pub fn check(file: &[u8], chunk: usize, roots: &Roots) -> CodeFacts {
    let len = u64::try_from(file.len()).unwrap();
    let mut check = FileCheck::new(len, roots, Limits::default());
    while let Some(range) = check.wants() {
        let [start, end] = [range.start, range.end].map(|at| usize::try_from(at.min(len)).unwrap());
        check.supply(&file[start..end]);
    }
    file.chunks(chunk).for_each(|chunk| check.update(chunk));
    check.finish()
}

/// A file whose signature's CMS can be any bytes.
pub struct Frame {
    code: Vec<u8>,
    room: usize,
    parts: Vec<(u32, Vec<u8>)>,
}

impl Frame {
    /// The file that [`cms_signature`] signs.
    pub fn new() -> Self {
        let mut signature = Signature::adhoc(NAME);
        signature.team = Some(TEAM.into());
        signature.flags = dsplug_fixtures::signature::RUNTIME;
        signature.slack_len = 64 << 10;
        let file = MachO::bundle(Cpu::Arm64e).signed(&signature);
        let at = file.windows(4).position(|w| w == [0xfa, 0xde, 0x0c, 0xc0]);
        let code = file[..at.unwrap()].to_vec();
        let room = file.len() - code.len();
        let [directory] = signature.directories(&code).try_into().unwrap();
        let mut parts = vec![(0, directory)];
        parts.extend(signature.parts.iter().cloned());
        Self { code, room, parts }
    }

    /// The code directory that a CMS signs.
    pub fn directory(&self) -> &Vec<u8> {
        &self.parts[0].1
    }

    /// The file with that CMS; none when it does not fit.
    pub fn with_cms(&self, cms: &[u8]) -> Option<Vec<u8>> {
        let mut parts = self.parts.clone();
        parts.push((CMS_SLOT, blob(0xfade_0b01, cms)));
        let mut signature = superblob(&parts);
        if signature.len() > self.room {
            return None;
        }
        signature.resize(self.room, 0);
        Some([self.code.as_slice(), &signature].concat())
    }
}

impl Default for Frame {
    fn default() -> Self {
        Self::new()
    }
}

/// One entry of a bundle in memory.
struct Entry {
    kind: EntryKind,
    executable: bool,
    content: Vec<u8>,
    code: Option<CodeFacts>,
}

/// A bundle in memory, in which the seal can be any bytes.
pub struct Sealed {
    entries: BTreeMap<Vec<u8>, Entry>,
    info_plist: Vec<u8>,
    roots: Roots,
}

const EXECUTABLE: &str = "Contents/MacOS/Fuzz";
const SEAL: &str = "Contents/_CodeSignature/CodeResources";
const INFO_PLIST: &str = "Contents/Info.plist";

impl Sealed {
    /// Takes in a bundle of that name on disk.
    pub fn read(bundle: &Path) -> Self {
        let roots = roots();
        let mut entries = BTreeMap::new();
        for found in walkdir::WalkDir::new(bundle).min_depth(1) {
            let found = found.unwrap();
            let path = found.path().strip_prefix(bundle).unwrap();
            let kind = found.file_type();
            let (kind, content) = if kind.is_dir() {
                (EntryKind::Directory, Vec::new())
            } else if kind.is_symlink() {
                let target = fs::read_link(found.path()).unwrap();
                (
                    EntryKind::Symlink,
                    target.into_os_string().into_encoded_bytes(),
                )
            } else {
                (EntryKind::File, fs::read(found.path()).unwrap())
            };
            let entry = Entry::new(kind, content, &roots);
            entries.insert(path.as_os_str().as_encoded_bytes().to_vec(), entry);
        }
        let info_plist = entries[INFO_PLIST.as_bytes()].content.clone();
        Self {
            entries,
            info_plist,
            roots,
        }
    }

    /// Seals it with those bytes, signed as they are, and judges it.
    pub fn judge(&mut self, seal: &[u8]) -> dsplug::codesign::BundleSignature {
        let signature = Signature::adhoc("test.Fuzz")
            .info_plist(&self.info_plist)
            .resources(seal);
        let code = MachO::bundle(Cpu::Arm64e).signed(&signature);
        for (path, content) in [(EXECUTABLE, code), (SEAL, seal.to_vec())] {
            let entry = Entry::new(EntryKind::File, content, &self.roots);
            self.entries.insert(path.into(), entry);
        }
        let entries: Vec<_> = self.entries.iter().map(|(path, e)| e.view(path)).collect();
        let view = BundleView {
            entries: &entries,
            complete: true,
            main_executable: MainExecutable::Inside(EXECUTABLE.as_bytes()),
            info_plist: Some(INFO_PLIST.as_bytes()),
            resource_fork: false,
            finder_info: false,
        };
        let limits = dsplug::codesign::SealLimits::default();
        dsplug::codesign::judge(&view, &limits, &dsplug::codesign::Automata::default())
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Entry {
    fn new(kind: EntryKind, content: Vec<u8>, roots: &Roots) -> Self {
        let code = (kind == EntryKind::File && is_macho(&content))
            .then(|| check(&content, content.len().max(1), roots));
        Self {
            kind,
            executable: code.is_some(),
            content,
            code,
        }
    }

    fn view<'a>(&'a self, path: &'a [u8]) -> BundleEntry<'a> {
        let mut entry = BundleEntry::new(path, self.kind);
        match self.kind {
            EntryKind::File => {
                entry.size = u64::try_from(self.content.len()).unwrap();
                entry.executable = self.executable;
                entry.sha256 = Some(sha2::Sha256::digest(&self.content).into());
                entry.sha1 = Some(sha1::Sha1::digest(&self.content).into());
                entry.bytes = wants_bytes(path, entry.size).then_some(self.content.as_slice());
                entry.code = self.code.as_ref();
            }
            EntryKind::Symlink => entry.target = Some(&self.content),
            EntryKind::Directory | EntryKind::Other => {}
        }
        entry
    }
}

/// Where the entries of a whole bundle can stand.
pub const PLACES: [&str; 33] = [
    "Contents/Info.plist",
    "Contents/MacOS/Fuzz",
    "Contents/_CodeSignature/CodeResources",
    "Contents/PkgInfo",
    "Contents/version.plist",
    "Contents/Resources/schema.txt",
    "Contents/Resources/sub/deep.txt",
    "Contents/Resources/.DS_Store",
    "Contents/Resources/Base.lproj/main.strings",
    "Contents/Resources/de.lproj/main.strings",
    "Contents/Resources/de.lproj/locversion.plist",
    "Contents/Resources/latest.txt",
    "Contents/Frameworks/libhelp.dylib",
    "Contents/PlugIns/Inner.bundle/Contents/Info.plist",
    "Contents/PlugIns/Inner.bundle/Contents/MacOS/Inner",
    "Contents/PlugIns/Inner.bundle/Contents/Resources/inner.txt",
    "Contents/PlugIns/Inner.bundle/Contents/_CodeSignature/CodeResources",
    "Contents/Frameworks/Kit.framework/Kit",
    "Contents/Frameworks/Kit.framework/Resources",
    "Contents/Frameworks/Kit.framework/Versions/Current",
    "Contents/Frameworks/Kit.framework/Versions/A/Kit",
    "Contents/Frameworks/Kit.framework/Versions/A/Resources/Info.plist",
    "Contents/Frameworks/Kit.framework/Versions/A/Resources/kit.txt",
    "Contents/Frameworks/Kit.framework/Versions/A/_CodeSignature/CodeResources",
    "Info.plist",
    "Fuzz",
    "Resources/Info.plist",
    "Contents/CodeResources",
    "Contents/Resources/._schema.txt",
    "Contents/Resources/Inside.dsplug/Contents/Info.plist",
    "Contents/Info-macos.plist",
    "Support Files/Info.plist",
    "Contents/CodeResources",
];

/// What is written at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A symlink.
    Link,
    /// A directory.
    Directory,
    /// An extended attribute: which of [`ATTRIBUTES`], and its value.
    Attribute,
}

/// The names of extended attributes, as Linux has a Mac's.
pub const ATTRIBUTES: [&str; 4] = [
    "user.com.apple.quarantine",
    "user.com.apple.provenance",
    "user.com.apple.ResourceFork",
    "user.com.apple.FinderInfo",
];

/// One entry as bytes: its place, what it is, its length, its content.
pub fn encode(place: u8, kind: Kind, content: &[u8]) -> Vec<u8> {
    let kind = match kind {
        Kind::File => 0,
        Kind::Link => 1,
        Kind::Directory => 2,
        Kind::Attribute => 3,
    };
    let len = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[place, kind], len.as_slice(), content].concat()
}

/// The entries that bytes stand for.
pub fn decode(mut bytes: &[u8]) -> Vec<(&'static str, Kind, &[u8])> {
    let mut entries = Vec::new();
    while let [place, kind, high, low, rest @ ..] = bytes {
        let place = PLACES[usize::from(*place) % PLACES.len()];
        let kind = match kind % 4 {
            0 => Kind::File,
            1 => Kind::Link,
            2 => Kind::Directory,
            _ => Kind::Attribute,
        };
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (content, rest) = rest.split_at(len);
        entries.push((place, kind, content));
        bytes = rest;
    }
    entries
}

/// The Info.plist of the bundle.
pub fn info_plist() -> Vec<u8> {
    Plugin::new(NAME).info_plist()
}

/// A call of a table's plug-in, as osquery sends it.
pub fn call(table: &str, action: &str, context: Option<&[u8]>) -> Vec<u8> {
    let text = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let pairs: Vec<_> = [
        Some(("action", action.as_bytes())),
        context.map(|c| ("context", c)),
    ]
    .into_iter()
    .flatten()
    .map(|(key, value)| [text(key.as_bytes()), text(value)].concat())
    .collect();
    [
        b"\x80\x01\0\x01".to_vec(),
        text(b"call"),
        vec![0, 0, 0, 1],
        [b"\x0b\0\x01", text(b"table").as_slice()].concat(),
        [b"\x0b\0\x02", text(table.as_bytes()).as_slice()].concat(),
        [
            b"\x0d\0\x03\x0b\x0b\0\0\0",
            [u8::try_from(pairs.len()).unwrap()].as_slice(),
        ]
        .concat(),
        pairs.concat(),
        vec![0],
    ]
    .concat()
}
