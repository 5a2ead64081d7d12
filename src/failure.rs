//! An error for people: one line that says what, where and what to do, and the status that goes with it.

use std::fmt;

use crate::text::tame;

/// Why a command could not do what it was asked for, in one line: what, where and what to do.
#[derive(Debug)]
pub struct Failure {
    line: String,
    status: u8,
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl Failure {
    /// A failure with that line; several lines become one.
    pub fn new(line: impl Into<String>) -> Self {
        Self {
            line: one_line(&line.into()),
            status: 1,
        }
    }

    /// A failure of who called: the status is 2.
    pub fn wrong_call(line: impl Into<String>) -> Self {
        Self {
            line: one_line(&line.into()),
            status: 2,
        }
    }

    /// The exit status that it makes: 1, or 2 for a wrong call.
    pub fn status(&self) -> u8 {
        self.status
    }
}

/// The same text in one line.
fn one_line(text: &str) -> String {
    let parts = text.lines().map(str::trim).filter(|part| !part.is_empty());
    // What was named on the command line may be a path that an attacker chose.
    tame(&parts.collect::<Vec<_>>().join(" ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_without_signs_that_mislead() {
        let failure = Failure::new("no \u{1b}]0;x\u{7} stands\nat\t\\x0a\u{202e}");
        assert_eq!(
            failure.to_string(),
            "no \\x1b]0;x\\x07 stands at\\x09\\x0a\\u{202e}"
        );
    }
}
