//! The main executable of a bundle, as CoreFoundation resolves it: it need not stand in the bundle.
//!
//! `CFBundleExecutable` is resolved as a relative URL with a test of existence alone
//! (`_CFBundleCopyExecutableURLInDirectory2` of CFBundle_Executable.c, as read there): `../../x`
//! or an absolute path leads anywhere. Of a relative one the text decides where ([`url_path`]).

use super::content::{NotRead, Reader, Wants};
use super::entry::{Content, Entry};
use super::facts::{Evidence, Executable};
use super::trouble::Trouble;
use crate::directory::ReadError;
use crate::limits::Budget;
use crate::meta::Kind;
use crate::root::{Found, Root, leads_up, url_path, without_dots};
use crate::text::escape;

/// Finds the main executable.
pub fn find(root: &Root, evidence: &mut Evidence, budget: &Budget) {
    let info = evidence
        .info_plist
        .as_ref()
        .and_then(|p| p.info.as_ref().ok());
    if info.is_some_and(|i| i.has_long_executable) {
        let path = escape(&evidence.candidate.path);
        return evidence.doubt(Trouble::Limit(format!(
            "the CFBundleExecutable of {path} is a longer path than there is room for"
        )));
    }
    let declared = info.and_then(|i| i.executable.as_deref());
    let name = declared.map_or_else(
        || base_name(&evidence.candidate.path),
        |name| name.as_bytes().to_vec(),
    );
    // A path of the system's ends at a NUL.
    let name = name.split(|b| *b == 0).next().unwrap_or_default().to_vec();
    let (found, is_behind_link) = match resolve(root, evidence, &name, budget) {
        Ok(Some(found)) => found,
        Ok(None) => return,
        Err(error) => return evidence.doubt(Trouble::of_entry(&error)),
    };
    let real = found.path();
    let relative = real
        .strip_prefix(evidence.resolved_path.as_slice())
        .and_then(|rest| rest.strip_prefix(b"/"))
        .map(<[u8]>::to_vec);
    let path = match &relative {
        Some(relative) => [&evidence.candidate.path, b"/".as_slice(), relative].concat(),
        None => real,
    };
    evidence.executable = Some(Executable {
        path,
        relative,
        meta: found.meta,
        outside: Content::Unread,
        has_fork: false,
        is_behind_link,
    });
}

/// Finds it as CoreFoundation does: a relative name by the text alone, an absolute path as the kernel does. Says whether a
/// link leads there from another directory.
fn resolve(
    root: &Root,
    evidence: &mut Evidence,
    name: &[u8],
    budget: &Budget,
) -> Result<Option<(Found, bool)>, ReadError> {
    let named;
    let root = match evidence.candidate.is_of_the_system() {
        true => root,
        false => {
            named = root.for_what_is_named();
            &named
        }
    };
    if name.starts_with(b"/") {
        return first(root, evidence, &[without_end(name).to_vec()], name, budget);
    }
    let places = evidence.layout.executable_directories().iter();
    let places: Vec<Vec<u8>> = places
        .map(|place| [&evidence.candidate.path, b"/".as_slice(), place].concat())
        .collect();
    // What is left of `..` and of empty components means nothing any more.
    let by_text = |place: &Vec<u8>| without_dots(&url_path(place, name));
    let paths: Vec<Vec<u8>> = places.iter().map(by_text).collect();
    let mut found = first(root, evidence, &paths, name, budget)?;
    if found.is_none() {
        // A link on the way that was away for a moment is no proof that nothing runs.
        found = first(root, evidence, &paths, name, budget)?;
    }
    if leads_up(name)
        && let Err(error) = hold_against_other_readings(
            root,
            evidence,
            (name, &places),
            found.as_ref().map(|(found, _)| found),
            budget,
        )
    {
        evidence.doubt(Trouble::of_entry(&error));
    }
    Ok(found)
}

/// A path without the slashes and dots that it ends in, which a URL's path loses where the disk is asked for it
/// (`CFURLGetFileSystemRepresentation` of CFURL.c).
fn without_end(mut path: &[u8]) -> &[u8] {
    while let Some(rest) = path.strip_suffix(b"/").or(path.strip_suffix(b"/.")) {
        path = rest;
    }
    path
}

/// What stands at the first of these paths at which anything does.
fn first(
    root: &Root,
    evidence: &mut Evidence,
    paths: &[Vec<u8>],
    name: &[u8],
    budget: &Budget,
) -> Result<Option<(Found, bool)>, ReadError> {
    for path in paths {
        match evidence.find_on_way(root, path, budget) {
            Ok(found) => {
                let itself = found.meta.kind == Kind::Directory && name.is_empty();
                let homes = evidence.homes();
                evidence.comes_back |=
                    homes.have(&found.path()) && (evidence.ways.has_strayed() || !homes.stay(path));
                let is_behind_link = root.links_elsewhere(path, &found);
                return Ok(Some((found, is_behind_link)).filter(|_| !itself));
            }
            Err(error) if error.leads_nowhere() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Tells of a name that leads up where the kernel's reading of it, or that of RFC 3986, ends at another file than
/// CoreFoundation's, or where that ends at nothing: no Mac was seen to read one, and whoever writes such a name chooses
/// what stands where the others lead.
fn hold_against_other_readings(
    root: &Root,
    evidence: &mut Evidence,
    (name, places): (&[u8], &[Vec<u8>]),
    found: Option<&Found>,
    budget: &Budget,
) -> Result<(), ReadError> {
    let by_kernel = |place: &Vec<u8>| [place, b"/".as_slice(), name].concat();
    let by_kernel: Vec<Vec<u8>> = places.iter().map(by_kernel).collect();
    let by_rfc: Vec<Vec<u8>> = by_kernel.iter().map(|path| without_dots(path)).collect();
    let mut is_certain = found.is_some() && !evidence.candidate.has_empty_names;
    for paths in [by_kernel, by_rfc] {
        let other = first(root, evidence, &paths, name, budget)?;
        is_certain &= other.map(|(f, _)| f.path()) == found.map(Found::path);
    }
    if !is_certain {
        let (path, name) = (escape(&evidence.candidate.path), escape(name));
        evidence.doubt(Trouble::Ambiguous(format!(
            "the CFBundleExecutable of {path}, {name}, leads up by `..`, and the disk may find another file by it than CoreFoundation"
        )));
    }
    Ok(())
}

/// The last component of a path without its extension.
fn base_name(path: &[u8]) -> Vec<u8> {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    match name.iter().rposition(|b| *b == b'.') {
        Some(dot) => name.get(..dot).unwrap_or_default().to_vec(),
        None => name.to_vec(),
    }
}

/// Reads a main executable that stands outside of the bundle.
pub fn read(
    root: &Root,
    evidence: &mut Evidence,
    before: Option<&Evidence>,
    reader: &mut Reader<'_>,
    budget: &mut Budget,
) {
    let Some(executable) = evidence.executable.as_mut().filter(|e| e.is_outside()) else {
        return;
    };
    // It may be known from an earlier scan.
    if executable.meta.kind != Kind::File || executable.outside != Content::Unread {
        return;
    }
    let shown = escape(&executable.path);
    let size = executable.meta.size;
    let read = if budget.is_late() {
        Err(NotRead::Cut(Trouble::Limit(format!(
            "{shown} was not read: the time of the scan is spent"
        ))))
    } else if size > budget.limits.candidate_bytes || !budget.take_bytes(size) {
        Err(NotRead::Cut(Trouble::Limit(format!(
            "{shown} has {size} bytes and was not read; dsplug --thorough reads all"
        ))))
    } else {
        let entry = Entry {
            path: executable.path.clone().into_boxed_slice(),
            meta: executable.meta,
            link: None,
            content: Content::Unread,
            attributes: None,
        };
        let old = before.and_then(|b| b.executable.as_ref());
        let wants = Wants {
            known: old.map(|old| &old.outside),
            ..Wants::default()
        };
        root.find_entry(&executable.path)
            .and_then(|found| found.open_file())
            .map_err(NotRead::from)
            .and_then(|file| reader.read(&file, &entry, wants, budget))
    };
    match read {
        Ok(passed) => {
            executable.outside = passed.content;
            executable.has_fork = passed.attributes.is_some_and(|a| a.resource_fork);
        }
        Err(NotRead::Cut(trouble)) => evidence.troubles.push(trouble),
        Err(NotRead::Failed(trouble)) => {
            executable.outside = Content::Failed(trouble.clone().shared(budget));
            evidence.troubles.push(trouble);
        }
    }
}
