//! The Mach-O header and load commands of one slice: where its signature stands and what it loads.

use std::borrow::Cow;
use std::ops::Range;

use object::macho::{
    LC_CODE_SIGNATURE, LC_DYLD_CHAINED_FIXUPS, LC_DYLD_ENVIRONMENT, LC_DYLD_EXPORTS_TRIE,
    LC_DYLD_INFO_ONLY, LC_FILESET_ENTRY, LC_LAZY_LOAD_DYLIB, LC_LOAD_DYLIB, LC_LOAD_DYLINKER,
    LC_LOAD_UPWARD_DYLIB, LC_LOAD_WEAK_DYLIB, LC_MAIN, LC_REEXPORT_DYLIB, LC_REQ_DYLD, LC_RPATH,
    LC_SEGMENT, LC_SEGMENT_64, LoadCommandType, MH_CIGAM, MH_CIGAM_64, MH_MAGIC, MH_MAGIC_64,
};

/// File type of a program.
pub(crate) const MH_EXECUTE: u32 = 2;
/// What the system starts a program by.
const DYLD: &[u8] = b"/usr/lib/dyld";

use super::architecture::Architecture;
use super::linkedit::{self, LC_LAZY_LOAD_DYLIB_INFO};
use super::sections::{self, Section};
use crate::codesign::bytes::{self, Bytes, Order};
use crate::codesign::verdict::{Place, Problem, ProblemCode};

const HEADER_LEN: u64 = 28;
const HEADER_LEN_64: u64 = 32;
const COMMAND_HEADER_LEN: u64 = 8;
/// Libraries and run paths that are kept of a slice, and the bytes kept of each.
const MOST_PATHS: usize = 1024;
const MOST_PATH_BYTES: usize = 4096;
/// Libraries that are loaded when they are first called, of which so many are read of a slice, and the bytes read of
/// what describes one: the linker has fewer than 1,000 symbols of each, whose offsets stand before the path
/// (`LazyLoadDylibWriter` of dyld-1378).
const MOST_LAZY: usize = 64;
const MOST_LAZY_BYTES: u64 = 16 << 10;

/// True when a file or slice that begins with `head` is a Mach-O file of one architecture.
pub(crate) fn is_thin(head: &[u8]) -> bool {
    order_and_width(Bytes::new(head, 0)).is_some()
}

fn order_and_width(head: Bytes<'_>) -> Option<(Order, bool)> {
    match head.u32(0, Order::Little)? {
        MH_MAGIC => Some((Order::Little, false)),
        MH_MAGIC_64 => Some((Order::Little, true)),
        MH_CIGAM => Some((Order::Big, false)),
        MH_CIGAM_64 => Some((Order::Big, true)),
        _ => None,
    }
}

/// The header of a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    order: Order,
    wide: bool,
    /// What it is built for.
    pub(crate) architecture: Architecture,
    /// `filetype`.
    pub(crate) file_type: u32,
    commands: u32,
    commands_len: u32,
}

impl Header {
    /// Reads the header at the beginning of a slice.
    pub(crate) fn parse(head: Bytes<'_>) -> Option<Self> {
        let (order, wide) = order_and_width(head)?;
        let field = |offset| head.u32(offset, order);
        head.get(0, if wide { HEADER_LEN_64 } else { HEADER_LEN })?;
        Some(Self {
            order,
            wide,
            architecture: Architecture::new(field(4)?, field(8)?),
            file_type: field(12)?,
            commands: field(16)?,
            commands_len: field(20)?,
        })
    }

    /// The order of its bytes.
    pub(crate) fn order(self) -> Order {
        self.order
    }

    /// How many load commands it says there are.
    pub(crate) fn commands(self) -> u32 {
        self.commands
    }

    /// Bytes of all of them.
    pub(crate) fn commands_len(self) -> u32 {
        self.commands_len
    }

    /// Where they begin.
    pub(crate) fn commands_begin(self) -> u64 {
        self.len()
    }

    fn len(self) -> u64 {
        if self.wide { HEADER_LEN_64 } else { HEADER_LEN }
    }

    /// Length of header and load commands together, in bytes.
    pub(crate) fn commands_end(self) -> u64 {
        self.len().saturating_add(u64::from(self.commands_len))
    }
}

/// What the load commands say; ranges are relative to the slice.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    /// Where the signature stands.
    pub(crate) signature: Option<Range<u64>>,
    /// Where the section `__TEXT,__info_plist` stands.
    pub(crate) info_plist: Option<Range<u64>>,
    /// Libraries that are loaded.
    pub(crate) dylibs: Vec<String>,
    /// Where those are described that are loaded when they are first called.
    pub(crate) lazy: Vec<Range<u64>>,
    /// Run paths.
    pub(crate) rpaths: Vec<String>,
    /// True when there are more of either than are kept, or not all were read.
    pub(crate) is_list_cut: bool,
    /// True when a segment is out of bounds.
    pub(crate) is_cut: bool,
    /// What is wrong.
    pub(crate) problems: Vec<Problem>,
}

struct Reader<'a> {
    bytes: Bytes<'a>,
    header: Header,
    size: u64,
    commands: Commands,
    segments: Vec<Segment>,
    signatures: u32,
    /// Where the last ends of what is named of `__LINKEDIT` and of sections, and what names it.
    named: (u64, u64),
    /// Where each section is in memory, and where it is listed.
    sections: Vec<(Range<u64>, u64)>,
}

/// Where a segment stands.
struct Segment {
    name: Vec<u8>,
    file: Range<u64>,
    memory: Range<u64>,
}

impl Commands {
    /// Reads the load commands of a slice of `size` bytes; `bytes` begins with its header and
    /// holds all of them.
    pub(crate) fn parse(bytes: Bytes<'_>, header: Header, size: u64, most: u32) -> Self {
        let mut reader = Reader {
            bytes,
            header,
            size,
            commands: Self::default(),
            segments: Vec::new(),
            signatures: 0,
            named: (0, 0),
            sections: Vec::new(),
        };
        reader.walk(most);
        let linkedit = reader.linkedit();
        reader.judge(&linkedit);
        reader.judge_sections();
        // What stands elsewhere may be written before dyld reads it.
        let is_there = |lazy: &Range<u64>| match linkedit.as_slice() {
            [linkedit] => linkedit.start <= lazy.start && lazy.end <= linkedit.end,
            _ => false,
        };
        let commands = &mut reader.commands;
        commands.is_list_cut |= !commands.lazy.iter().all(is_there);
        reader.commands
    }
}

impl<'a> Reader<'a> {
    fn walk(&mut self, most: u32) {
        if self.header.commands > most {
            self.commands.is_list_cut = true;
            self.say_as(
                ProblemCode::Limit,
                self.bytes.place(16),
                format!("{} load commands, {most} are read", self.header.commands),
            );
            return;
        }
        let end = self.header.commands_end();
        let mut at = self.header.len();
        for _ in 0..self.header.commands {
            let Some((kind, command)) = self.command(at, end) else {
                let at = self.bytes.place(at);
                self.say(at, "a load command is cut off or passes the end of all");
                return;
            };
            if self.read(LoadCommandType(kind), command).is_none() {
                let at = command.place(0);
                self.say(at, "a load command is too short for what it says");
            }
            at = at.saturating_add(command.len());
        }
    }

    fn command(&self, at: u64, end: u64) -> Option<(u32, Bytes<'a>)> {
        let kind = self.bytes.u32(at, self.header.order)?;
        let len = u64::from(self.bytes.u32(at.checked_add(4)?, self.header.order)?);
        bytes::range_within(at, len, end)?;
        let whole = len >= COMMAND_HEADER_LEN && len % 4 == 0;
        Some((kind, self.bytes.part(at, len).filter(|_| whole)?))
    }

    fn read(&mut self, kind: LoadCommandType, command: Bytes<'_>) -> Option<()> {
        let order = self.header.order;
        let end = linkedit::end(kind, command, order, self.header.wide);
        self.named = self.named.max((end, command.place(0)));
        match kind {
            LC_SEGMENT => self.segment(command, false)?,
            LC_SEGMENT_64 => self.segment(command, true)?,
            LC_CODE_SIGNATURE => {
                self.signatures = self.signatures.saturating_add(1);
                let offset = u64::from(command.u32(8, order)?);
                let len = u64::from(command.u32(12, order)?);
                match bytes::range_within(offset, len, self.size) {
                    Some(range) => self.commands.signature = Some(range),
                    None => self.say(command.place(0), "the signature is out of bounds"),
                }
            }
            LC_LOAD_DYLIB | LC_LOAD_WEAK_DYLIB | LC_REEXPORT_DYLIB | LC_LAZY_LOAD_DYLIB
            | LC_LOAD_UPWARD_DYLIB => {
                let path = path(command, command.u32(8, order)?)?;
                self.commands.is_list_cut |= !keep(&mut self.commands.dylibs, path);
            }
            LC_LAZY_LOAD_DYLIB_INFO => {
                let offset = u64::from(command.u32(8, order)?);
                let len = u64::from(command.u32(12, order)?);
                match bytes::range_within(offset, len, self.size) {
                    Some(Range { start, end }) if self.commands.lazy.len() < MOST_LAZY => {
                        let end = end.min(start.saturating_add(MOST_LAZY_BYTES));
                        self.commands.lazy.push(start..end);
                    }
                    _ => self.commands.is_list_cut = true,
                }
            }
            LC_RPATH => {
                let path = path(command, command.u32(8, order)?)?;
                self.commands.is_list_cut |= !keep(&mut self.commands.rpaths, path);
            }
            // Of a program alone; what dyld makes of it is not followed: it may insert libraries, or look for all of them
            // elsewhere (`process.pathOverrides` of dyld/DyldProcessConfig.cpp).
            LC_DYLD_ENVIRONMENT => self.commands.is_list_cut |= self.is_program(),
            // Kernels of today start a program by the system's alone (`load_dylinker` of bsd/kern/mach_loader.c).
            LC_LOAD_DYLINKER => {
                let is_own = path(command, command.u32(8, order)?)? == DYLD;
                self.commands.is_list_cut |= self.is_program() && !is_own;
            }
            LC_DYLD_INFO_ONLY
            | LC_MAIN
            | LC_DYLD_EXPORTS_TRIE
            | LC_DYLD_CHAINED_FIXUPS
            | LC_FILESET_ENTRY => {}
            // What a later dyld must understand may load anything.
            LoadCommandType(other) => self.commands.is_list_cut |= other & LC_REQ_DYLD != 0,
        }
        Some(())
    }

    fn is_program(&self) -> bool {
        self.header.file_type == MH_EXECUTE
    }

    fn segment(&mut self, command: Bytes<'_>, wide: bool) -> Option<()> {
        let order = self.header.order;
        let name = bytes::name(command.get(8, 16)?);
        let (memory, file, sections, first) = if wide {
            let number = |at| command.u64(at, order);
            let file = (number(40)?, number(48)?);
            (
                (number(24)?, number(32)?),
                file,
                command.u32(64, order)?,
                72,
            )
        } else {
            let number = |at| command.u32(at, order).map(u64::from);
            let file = (number(32)?, number(36)?);
            (
                (number(24)?, number(28)?),
                file,
                command.u32(48, order)?,
                56,
            )
        };
        match bytes::range_within(file.0, file.1, self.size) {
            Some(file) => self.segments.push(Segment {
                name: name.to_vec(),
                file,
                memory: memory.0..memory.0.saturating_add(memory.1),
            }),
            None => {
                self.commands.is_cut = true;
                self.say(command.place(0), "a segment is out of bounds");
            }
        }
        let section_len = Section::bytes(wide);
        let table = u64::from(sections).checked_mul(section_len)?;
        command.get(first, table)?;
        for i in 0..u64::from(sections) {
            let at = first.checked_add(i.checked_mul(section_len)?)?;
            self.section(command.part(at, section_len)?, wide)?;
        }
        Some(())
    }

    fn section(&mut self, bytes: Bytes<'_>, wide: bool) -> Option<()> {
        let section = Section::parse(bytes, self.header.order, wide)?;
        let at = bytes.place(0);
        self.named = self.named.max((section.end(), at));
        self.sections.push((section.memory(), at));
        if !section.is_info_plist {
            return Some(());
        }
        let range = bytes::range_within(section.offset, section.len, self.size);
        if range.is_none() || self.commands.info_plist.is_some() {
            let detail = "the section __info_plist is out of bounds or stands there twice";
            self.say(at, detail);
        }
        self.commands.info_plist = range;
        Some(())
    }

    /// Where each `__LINKEDIT` stands; an honest file has one.
    fn linkedit(&self) -> Vec<Range<u64>> {
        let segments = self.segments.iter();
        let linkedit = segments.filter(|segment| is_linkedit(&segment.name));
        linkedit.map(|segment| segment.file.clone()).collect()
    }

    /// The signature must be the only one, and the last thing in `__LINKEDIT` and in the slice:
    /// else what loads the slice may see bytes that no page hash covers.
    fn judge(&mut self, linkedit: &[Range<u64>]) {
        if self.signatures == 0 {
            return;
        }
        if self.signatures > 1 {
            self.say(self.bytes.place(0), "more than one LC_CODE_SIGNATURE");
        }
        let Some(signature) = self.commands.signature.clone() else {
            return;
        };
        let at = self.bytes.place(signature.start);
        if signature.end != self.size {
            self.say(at, "the signature does not end where the slice ends");
        }
        match linkedit {
            [range] if range.end == signature.end && range.start <= signature.start => {}
            [_] => self.say(at, "the signature is not the end of __LINKEDIT"),
            _ => self.say(at, "there is not exactly one __LINKEDIT"),
        }
        let covered = self
            .segments
            .iter()
            .all(|s| is_linkedit(&s.name) || s.file.end <= signature.start);
        if !covered {
            self.say_as(
                ProblemCode::CodeLimit,
                at,
                "a segment reaches into the signature, where no page hash covers it",
            );
        }
        let (end, command) = self.named;
        if end > signature.start {
            self.say_as(
                ProblemCode::CodeLimit,
                command,
                "a load command names data in the signature or behind it, where no page hash covers it",
            );
        }
    }

    /// No section is in memory where the signature is.
    fn judge_sections(&mut self) {
        let Some(signature) = &self.commands.signature else {
            return;
        };
        let linkedit = self.segments.iter().find(|s| is_linkedit(&s.name));
        let Some(Segment { file, memory, .. }) = linkedit else {
            return;
        };
        let room = sections::room(signature.start, file, memory);
        let inside = |(section, _): &&(Range<u64>, u64)| bytes::overlap(section, &room);
        if let Some((_, at)) = self.sections.iter().find(inside) {
            self.say_as(
                ProblemCode::CodeLimit,
                *at,
                "a section has its address in the signature or behind it, where no page hash covers it",
            );
        }
    }

    fn say(&mut self, at: u64, detail: impl Into<Cow<'static, str>>) {
        self.say_as(ProblemCode::LoadCommand, at, detail);
    }

    /// Each kind is said once, of the first place: there may be as many as commands, segments and sections.
    fn say_as(&mut self, code: ProblemCode, at: u64, detail: impl Into<Cow<'static, str>>) {
        let problem = Problem::malformed(code, Place::Offset(at), detail);
        let problems = &mut self.commands.problems;
        let is_said = |p: &Problem| (p.code, &p.detail) == (problem.code, &problem.detail);
        if !problems.iter().any(is_said) {
            problems.push(problem);
        }
    }
}

fn is_linkedit(name: &[u8]) -> bool {
    name == b"__LINKEDIT"
}

/// Keeps the library that is described by what stands at one of [`Commands::lazy`]: it begins with the path's
/// offset (`LazyLoadDylib::dylibLoadPath` of mach_o/LazyLoadDylib.cpp). False when that cannot be read.
///
/// It is looked for as `dlopen` does (`APIs::_dyld_lazy_load` of dyld/DyldAPIs.cpp), for which a path that begins with
/// neither `@` nor `/` is one below the run paths first (`Loader::forEachPath` of dyld/Loader.cpp).
pub(crate) fn keep_lazy(dylibs: &mut Vec<String>, described: Bytes<'_>, order: Order) -> bool {
    let path = described
        .u32(0, order)
        .and_then(|at| described.c_string(at.into()));
    path.is_some_and(|path| {
        let is_relative = !matches!(path.first(), Some(b'@' | b'/'));
        keep(dylibs, path) && (!is_relative || keep(dylibs, &[b"@rpath/", path].concat()))
    })
}

fn path(command: Bytes<'_>, offset: u32) -> Option<&[u8]> {
    let offset = u64::from(offset);
    (offset >= COMMAND_HEADER_LEN && offset < command.len()).then(|| command.padded_string(offset))
}

/// Keeps a path; false when there is no room for it, or it is no text: some volumes have such names.
fn keep(paths: &mut Vec<String>, path: &[u8]) -> bool {
    let is_left = paths.len() < MOST_PATHS;
    if is_left {
        let kept = bytes::first(path, MOST_PATH_BYTES);
        paths.push(String::from_utf8_lossy(kept).into_owned());
    }
    is_left && std::str::from_utf8(path).is_ok()
}
