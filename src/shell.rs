//! Lines for a shell: whoever pastes one runs what it says, and nothing that is called so.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::text::{escape, hex, tame};

/// A line that is pasted into a shell, or the end of one. Its own words stand in this program; all else is one word of
/// the shell's each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    text: String,
    lacks: Option<String>,
}

impl Line {
    /// A line that begins with these words.
    pub fn new(words: &'static str) -> Self {
        Self::default().own(words)
    }

    /// More words of its own.
    #[must_use]
    pub fn own(mut self, words: &'static str) -> Self {
        self.push(words);
        self
    }

    /// Text from elsewhere, which was escaped.
    #[must_use]
    pub fn word(mut self, text: &str) -> Self {
        self.push(&quoted(&tame(text)));
        self
    }

    /// A digest.
    #[must_use]
    pub fn digest(mut self, digest: &[u8]) -> Self {
        self.push(&hex(digest));
        self
    }

    /// An option and a path, which the line needs as it is: where no line can have it, there is none.
    #[must_use]
    pub fn path(mut self, option: &'static str, path: &Path) -> Self {
        match path.to_str() {
            Some(text) if tame(text) == text => {
                self.push(option);
                self.push(&quoted(text));
            }
            _ => {
                let shown = escape(path.as_os_str().as_bytes());
                self.lacks = Some(format!(
                    "the path {shown} of {option} cannot be pasted; name it by another, such as a symlink to it"
                ));
            }
        }
        self
    }

    /// The end of it.
    #[must_use]
    pub fn end(mut self, end: &Self) -> Self {
        if !end.text.is_empty() {
            self.push(&end.text);
        }
        self.lacks = self.lacks.or_else(|| end.lacks.clone());
        self
    }

    /// The line.
    ///
    /// # Errors
    /// Why there is none: words of our own, with what is from elsewhere escaped.
    pub fn written(&self) -> Result<&str, &str> {
        match &self.lacks {
            None => Ok(&self.text),
            Some(why) => Err(why),
        }
    }

    fn push(&mut self, words: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(words);
    }
}

/// Text as one word, the same in sh, bash, zsh and fish.
///
/// In single quotes each sign is itself, `!` of an interactive shell too, but for two: `'` ends them, and `\` is
/// itself in sh and an escape in fish. Both stand outside, where a backslash before them means the same in each. No
/// `''` stands within quotes, which zsh can be told to take for a quote (`rcquotes`).
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' | '\\' => out.extend(['\'', '\\', c, '\'']),
            _ => out.push(c),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_take_for_an_escape_stands_outside_of_the_quotes() {
        for (text, word) in [
            ("", "''"),
            ("/a b!$(c)", "'/a b!$(c)'"),
            ("it's", r"'it'\''s'"),
            (r"a\x0a", r"'a'\\'x0a'"),
            (r"E\'; x;#", r"'E'\\''\''; x;#'"),
            ("''", r"''\'''\'''"),
        ] {
            assert_eq!(quoted(text), word);
        }
    }
}
