//! What the pack's lines say of a bundle, and what each is evidence of.

use std::collections::BTreeMap;

use super::document::Line;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::order;
use crate::pack::NAME_COLUMN;
use crate::pack::conf::Scheduled;
use crate::scan::Snapshot;

/// What each word of the query `oddities` is evidence of.
const EVASIONS: &[(&str, &str)] = &[
    (
        "place",
        "It stands where only the loader's search for resources looks, or nothing does.",
    ),
    (
        "symlink",
        "It is a symlink: what it leads to can be swapped and the folder not be touched.",
    ),
    (
        "symlinked_ancestor",
        "A directory on its way is a symlink: its content really stands elsewhere.",
    ),
    (
        "not_a_bundle",
        "It is no bundle: it does not load, and may be staged or a probe.",
    ),
    (
        "name",
        "Its name only looks as if it ended in .dsplug: it does not load as named.",
    ),
    (
        "executable_outside",
        "Its code stands outside of it, where neither its digest nor its seal reaches.",
    ),
    (
        "link_outside",
        "A link in it leads out of it, where neither its digest nor its seal reaches: linked_hash tells of changes.",
    ),
    (
        "loads_outside",
        "Code in it names a library outside of it, which runs with it and which neither its digest nor its seal reaches: linked_hash tells of changes.",
    ),
    (
        "info_plist",
        "Its Info.plist is not the one that people look at.",
    ),
    (
        "identifier",
        "It claims an identifier that its signature does not bear out.",
    ),
    (
        "untrusted_signer",
        "It is signed with a certificate that Apple gives to any account, under any name.",
    ),
    (
        "name_shadowed",
        "Another plug-in bears its name: only one of the two loads.",
    ),
    (
        "unsealed_files",
        "It holds files that its signature does not cover.",
    ),
    ("writable_by", "Others than root can write it."),
    (
        "backdated",
        "Its times of modification are older than its status: they were kept or set. A hint, no verdict.",
    ),
    ("incomplete", "It could not be read whole."),
];

/// What a line of other queries is evidence of.
const SIGNS: &[(&str, &str, &str)] = &[
    (
        "signature_broken",
        "signature_problems",
        "Its signature does not hold: it was altered, or is made to look signed.",
    ),
    (
        "unsealed_code",
        "path",
        "Code in it stands outside of its seal: signed code may be made to load it.",
    ),
];

/// A line of the pack that names the bundle: the query, and the columns that say something.
#[derive(Clone)]
pub struct Told {
    query: String,
    columns: Vec<(String, String)>,
}

impl Told {
    fn value(&self, column: &str) -> Option<&str> {
        let found = self.columns.iter().find(|(name, _)| name == column);
        found.map(|(_, value)| value.as_str())
    }

    /// What the line is evidence of, when it is of hiding: its word, the detail and a sentence.
    pub fn evasion(&self) -> Option<String> {
        let say = |word: &str, column: &str, meaning: &str| {
            let detail = self.value(column).unwrap_or_default();
            Some(format!("{word} ({detail}): {meaning}"))
        };
        if let Some(word) = self.value("oddity") {
            let (_, meaning) = EVASIONS.iter().find(|(w, _)| *w == word)?;
            return say(word, "detail", meaning);
        }
        let (query, column, meaning) = SIGNS.iter().find(|(q, ..)| *q == self.query)?;
        say(query, column, meaning)
    }

    /// The line itself.
    pub fn line(&self) -> Line {
        Line {
            query: self.query.clone(),
            columns: self.columns.clone(),
        }
    }
}

/// The pack's lines that name each of the bundles at these paths, in their order, as on a first run. The pack is asked
/// once for all of them.
///
/// # Errors
/// When a query of the pack cannot be run.
pub fn told(
    engine: &mut Engine,
    pack: &[Scheduled],
    snapshot: &Snapshot,
    paths: &[String],
) -> Result<Vec<Vec<Told>>, Failure> {
    let numbers = paths.iter().enumerate().map(|(i, path)| (path.as_str(), i));
    let numbers: BTreeMap<&str, usize> = order::gather(numbers);
    let mut told = vec![Vec::new(); paths.len()];
    for query in pack.iter().filter(|q| !q.snapshot) {
        if engine.names_foreign_table(&query.sql).is_some() {
            continue;
        }
        let answer = engine.query(&query.sql, snapshot)?;
        let Some(at) = answer.columns.iter().position(|c| c == "path") else {
            continue;
        };
        for row in answer.rows {
            let Some(named) = row.get(at) else {
                continue;
            };
            for (path, number) in with_those_above(named).filter_map(|p| numbers.get_key_value(p)) {
                let pairs = answer.columns.iter().zip(&row);
                let says = |(name, value): &(&String, &String)| {
                    !value.is_empty() && *name != NAME_COLUMN && (*name != "path" || value != path)
                };
                let columns = pairs.filter(says);
                let line = Told {
                    query: query.name.trim_start_matches("pack_dsplug_").to_owned(),
                    columns: columns.map(|(n, v)| (n.clone(), v.clone())).collect(),
                };
                if let Some(told) = told.get_mut(*number) {
                    told.push(line);
                }
            }
        }
    }
    Ok(told)
}

/// A path and those of the directories above it: a line on a file in a bundle is one on the bundle.
fn with_those_above(path: &str) -> impl Iterator<Item = &str> {
    let above = path
        .rmatch_indices('/')
        .filter_map(|(at, _)| path.get(..at));
    std::iter::once(path).chain(above)
}

#[cfg(test)]
mod tests {
    use super::EVASIONS;

    /// Every word of the query `oddities` has its sentence, and each sentence its word.
    #[test]
    fn every_oddity_is_explained() {
        let pack = include_str!("../../packs/dsplug.conf");
        let pack: serde_json::Value = serde_json::from_str(pack).unwrap();
        let sql = pack["queries"]["oddities"]["query"].as_str().unwrap();
        let words = sql.split("SELECT path, '").skip(1);
        let words: Vec<&str> = words.map(|rest| rest.split('\'').next().unwrap()).collect();
        let explained: Vec<&str> = EVASIONS.iter().map(|(word, _)| *word).collect();
        assert_eq!(words, explained);
    }
}
