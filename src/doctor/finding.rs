//! A finding: one thing that is so, and what to do about it.

use std::fmt;

use crate::shell::Line;
use crate::text::tame;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// dsplug does not work, or is not safe, as long as this is so.
    Wrong,
    /// An admin should know it.
    Note,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::Note => "note",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What is so, and where: one line.
    pub what: String,
    /// What to do.
    pub cure: Cure,
}

/// What to do about a finding, in one line: words of our own, and a command where one does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cure {
    says: &'static str,
    run: Option<Line>,
}

impl Cure {
    /// What to do, and the command that does it.
    pub fn by(says: &'static str, run: Line) -> Self {
        let run = Some(run);
        Self { says, run }
    }
}

impl From<&'static str> for Cure {
    fn from(says: &'static str) -> Self {
        Self { says, run: None }
    }
}

impl fmt::Display for Cure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.says)?;
        let Some(run) = &self.run else {
            return Ok(());
        };
        let run = run.written().unwrap_or_else(|why| why);
        write!(f, ": {run}")
    }
}

impl Finding {
    /// Something that is wrong.
    pub fn wrong(what: impl Into<String>, cure: impl Into<Cure>) -> Self {
        Self {
            severity: Severity::Wrong,
            what: tame(&what.into()).into_owned(),
            cure: cure.into(),
        }
    }

    /// Something to know.
    pub fn note(what: impl Into<String>, cure: impl Into<Cure>) -> Self {
        Self {
            severity: Severity::Note,
            what: tame(&what.into()).into_owned(),
            cure: cure.into(),
        }
    }

    /// The same about an image of a disk. A command is for the computer that runs it, and the paths in it are the
    /// image's: there are none.
    #[must_use]
    pub fn of_image(mut self) -> Self {
        self.cure.run = None;
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.severity.as_str();
        write!(f, "{word:5}  {}\n       cure: {}", self.what, self.cure)
    }
}
