//! How it stands with the journal.

/// How it stands with the journal, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The file; empty when nothing is kept.
    pub path: String,
    /// `kept` in the file, in `memory` alone because nothing is to be kept, `error` when it ought to
    /// be in the file and is not; empty where nobody watches.
    pub state: &'static str,
    /// The last errors since the start: what was done to the lock, to the file, and what failed.
    pub error: String,
}

/// The last errors since the start, of each kind: what follows from what was done to the file does not hide that.
#[derive(Debug, Default)]
pub struct Errors {
    /// What was done to the lock.
    lock: String,
    /// What was done to the file.
    file: String,
    /// That there is no room for all that is known, for as long as it is so.
    room: &'static str,
    /// What failed.
    failed: String,
}

/// What is said where there is no room for all that is known: whoever planted bundles by the thousand knows it.
const NO_ROOM: &str = "limit: the file has no room for all bundles that are known: what happens to the others while nothing runs is not told";

impl Errors {
    /// Says what was done to the lock.
    pub fn lock(&mut self, what: String) {
        said(&mut self.lock, what);
    }

    /// Says what was done to the file.
    pub fn file(&mut self, what: String) {
        said(&mut self.file, what);
    }

    /// Says more of what was done to the file.
    pub fn file_as_well(&mut self, what: &str) {
        let all = if self.file.is_empty() {
            what.to_owned()
        } else {
            format!("{}; {what}", self.file)
        };
        said(&mut self.file, all);
    }

    /// Says that there is no room for all that is known, or that there is.
    pub fn room(&mut self, is_cut: bool) {
        let room = if is_cut { NO_ROOM } else { "" };
        if self.room != room && is_cut {
            log::error!("{room}");
        }
        self.room = room;
    }

    /// Says what failed; true when the log has not had it last.
    pub fn failed(&mut self, what: &str) -> bool {
        let is_new = self.failed != what;
        what.clone_into(&mut self.failed);
        is_new
    }

    /// All of them.
    pub fn text(&self) -> String {
        let all = [&self.lock, &self.file, self.room, &self.failed];
        let all: Vec<&str> = all.into_iter().filter(|what| !what.is_empty()).collect();
        all.join("; ")
    }
}

/// Has the log say it, once for as long as nothing else of its kind is.
fn said(last: &mut String, what: String) {
    if *last != what {
        log::error!("{what}");
        *last = what;
    }
}
