//! The check of one Mach-O file: asks for the ranges it needs, then hashes the file as it streams by.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use super::bytes::{self, Bytes, Order};
use super::container::fat::{self, Fat};
use super::container::mach_o::{self, Commands, Header};
use super::signature::pages::Pages;
use super::signer::Roots;
use super::slice;
use super::verdict::{
    Anchor, CodeFacts, EmbeddedFacts, Note, Place, Problem, ProblemCode, SignatureState,
    SliceFacts, slot,
};
use crate::sha256::Sha256;

/// What is read first of a file and of a slice: the headers of nearly all fit.
const HEAD_LEN: u64 = 16 << 10;

/// Bounds on the work and the memory that one file may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of headers, load commands, signatures and `__info_plist` sections held in memory,
    /// over all slices.
    pub held_bytes: u64,
    /// Slices of a universal file.
    pub slices: u32,
    /// Load commands of a slice.
    pub load_commands: u32,
    /// False when there is no time to verify who signed: that is not known then, and whatever else is.
    pub verifies: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            held_bytes: 24 << 20,
            slices: 16,
            load_commands: 16_384,
            verifies: true,
        }
    }
}

/// True when a file that begins with `head` is to be checked as a Mach-O file.
///
/// 8 bytes suffice; 12 tell a universal file of more than 44 slices from a Java class file.
pub fn is_macho(head: &[u8]) -> bool {
    mach_o::is_thin(head) || fat::is_fat(head)
}

/// The check of one Mach-O file, without I/O.
///
/// 1. While [`wants`](Self::wants) gives a range, read it and [`supply`](Self::supply) the bytes.
/// 2. Read the whole file once, from its first byte, and pass each chunk to
///    [`update`](Self::update).
/// 3. [`finish`](Self::finish).
///
/// The file's owner may change it between 1 and 2: what streams by must be what was supplied, or the
/// state is `unreadable`.
#[derive(Debug)]
pub struct FileCheck<'r> {
    roots: &'r Roots,
    limits: Limits,
    len: u64,
    wanted: VecDeque<Wanted>,
    held: Vec<Held>,
    held_bytes: u64,
    facts: CodeFacts,
    gaps: Vec<Range<u64>>,
    pages: Vec<(usize, Pages)>,
    /// Where first pages end of which the hash is that of the file up to there.
    shared: BTreeSet<u64>,
    seen: u64,
    changed: bool,
}

/// A range to be read, and for which slice.
#[derive(Clone, Debug)]
struct Wanted {
    part: Part,
    slice: usize,
    range: Range<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    FileHead,
    SliceHead,
    LoadCommands,
    InfoPlist,
    Signature,
    /// What describes a library that is loaded when it is first called.
    Lazy(Order),
}

/// Bytes that were judged, and where they stood: what streams by must be the same.
#[derive(Debug)]
struct Held {
    range: Range<u64>,
    bytes: Arc<Vec<u8>>,
}

impl<'r> FileCheck<'r> {
    /// A check of a file of `len` bytes.
    pub fn new(len: u64, roots: &'r Roots, limits: Limits) -> Self {
        let mut check = Self {
            roots,
            limits,
            len,
            wanted: VecDeque::new(),
            held: Vec::new(),
            held_bytes: 0,
            facts: CodeFacts::default(),
            gaps: Vec::new(),
            pages: Vec::new(),
            shared: BTreeSet::new(),
            seen: 0,
            changed: false,
        };
        check.want(Part::FileHead, 0, 0..len.min(HEAD_LEN));
        check
    }

    /// The next range to read, in bytes of the file; `None` when the streaming may begin.
    pub fn wants(&self) -> Option<Range<u64>> {
        self.wanted.front().map(|wanted| wanted.range.clone())
    }

    /// Takes in the bytes of the range that [`wants`](Self::wants) gave; fewer when the file
    /// ended or could not be read further.
    pub fn supply(&mut self, bytes: &[u8]) {
        self.supply_owned(bytes.to_vec());
    }

    /// The same, and the bytes are not copied: there may be many of them.
    pub fn supply_owned(&mut self, bytes: Vec<u8>) {
        let Some(wanted) = self.wanted.pop_front() else {
            return;
        };
        let len = wanted.range.end.saturating_sub(wanted.range.start);
        if bytes::length(&bytes) != len {
            self.say(
                wanted.slice,
                Problem::unreadable(
                    ProblemCode::Unreadable,
                    Place::Offset(wanted.range.start),
                    format!("{} of {len} bytes could be read", bytes.len()),
                ),
            );
            return;
        }
        let bytes = Arc::new(bytes);
        self.held.push(Held {
            range: wanted.range.clone(),
            bytes: Arc::clone(&bytes),
        });
        let view = Bytes::new(&bytes, wanted.range.start);
        match wanted.part {
            Part::FileHead => self.read_file_head(view),
            Part::SliceHead => self.read_slice_head(wanted.slice, view),
            Part::LoadCommands => self.read_load_commands(wanted.slice, view),
            Part::Lazy(order) => {
                if let Some(slice) = self.facts.slices.get_mut(wanted.slice) {
                    slice.is_list_cut |= !mach_o::keep_lazy(&mut slice.dylibs, view, order);
                }
            }
            Part::InfoPlist => {
                if let Some(slice) = self.facts.slices.get_mut(wanted.slice) {
                    slice.info_plist = Some(slice.matches(slot::INFO_PLIST, &bytes));
                }
            }
            Part::Signature => {
                let roots = self.limits.verifies.then_some(self.roots);
                if let Some(slice) = self.facts.slices.get_mut(wanted.slice) {
                    let pages = slice::judge(slice, &bytes, wanted.range.start, roots);
                    let is_dear =
                        slice.claim == SignatureState::Signed || slice.has_dear_entitlements();
                    self.facts.is_unverified |= roots.is_none() && is_dear;
                    let pages = pages.into_iter().map(|pages| (wanted.slice, pages));
                    self.pages.extend(pages);
                }
            }
        }
    }

    /// Takes in the next chunk of the whole file, and adds it to the hash of the whole: what is the hash of
    /// a page as well is not hashed twice. For all chunks of a file, or for none.
    pub fn update_hashing(&mut self, chunk: &[u8], whole: &mut Sha256) {
        let at = self.seen;
        if at == 0 {
            self.shared = self
                .pages
                .iter_mut()
                .filter_map(|(_, p)| p.share())
                .collect();
        }
        let end = at.saturating_add(bytes::length(chunk));
        let (mut from, mut rest) = (at, chunk);
        while let Some(next) = self.shared.first().copied().filter(|next| *next <= end) {
            self.shared.pop_first();
            let (piece, after) = bytes::split(rest, next.saturating_sub(from));
            (from, rest) = (next, after);
            whole.update(piece);
            let so_far = whole.clone().finish();
            for (_, pages) in &mut self.pages {
                pages.take_shared(next, &so_far);
            }
        }
        whole.update(rest);
        self.update(chunk);
    }

    /// Takes in the next chunk of the whole file.
    pub fn update(&mut self, chunk: &[u8]) {
        let at = self.seen;
        self.seen = at.saturating_add(bytes::length(chunk));
        for held in &self.held {
            let seen = bytes::cut(chunk, at, &held.range);
            let expected = bytes::cut(&held.bytes, held.range.start, &(at..self.seen));
            self.changed |= seen != expected;
        }
        for gap in &self.gaps {
            if bytes::cut(chunk, at, gap).iter().any(|&byte| byte != 0) {
                let problem = Problem::malformed(
                    ProblemCode::FatHeader,
                    Place::Offset(gap.start),
                    "bytes that belong to no slice",
                );
                if !self.facts.problems.contains(&problem) {
                    self.facts.problems.push(problem);
                }
            }
        }
        for (_, pages) in &mut self.pages {
            pages.update(at, chunk);
        }
    }

    /// What is known of the file.
    pub fn finish(mut self) -> CodeFacts {
        if self.changed || self.seen != self.len || !self.wanted.is_empty() {
            self.facts.problems.push(Problem::unreadable(
                ProblemCode::FileChanged,
                Place::Whole,
                "the file changed while it was being read",
            ));
        }
        for (slice, pages) in std::mem::take(&mut self.pages) {
            if let Some(offset) = pages.first_altered {
                let detail = match pages.altered {
                    1 => Cow::Borrowed("a page is not the one that was signed"),
                    n => Cow::Owned(format!("{n} pages are not those that were signed")),
                };
                let place = Place::Offset(offset);
                self.say(slice, Problem::broken(ProblemCode::PageHash, place, detail));
            } else if !pages.is_complete() {
                let problem = Problem::unreadable(
                    ProblemCode::Unreadable,
                    Place::Whole,
                    "not all pages could be read",
                );
                self.say(slice, problem);
            }
        }
        for slice in &mut self.facts.slices {
            let architecture = &slice.architecture;
            for problem in &mut slice.problems {
                problem.slice.get_or_insert_with(|| architecture.clone());
            }
        }
        self.facts.judge_slices_together();
        self.facts
    }

    fn want(&mut self, part: Part, slice: usize, range: Range<u64>) {
        let len = range.end.saturating_sub(range.start);
        let total = self.held_bytes.saturating_add(len);
        if total > self.limits.held_bytes {
            self.say(
                slice,
                Problem::unreadable(
                    ProblemCode::Limit,
                    Place::Offset(range.start),
                    format!("{len} bytes of headers and signature pass the limit of memory"),
                ),
            );
            return;
        }
        self.held_bytes = total;
        self.wanted.push_back(Wanted { part, slice, range });
    }

    /// Says it of a slice, or of the file as long as there are none.
    fn say(&mut self, slice: usize, problem: Problem) {
        match self.facts.slices.get_mut(slice) {
            Some(slice) => slice.problems.push(problem),
            None => self.facts.problems.push(problem),
        }
    }

    fn read_file_head(&mut self, head: Bytes<'_>) {
        if fat::is_fat(head.all()) {
            let fat = Fat::parse(head, self.len, self.limits.slices);
            self.facts.universal = true;
            self.facts.problems.extend(fat.problems);
            self.gaps = fat.gaps;
            for slice in fat.slices {
                let range = slice.range;
                let i = self.add_slice(slice.architecture.name(), &range);
                let end = range.start.saturating_add(HEAD_LEN).min(range.end);
                self.want(Part::SliceHead, i, range.start..end);
            }
        } else {
            let name = Header::parse(head).map(|header| header.architecture.name());
            let range = 0..self.len;
            let i = self.add_slice(name.unwrap_or_default(), &range);
            self.read_slice_head(i, head);
        }
    }

    fn add_slice(&mut self, architecture: Cow<'static, str>, range: &Range<u64>) -> usize {
        self.facts.slices.push(SliceFacts {
            architecture,
            offset: range.start,
            size: range.end.saturating_sub(range.start),
            file_type: 0,
            claim: SignatureState::Unsigned,
            directories: Vec::new(),
            best: None,
            embedded: EmbeddedFacts::default(),
            info_plist: None,
            authority: Vec::new(),
            claimed_signer: String::new(),
            anchor: Anchor::None,
            issued_to: String::new(),
            signing_time: None,
            dylibs: Vec::new(),
            rpaths: Vec::new(),
            is_list_cut: false,
            // Until its load commands were read.
            is_cut: true,
            problems: Vec::new(),
            notes: Vec::<Note>::new(),
        });
        self.facts.slices.len().saturating_sub(1)
    }

    fn read_slice_head(&mut self, i: usize, head: Bytes<'_>) {
        let file_types = self.facts.slices.iter().map(|s| s.file_type);
        let file_type = file_types.max().unwrap_or_default();
        let Some(slice) = self.facts.slices.get_mut(i) else {
            return;
        };
        let Some(header) = Header::parse(head) else {
            slice.problems.push(Problem::malformed(
                ProblemCode::MachHeader,
                Place::Offset(slice.offset),
                "there is no whole Mach-O header",
            ));
            return;
        };
        slice.file_type = header.file_type;
        // Source: `Universal::make`, `macho++.cpp` of Apple.
        if file_type != 0 && file_type != header.file_type {
            slice.problems.push(Problem::malformed(
                ProblemCode::MachHeader,
                Place::Offset(slice.offset.saturating_add(12)),
                "the slice is of another file type than the first",
            ));
        }
        if !header.architecture.is_known() {
            slice.problems.push(Problem::malformed(
                ProblemCode::MachHeader,
                Place::Offset(slice.offset.saturating_add(4)),
                format!("unknown CPU type {}", header.architecture.name()),
            ));
        }
        if header.architecture.name() != slice.architecture {
            slice.problems.push(Problem::malformed(
                ProblemCode::MachHeader,
                Place::Offset(slice.offset.saturating_add(4)),
                format!(
                    "the slice is for {}, its universal header says {}",
                    header.architecture.name(),
                    slice.architecture
                ),
            ));
        }
        let end = header.commands_end();
        if end > slice.size {
            slice.problems.push(Problem::malformed(
                ProblemCode::LoadCommand,
                Place::Offset(slice.offset.saturating_add(20)),
                "the load commands pass the end of the slice",
            ));
        } else if end > head.len() {
            let range = slice.offset..slice.offset.saturating_add(end);
            self.want(Part::LoadCommands, i, range);
        } else {
            self.read_load_commands(i, head);
        }
    }

    fn read_load_commands(&mut self, i: usize, head: Bytes<'_>) {
        let most = self.limits.load_commands;
        let (Some(slice), Some(header)) = (self.facts.slices.get_mut(i), Header::parse(head))
        else {
            return;
        };
        let commands = Commands::parse(head, header, slice.size, most);
        let offset = slice.offset;
        slice.problems.extend(commands.problems);
        slice.dylibs = commands.dylibs;
        slice.rpaths = commands.rpaths;
        slice.is_list_cut = commands.is_list_cut;
        slice.is_cut = commands.is_cut;
        // The section is held against the signature as it comes, and not kept: it may be large.
        let wanted = [
            (Part::Signature, commands.signature),
            (Part::InfoPlist, commands.info_plist),
        ];
        let wanted = wanted
            .into_iter()
            .filter_map(|(part, range)| Some((part, range?)));
        let lazy = commands.lazy.into_iter();
        let lazy = lazy.map(|range| (Part::Lazy(header.order()), range));
        for (part, range) in wanted.chain(lazy) {
            if let Some(range) = bytes::moved(&range, offset) {
                if part == Part::Signature
                    && let Some(slice) = self.facts.slices.get_mut(i)
                {
                    slice.claim = SignatureState::Signed;
                }
                self.want(part, i, range);
            }
        }
    }
}
