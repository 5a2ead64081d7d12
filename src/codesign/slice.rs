//! The signature of one slice: its parts, judged against each other.

use std::borrow::Cow;
use std::sync::Arc;

use super::bytes::{self, Bytes};
use super::hash::HashType;
use super::signature::code_directory::CodeDirectory;
use super::signature::entitlements;
use super::signature::pages::Pages;
use super::signature::superblob::{self, SuperBlob};
use super::signer;
use super::signer::Roots;
use super::verdict::{
    CodeFlags, Note, Place, Problem, ProblemCode, SignatureState, SliceFacts, slot,
};

/// Sizes of pages that a kernel maps by, of 4 and 16 KB and what is between, and 0 for all of the code.
///
/// Source: `cs_validate_codedirectory`, bsd/kern/ubc_subr.c of xnu, which refuses all but the two, and 0 as well; `codesign`
/// makes one page of that and finds it valid.
const PAGE_SIZES: [u64; 4] = [0, 4 << 10, 8 << 10, 16 << 10];

/// Bytes of the parts that code directories bind, each of which every code directory has a hash of.
const MOST_BOUND: u64 = 4 << 20;

/// Judges the signature that stands at the end of a slice, and says in `slice` what it is worth,
/// but for the pages: these are to be hashed as the file streams by.
///
/// `signature` is what LC_CODE_SIGNATURE points to, and `at` where that begins in the file. Without roots it is not
/// known who signed.
pub(crate) fn judge(
    slice: &mut SliceFacts,
    signature: &Arc<Vec<u8>>,
    at: u64,
    roots: Option<&Roots>,
) -> Vec<Pages> {
    slice.claim = SignatureState::Signed;
    let superblob = match SuperBlob::parse(Bytes::new(signature, at)) {
        Ok(superblob) => superblob,
        Err(problem) => {
            slice.problems.push(problem);
            return Vec::new();
        }
    };
    if superblob.slack {
        note(
            slice,
            at.saturating_add(superblob.len),
            "bytes that no page hash covers stand behind the signature's parts",
        );
    }
    let directories = read_directories(slice, &superblob);
    judge_agreement(slice, &directories);
    judge_code_limit(slice, at);
    judge_page_size(slice);
    judge_special_slots(slice, &superblob);
    keep_embedded(slice, &superblob);
    if roots.is_some() || !slice.has_dear_entitlements() {
        judge_entitlements(slice, &superblob);
    } else {
        slice.problems.push(Problem::unreadable(
            ProblemCode::Limit,
            Place::Offset(at),
            "the entitlements were not compared: the time of the scan for that is spent",
        ));
    }
    let adhoc = |d: &CodeDirectory| d.facts.flags.contains(CodeFlags::ADHOC);
    let cms = superblob.blob(superblob::CMS);
    if directories.first().is_some_and(adhoc) {
        slice.claim = SignatureState::Adhoc;
    }
    signer::judge(slice, &directories, cms, roots);
    if slice.flags().contains(CodeFlags::LINKER_SIGNED) {
        note(slice, at, "the linker made the signature");
    }
    directories
        .iter()
        .filter_map(|d| plan_pages(slice, d, signature, at))
        .collect()
}

fn read_directories<'a>(
    slice: &mut SliceFacts,
    superblob: &SuperBlob<'a>,
) -> Vec<CodeDirectory<'a>> {
    let blobs = superblob.directories().unwrap_or_else(|problem| {
        slice.problems.push(problem);
        Vec::new()
    });
    let mut directories: Vec<CodeDirectory<'_>> = Vec::new();
    for blob in blobs {
        match CodeDirectory::parse(blob) {
            Ok(directory) => directories.push(directory),
            Err(problem) => slice.problems.push(problem),
        }
    }
    slice.directories = directories.iter().map(|d| d.facts.clone()).collect();
    let best = directories
        .iter()
        .enumerate()
        .max_by_key(|(_, d)| d.facts.hash_type);
    slice.best = best.map(|(i, _)| i);
    if directories
        .iter()
        .all(|d| d.facts.hash_type == HashType::Sha1)
        && !directories.is_empty()
    {
        note(slice, slice.offset, "SHA-1 is the only hash of the code");
    }
    directories
}

/// All code directories of a slice speak of the same code, each with a hash of its own.
fn judge_agreement(slice: &mut SliceFacts, directories: &[CodeDirectory<'_>]) {
    let Some((primary, others)) = directories.split_first() else {
        return;
    };
    for (i, directory) in others.iter().enumerate() {
        let (a, b) = (&primary.facts, &directory.facts);
        let mut say = |what: &str| {
            slice.problems.push(Problem::broken(
                ProblemCode::CodeDirectory,
                Place::Offset(b.offset),
                format!("{what} is not that of the first code directory"),
            ));
        };
        if a.identifier != b.identifier {
            say("the identifier");
        }
        if a.team_identifier != b.team_identifier {
            say("the team identifier");
        }
        if a.flags != b.flags {
            say("a flag");
        }
        if a.code_limit != b.code_limit {
            say("the code limit");
        }
        if primary.agreed != directory.agreed {
            say("the platform or the executable segment");
        }
        let earlier = directories.iter().take(i.saturating_add(1));
        if earlier
            .into_iter()
            .any(|d| d.facts.hash_type == b.hash_type)
        {
            slice.problems.push(Problem::malformed(
                ProblemCode::CodeDirectory,
                Place::Offset(b.offset),
                "two code directories with the same hash type",
            ));
        }
    }
}

/// Code that no page hash covers could be anything.
fn judge_code_limit(slice: &mut SliceFacts, at: u64) {
    for directory in &slice.directories {
        let limit = slice.offset.saturating_add(directory.code_limit);
        if limit != at {
            slice.problems.push(Problem::broken(
                ProblemCode::CodeLimit,
                Place::Offset(directory.offset),
                format!("the code limit is {limit:#x}, the signature begins at {at:#x}"),
            ));
        }
    }
}

/// Pages of another size are not hashed: of two bytes each, they would cost many times what the code does.
fn judge_page_size(slice: &mut SliceFacts) {
    for directory in &slice.directories {
        let size = directory.page_size;
        if !PAGE_SIZES.contains(&size) {
            slice.problems.push(Problem::broken(
                ProblemCode::CodeDirectory,
                Place::Offset(directory.offset),
                format!("pages of {size} bytes, which no kernel maps by"),
            ));
        }
    }
}

/// A part without a hash, a hash without a part, or a part of another hash does not hold, in any
/// of the code directories. What stands in the bundle is judged elsewhere.
fn judge_special_slots(slice: &mut SliceFacts, superblob: &SuperBlob<'_>) {
    let bound = superblob.special().map(|blob| blob.bytes.len());
    if bound.fold(0, u64::saturating_add) > MOST_BOUND {
        slice.problems.push(Problem::unreadable(
            ProblemCode::Limit,
            Place::Offset(slice.offset),
            "the parts that are bound are larger than any that are hashed",
        ));
        return;
    }
    let mut problems = Vec::new();
    for directory in &slice.directories {
        let mut say = |number, at, what: &str| {
            let (code, name) = special_slot(number);
            problems.push(Problem::broken(
                code,
                Place::Offset(at),
                format!("{name} {what}"),
            ));
        };
        for blob in superblob.special() {
            let at = blob.bytes.place(0);
            match directory.special_slot(blob.slot) {
                None => say(blob.slot, at, "stand in the signature and are not signed"),
                Some(digest) if !directory.hash_type.matches(blob.bytes.all(), digest) => {
                    say(blob.slot, at, "are not those that were signed");
                }
                Some(_) => {}
            }
        }
        for bound in &directory.special_slots {
            let outside = [slot::INFO_PLIST, slot::RESOURCE_DIRECTORY].contains(&bound.slot);
            if !outside && superblob.blob(bound.slot).is_none() {
                say(bound.slot, directory.offset, "were signed and are missing");
            }
        }
    }
    slice.problems.extend(problems);
}

fn special_slot(number: u32) -> (ProblemCode, Cow<'static, str>) {
    let (code, name) = match number {
        slot::REQUIREMENTS => (ProblemCode::Requirements, "the requirements"),
        slot::ENTITLEMENTS => (ProblemCode::Entitlements, "the entitlements"),
        slot::ENTITLEMENTS_DER => (ProblemCode::Entitlements, "the entitlements in DER"),
        other => {
            let name = format!("the contents of special slot -{other}");
            return (ProblemCode::EmbeddedComponent, name.into());
        }
    };
    (code, name.into())
}

fn judge_entitlements(slice: &mut SliceFacts, superblob: &SuperBlob<'_>) {
    let part = |number| superblob.blob(number).map(|blob| (blob, blob.payload()));
    let xml = part(slot::ENTITLEMENTS);
    let der = part(slot::ENTITLEMENTS_DER);
    let (blob, why) = match (xml, der) {
        (Some((_, Err(problem))), _) | (_, Some((_, Err(problem)))) => {
            slice.problems.push(problem);
            return;
        }
        (Some((_, Ok(xml))), Some((blob, Ok(der)))) if !entitlements::agree(xml, der) => (
            blob,
            "the entitlements in XML and in DER do not say the same",
        ),
        (Some((blob, Ok(xml))), None)
            if !xml.is_empty() && entitlements::parse_xml(xml).is_none() =>
        {
            (
                blob,
                "the entitlements are no dictionary, or could be read in several ways",
            )
        }
        _ => return,
    };
    let place = Place::Offset(blob.bytes.place(0));
    let problem = Problem::broken(ProblemCode::Entitlements, place, why);
    slice.problems.push(problem);
}

fn keep_embedded(slice: &mut SliceFacts, superblob: &SuperBlob<'_>) {
    let length = |number| superblob.blob(number).map(|b| b.bytes.len());
    slice.embedded.requirements = length(slot::REQUIREMENTS);
    slice.embedded.entitlements_der = length(slot::ENTITLEMENTS_DER);
    let entitlements = superblob.blob(slot::ENTITLEMENTS);
    slice.embedded.entitlements = entitlements.and_then(|blob| Some(blob.payload().ok()?.to_vec()));
}

fn plan_pages(
    slice: &SliceFacts,
    directory: &CodeDirectory,
    signature: &Arc<Vec<u8>>,
    at: u64,
) -> Option<Pages> {
    let facts = &directory.facts;
    if !PAGE_SIZES.contains(&facts.page_size) {
        return None;
    }
    let code = slice.offset..slice.offset.checked_add(facts.code_limit)?.min(at);
    let expected = bytes::moved(&directory.page_hashes, facts.offset.checked_sub(at)?)?;
    Some(Pages::new(
        facts.hash_type,
        facts.page_size,
        code,
        Arc::clone(signature),
        expected,
    ))
}

fn note(slice: &mut SliceFacts, at: u64, text: &'static str) {
    slice.notes.push(Note {
        place: Place::Offset(at),
        text: text.into(),
    });
}
