//! What comes and goes with nothing in it, and what was told a moment ago of another or of the same: told one by one at
//! first, and together where there is no end to it.
//!
//! Whoever can write in a plug-in folder makes hundreds of empty directories come and go each second, and each would
//! be two lines in the log of every Mac. One write changes a thousand links to one bundle, and one rename a thousand
//! bundles alike. So these have a number of lines that grows with time. What holds a byte that no line has told of is
//! none of them: it is told at once and in full, however much there is. What stood there and goes has such a number of
//! its own, and the rest of thousands that one rename takes away is counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::alike::{Alike, Step};
use super::now::Now;
use super::state::event;
use crate::bundle::Bundle;
use crate::event::{Action, Event, Seen, State};
use crate::evidence::Trouble;
use crate::folders::FOLDERS;
use crate::meta::Kind;
use crate::text;

/// Lines that there are at the most, and at the start: an update that makes the directories of a hundred bundles first
/// is told in full.
const MOST_LINES: u32 = 240;
/// There is one line more after so long.
const LINE: Duration = Duration::from_secs(5);
/// Between two events that say how many more there were.
const PAUSE: Duration = Duration::from_secs(60);

/// How many names of those that nobody has looked at are said with how many there were, the last of them.
const MOST_NAMED: usize = 3;
/// Bytes of one.
const MOST_NAME: usize = 160;

/// The lines that are left for what holds nothing, for what was told alike, for what goes and for what nobody has
/// looked at, and what was left out for want of them. None takes another's: a name that was gone before a look could
/// come may have been anything.
#[derive(Debug, Default)]
pub struct Crowd {
    bare: Lines,
    alike: Lines,
    going: Lines,
    hidden: Lines,
    names: Lines,
    known: Alike,
    /// True when something was not told for want of a line, since that was asked last.
    refused: bool,
    /// By folder.
    left_out: [LeftOut; FOLDERS.len()],
    told: Option<Instant>,
}

/// Whether something is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// In any case: it is new.
    New,
    /// By lines that were taken for it.
    Taken,
    /// Once there are lines for it.
    Later,
}

/// A number of lines that grows with time.
#[derive(Debug)]
struct Lines {
    left: u32,
    /// When the last line was added; nothing while there are as many as can be.
    added: Option<Instant>,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            left: MOST_LINES,
            added: None,
        }
    }
}

impl Lines {
    fn take(&mut self, lines: u32, at: Instant) -> bool {
        if let Some(added) = self.added {
            let passed = at.saturating_duration_since(added);
            let more = passed.as_nanos() / LINE.as_nanos();
            let more = u32::try_from(more).unwrap_or(u32::MAX).min(MOST_LINES);
            self.left = self.left.saturating_add(more);
            self.added = added.checked_add(LINE.saturating_mul(more));
        }
        if self.left >= MOST_LINES {
            (self.left, self.added) = (MOST_LINES, None);
        }
        let Some(left) = self.left.checked_sub(lines) else {
            return false;
        };
        self.left = left;
        self.added.get_or_insert(at);
        true
    }
}

/// What came and went in one folder, as far as that was seen, and was not told.
#[derive(Debug, Default)]
struct LeftOut {
    /// How many there were.
    count: u64,
    /// How many that had stood went, beside those.
    gone: u64,
    /// How many were covered for a while.
    covered: u64,
    /// How many of those that came and went nobody has looked at.
    unseen: u64,
    /// The last of those.
    names: VecDeque<String>,
    /// How the last of all was seen.
    seen: Option<Seen>,
}

impl LeftOut {
    /// What is said of them.
    fn error(&self) -> String {
        let gone = || format!("{} more that stood there are gone", self.gone);
        let covered = || format!("{} more were covered for a while", self.covered);
        let parts = [
            (self.count > 0).then(|| self.came_and_went()),
            (self.gone > 0).then(gone),
            (self.covered > 0).then(covered),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        format!("limit: at least {}", parts.join("; "))
    }

    fn came_and_went(&self) -> String {
        let all = format!("{} more came and went", self.count);
        if self.unseen == 0 {
            return format!("{all} with nothing in them, or with what was told before");
        }
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let unseen = format!("{} of them gone before they were looked at", self.unseen);
        format!("{all}, {unseen}, {} last", names.join(" "))
    }
}

impl Crowd {
    /// Takes so many lines for what holds nothing; false when there are not so many.
    pub fn takes(&mut self, lines: u32, at: Instant) -> bool {
        let has_lines = self.bare.take(lines, at);
        self.refused |= !has_lines;
        has_lines
    }

    /// True when something was not told for want of a line, since this was asked last.
    pub fn has_refused(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }

    /// Whether a coming and the going after it are told: in any case where that is not all known, and of what holds
    /// nothing new while there are lines.
    pub fn comes(&mut self, states: &[&State], lines: u32, at: Instant) -> Told {
        // Each is taken in, whatever the others are.
        let known = states.iter().filter(|state| self.known.comes(state, at));
        let is_known = !states.is_empty() && known.count() == states.len();
        self.takes_alike(is_known, lines, at)
    }

    /// Whether what became of something is told, likewise.
    pub fn becomes(&mut self, steps: &[Step<'_>], lines: u32, at: Instant) -> Told {
        let is_known = self.known.becomes(steps, at);
        self.takes_alike(is_known, lines, at)
    }

    fn takes_alike(&mut self, is_known: bool, lines: u32, at: Instant) -> Told {
        match is_known {
            false => Told::New,
            true if self.alike.take(lines, at) => Told::Taken,
            true => {
                self.refused = true;
                Told::Later
            }
        }
    }

    /// Takes so many lines for what goes, or is emptied: one rename takes thousands away that nobody was told of as
    /// coming.
    pub fn takes_going(&mut self, lines: u32, at: Instant) -> bool {
        let has_lines = self.going.take(lines, at);
        self.refused |= !has_lines;
        has_lines
    }

    /// Takes so many lines for what nothing can be looked at of, for a volume covers it: none of what goes takes these.
    pub fn takes_hidden(&mut self, lines: u32, at: Instant) -> bool {
        let has_lines = self.hidden.take(lines, at);
        self.refused |= !has_lines;
        has_lines
    }

    /// Takes in that something goes that stood as this: if it comes back as it was, it holds nothing new.
    pub fn goes(&mut self, state: &State, at: Instant) {
        self.known.stands(state, at);
    }

    /// Takes so many lines for what nobody has looked at, likewise.
    pub fn takes_unseen(&mut self, lines: u32, at: Instant) -> bool {
        self.names.take(lines, at)
    }

    /// Counts one that came and went with nothing in it and is not told.
    pub fn leave_out(&mut self, path: &[u8], seen: Seen) {
        let left_out = self.of(path);
        left_out.count = left_out.count.saturating_add(1);
        left_out.seen = Some(seen);
    }

    /// Counts one that had stood and went, likewise.
    pub fn leave_out_going(&mut self, path: &[u8], seen: Seen) {
        let left_out = self.of(path);
        left_out.gone = left_out.gone.saturating_add(1);
        left_out.seen = Some(seen);
    }

    /// Counts one that was covered for a while, likewise.
    pub fn leave_out_hidden(&mut self, path: &[u8], seen: Seen) {
        let left_out = self.of(path);
        left_out.covered = left_out.covered.saturating_add(1);
        left_out.seen = Some(seen);
    }

    /// Counts one that nobody has looked at, likewise.
    pub fn leave_out_unseen(&mut self, path: &[u8], seen: Seen) {
        self.leave_out(path, seen);
        let left_out = self.of(path);
        left_out.unseen = left_out.unseen.saturating_add(1);
        let name = text::cut(text::escape(path), MOST_NAME);
        left_out.names.push_back(name);
        if left_out.names.len() > MOST_NAMED {
            left_out.names.pop_front();
        }
    }

    /// What was left out in the folder that a path is in.
    fn of(&mut self, path: &[u8]) -> &mut LeftOut {
        let is_in = |folder: &&str| {
            let below = path.strip_prefix(folder.as_bytes());
            below.is_some_and(|below| below.starts_with(b"/"))
        };
        // Every candidate is called by the way through its folder.
        let [first, others @ ..] = &mut self.left_out;
        let folder = FOLDERS.iter().skip(1).position(is_in);
        folder.and_then(|at| others.get_mut(at)).unwrap_or(first)
    }

    /// An event for each folder in which some were left out, once it is time.
    pub fn settle(&mut self, now: Now, events: &mut Vec<Event>) {
        let early = |told| now.steady.saturating_duration_since(told) < PAUSE;
        if self.told.is_some_and(early) {
            return;
        }
        self.tell(now, events);
    }

    /// Likewise, at once.
    pub fn tell(&mut self, now: Now, events: &mut Vec<Event>) {
        for (folder, left_out) in FOLDERS.iter().zip(&mut self.left_out) {
            let left_out = std::mem::take(left_out);
            let Some(seen) = left_out.seen else {
                continue;
            };
            let state = Arc::new(State {
                kind: "folder".into(),
                error: left_out.error().into(),
                ..State::default()
            });
            events.push(event(folder.as_bytes(), Action::More, seen, state, now));
            self.told = Some(now.steady);
        }
    }
}

/// True of what holds no byte and leads to none: an empty directory or file, a FIFO, a link to nothing.
pub fn is_bare(bundle: &Bundle) -> bool {
    let evidence = &bundle.evidence;
    let is_empty = match evidence.resolved_meta.map(|meta| meta.kind) {
        Some(Kind::Directory) => evidence
            .entries
            .iter()
            .all(|entry| matches!(entry.meta.kind, Kind::Directory | Kind::Other(_))),
        Some(Kind::File) => evidence.bytes() == 0 && !evidence.attributes.resource_fork,
        Some(Kind::Symlink | Kind::Other(_)) | None => true,
    };
    let leads_on = evidence.executable.is_some()
        || evidence.info_plist.is_some()
        || evidence.reach.links > 0
        || !evidence.reach.loads.is_empty();
    // What could not be read, or was too much, may hold anything; what went meanwhile was not there to be read.
    let is_read = evidence.troubles.iter().all(|trouble| {
        matches!(
            trouble,
            Trouble::Changed(_) | Trouble::BrokenSymlink(_) | Trouble::NotRegular(_)
        )
    });
    is_empty && !leads_on && is_read && !evidence.is_folder() && !evidence.is_unsurveyed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(begun: Instant, seconds: u64) -> Now {
        Now {
            steady: begun + Duration::from_secs(seconds),
            wall_ms: 0,
        }
    }

    #[test]
    fn lines_are_as_many_at_once_and_then_one_by_one() {
        let begun = Instant::now();
        let mut crowd = Crowd::default();
        let mut taken = |seconds: u64, most: u32| {
            (0..most)
                .filter(|_| crowd.takes(1, at(begun, seconds).steady))
                .count()
        };
        // A day without one does not save any.
        assert_eq!(taken(86_400, 1_000), 240);
        assert_eq!(taken(86_404, 1_000), 0);
        assert_eq!(taken(86_405, 1_000), 1);
        // Whoever asks all the time takes none away.
        let asked = (0..50_u64).map(|n| taken(86_405 + n, 1)).sum::<usize>();
        assert_eq!(asked, 9);
        assert_eq!(taken(86_455, 1_000), 1);
        assert_eq!(taken(86_455 + 500, 1_000), 100);
        assert_eq!(taken(200_000, 1_000), 240);
    }

    #[test]
    fn what_is_left_out_is_counted_by_folder_once_a_minute() {
        let begun = Instant::now();
        let mut crowd = Crowd::default();
        let told = |crowd: &mut Crowd, seconds: u64| {
            let mut events = Vec::new();
            crowd.settle(at(begun, seconds), &mut events);
            let told = events.into_iter();
            told.map(|e| (e.path, e.state.error.to_string()))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(&mut crowd, 0), []);
        let [of_users, of_system] = FOLDERS else {
            panic!("two folders");
        };
        let says = |folder: &str, count: u64| {
            let error = format!(
                "limit: at least {count} more came and went with nothing in them, or with what was told before"
            );
            (folder.to_owned(), error)
        };
        crowd.leave_out(format!("{of_system}/a/A.dsplug").as_bytes(), Seen::Scan);
        assert_eq!(told(&mut crowd, 1), [says(of_system, 1)]);
        for folder in [of_users, of_users, of_system] {
            crowd.leave_out(format!("{folder}/A.dsplug").as_bytes(), Seen::Scan);
        }
        assert_eq!(told(&mut crowd, 60), []);
        assert_eq!(
            told(&mut crowd, 61),
            [says(of_users, 2), says(of_system, 1)]
        );
        assert_eq!(told(&mut crowd, 1_000), []);
        // What nobody has looked at is named, the last of it.
        for name in ["A", "B", "C", "D"] {
            crowd.leave_out_unseen(
                format!("{of_users}/{name}.dsplug").as_bytes(),
                Seen::Watched,
            );
        }
        crowd.leave_out(format!("{of_users}/E.dsplug").as_bytes(), Seen::Watched);
        let names = ["B", "C", "D"].map(|name| format!("{of_users}/{name}.dsplug"));
        let error = format!(
            "limit: at least 5 more came and went, 4 of them gone before they were looked at, {} last",
            names.join(" ")
        );
        assert_eq!(told(&mut crowd, 2_000), [((*of_users).to_owned(), error)]);
        // What a volume covered is neither.
        crowd.leave_out_going(format!("{of_users}/A.dsplug").as_bytes(), Seen::Scan);
        crowd.leave_out_hidden(format!("{of_users}/B.dsplug").as_bytes(), Seen::Scan);
        let error =
            "limit: at least 1 more that stood there are gone; 1 more were covered for a while";
        let error = ((*of_users).to_owned(), error.to_owned());
        assert_eq!(told(&mut crowd, 3_000), [error]);
    }

    #[test]
    fn what_holds_nothing_takes_no_line_from_what_was_not_looked_at() {
        let begun = Instant::now();
        let mut crowd = Crowd::default();
        assert!(crowd.takes(MOST_LINES, begun) && !crowd.takes(2, begun));
        assert!(crowd.takes_unseen(MOST_LINES, begun) && !crowd.takes_unseen(2, begun));
        // Nor does what goes take one from what a volume covers; what has none waits for its turn.
        assert!(crowd.has_refused());
        assert!(crowd.takes_going(MOST_LINES, begun) && crowd.takes_hidden(MOST_LINES, begun));
        assert!(!crowd.has_refused());
        assert!(!crowd.takes_going(1, begun) && crowd.has_refused());
        assert!(!crowd.takes_hidden(1, begun) && crowd.has_refused());
    }
}
