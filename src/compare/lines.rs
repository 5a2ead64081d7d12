//! What is told of two sides: a line for each difference, and how many there are of each kind.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::change::Change;
use super::side::{Side, Thing};
use crate::meta::{Kind, Owner, Special};
use crate::order;
use crate::text::{escape, hex};

/// What is told.
#[derive(Debug, Default)]
pub struct Told {
    /// A line for each difference, those outside last.
    pub text: String,
    /// How many there are of each kind; empty when none is.
    pub counts: String,
    /// What is not known to be the same, each in a line.
    pub unknown: Vec<String>,
}

impl Told {
    /// That of two sides, with what differs outside of them.
    pub fn of(one: &Side, other: &Side, outside: &[(Change, String)]) -> Self {
        let mut text = String::new();
        let mut changes: Vec<Change> = Vec::new();
        let mut unknown = Vec::new();
        // Writing to a String cannot fail, here and below.
        let mut tell = |change: Change, shown: &str, how: &str| {
            changes.push(change);
            let _ = writeln!(text, "{:<10}{shown}{how}", change.as_str());
        };
        let owners = Owners::of(one, other);
        let paths: BTreeSet<&Vec<u8>> = order::gather(one.things.keys().chain(other.things.keys()));
        for path in paths {
            let shown = shown(path);
            if one.compressed.contains(path) || other.compressed.contains(path) {
                continue;
            }
            let (a, b) = (one.things.get(path), other.things.get(path));
            if let Some(change) = Change::of(path, a, b) {
                tell(change, &shown, &detail(a, b));
            }
            let Some((a, b)) = alike(a, b) else {
                continue;
            };
            if a.kind.special().is_some_and(|s| s == Special::Unknown) || a.kind != b.kind {
                unknown.push(format!(
                    "which socket, FIFO or device {shown} is on both sides: an archive of an earlier version does not say it"
                ));
            }
            let has_mode = a.kind != Kind::Symlink;
            let (a, b) = (a.rights, b.rights);
            if has_mode && a.mode != b.mode {
                let how = format!("  {:04o}, was {:04o}", a.mode, b.mode);
                tell(Change::Mode, &shown, &how);
            }
            if owners.are_told_each() && a.owner != b.owner {
                let how = format!("  {}, was {}", a.owner, b.owner);
                tell(Change::Owner, &shown, &how);
            }
        }
        if owners.are_told_at_once()
            && let Some((_, a, b)) = owners.first
        {
            let how = format!("  {a}, was {b}");
            tell(Change::Owner, ". and all in it", &how);
        }
        for (change, line) in outside {
            tell(*change, line, "");
        }
        let counted = Change::ALL.into_iter().filter_map(|kind| {
            let count = changes.iter().filter(|change| **change == kind).count();
            (count > 0).then(|| format!("{count} {}", kind.as_str()))
        });
        let counts = counted.collect::<Vec<_>>().join(", ");
        text.push_str(&owners.note());
        Self {
            text,
            counts,
            unknown,
        }
    }
}

/// How whom entries belong to differs between two sides.
struct Owners<'a> {
    /// True when that counts: a copy belongs to whoever made it.
    count: bool,
    /// How many entries both sides have.
    common: usize,
    /// How many of them belong to others.
    differing: usize,
    /// The first of these.
    first: Option<(&'a [u8], Owner, Owner)>,
    /// True when all of these belong to one on this side, and to one on the other.
    are_alike: bool,
}

impl<'a> Owners<'a> {
    fn of(one: &'a Side, other: &Side) -> Self {
        let mut owners = Self {
            count: one.has_owners && other.has_owners,
            common: 0,
            differing: 0,
            first: None,
            are_alike: true,
        };
        for (path, thing) in &one.things {
            let Some((a, b)) = alike(Some(thing), other.things.get(path)) else {
                continue;
            };
            owners.common = owners.common.saturating_add(1);
            let (a, b) = (a.rights.owner, b.rights.owner);
            if a != b {
                owners.differing = owners.differing.saturating_add(1);
                let (_, first_a, first_b) = *owners.first.get_or_insert((path, a, b));
                owners.are_alike &= (a, b) == (first_a, first_b);
            }
        }
        owners
    }

    /// True when all is another's: a line for each would say no more.
    fn are_told_at_once(&self) -> bool {
        self.count && self.are_alike && self.differing > 1 && self.differing == self.common
    }

    fn are_told_each(&self) -> bool {
        self.count && !self.are_told_at_once()
    }

    /// A line where they differ and do not count.
    fn note(&self) -> String {
        let first = self.first.filter(|_| !self.count);
        first.map_or_else(String::new, |(path, a, b)| {
            format!(
                "{:<10}owners differ in {} of {}, as {}  {a}, was {b}: a copy belongs to whoever made it, and that does not count\n",
                "note",
                self.differing,
                self.common,
                shown(path)
            )
        })
    }
}

/// What both sides have, of the same kind as far as that is known.
fn alike<'t>(one: Option<&'t Thing>, other: Option<&'t Thing>) -> Option<(&'t Thing, &'t Thing)> {
    let both = one.zip(other);
    both.filter(|(a, b)| a.kind.may_be(b.kind))
}

/// The path of an entry, as it is shown.
fn shown(path: &[u8]) -> String {
    match path {
        b"" => ".".to_owned(),
        path => escape(path),
    }
}

/// How they differ, behind the path.
fn detail(one: Option<&Thing>, other: Option<&Thing>) -> String {
    let mut text = String::new();
    let signature = |t: Option<&Thing>| {
        let code = t.and_then(|t| t.code.as_ref());
        code.map(|c| c.signature.clone())
    };
    if let (Some(a), Some(b)) = (one, other) {
        if !a.kind.may_be(b.kind) {
            let _ = write!(text, "  {}, was {}", a.kind, b.kind);
        } else if a.sha256 != b.sha256 {
            let _ = write!(text, "  {}, was {}", hex(&a.sha256), hex(&b.sha256));
        }
        if a.fork != b.fork {
            let fork = |t: &Thing| {
                t.fork
                    .as_deref()
                    .map_or_else(|| "none".to_owned(), |sum| hex(sum))
            };
            let _ = write!(text, "  resource fork {}, was {}", fork(a), fork(b));
        }
    }
    if one.is_some_and(|t| t.is_large_code) || other.is_some_and(|t| t.is_large_code) {
        text.push_str("  too large to tell its signature from its code");
    }
    match (signature(one), signature(other)) {
        (Some(a), Some(b)) if a == b => {
            let _ = write!(text, "  {a}");
        }
        (Some(a), Some(b)) => {
            let _ = write!(text, "  {a}, was {b}");
        }
        (Some(a), None) | (None, Some(a)) => {
            let _ = write!(text, "  {a}");
        }
        (None, None) => {}
    }
    text
}
