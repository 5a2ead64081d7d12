//! The Info.plist of a bundle, as CoreFoundation chooses and reads it.
//!
//! Where it stands follows from the bundle's layout; `Info-macos.plist` wins over `Info.plist` where it
//! can be read at all.

use std::sync::Arc;

use super::content::read_small;
use super::facts::Evidence;
use super::info::{Info, InfoPlist};
use super::paths::join;
use super::recall::recall_plist;
use super::trouble::Trouble;
use crate::directory::ReadError;
use crate::info_dictionary::{FOLDED, InfoNames};
use crate::layout::{MOST_NAMES, Marks, marks_in};
use crate::limits::Budget;
use crate::meta::{Kind, Meta};
use crate::property_list::{self, Bounds};
use crate::root::{Found, Root};
use crate::text::escape;

/// Where an Info.plist is, and what stands there.
type Located = (Vec<u8>, InfoNames, Option<&'static str>);

/// Why it is not known which list is read.
const LETTER_CASE: &str =
    "a disk that tells letter case apart has Info.plist read, and another the list for macOS";

/// Finds and reads the Info.plist.
pub fn find(root: &Root, evidence: &mut Evidence, before: Option<&Evidence>, budget: &Budget) {
    if budget.is_late() {
        let path = escape(&evidence.candidate.path);
        return evidence.doubt(Trouble::Limit(format!(
            "the Info.plist of {path} was not looked for: the time of the scan is spent"
        )));
    }
    let located = locate(root, evidence).and_then(|(directory, mut names, doubt)| {
        if cfg!(target_os = "macos") {
            let path = join(&evidence.candidate.path, &directory);
            names.as_found(|name| match evidence.find(root, &join(&path, name)) {
                Ok(_) => Ok(true),
                Err(error) if error.leads_nowhere() => Ok(false),
                Err(error) => Err(error),
            })?;
        }
        Ok((directory, names, doubt))
    });
    let (directory, names, layout_doubt) = match located {
        Ok(located) => located,
        Err(error) => return evidence.doubt(Trouble::of_entry(&error)),
    };
    let path = escape(&join(&evidence.candidate.path, &directory));
    let hangs_on_case = !cfg!(target_os = "macos") && names.hang_on_letter_case();
    let doubts = [
        layout_doubt.map(|why| format!("{} {why}", escape(&evidence.candidate.path))),
        names.are_contested().then(|| format!("{path} {FOLDED}")),
        hangs_on_case.then(|| format!("in {path} {LETTER_CASE}")),
    ];
    let mut is_contested = false;
    for why in doubts.into_iter().flatten() {
        is_contested = true;
        evidence.doubt(Trouble::Ambiguous(why));
    }
    let hides_another = names.are_two();
    let mut refused = None;
    let mut is_certain = !is_contested;
    for name in names.in_order() {
        let relative = join(&directory, name);
        let path = [&evidence.candidate.path, b"/".as_slice(), &relative].concat();
        let found = evidence.find(root, &path);
        let meta = found.as_ref().ok().map(|f| f.meta);
        if let Some(known) = meta
            .filter(|_| is_certain)
            .and_then(|meta| recall_plist(before, &path, &meta))
        {
            return keep(evidence, known, budget);
        }
        is_certain &= meta.is_none_or(|m| m.kind.special().is_none());
        let (info, is_read) = match read(found, &path, budget) {
            Ok(info) => (Ok(info), true),
            Err(trouble) => {
                let passed_over = passed_over(evidence, &relative, meta, trouble);
                (Err(passed_over.trouble), !passed_over.is_nothing)
            }
        };
        let plist = Arc::new(InfoPlist {
            path,
            relative,
            hides_another,
            is_certain,
            meta,
            info,
        });
        if is_read {
            return keep(evidence, plist, budget);
        }
        refused.get_or_insert(plist);
    }
    evidence.info_plist = refused;
}

/// Keeps an Info.plist, without that for which those of all bundles leave no room, and tells of the texts
/// that were cut: what an earlier scan had room for the next may not have.
fn keep(evidence: &mut Evidence, mut plist: Arc<InfoPlist>, budget: &Budget) {
    if let Ok(info) = &plist.info {
        let without = info.lacks_room(budget);
        if !without.is_empty()
            && let Ok(info) = &mut Arc::make_mut(&mut plist).info
        {
            info.shorten(&without);
        }
    }
    if let Ok(info) = &plist.info
        && !info.cut.is_empty()
    {
        let path = escape(&plist.path);
        let keys = info.cut.join(", ");
        evidence.trouble(Trouble::Limit(format!(
            "of {keys} in {path} the beginning alone is shown: the room for long texts is spent"
        )));
    }
    evidence.info_plist = Some(plist);
}

/// What becomes of an Info.plist that gave no dictionary.
struct PassedOver {
    trouble: Trouble,
    /// True when CoreFoundation goes on as if it were not there.
    is_nothing: bool,
}

/// Tells the trouble with an Info.plist in the row.
fn passed_over(
    evidence: &mut Evidence,
    relative: &[u8],
    meta: Option<Meta>,
    trouble: Trouble,
) -> PassedOver {
    let kind = meta.map(|m| m.kind);
    let path = escape(&[&evidence.candidate.path, b"/".as_slice(), relative].concat());
    let (trouble, is_nothing) = match (trouble, kind) {
        (Trouble::Changed(_), Some(Kind::Directory)) => {
            (Trouble::NotRegular(format!("{path} is a directory")), true)
        }
        // Who reads a FIFO waits, for as long as whoever made it wishes, and then passes it over.
        (Trouble::Changed(_), Some(Kind::Other(special))) => {
            let trouble = Trouble::NotRegular(format!("{path} is a {special}"));
            (trouble, true)
        }
        (Trouble::Changed(_), None) if is_link(evidence, relative) => (
            Trouble::BrokenSymlink(format!("{path} leads nowhere")),
            true,
        ),
        // It may name another executable than the one that is found without it.
        (
            trouble @ (Trouble::Unreadable(_)
            | Trouble::Changed(_)
            | Trouble::Limit(_)
            | Trouble::Ambiguous(_)),
            _,
        ) => {
            evidence.doubt(trouble.clone());
            return PassedOver {
                trouble,
                is_nothing: false,
            };
        }
        (trouble, _) => (trouble, false),
    };
    evidence.trouble(trouble.clone());
    PassedOver {
        trouble,
        is_nothing,
    }
}

/// True when the entry at a path, or a directory on the way to it, is a link.
fn is_link(evidence: &Evidence, relative: &[u8]) -> bool {
    let mut entries = evidence.entries.iter();
    let is_on_the_way = |path: &[u8]| {
        let rest = relative.strip_prefix(path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    entries.any(|e| e.meta.kind == Kind::Symlink && is_on_the_way(&e.path))
}

/// The directory in the bundle that has the Info.plist by the bundle's layout, the names there, and why that may be
/// another.
fn locate(root: &Root, evidence: &mut Evidence) -> Result<Located, ReadError> {
    let mut names = InfoNames::default();
    let mut marks = Marks::default();
    if evidence.is_whole {
        let top = evidence.entries.iter().filter(|e| !e.path.contains(&b'/'));
        top.for_each(|e| marks.note(&e.path, e.meta.kind));
    } else if let Some(dir) = evidence.dir() {
        marks = marks_in(dir)?;
    }
    let candidate = &evidence.candidate.path;
    evidence.layout = marks.layout(root, candidate, &evidence.resolved_path)?;
    let doubt = marks.doubt(evidence.layout);
    let mut directory = Vec::new();
    for wanted in evidence.layout.info_directory() {
        match spelled(root, evidence, &directory, wanted)? {
            Some(found) => directory = found,
            None => return Ok((directory, names, doubt)),
        }
    }
    let is_plain = directory.is_empty() || {
        let entry = evidence.entry(&directory);
        entry.is_some_and(|e| e.meta.kind == Kind::Directory)
    };
    if evidence.is_whole && is_plain {
        inside(evidence, &directory).for_each(|name| names.note(name));
        return Ok((directory, names, doubt));
    }
    let path = join(&evidence.candidate.path, &directory);
    let dir = match evidence.find(root, &path).and_then(|f| f.open_dir()) {
        Ok(dir) => dir,
        Err(error) if error.leads_nowhere() => return Ok((directory, names, doubt)),
        Err(error) => return Err(error),
    };
    dir.each_of(MOST_NAMES, |name, _| names.note(name))?;
    Ok((directory, names, doubt))
}

/// The path in the bundle of what a Mac finds as `wanted` in a directory of it.
pub(super) fn spelled(
    root: &Root,
    evidence: &Evidence,
    directory: &[u8],
    wanted: &[u8],
) -> Result<Option<Vec<u8>>, ReadError> {
    let exact = join(directory, wanted);
    if evidence.entry(&exact).is_some() {
        return Ok(Some(exact));
    }
    let path = join(&evidence.candidate.path, directory);
    let found = evidence
        .find(root, &path)
        .and_then(|found| found.open_dir());
    match found.and_then(|dir| dir.spelled(wanted)) {
        Ok(name) => Ok(name.map(|name| join(directory, &name))),
        Err(error) if error.leads_nowhere() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names in a directory of the bundle that is no link.
fn inside<'e>(evidence: &'e Evidence, directory: &[u8]) -> impl Iterator<Item = &'e [u8]> {
    let prefix = match directory {
        b"" => Vec::new(),
        _ => [directory, b"/"].concat(),
    };
    let entries = &evidence.entries;
    let from = entries.partition_point(|e| e.path.as_ref() < prefix.as_slice());
    let below = entries.iter().skip(from);
    let below = below.map_while(move |e| e.path.strip_prefix(prefix.as_slice()));
    below.filter(|name| !name.contains(&b'/'))
}

fn read(found: Result<Found, ReadError>, path: &[u8], budget: &Budget) -> Result<Info, Trouble> {
    let file = found
        .and_then(|found| found.open_file())
        .map_err(|e| Trouble::of_entry(&e))?;
    let bytes = read_small(&file, budget.limits.plist_bytes, path)?;
    let bounds = match budget.has_half() {
        true => &Bounds::STANDARD,
        false => &Bounds::BESIDE_MUCH,
    };
    let value = property_list::parse(&bytes, bounds).map_err(|e| Trouble::of_list(path, &e))?;
    match value.into_dictionary() {
        Some(keys) => Ok(Info::from_dictionary(&keys)),
        None => Err(Trouble::Malformed(format!(
            "{}: not a dictionary",
            crate::text::escape(path)
        ))),
    }
}
