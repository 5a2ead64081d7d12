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

/// What to do about a finding, in one line: words of our own, a command where one does it, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cure {
    says: &'static str,
    run: Option<Line>,
}

impl Cure {
    /// A command that follows on what a person does first.
    pub fn then(says: &'static str, run: Line) -> Self {
        let run = Some(run);
        Self { says, run }
    }
}

impl From<&'static str> for Cure {
    fn from(says: &'static str) -> Self {
        Self { says, run: None }
    }
}

impl From<Line> for Cure {
    fn from(run: Line) -> Self {
        Self::then("", run)
    }
}

impl fmt::Display for Cure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.says)?;
        let Some(run) = &self.run else {
            return Ok(());
        };
        if !self.says.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(run.written().unwrap_or_else(|why| why))
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
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.severity.as_str();
        write!(f, "{word:5}  {}\n       cure: {}", self.what, self.cure)
    }
}
