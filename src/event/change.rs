//! What tells one state of a bundle from another, in words, and how grave that is.

use super::digits::Digits;
use super::state::{NOT_LOOKED, State};

/// The word of `changed` for what stands where links lead.
pub const LINKED: &str = "linked";

/// The words of `changed` for what it holds, for another main executable or Info.plist, and for where a candidate that is a link leads.
const CONTENT: &str = "content";
const EXECUTABLE: &str = "executable";
const INFO_PLIST: &str = "info_plist";
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

impl State {
    /// What differs in `new`, as words separated by `;`; empty when nothing that is told does.
    ///
    /// Where not all of `new` could be read and nobody has written to it, what differs is told of what is known of both
    /// alone: a scan that ran out of time must not be taken for a change.
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
        let content = content || self.has_other_specials(new);
        let [is_inner_mode, is_inner_owner] = self.differs_inside(new);
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
                INFO_PLIST,
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
            (
                is_inner_owner || (self.uid, self.gid) != (new.uid, new.gid),
                "owner",
            ),
            (is_inner_mode || self.mode != new.mode, "mode"),
            (self.load_verdict != new.load_verdict, LOAD),
            (self.exception != new.exception, "exception"),
        ];
        let linked = (self.differs_by_links(new), LINKED);
        let is_known = |word| match word {
            EXECUTABLE => ![&self.executable_hash, &new.executable_hash]
                .iter()
                .any(|h| h.is_empty()),
            LOAD => ![self, new]
                .iter()
                .any(|s| ["", "unknown"].contains(&&*s.load_verdict)),
            _ => false,
        };
        let own = words
            .into_iter()
            .filter(|(_, word)| is_told || is_known(*word));
        let told = own.chain([linked]).filter(|w| w.0).map(|w| w.1);
        let mut told: Vec<&str> = told.collect();
        if self.is_rewritten(new, &told) {
            told.push(REWRITTEN);
        }
        told.join(";")
    }

    /// True when other sockets, FIFOs or devices stand there: that is in no other digest.
    fn has_other_specials(&self, new: &Self) -> bool {
        let both = self.specials.as_ref().zip(new.specials.as_ref());
        both.is_some_and(|(own, new)| own != new)
    }

    /// Whether something in it has another mode, and another owner. Of what holds other names that is not known.
    fn differs_inside(&self, new: &Self) -> [bool; 2] {
        match (self.inside, new.inside) {
            (Some(old), Some(new_inside)) if self.hash == new.hash => {
                let ([mode, owner], [new_mode, new_owner]) = (old, new_inside);
                [mode != new_mode, owner != new_owner]
            }
            _ => [false; 2],
        }
    }

    /// True when `new` was read whole, is another by what the file system says of it, and of all that is `told` no word
    /// explains it. The digests may be the same all the same.
    ///
    /// Beside other words it is what no change of mode or owner does: whoever changes one in the same moment would
    /// have code that stood there for a while told by nothing.
    fn is_rewritten(&self, new: &Self, told: &[&str]) -> bool {
        let is_alone = told.is_empty();
        let holds_other = [CONTENT, EXECUTABLE, INFO_PLIST, SYMLINK];
        // One that was kept by an earlier version has none.
        if self.fingerprint.is_empty() || told.iter().any(|word| holds_other.contains(word)) {
            return false;
        }
        let differs =
            |own: Option<u64>, new: Option<u64>| own.zip(new).is_some_and(|(own, new)| own != new);
        let is_own = self.is_whole()
            && new.is_whole()
            && self.fingerprint != new.fingerprint
            && (is_alone || differs(self.written, new.written));
        if is_own || told.contains(&LINKED) {
            return is_own;
        }
        let prints = [&self.linked_fingerprint, &new.linked_fingerprint];
        let is_linked = [&self.linked_hash, &new.linked_hash]
            .iter()
            .all(|hash| !hash.is_empty())
            && prints.iter().all(|print| **print != *NOT_LOOKED)
            && self.linked_fingerprint != new.linked_fingerprint
            && (is_alone || differs(self.linked_written, new.linked_written));
        let ways = [&self.way_fingerprint, &new.way_fingerprint];
        // A candidate that is a link is on its own way.
        let owners = [self, new].map(|state| (state.uid, state.gid, &state.mode));
        let is_way = ways.iter().all(|print| !print.is_empty())
            && ways[0] != ways[1]
            && (is_alone || self.symlink_target.is_empty() || owners[0] == owners[1]);
        is_linked || is_way
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
        self.linked_hash != new.linked_hash && !self.lacks_links(new)
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

    /// True when `new` is the same byte for byte, runs the same bytes by whatever asks for them and is judged alike, and
    /// all that differs is where something stands. What could not be read is the same that it was.
    pub fn is_moved_to(&self, new: &Self) -> bool {
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
            && self.held_and_judged() == new.held_and_judged()
            && self.linked_bytes() == new.linked_bytes()
            && words.all(|word| [SYMLINK, EXECUTABLE, LINKED, untouched].contains(&word))
    }

    /// What it holds, whose it is and what was made of it, wherever it stands.
    fn held_and_judged(&self) -> impl PartialEq {
        let digests = [&self.hash, &self.executable_hash, &self.info_plist_hash];
        (digests, self.judged(), (self.uid, self.gid), &self.unread)
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
        // An earlier version knew nothing of what is in it.
        assert_eq!(with(|s| s.inside = Some([1, 2])), "rewritten");
        assert_eq!(with(|s| s.load_verdict = "loadable".into()), "load");
        assert_eq!(
            with(|s| (s.hash, s.mode) = ("b".into(), "0777".into())),
            "content;mode"
        );
    }

    #[test]
    fn modes_and_owners_of_what_is_in_it_are_compared_where_that_is_the_same() {
        let with = |hash: &str, inside| State {
            inside: Some(inside),
            ..state(hash, "1")
        };
        let old = with("a", [1, 1]);
        assert_eq!(old.differences(&with("a", [1, 1])), "");
        assert_eq!(old.differences(&with("a", [2, 1])), "mode");
        assert_eq!(old.differences(&with("a", [2, 2])), "owner;mode");
        assert_eq!(old.differences(&with("b", [2, 2])), "content");
        let (mut learned, new) = (state("a", "1"), with("a", [1, 2]));
        assert!(learned.lacks(&new) && !new.lacks(&learned));
        learned.learn(&new);
        assert_eq!(learned, new);
    }

    /// What is never read whole loads or not, and runs other code where nobody has written by any time that is told.
    #[test]
    fn of_what_is_not_whole_what_is_known_of_both_is_told() {
        let with = |load: &str, executable: &str| State {
            load_verdict: load.into(),
            executable_hash: executable.into(),
            ..state("", "1")
        };
        let told = |old: State, new: State| old.differences(&new);
        assert_eq!(
            told(with("not_loadable", "a"), with("loadable", "a")),
            "load"
        );
        assert_eq!(
            told(with("loadable", "a"), with("loadable", "b")),
            "executable"
        );
        for (old, new) in [
            ("loadable", "unknown"),
            ("unknown", "not_loadable"),
            ("", "loadable"),
        ] {
            assert_eq!(told(with(old, "a"), with(new, "")), "", "{old} {new}");
            assert_eq!(told(with(old, ""), with(new, "a")), "", "{old} {new}");
        }
    }

    #[test]
    fn what_was_written_is_told_beside_what_does_not_explain_it() {
        let with = |mode: &str, written, print: &str| State {
            mode: mode.into(),
            written,
            ..state("a", print)
        };
        let old = with("0755", Some(1), "1");
        let told = |new: State| old.differences(&new);
        assert_eq!(told(with("0700", Some(1), "2")), "mode");
        assert_eq!(told(with("0700", Some(2), "2")), "mode;rewritten");
        assert_eq!(told(with("0755", Some(1), "2")), "rewritten");
        // An earlier version did not know.
        assert_eq!(told(with("0700", None, "2")), "mode");
        let mut new = with("0700", Some(2), "2");
        new.hash = "b".into();
        assert_eq!(told(new), "content;mode");
        let (mut learned, new) = (with("0755", None, "1"), with("0755", Some(1), "1"));
        assert!(learned.lacks(&new) && !new.lacks(&learned));
        learned.learn(&new);
        assert_eq!(learned, new);
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
