//! What a bundle was, in the words of `dsplug_bundles`, and what tells one state of it from another.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::digits::Digits;
use crate::held;

/// In place of a fingerprint: the time of the scan did not suffice.
pub const NOT_LOOKED: &str = "not looked";

/// The word of `changed` for what stands where links lead.
pub const LINKED: &str = "linked";

/// The words of `changed` for what it holds, for another main executable, and for where a candidate that is a link leads.
const CONTENT: &str = "content";
const EXECUTABLE: &str = "executable";
const SYMLINK: &str = "symlink";

/// The word of `changed` for what holds what it held, and was written or replaced since: so other code may
/// have stood there meanwhile, and nobody has seen it.
pub const REWRITTEN: &str = "rewritten";

/// The word of `changed` for what would load now and did not before, or the other way round, whatever changed for that:
/// the folder or another bundle.
const LOAD: &str = "load";

/// What a signature is called that was not judged.
const UNJUDGED: &str = "unreadable";

/// True when what changed is nothing but what a bundle's links lead to, its owner, its mode or its times:
/// whoever wants noise has these for nothing.
pub fn is_minor(changed: &str) -> bool {
    changed
        .split(';')
        .all(|word| [LINKED, REWRITTEN, "owner", "mode"].contains(&word))
}

/// True when it is told ever more rarely where it comes again and again.
pub fn is_paced(changed: &str) -> bool {
    changed
        .split(';')
        .all(|word| [LINKED, REWRITTEN].contains(&word))
}

/// What a bundle was, in the words of `dsplug_bundles`, and what else tells a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// What the candidate is.
    pub kind: Arc<str>,
    /// The bundle digest; empty when it could not be read whole.
    pub hash: Digits,
    /// The main executable.
    pub executable: Arc<str>,
    /// SHA-256 of it.
    pub executable_hash: Digits,
    /// `CFBundleIdentifier`.
    pub bundle_identifier: Arc<str>,
    /// What the signature is worth.
    pub signature_state: Arc<str>,
    /// Common name of the leaf certificate, only when the signature verifies.
    pub signer: Arc<str>,
    /// What the verified chain ends in.
    pub anchor: Arc<str>,
    /// Team identifier.
    pub team_identifier: Arc<str>,
    /// cdhash.
    pub cdhash: Arc<str>,
    /// Whether the system would load it.
    pub load_verdict: Arc<str>,
    /// The exception that accepts it.
    pub exception: Arc<str>,
    /// What could not be read.
    pub error: Arc<str>,
    /// The Info.plist that CoreFoundation would use.
    pub info_plist: Arc<str>,
    /// SHA-256 of it.
    pub info_plist_hash: Digits,
    /// The text of a symlink.
    pub symlink_target: Arc<str>,
    /// Where it really stands.
    pub resolved_path: Arc<str>,
    /// Its owner.
    pub uid: Option<u32>,
    /// Its group.
    pub gid: Option<u32>,
    /// Its permission bits, in octal.
    pub mode: Arc<str>,
    /// SHA-256 of what the file system says of all of it: the same for what nobody wrote to.
    pub fingerprint: Digits,
    /// One SHA-256 over what its links lead to outside of it; empty without such a link, or when that
    /// could not be read whole.
    pub linked_hash: Digits,
    /// SHA-256 of what the file system says of that; empty without such a link, and [`NOT_LOOKED`]
    /// when the time did not suffice.
    pub linked_fingerprint: Digits,
    /// SHA-256 of what the file system says of the links on the way to that, to a candidate that is a link
    /// and to what is not there; empty where it is not known, as from an earlier version.
    pub way_fingerprint: Digits,
    /// One SHA-256 over all code in it; empty where it is not known, as from an earlier version.
    pub code_hash: Digits,
    /// One SHA-256 over the code that its links and libraries lead to, likewise.
    pub linked_code_hash: Digits,
    /// Half of a SHA-256 over what that holds, by what asks for it and wherever it stands; nothing where not all of it is
    /// known. Kept by no journal.
    #[serde(skip)]
    pub linked_content: Option<[u8; 16]>,
    /// Where not all of it could be read: SHA-256 of what the file system says of what it resolves to. Kept by no
    /// journal.
    #[serde(skip)]
    pub unread: Option<Box<[u8; 32]>>,
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
        let is_told = !untouched || new.is_whole();
        // Nor is it one that there was no time to judge a signature, or is by now.
        let is_judged = !untouched || ![self, new].iter().any(|s| *s.signature_state == *UNJUDGED);
        let content = if self.is_whole() || new.is_whole() {
            self.hash != new.hash
        } else {
            !untouched
        };
        let words = [
            (content || self.kind != new.kind, CONTENT),
            (
                (&self.executable, &self.executable_hash)
                    != (&new.executable, &new.executable_hash),
                EXECUTABLE,
            ),
            (
                (&self.info_plist, &self.info_plist_hash)
                    != (&new.info_plist, &new.info_plist_hash),
                "info_plist",
            ),
            (is_judged && self.signer != new.signer, "signer"),
            (
                is_judged && self.signature() != new.signature(),
                "signature",
            ),
            (
                (&self.symlink_target, &self.resolved_path)
                    != (&new.symlink_target, &new.resolved_path),
                SYMLINK,
            ),
            ((self.uid, self.gid) != (new.uid, new.gid), "owner"),
            (self.mode != new.mode, "mode"),
            (self.load_verdict != new.load_verdict, LOAD),
            (self.exception != new.exception, "exception"),
        ];
        let linked = (self.differs_by_links(new), LINKED);
        let own = words.into_iter().filter(|_| is_told);
        let told = own.chain([linked]).filter(|w| w.0).map(|w| w.1);
        let mut told: Vec<&str> = told.collect();
        if told.is_empty() && self.is_rewritten(new) {
            told.push(REWRITTEN);
        }
        told.join(";")
    }

    /// True when `new` was read whole, and is another by what the file system says of it. The digests may
    /// be the same all the same.
    fn is_rewritten(&self, new: &Self) -> bool {
        let is_own = self.is_whole() && new.is_whole() && self.fingerprint != new.fingerprint;
        let prints = [&self.linked_fingerprint, &new.linked_fingerprint];
        let is_linked = [&self.linked_hash, &new.linked_hash]
            .iter()
            .all(|hash| !hash.is_empty())
            && prints.iter().all(|print| **print != *NOT_LOOKED)
            && self.linked_fingerprint != new.linked_fingerprint;
        let ways = [&self.way_fingerprint, &new.way_fingerprint];
        let is_way = ways.iter().all(|print| !print.is_empty()) && ways[0] != ways[1];
        // One that was kept by an earlier version has none.
        !self.fingerprint.is_empty() && (is_own || is_linked || is_way)
    }

    /// True when what its links lead to is not what it was. What could not be read differs when
    /// somebody wrote to it, and what was not looked at never does.
    fn differs_by_links(&self, new: &Self) -> bool {
        let prints = [&self.linked_fingerprint, &new.linked_fingerprint];
        if prints.iter().any(|print| **print == *NOT_LOOKED) {
            return false;
        }
        if new.linked_hash.is_empty() && !new.linked_fingerprint.is_empty() {
            return self.linked_fingerprint != new.linked_fingerprint;
        }
        self.linked_hash != new.linked_hash
    }

    /// What says which code it runs: the main executable, the Info.plist, all code in it, and that which its
    /// links and libraries lead to.
    pub fn code(&self) -> ([&str; 2], [&Digits; 4]) {
        let digests = [
            &self.executable_hash,
            &self.info_plist_hash,
            &self.code_hash,
            &self.linked_code_hash,
        ];
        ([&self.executable, &self.info_plist], digests)
    }

    /// True when another Info.plist or another main executable counts, and not merely none.
    pub fn runs_other_code_than(&self, old: &Self) -> bool {
        self.has_other(old, 4)
    }

    /// True when that is so, or any other code stands in it or where its links and libraries lead.
    pub fn holds_other_code_than(&self, old: &Self) -> bool {
        self.has_other(old, 6)
    }

    /// True when something is another, and not merely none, among the first of what says which code it runs.
    fn has_other(&self, old: &Self, first: usize) -> bool {
        let text = |new: &str, old: &str| !new.is_empty() && new != old;
        let digest = |new: &Digits, old: &Digits| !new.is_empty() && new != old;
        let others = [
            text(&self.executable, &old.executable),
            digest(&self.executable_hash, &old.executable_hash),
            text(&self.info_plist, &old.info_plist),
            digest(&self.info_plist_hash, &old.info_plist_hash),
            digest(&self.code_hash, &old.code_hash),
            digest(&self.linked_code_hash, &old.linked_code_hash),
        ];
        others.into_iter().take(first).any(|is_other| is_other)
    }

    /// How grave it is that `new` stands there: nothing that is told, what is minor, anything else, other
    /// code beside the main executable, another Info.plist, another main executable.
    pub fn gravity_of(&self, new: &Self) -> u8 {
        let changed = self.differences(new);
        match () {
            () if changed.is_empty() => 0,
            () if new.has_other(self, 2) => 5,
            () if new.runs_other_code_than(self) => 4,
            () if !new.code_hash.is_empty() && new.code_hash != self.code_hash => 3,
            () if is_minor(&changed) => 1,
            () => 2,
        }
    }

    /// Takes over what was known of what its links lead to, where that was not looked at.
    pub fn keep_links(&mut self, old: &Self) {
        if self.linked_fingerprint == NOT_LOOKED {
            self.linked_hash.clone_from(&old.linked_hash);
            self.linked_content = old.linked_content;
            self.linked_fingerprint.clone_from(&old.linked_fingerprint);
        }
        self.learn(old);
    }

    /// True when something is not known of it that is known of `new`: an earlier version kept it, or a scan
    /// had no time.
    pub fn lacks(&self, new: &Self) -> bool {
        let mut pairs = self.may_lack().into_iter().zip(new.may_lack());
        pairs.any(|(own, new)| own.is_empty() && !new.is_empty())
            || self.lacks_unread(new)
            || self.lacks_content(new)
    }

    /// Where the same stands, it holds the same.
    fn lacks_content(&self, new: &Self) -> bool {
        let is_missing = self.linked_content.is_none() && new.linked_content.is_some();
        is_missing && self.linked_hash == new.linked_hash
    }

    /// That of what nobody has written to is the same.
    fn lacks_unread(&self, new: &Self) -> bool {
        let is_missing = self.unread.is_none() && new.unread.is_some();
        is_missing && self.hash == new.hash && self.fingerprint == new.fingerprint
    }

    /// What stands where its links lead, wherever that is; by place where it is not known what that holds.
    pub fn linked_bytes(&self) -> (Option<[u8; 16]>, Option<[&Digits; 2]>) {
        match self.linked_content {
            Some(content) => (Some(content), None),
            None => (None, Some([self.linked(), &self.linked_code_hash])),
        }
    }

    /// True when `new` is the same byte for byte, runs the same bytes by whatever asks for them and is judged alike, and
    /// all that differs is where something stands. What could not be read is the same that it was.
    pub fn is_moved_to(&self, new: &Self) -> bool {
        let held = |state: &Self| {
            let own =
                [&state.hash, &state.executable_hash, &state.info_plist_hash].map(Clone::clone);
            let texts = [
                &state.load_verdict,
                &state.exception,
                &state.signature_state,
                &state.mode,
            ];
            (
                own,
                texts.map(Arc::clone),
                (state.uid, state.gid),
                state.unread.clone(),
            )
        };
        let is_known = |state: &Self| match state.is_whole() {
            true => state.executable.is_empty() || !state.executable_hash.is_empty(),
            false => state.unread.is_some(),
        };
        // Of what was not read that is all that says so.
        let untouched = if self.is_whole() { "" } else { CONTENT };
        let words = self.differences(new);
        let mut words = words.split(';');
        is_known(self)
            && is_known(new)
            && held(self) == held(new)
            && self.linked_bytes() == new.linked_bytes()
            && words.all(|word| [SYMLINK, EXECUTABLE, LINKED, untouched].contains(&word))
    }

    /// What stands where its links lead, by its digest, or where that could not be read by what the file system
    /// says of it.
    pub fn linked(&self) -> &Digits {
        if self.linked_hash.is_empty() {
            &self.linked_fingerprint
        } else {
            &self.linked_hash
        }
    }

    fn may_lack(&self) -> [&Digits; 3] {
        [
            &self.way_fingerprint,
            &self.code_hash,
            &self.linked_code_hash,
        ]
    }

    /// Takes over what it [`lacks`](Self::lacks).
    pub fn learn(&mut self, new: &Self) {
        if self.lacks_unread(new) {
            self.unread.clone_from(&new.unread);
        }
        if self.lacks_content(new) {
            self.linked_content = new.linked_content;
        }
        let pairs = [
            (&mut self.way_fingerprint, &new.way_fingerprint),
            (&mut self.code_hash, &new.code_hash),
            (&mut self.linked_code_hash, &new.linked_code_hash),
        ];
        for (own, new) in pairs {
            if own.is_empty() {
                own.clone_from(new);
            }
        }
    }

    /// Shares the texts that are the same in `old`: of thousands of bundles two states each are held, mostly alike.
    pub fn share(&mut self, old: &Self) {
        let pairs = [
            (&mut self.kind, &old.kind),
            (&mut self.executable, &old.executable),
            (&mut self.bundle_identifier, &old.bundle_identifier),
            (&mut self.signature_state, &old.signature_state),
            (&mut self.signer, &old.signer),
            (&mut self.anchor, &old.anchor),
            (&mut self.team_identifier, &old.team_identifier),
            (&mut self.cdhash, &old.cdhash),
            (&mut self.load_verdict, &old.load_verdict),
            (&mut self.exception, &old.exception),
            (&mut self.error, &old.error),
            (&mut self.info_plist, &old.info_plist),
            (&mut self.symlink_target, &old.symlink_target),
            (&mut self.resolved_path, &old.resolved_path),
            (&mut self.mode, &old.mode),
        ];
        for (own, old) in pairs {
            if own == old {
                own.clone_from(old);
            }
        }
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

held::fields!(State {
    kind,
    hash,
    executable,
    executable_hash,
    bundle_identifier,
    signature_state,
    signer,
    anchor,
    team_identifier,
    cdhash,
    load_verdict,
    exception,
    error,
    info_plist,
    info_plist_hash,
    symlink_target,
    resolved_path,
    mode,
    fingerprint,
    linked_hash,
    linked_fingerprint,
    way_fingerprint,
    code_hash,
    linked_code_hash,
    linked_content,
    unread,
    uid,
    gid,
});

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
    fn texts_that_are_the_same_are_held_once() {
        let with = |signer: &str, kind: &str| State {
            signer: signer.into(),
            kind: kind.into(),
            ..state("a", "1")
        };
        let (old, mut new) = (with("x", "file"), with("x", "directory"));
        let before = new.clone();
        new.share(&old);
        assert_eq!(new, before);
        assert!(Arc::ptr_eq(&new.signer, &old.signer));
        assert!(!Arc::ptr_eq(&new.kind, &old.kind));
    }

    #[test]
    fn each_word_is_told_by_what_it_names() {
        let old = state("a", "1");
        let with = |change: fn(&mut State)| {
            let mut new = state("a", "2");
            change(&mut new);
            old.differences(&new)
        };
        assert_eq!(with(|_| ()), "rewritten");
        // One that an earlier version kept says nothing of it.
        assert_eq!(state("a", "").differences(&state("a", "2")), "");
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
        assert_eq!(with(|s| s.load_verdict = "loadable".into()), "load");
        assert_eq!(
            with(|s| (s.hash, s.mode) = ("b".into(), "0777".into())),
            "content;mode"
        );
    }

    fn linked(hash: &str, fingerprint: &str) -> State {
        State {
            linked_hash: hash.into(),
            linked_fingerprint: fingerprint.into(),
            ..state("a", "1")
        }
    }

    /// That a scan had no time to judge it is no change of a signature, unless somebody wrote to it.
    #[test]
    fn a_signature_that_was_not_judged_is_no_other() {
        let with = |word: &str, print: &str| State {
            signature_state: word.into(),
            ..state("a", print)
        };
        let told = |old: State, new: State| old.differences(&new);
        assert_eq!(told(with("signed", "1"), with("unreadable", "1")), "");
        assert_eq!(told(with("unreadable", "1"), with("signed", "1")), "");
        let written = told(with("signed", "1"), with("unreadable", "2"));
        assert_eq!(written, "signature");
        assert_eq!(told(with("signed", "1"), with("broken", "1")), "signature");
    }

    #[test]
    fn what_links_lead_to_is_a_word_of_its_own() {
        let told = |old: State, new: State| old.differences(&new);
        assert_eq!(told(linked("x", "1"), linked("x", "1")), "");
        assert_eq!(told(linked("x", "1"), linked("x", "2")), "rewritten");
        assert_eq!(told(linked("x", "1"), linked("y", "2")), "linked");
        assert_eq!(told(linked("", ""), linked("y", "2")), "linked");
        assert_eq!(told(linked("x", "1"), linked("", "")), "linked");
        // What cannot be read: when somebody wrote to it.
        assert_eq!(told(linked("", "1"), linked("", "1")), "");
        assert_eq!(told(linked("x", "1"), linked("", "1")), "");
        assert_eq!(told(linked("", "1"), linked("", "2")), "linked");
        // Where the bundle itself cannot be read, too.
        let unread = |print| State {
            hash: Digits::default(),
            ..linked("", print)
        };
        assert_eq!(told(unread("1"), unread("2")), "linked");
        // A scan whose time was spent says nothing, and forgets nothing.
        assert_eq!(told(linked("x", "1"), linked("", NOT_LOOKED)), "");
        assert_eq!(told(linked("", NOT_LOOKED), linked("x", "1")), "");
        let mut late = linked("", NOT_LOOKED);
        late.keep_links(&linked("x", "1"));
        assert_eq!(told(late, linked("y", "2")), "linked");
    }

    #[test]
    fn a_link_on_the_way_is_rewritten_and_an_earlier_version_knew_none() {
        let with = |print: &str| State {
            way_fingerprint: print.into(),
            ..linked("x", "1")
        };
        assert_eq!(with("1").differences(&with("2")), REWRITTEN);
        assert_eq!(with("1").differences(&with("1")), "");
        let (mut old, new) = (with(""), with("1"));
        assert_eq!(old.differences(&new), "");
        assert!(old.lacks(&new) && !new.lacks(&old));
        old.learn(&new);
        assert_eq!(old, new);
        // A scan that had no time forgets nothing.
        let mut late = with("");
        late.keep_links(&old);
        assert_eq!(late.differences(&with("2")), REWRITTEN);
    }

    #[test]
    fn other_code_weighs_more_the_surer_it_runs() {
        let old = State {
            executable_hash: "e".into(),
            info_plist_hash: "i".into(),
            code_hash: "c".into(),
            ..linked("x", "1")
        };
        let with = |change: fn(&mut State)| {
            let mut new = old.clone();
            new.hash = "b".into();
            change(&mut new);
            old.gravity_of(&new)
        };
        assert_eq!(old.gravity_of(&old), 0);
        assert_eq!(with(|s| (s.hash, s.mode) = ("a".into(), "0777".into())), 1);
        assert_eq!(with(|_| ()), 2);
        assert_eq!(with(|s| s.code_hash = "d".into()), 3);
        assert_eq!(with(|s| s.info_plist_hash = "j".into()), 4);
        assert_eq!(with(|s| s.executable_hash = "f".into()), 5);
        // What is behind links is whoever's, and changes all day.
        assert_eq!(
            with(|s| {
                s.hash = "a".into();
                (s.linked_hash, s.linked_code_hash) = ("y".into(), "z".into());
            }),
            1
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
