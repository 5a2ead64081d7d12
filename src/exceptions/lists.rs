//! The lists of exceptions that scans have seen, one after the other.
//!
//! Every query has a scan of its own, and the watch looks more rarely: a list that is there while some are
//! asked and away while others are is seen by the scans of the first alone.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::entry::Exception;
use crate::text::hex;

/// Lists that are remembered, the newest. Their numbers tell how many are not.
const MOST: usize = 8;

/// How often the log is told what excepts nothing: whoever can write a list can write another one each moment.
const TELLING: Duration = Duration::from_secs(60);

/// A list as a scan saw it, other than the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Its number, which grows.
    pub number: u64,
    /// When that scan began, in seconds of Unix time.
    pub time: i64,
    /// Where it stands; empty when there is none.
    pub path: String,
    /// What became of it, in a word.
    pub state: &'static str,
    /// SHA-256 over its entries, in order; empty when there is none.
    pub digest: String,
}

/// The lists that the scans of one scanner have seen.
#[derive(Debug, Default)]
pub struct Lists {
    seen: VecDeque<Arc<List>>,
    /// What the log was told last of what excepts nothing, and when.
    told: Vec<String>,
    told_at: Option<Instant>,
}

impl Lists {
    /// Takes in the entries that a scan saw, where they stand and what became of them; gives all lists that are
    /// remembered, this one last.
    pub fn see(
        &mut self,
        entries: &[Exception],
        (path, state): (String, &'static str),
        now: i64,
    ) -> Vec<Arc<List>> {
        let digest = digest(entries);
        let last = self.seen.back();
        if last.is_none_or(|last| last.digest != digest) {
            self.seen.push_back(Arc::new(List {
                number: last.map_or(0, |last| last.number).saturating_add(1),
                time: now,
                path,
                state,
                digest,
            }));
        }
        if self.seen.len() > MOST {
            // First one that stands again behind it: whoever has two lists take turns drives out no third.
            let stands_again = |(at, list): (usize, &Arc<List>)| {
                let mut later = self.seen.iter().skip(at).skip(1);
                later.any(|later| later.digest == list.digest)
            };
            let again = self.seen.iter().enumerate().position(stands_again);
            self.seen.remove(again.unwrap_or_default());
        }
        self.seen.iter().cloned().collect()
    }

    /// Lines on what excepts nothing that the log is to be told: those that are other than the last, and no
    /// sooner than some time after these. What has changed meanwhile is told then, as it is by then.
    pub(super) fn news(&mut self, lines: Vec<String>, now: Instant) -> &[String] {
        let since = |told: Instant| now.saturating_duration_since(told);
        if lines == self.told || self.told_at.is_some_and(|told| since(told) < TELLING) {
            return &[];
        }
        // That nothing is refused any more is no line, and holds up none.
        if !lines.is_empty() {
            self.told_at = Some(now);
        }
        self.told = lines;
        &self.told
    }
}

/// The texts of an entry's fields, in order: a new field does not compile until it is among them.
macro_rules! texts {
    ($entry:ident { $($field:ident: $text:ident),* $(,)? } without $($left_out:ident),*) => {{
        let Exception { $($field,)* $($left_out: _,)* } = $entry;
        [$($text($field)),*]
    }};
}

fn own(text: &str) -> Cow<'_, str> {
    text.into()
}

fn given<T: ToString>(value: &Option<T>) -> Cow<'_, str> {
    let text = value.as_ref().map(T::to_string);
    text.unwrap_or_default().into()
}

/// Words of an error are this version's own.
fn refusal(error: &str) -> Cow<'_, str> {
    if error.is_empty() { "" } else { "refused" }.into()
}

/// SHA-256 over what entries ask for. That one expires is no other list.
fn digest(entries: &[Exception]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let mut sha256 = Sha256::new();
    for entry in entries {
        let texts = texts!(entry {
            id: own,
            path: own,
            bundle_identifier: own,
            team_identifier: own,
            cdhash: own,
            hash: own,
            signer: own,
            executable_hash: own,
            linked_hash: own,
            load_verdict: own,
            kind: own,
            discovered_via: own,
            expires: given,
            reason: own,
            source: own,
            error: refusal,
            keep_copies: given,
        } without active, cdhashes);
        for text in texts {
            sha256.update(text.len().to_string());
            sha256.update(":");
            sha256.update(text.as_bytes());
        }
    }
    let digest: [u8; 32] = sha256.finalize().into();
    hex(&digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, path: &str) -> Exception {
        Exception {
            id: id.into(),
            path: path.to_owned(),
            ..Exception::default()
        }
    }

    #[test]
    fn each_key_and_the_order_make_another_list() {
        let lists = [
            vec![],
            vec![entry("a", "b")],
            vec![entry("ab", "")],
            vec![entry("a", ""), entry("b", "")],
            vec![entry("b", ""), entry("a", "")],
            vec![Exception {
                expires: Some(1),
                ..entry("a", "b")
            }],
            vec![Exception {
                keep_copies: Some(false),
                ..entry("a", "b")
            }],
            vec![Exception {
                error: "x".to_owned(),
                ..entry("a", "b")
            }],
        ];
        let digests: Vec<String> = lists.iter().map(|list| digest(list)).collect();
        for (index, one) in digests.iter().enumerate() {
            assert!(digests.iter().skip(index + 1).all(|other| other != one));
        }
        let expired = Exception {
            active: true,
            ..entry("a", "b")
        };
        assert_eq!(digest(&[expired]), digests[1]);
    }

    /// As journals of earlier versions have it. Made by Python's hashlib over `LENGTH:TEXT` of each.
    #[test]
    fn the_digest_of_a_list_stays_what_it_was() {
        let text = str::to_owned;
        let all = Exception {
            id: "i".into(),
            path: text("p"),
            bundle_identifier: text("b"),
            team_identifier: text("t"),
            cdhash: text("c"),
            cdhashes: Vec::new(),
            hash: text("h"),
            signer: text("s"),
            executable_hash: text("e"),
            linked_hash: text("l"),
            load_verdict: text("v"),
            kind: text("k"),
            discovered_via: text("d"),
            expires: Some(5),
            reason: text("r"),
            source: "f",
            active: false,
            error: text("why"),
            keep_copies: Some(true),
        };
        assert_eq!(
            digest(&[all]),
            "4c4f97c09cb6984d3f6733a904e36f192f8c645809d7e47fe3665b9a05cde753"
        );
    }

    #[test]
    fn what_is_refused_is_told_when_it_is_news_and_once_a_minute() {
        let mut lists = Lists::default();
        let start = Instant::now();
        let mut told = |lines: &[&str], after: u64| {
            let lines = lines.iter().map(|line| (*line).to_owned()).collect();
            lists
                .news(lines, start + Duration::from_secs(after))
                .join(" ")
        };
        assert_eq!(told(&["a", "b"], 0), "a b");
        assert_eq!(told(&["a", "b"], 100), "");
        assert_eq!(told(&["a"], 101), "a");
        assert_eq!(told(&["c"], 102), "");
        assert_eq!(told(&["d"], 160), "");
        assert_eq!(told(&["d"], 161), "d");
        // Gone, and back.
        assert_eq!(told(&[], 230), "");
        assert_eq!(told(&["d"], 231), "d");
    }

    #[test]
    fn the_newest_lists_are_remembered_each_once() {
        let mut lists = Lists::default();
        let mut see = |id: &str| {
            let seen = lists.see(&[entry(id, "")], ("/x".to_owned(), "active"), 7);
            seen.iter().map(|list| list.number).collect::<Vec<_>>()
        };
        assert_eq!(see("a"), [1]);
        assert_eq!(see("a"), [1]);
        assert_eq!(see("b"), [1, 2]);
        assert_eq!(see("a"), [1, 2, 3]);
        for n in 4..20 {
            see(&n.to_string());
        }
        assert_eq!(see("a"), [13, 14, 15, 16, 17, 18, 19, 20]);
    }

    /// Whoever has it come and go: the newest appearance of each list stays.
    #[test]
    fn no_coming_and_going_of_known_lists_takes_the_place_of_another() {
        let mut lists = Lists::default();
        let mut see = |id: &str| {
            let entries: Vec<_> = (!id.is_empty())
                .then(|| entry(id, ""))
                .into_iter()
                .collect();
            lists.see(&entries, ("/x".to_owned(), "active"), 7)
        };
        for id in ["old", "admin", "evil"] {
            see(id);
        }
        let mut seen = Vec::new();
        for id in ["", "admin"].repeat(20) {
            seen = see(id);
        }
        let last = seen.len() - 1;
        assert!(seen.len() <= MOST);
        assert_eq!(seen[last].digest, digest(&[entry("admin", "")]));
        assert_eq!(seen[last - 1].digest, "");
        let evil = digest(&[entry("evil", "")]);
        let evil: Vec<_> = seen.iter().filter(|list| list.digest == evil).collect();
        assert_eq!(evil.len(), 1);
        assert_eq!(evil[0].number, 3);
        assert!(seen.is_sorted_by_key(|list| list.number));
    }
}
