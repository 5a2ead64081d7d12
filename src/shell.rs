//! Text from disk as a word of a shell's: whoever pastes a line runs what it says, and nothing that is called so.

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
