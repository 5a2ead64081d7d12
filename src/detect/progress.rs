//! What is being done, on a terminal: one line, which is taken away before anything else is said.

use std::io::{self, IsTerminal as _, Write as _};

/// The line.
#[derive(Debug)]
pub struct Progress {
    is_shown: bool,
}

impl Progress {
    /// A line on standard error, where that is a terminal that can take it away again.
    pub fn new() -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self {
            is_shown: io::stderr().is_terminal() && !is_dumb,
        }
    }

    /// Shows this in the place of what was shown.
    pub fn say(&self, text: &str) {
        if self.is_shown {
            let mut out = io::stderr().lock();
            let _ = write!(out, "\r\u{1b}[K{text}");
            let _ = out.flush();
        }
    }

    /// Takes it away.
    pub fn clear(&self) {
        self.say("");
    }
}
