//! What of a property list in XML could be read in another way than CoreFoundation's.

/// What is to be done about that which readers take in different ways.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// It is read as CoreFoundation reads it.
    Lenient,
    /// It is refused.
    Exact,
}

/// Why a dictionary is refused of which readers take one entry or the other.
pub const TWICE: &str = "a key stands there twice";

/// The one declaration that is plain.
const DOCTYPE: &[u8] = b"<!DOCTYPE";

/// What CoreFoundation's XML reader takes in another way than the crate's. To it a DOCTYPE ends at
/// the first `>`, whatever quotes are around that (`skipDTD`, `CFPropertyList.c` of Apple); every
/// tag is held to the same.
pub(super) fn ambiguity(xml: &[u8]) -> Option<&'static str> {
    let mut rest = xml;
    while let Some(at) = rest.iter().position(|byte| *byte == b'<') {
        let (before, markup) = rest.split_at_checked(at)?;
        if markup.starts_with(b"<![") {
            return Some("a CDATA section");
        }
        let Some(comment) = markup.strip_prefix(b"<!--") else {
            let end = markup.iter().position(|byte| matches!(byte, b'>' | b'['))?;
            let (tag, after) = markup.split_at_checked(end)?;
            if tag.starts_with(b"<!") && (after.starts_with(b"[") || !tag.starts_with(DOCTYPE)) {
                return Some("declarations of its own");
            }
            if tag.starts_with(b"<?") && !(tag.starts_with(b"<?xml ") && tag.ends_with(b"?")) {
                return Some("a processing instruction");
            }
            if after.starts_with(b"[") || ends_in_quotes(tag) {
                return Some("a tag of an odd form");
            }
            rest = after;
            continue;
        };
        let in_text = |near: Option<&u8>, tag| near.is_some_and(|byte| *byte != tag);
        let odd = comment.starts_with(b">") || comment.starts_with(b"->");
        let end = comment.windows(3).position(|three| three == b"-->");
        let after = comment.get(end?.saturating_add(3)..)?;
        if odd
            || in_text(before.trim_ascii_end().last(), b'>')
            || in_text(after.trim_ascii_start().first(), b'<')
        {
            return Some("a comment within text or of an odd form");
        }
        // What comes next stands behind a tag's end, like what stood before.
        rest = after;
    }
    None
}

/// Whether a quote in a tag is still open where it ends.
fn ends_in_quotes(tag: &[u8]) -> bool {
    let quotes = tag.iter().filter(|byte| matches!(byte, b'"' | b'\''));
    let open = quotes.fold(None, |open, quote| match open {
        None => Some(quote),
        Some(open) if open == quote => None,
        open => open,
    });
    open.is_some()
}
