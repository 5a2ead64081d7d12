//! What a bundle was, in the words of `dsplug_bundles`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::digits::Digits;
use crate::held;

/// In place of a fingerprint: the time of the scan did not suffice.
pub const NOT_LOOKED: &str = "not looked";

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
    /// A part of a SHA-256 over the permission bits of all that is in it, and one over whose that is; nothing where it is
    /// not known, as from an earlier version. Whoever makes two that are alike has one word told for another.
    pub inside: Option<[u32; 2]>,
    /// A part of a SHA-256 over what writing to any of it changes and a change of mode or owner does not; nothing where
    /// it is not known, as from an earlier version.
    pub written: Option<u64>,
    /// The same of what its links lead to.
    pub linked_written: Option<u64>,
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
    /// One SHA-256 over which sockets, FIFOs and devices it holds; nothing without any, and where it is not known, as
    /// from an earlier version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub specials: Option<Box<Digits>>,
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

    /// True when nothing of it could be looked at, as where a volume covers it.
    pub fn is_hidden(&self) -> bool {
        !self.is_whole() && self.executable_hash.is_empty() && self.unread.is_none()
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

    /// Takes over what was known of what its links lead to, where that was not looked at, or not read though nobody has
    /// written to it.
    pub fn keep_links(&mut self, old: &Self) {
        if self.lacks_links(old) {
            self.learn_links(old);
        } else if self.linked_fingerprint == NOT_LOOKED {
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
            || self.lacks_inside(new)
            || self.lacks_written(new)
            || self.lacks_content(new)
            || self.lacks_links(new)
    }

    /// Nobody has written to what its links lead to, and not all of it was read.
    pub fn lacks_links(&self, new: &Self) -> bool {
        let print = &self.linked_fingerprint;
        let is_same =
            !print.is_empty() && *print != *NOT_LOOKED && *print == new.linked_fingerprint;
        is_same && self.linked_hash.is_empty() && !new.linked_hash.is_empty()
    }

    /// Of what was not all read its code is not all known either.
    fn learn_links(&mut self, new: &Self) {
        self.linked_hash.clone_from(&new.linked_hash);
        self.linked_content = new.linked_content;
        self.linked_code_hash.clone_from(&new.linked_code_hash);
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

    fn lacks_inside(&self, new: &Self) -> bool {
        self.inside.is_none() && new.inside.is_some()
    }

    fn lacks_written(&self, new: &Self) -> bool {
        let pairs = [
            (self.written, new.written),
            (self.linked_written, new.linked_written),
        ];
        let mut pairs = pairs.into_iter();
        pairs.any(|(own, new)| own.is_none() && new.is_some())
    }

    /// What was made of it, and its permission bits: none of that is in a digest.
    pub fn judged(&self) -> [&str; 4] {
        [
            &self.load_verdict,
            &self.exception,
            &self.signature_state,
            &self.mode,
        ]
    }

    /// What stands where its links lead, wherever that is; by place where it is not known what that holds.
    pub fn linked_bytes(&self) -> (Option<[u8; 16]>, Option<[&Digits; 2]>) {
        match self.linked_content {
            Some(content) => (Some(content), None),
            None => (None, Some([self.linked(), &self.linked_code_hash])),
        }
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
        if self.lacks_inside(new) {
            self.inside = new.inside;
        }
        self.written = self.written.or(new.written);
        self.linked_written = self.linked_written.or(new.linked_written);
        if self.lacks_links(new) {
            self.learn_links(new);
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
        let own = [
            &mut self.kind,
            &mut self.executable,
            &mut self.bundle_identifier,
            &mut self.signature_state,
            &mut self.signer,
            &mut self.anchor,
            &mut self.team_identifier,
            &mut self.cdhash,
            &mut self.load_verdict,
            &mut self.exception,
            &mut self.error,
            &mut self.info_plist,
            &mut self.symlink_target,
            &mut self.resolved_path,
            &mut self.mode,
        ];
        for (own, old) in own.into_iter().zip(old.texts()) {
            if own == old {
                own.clone_from(old);
            }
        }
    }

    /// Bytes that it takes, about twice as many as its own: of each small text the allocator has some too.
    pub fn held(&self) -> usize {
        let texts = self.texts().into_iter();
        let bytes = texts.map(|text| text.len()).fold(0, usize::saturating_add);
        size_of::<Self>().saturating_mul(2).saturating_add(bytes)
    }

    fn texts(&self) -> [&Arc<str>; 15] {
        [
            &self.kind,
            &self.executable,
            &self.bundle_identifier,
            &self.signature_state,
            &self.signer,
            &self.anchor,
            &self.team_identifier,
            &self.cdhash,
            &self.load_verdict,
            &self.exception,
            &self.error,
            &self.info_plist,
            &self.symlink_target,
            &self.resolved_path,
            &self.mode,
        ]
    }

    /// A text, where it is one of this one's that piece of memory.
    pub fn text(&self, text: &str) -> Option<Arc<str>> {
        let known = self.texts().into_iter().find(|known| ***known == *text);
        known.map(Arc::clone)
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
    inside,
    written,
    linked_written,
    fingerprint,
    linked_hash,
    linked_fingerprint,
    way_fingerprint,
    code_hash,
    linked_code_hash,
    specials,
    linked_content,
    unread,
    uid,
    gid,
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_links_lead_to_is_learned_and_not_forgotten_where_not_all_was_read() {
        let with = |hash: &str, print: &str| State {
            linked_hash: hash.into(),
            linked_code_hash: hash.into(),
            linked_fingerprint: print.into(),
            ..State::default()
        };
        let (known, mut unread, mut other) = (with("x", "1"), with("", "1"), with("", "2"));
        let mut told = unread.clone();
        assert_eq!(unread.differences(&known), "");
        assert!(told.lacks(&known));
        told.learn(&known);
        assert_eq!(told, known);
        // A change through a mapping is one.
        assert_eq!(told.differences(&with("y", "1")), "linked");
        unread.keep_links(&known);
        assert_eq!(unread, known);
        other.keep_links(&known);
        assert_eq!(other.linked_hash, "");
        assert_eq!(known.differences(&other), "linked");
    }

    #[test]
    fn texts_that_are_the_same_are_held_once() {
        let with = |signer: &str, kind: &str| State {
            signer: signer.into(),
            kind: kind.into(),
            hash: "a".into(),
            ..State::default()
        };
        let (old, mut new) = (with("x", "file"), with("x", "directory"));
        let before = new.clone();
        new.share(&old);
        assert_eq!(new, before);
        assert!(Arc::ptr_eq(&new.signer, &old.signer));
        assert!(!Arc::ptr_eq(&new.kind, &old.kind));
    }
}
