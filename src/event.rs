//! An event: a bundle appeared, changed or went, with what it was.
//!
//! Plain data, as the journal keeps it and `dsplug_events` shows it. Text from disk is escaped
//! already.

use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It stands where nothing stood.
    Appeared,
    /// It is not what it was.
    Changed,
    /// It stands there no more.
    Gone,
    /// No bundle: events up to this one are no longer kept.
    Dropped,
}

impl Action {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Appeared => "appeared",
            Self::Changed => "changed",
            Self::Gone => "gone",
            Self::Dropped => "dropped",
        }
    }
}

/// How it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// The system told that something was written.
    Watched,
    /// By a look that the clock asked for.
    Scan,
    /// By the first look: it happened while nothing ran.
    Start,
}

impl Seen {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Watched => "watched",
            Self::Scan => "scan",
            Self::Start => "start",
        }
    }
}

/// What a bundle was, in the words of `dsplug_bundles`, and what else tells a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// What the candidate is.
    pub kind: String,
    /// The bundle digest; empty when it could not be read whole.
    pub hash: String,
    /// The main executable.
    pub executable: String,
    /// SHA-256 of it.
    pub executable_hash: String,
    /// `CFBundleIdentifier`.
    pub bundle_identifier: String,
    /// What the signature is worth.
    pub signature_state: String,
    /// Common name of the leaf certificate, only when the signature verifies.
    pub signer: String,
    /// What the verified chain ends in.
    pub anchor: String,
    /// Team identifier.
    pub team_identifier: String,
    /// cdhash.
    pub cdhash: String,
    /// Whether the system would load it.
    pub load_verdict: String,
    /// The exception that accepts it.
    pub exception: String,
    /// What could not be read.
    pub error: String,
    /// The Info.plist that CoreFoundation would use.
    pub info_plist: String,
    /// SHA-256 of it.
    pub info_plist_hash: String,
    /// The text of a symlink.
    pub symlink_target: String,
    /// Where it really stands.
    pub resolved_path: String,
    /// Its owner.
    pub uid: Option<u32>,
    /// Its group.
    pub gid: Option<u32>,
    /// Its permission bits, in octal.
    pub mode: String,
    /// SHA-256 of what the file system says of all of it: the same for what nobody wrote to.
    pub fingerprint: String,
}

impl State {
    /// True when all of it could be read.
    pub fn is_whole(&self) -> bool {
        !self.hash.is_empty()
    }

    /// What differs in `new`, as words separated by `;`; empty when nothing that is told does.
    ///
    /// Where not all of `new` could be read and nobody has written to it, nothing is said to differ:
    /// a scan that ran out of time must not be taken for a change.
    pub fn differences(&self, new: &Self) -> String {
        let untouched = self.fingerprint == new.fingerprint;
        if untouched && !new.is_whole() {
            return String::new();
        }
        let content = if self.is_whole() || new.is_whole() {
            self.hash != new.hash
        } else {
            !untouched
        };
        let words = [
            (content || self.kind != new.kind, "content"),
            (
                (&self.executable, &self.executable_hash)
                    != (&new.executable, &new.executable_hash),
                "executable",
            ),
            (
                (&self.info_plist, &self.info_plist_hash)
                    != (&new.info_plist, &new.info_plist_hash),
                "info_plist",
            ),
            (self.signer != new.signer, "signer"),
            (self.signature() != new.signature(), "signature"),
            (
                (&self.symlink_target, &self.resolved_path)
                    != (&new.symlink_target, &new.resolved_path),
                "symlink",
            ),
            ((self.uid, self.gid) != (new.uid, new.gid), "owner"),
            (self.mode != new.mode, "mode"),
            (self.exception != new.exception, "exception"),
        ];
        let told: Vec<&str> = words.into_iter().filter(|w| w.0).map(|w| w.1).collect();
        told.join(";")
    }

    fn signature(&self) -> [&str; 4] {
        [
            &self.signature_state,
            &self.anchor,
            &self.team_identifier,
            &self.cdhash,
        ]
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number, which grows and is never used twice; 0 until the journal has given it one.
    #[serde(skip)]
    pub id: i64,
    /// When it was seen, in seconds of Unix time.
    pub time: i64,
    /// What happened.
    pub action: Action,
    /// The bundle's path.
    pub path: String,
    /// What changed, as words separated by `;`.
    pub changed: String,
    /// How it was seen; nothing for what is no bundle's.
    pub seen: Option<Seen>,
    /// What the bundle is, or was before it went.
    pub state: State,
    /// The digest before.
    pub previous_hash: String,
    /// How long what went had stood, in milliseconds.
    pub stood_ms: Option<i64>,
    /// Where a copy is kept.
    pub kept: String,
}

/// A bundle as events have told it, kept from run to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// What it is.
    pub state: State,
    /// Since when it has stood, in milliseconds of Unix time; nothing for what stood there before
    /// anybody looked.
    pub since_ms: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(hash: &str, fingerprint: &str) -> State {
        State {
            hash: hash.into(),
            fingerprint: fingerprint.into(),
            ..State::default()
        }
    }

    #[test]
    fn each_word_is_told_by_what_it_names() {
        let old = state("a", "1");
        let with = |change: fn(&mut State)| {
            let mut new = state("a", "2");
            change(&mut new);
            old.differences(&new)
        };
        assert_eq!(with(|_| ()), "");
        assert_eq!(with(|s| s.hash = "b".into()), "content");
        assert_eq!(with(|s| s.executable = "/x".into()), "executable");
        assert_eq!(with(|s| s.executable_hash = "c".into()), "executable");
        assert_eq!(with(|s| s.info_plist_hash = "c".into()), "info_plist");
        assert_eq!(with(|s| s.signer = "S".into()), "signer");
        assert_eq!(with(|s| s.signature_state = "broken".into()), "signature");
        assert_eq!(with(|s| s.cdhash = "d".into()), "signature");
        assert_eq!(with(|s| s.symlink_target = "/y".into()), "symlink");
        assert_eq!(with(|s| s.uid = Some(1)), "owner");
        assert_eq!(with(|s| s.mode = "0777".into()), "mode");
        assert_eq!(with(|s| s.exception = "e".into()), "exception");
        assert_eq!(
            with(|s| (s.hash, s.mode) = ("b".into(), "0777".into())),
            "content;mode"
        );
    }

    #[test]
    fn what_was_not_read_is_a_change_only_when_somebody_wrote() {
        assert_eq!(state("a", "1").differences(&state("", "1")), "");
        assert_eq!(state("a", "1").differences(&state("", "2")), "content");
        assert_eq!(state("", "1").differences(&state("", "1")), "");
        assert_eq!(state("", "1").differences(&state("", "2")), "content");
        // The digest is known at last.
        assert_eq!(state("", "1").differences(&state("a", "1")), "content");
    }
}
