//! One exception: what it asks of a bundle, and whether it asks for anything at all.

use std::sync::Arc;

use super::offer::{FIELDS, Offer};
use crate::folders::Via;
use crate::held::{self, Held as _};
use crate::meta::Kind;
use crate::property_list::{Dictionary, Value};
use crate::text::{cut, escape, escape_cut, unhex};

/// Bytes of a text that an entry may have, by its key; `None` for a key that is no text's. Each entry is held
/// for as long as a scan's answer is, and its identifier stands in the row of each bundle that it accepts.
pub(super) fn most_bytes(key: &str) -> Option<usize> {
    Some(match key {
        "id" => 256,
        // Four for each byte of the longest path of a Mac: so long is one where it is shown.
        "path" => 4_096,
        "cdhash" | "reason" => 4_096,
        "bundle_identifier" | "signer" => 1_024,
        "team_identifier" | "hash" | "executable_hash" | "linked_hash" | "load_verdict"
        | "kind" | "discovered_via" => 64,
        _ => return None,
    })
}

/// Bytes of a text that an error shows.
const MOST_SHOWN: usize = 64;
/// Bytes of an error, whatever it tells of.
const MOST_ERROR: usize = 1_024;

/// An entry of a list of exceptions. Empty text stands for what it does not ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exception {
    /// Its name, which `dsplug_bundles` shows for what it accepts.
    pub id: Arc<str>,
    /// The path of the bundle.
    pub path: String,
    /// `CFBundleIdentifier`, of a bundle whose signature verifies to a known anchor.
    pub bundle_identifier: String,
    /// The team identifier, of a bundle whose signature verifies to a known anchor.
    pub team_identifier: String,
    /// The cdhash, of a bundle whose signature verifies or is ad hoc: those of all its slices,
    /// separated by `;`, for the system runs the slice that fits its processor.
    pub cdhash: String,
    /// The same, each by itself and in order.
    pub(super) cdhashes: Vec<[u8; 20]>,
    /// The bundle digest.
    pub hash: String,
    /// The leaf certificate's common name, of a bundle whose signature verifies to a known anchor.
    pub signer: String,
    /// The main executable's SHA-256: for a bundle whose main executable stands outside of it.
    pub executable_hash: String,
    /// The digest over what links in it lead to: for a bundle with links that lead out of it.
    pub linked_hash: String,
    /// The load verdict. What loads is decided by the folder around the bundle as well.
    pub load_verdict: String,
    /// The kind of the candidate.
    pub kind: String,
    /// Where in the folder it stands.
    pub discovered_via: String,
    /// When it ends, in seconds of Unix time.
    pub expires: Option<i64>,
    /// Why it was made.
    pub reason: String,
    /// The file that it stands in.
    pub source: &'static str,
    /// True when it can accept something: it is without error and not expired.
    pub active: bool,
    /// Why it excepts nothing.
    pub error: String,
    /// What a file says of copies: then this stands for that alone, and excepts nothing.
    pub keep_copies: Option<bool>,
}

held::fields!(Exception {
    id,
    path,
    bundle_identifier,
    team_identifier,
    cdhash,
    cdhashes,
    hash,
    signer,
    executable_hash,
    linked_hash,
    load_verdict,
    kind,
    discovered_via,
    expires,
    reason,
    source,
    active,
    error,
    keep_copies,
});

impl Exception {
    /// Stands for a file, or for what of it excepts nothing.
    pub(super) fn refused(source: &'static str, error: String) -> Self {
        Self {
            source,
            error: cut(error, MOST_ERROR),
            ..Self::default()
        }
    }

    /// Bytes that it takes, about.
    pub(super) fn size(&self) -> usize {
        self.held().saturating_add(size_of::<Self>())
    }

    /// Stands for what a file says of copies: who turns that off hides what went.
    pub(super) fn wish(source: &'static str, keep_copies: bool) -> Self {
        Self {
            source,
            keep_copies: Some(keep_copies),
            ..Self::default()
        }
    }

    /// Reads the entry at a position, counted from 1.
    pub(super) fn read(source: &'static str, position: usize, value: &Value, now: i64) -> Self {
        let mut entry = Self {
            source,
            ..Self::default()
        };
        let Value::Dictionary(keys) = value else {
            entry.refuse(&format!("entry {position} is no dictionary"));
            return entry;
        };
        let mut id = String::new();
        let filled = entry.fill(keys, &mut id);
        entry.id = id.into();
        if let Err(why) = filled {
            entry.refuse(&format!("entry {position}: {why}"));
            return entry;
        }
        entry.active = entry.accepts_at(now);
        entry
    }

    fn accepts_at(&self, now: i64) -> bool {
        self.expires.is_none_or(|end| now < end)
    }

    /// True when it has neither expired since it was read, nor come to life by a clock that was set back.
    pub(super) fn is_still(&self, now: i64) -> bool {
        self.expires.is_none() || !self.error.is_empty() || self.active == self.accepts_at(now)
    }

    pub(super) fn refuse(&mut self, why: &str) {
        self.error = why.to_owned();
        self.active = false;
    }

    /// What it is called in a log: its file, and its identifier when it has one.
    pub fn name(&self) -> String {
        match &*self.id {
            "" => self.source.to_owned(),
            id => format!("{} [{}]", self.source, escape(id.as_bytes())),
        }
    }

    /// A key that is not known may be one that would have narrowed the entry, so it ends it.
    fn fill(&mut self, keys: &Dictionary, id: &mut String) -> Result<(), String> {
        for (key, value) in keys {
            let place = match key.as_str() {
                "id" => &mut *id,
                "path" => &mut self.path,
                "bundle_identifier" => &mut self.bundle_identifier,
                "team_identifier" => &mut self.team_identifier,
                "cdhash" => &mut self.cdhash,
                "hash" => &mut self.hash,
                "signer" => &mut self.signer,
                "executable_hash" => &mut self.executable_hash,
                "linked_hash" => &mut self.linked_hash,
                "load_verdict" => &mut self.load_verdict,
                "kind" => &mut self.kind,
                "discovered_via" => &mut self.discovered_via,
                "reason" => &mut self.reason,
                "expires" => {
                    let Value::Date(date) = value else {
                        return Err("its expires is no date".into());
                    };
                    let end = date.unix_seconds();
                    self.expires = Some(end.ok_or("its expires is no date")?);
                    continue;
                }
                _ => {
                    let key = escape_cut(key.as_bytes(), MOST_SHOWN);
                    return Err(format!("its key {key} is not known"));
                }
            };
            let (key, Value::String(text)) = (key.as_str(), value) else {
                return Err(format!("its {} is no text", key.as_str()));
            };
            // An empty text would ask for nothing where something was meant.
            if text.as_str().is_empty() && key != "reason" {
                return Err(format!("its {key} is empty"));
            }
            let text = text.as_str();
            let most = most_bytes(key).unwrap_or_default();
            if text.len() > most {
                let (length, shown) = (text.len(), escape_cut(text.as_bytes(), MOST_SHOWN));
                return Err(format!(
                    "its {key} has {length} bytes, and may have {most}: {shown}"
                ));
            }
            text.clone_into(place);
        }
        if id.is_empty() {
            return Err("it has no id".into());
        }
        for (key, digits, length) in [
            ("hash", &mut self.hash, 64),
            ("cdhash", &mut self.cdhash, 40),
            ("executable_hash", &mut self.executable_hash, 64),
            ("linked_hash", &mut self.linked_hash, 64),
        ] {
            digits.make_ascii_lowercase();
            let is_hex =
                |text: &str| text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit());
            let fits = match key {
                "cdhash" => digits.split(';').all(is_hex),
                _ => is_hex(digits),
            };
            if !digits.is_empty() && !fits {
                return Err(format!("its {key} is not {length} hexadecimal digits"));
            }
        }
        self.cdhashes = self.cdhash.split(';').filter_map(unhex).collect();
        self.cdhashes.sort_unstable();
        for (key, word, known) in [
            ("load_verdict", &self.load_verdict, VERDICTS.to_vec()),
            ("kind", &self.kind, words(&Kind::ALL, Kind::as_str)),
            (
                "discovered_via",
                &self.discovered_via,
                words(&Via::ALL, Via::as_str),
            ),
        ] {
            // A word that never holds would be an exception that was meant and is none.
            if !word.is_empty() && !known.contains(&word.as_str()) {
                return Err(format!("its {key} is none of {}", known.join(", ")));
            }
        }
        let mut names = self.asked().into_iter().take(NAMES);
        if self.cdhash.is_empty() && names.all(str::is_empty) {
            return Err("it names no path, hash, cdhash, signer, team or bundle identifier".into());
        }
        let pins = [&self.team_identifier, &self.hash, &self.cdhash];
        if !self.bundle_identifier.is_empty() && pins.iter().all(|pin| pin.is_empty()) {
            return Err(
                "its bundle_identifier needs a team_identifier: anybody can type an identifier"
                    .into(),
            );
        }
        Ok(())
    }

    /// What it asks for but for the cdhashes: first what can name a bundle, then what only narrows that.
    fn asked(&self) -> [&str; FIELDS] {
        [
            &self.path,
            &self.bundle_identifier,
            &self.team_identifier,
            &self.hash,
            &self.signer,
            &self.executable_hash,
            &self.load_verdict,
            &self.kind,
            &self.discovered_via,
            &self.linked_hash,
        ]
    }

    /// True when all that it asks for holds of a bundle.
    ///
    /// A bundle whose main executable stands outside of it is accepted only by an entry that pins
    /// that file: no other field does. So it is with what links in it lead to outside of it. And the same bundle runs
    /// another file under another name, where its Info.plist names none.
    pub(super) fn accepts(&self, offer: &Offer) -> bool {
        if !self.active
            || offer.is_unknown
            || (offer.is_outside && self.executable_hash.is_empty())
            || (offer.runs_by_name && !self.says_what_runs())
            || (offer.reaches_out && self.linked_hash.is_empty())
        {
            return false;
        }
        let mut asked = self.asked().into_iter().zip(&offer.fields);
        asked.all(|(asked, found)| asked.is_empty() || found.as_deref() == Some(asked))
            && self.names_all(offer)
    }

    /// True when it asks for more than what a bundle holds: its name, what runs of it, or who signed that.
    fn says_what_runs(&self) -> bool {
        let fields = [
            &self.path,
            &self.executable_hash,
            &self.cdhash,
            &self.team_identifier,
            &self.signer,
        ];
        fields.iter().any(|field| !field.is_empty())
    }

    /// True when its cdhashes, if it has any, are those of every slice.
    fn names_all(&self, offer: &Offer) -> bool {
        let is_named = |cdhash: &[u8; 20]| self.cdhashes.binary_search(cdhash).is_ok();
        self.cdhash.is_empty()
            || (!offer.cdhashes.is_empty() && offer.cdhashes.iter().all(is_named))
    }
}

/// The words of `load_verdict`.
const VERDICTS: [&str; 3] = ["loadable", "not_loadable", "unknown"];
/// How many of the fields that are asked for, the first, say which bundle is meant.
const NAMES: usize = 5;

fn words<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|one| word(*one)).collect()
}
