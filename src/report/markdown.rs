//! Text from disk in Markdown: whoever shows it, shows that very text.
//!
//! An attacker names files, so that a mark, an entity, a tag or a link of his could become another text, or a command
//! of his, once it is shown. Code alone is shown as it is by every reader: in it stands all that is not plainly words.
//! Source: CommonMark 0.31.2, sections 4.5 and 6.1.

/// Text as code in a line. Of no text there is none: two backticks are no code.
pub fn code(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let fence = "`".repeat(longest_run(text).saturating_add(1));
    // Without blanks a backtick at an end would join the fence, and of text with a blank at both ends one each is
    // taken away.
    let has_blanks =
        text.starts_with(' ') && text.ends_with(' ') && !text.trim_matches(' ').is_empty();
    let blank = if text.contains('`') || has_blanks {
        " "
    } else {
        ""
    };
    format!("{fence}{blank}{text}{blank}{fence}")
}

/// Lines for a shell as a block of code, each as it is. It stands `indent` columns in.
pub fn block(commands: &[String], indent: usize) -> String {
    let longest = commands.iter().map(|line| longest_run(line)).max();
    let fence = "`".repeat(longest.unwrap_or_default().saturating_add(1).max(3));
    let indent = " ".repeat(indent);
    let lines = commands.iter().map(|line| format!("{indent}{line}\n"));
    let lines: String = lines.collect();
    format!("{indent}{fence}sh\n{lines}{indent}{fence}\n")
}

/// Text as code in a cell of a table, where a bar ends the cell, in code too. Readers do not agree on what a bar behind
/// backslashes is (marked counts them, markdown-it does not): it stands outside of the code, as a reference.
pub fn cell(text: &str) -> String {
    let parts = text.split('|');
    parts.map(code).collect::<Vec<_>>().join("&#124;")
}

/// A sentence: plain words as they are, and as code whatever else is in it.
pub fn prose(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    // Where blanks follow each other, code holds them: elsewhere a reader makes one of them.
    let is_blank = |at: Option<usize>| {
        at.and_then(|at| words.get(at))
            .is_some_and(|w| w.is_empty())
    };
    let is_code = |(at, word): (usize, &&str)| {
        let beside = is_blank(at.checked_sub(1)) || is_blank(at.checked_add(1));
        word.is_empty() || beside || !is_plain(word)
    };
    let kinds: Vec<bool> = words.iter().enumerate().map(is_code).collect();
    let mut pieces = Vec::new();
    let mut rest = words.iter().zip(&kinds).peekable();
    while let Some((word, is_code)) = rest.next() {
        let mut piece = (*word).to_owned();
        while let Some((word, _)) = rest.next_if(|(_, kind)| *kind == is_code) {
            piece.push(' ');
            piece.push_str(word);
        }
        pieces.push(if *is_code {
            code_and_sign(&piece)
        } else {
            piece
        });
    }
    pieces.join(" ")
}

/// Text as code. Of a word that is a name, a number or a time, which are copied, the sign of the sentence behind
/// it is none; a path may end in such a sign itself, and nobody could tell.
fn code_and_sign(text: &str) -> String {
    let is_sign = |c: char| matches!(c, '.' | ',' | ';' | ':');
    let bare = text.strip_suffix(is_sign).unwrap_or(text);
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b':');
    let ends_so = bare.ends_with(|c: char| c.is_ascii_alphanumeric());
    if ends_so && bare.bytes().all(is_name) {
        let sign = text.get(bare.len()..).unwrap_or_default();
        return format!("{}{sign}", code(bare));
    }
    code(text)
}

/// True for what no reader makes anything else of: letters, with a hyphen or an apostrophe between them, or digits, in
/// the signs of a sentence. Digits before a point or a bracket begin a list.
fn is_plain(word: &str) -> bool {
    let bare = word.trim_start_matches(['(', '\'']);
    let bare = bare.trim_end_matches(['.', ',', ';', ':', '?', ')', '\'']);
    let mut parts = bare.split(['-', '\'']);
    let letters =
        parts.all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphabetic()));
    let digits = !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit());
    letters || (digits && !word.contains(['.', ')'])) || word == "\u{2014}"
}

/// The length of the longest run of backticks.
fn longest_run(text: &str) -> usize {
    let runs = text.split(|c| c != '`').map(str::len);
    runs.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No bar is left, which a reader that counts the backslashes before it could take for the cell's end.
    #[test]
    fn a_cell_is_not_left_by_a_bar() {
        assert_eq!(cell(""), "");
        assert_eq!(cell(r"a\b"), r"`a\b`");
        assert_eq!(cell(r"a\|<img src=x>"), r"`a\`&#124;`<img src=x>`");
        assert_eq!(cell("|`||*"), "&#124;`` ` ``&#124;&#124;`*`");
    }

    #[test]
    fn code_keeps_every_blank_and_backtick() {
        assert_eq!(code(""), "");
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a``b`"), "``` a``b` ```");
        assert_eq!(code(" a "), "`  a  `");
        assert_eq!(code(" a"), "` a`");
        assert_eq!(code(" "), "` `");
    }

    #[test]
    fn a_block_ends_where_its_last_line_does() {
        let lines = ["a '````'".to_owned(), "b".to_owned()];
        assert_eq!(
            block(&lines, 3),
            "   `````sh\n   a '````'\n   b\n   `````\n"
        );
        assert_eq!(block(&lines[1..], 0), "```sh\nb\n```\n");
    }

    #[test]
    fn a_sentence_keeps_its_words_and_no_mark_in_it() {
        let plain = "It's a well-known way (see below): 12 of them, or more \u{2014} what else?";
        assert_eq!(prose(plain), plain);
        for (text, shown) in [
            ("", ""),
            (
                "It stands at /a&amp;b, now.",
                "It stands at `/a&amp;b,` now.",
            ),
            ("/a b/~~c~~ d", "`/a b/~~c~~` d"),
            ("at /a  b too", "at `/a  b` too"),
            ("/a b ", "`/a b `"),
            ("1. one", "`1`. one"),
            (
                "no_seal: last at 2026-11-30T10:43:32Z.",
                "`no_seal`: last at `2026-11-30T10:43:32Z`.",
            ),
            (
                "in a/b_c. then No_1, or 2_..",
                "in `a/b_c.` then `No_1`, or `2_..`",
            ),
            (
                "- x www.example.com a@b #1 :x: $x$",
                "`-` x `www.example.com a@b #1 :x: $x$`",
            ),
            ("a `b` c", "a `` `b` `` c"),
            ("é (tm2) GH-1", "`é (tm2) GH-1`"),
        ] {
            assert_eq!(prose(text), shown);
        }
    }
}
