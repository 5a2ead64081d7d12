//! The JSON of a row: root may have put rows there, and what this program writes has nothing in it that misleads
//! whoever prints it.

use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Error, Value};

use crate::text::tame;

/// Bytes of a row of which texts are made safe: nothing that this program writes needs that, and lists in lists take a
/// hundred and fifty times their bytes while it is done.
const MOST_TAMED: usize = 32 << 10;

/// Reads what a row holds, with its texts made safe to show.
///
/// # Errors
/// When it is no such JSON, or none of this program's and long.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    if is_plain(text) {
        return serde_json::from_str(text);
    }
    if text.len() > MOST_TAMED {
        return Err(Error::custom("this program wrote no such row"));
    }
    let mut value: Value = serde_json::from_str(text)?;
    tame_all(&mut value);
    serde_json::from_str(&value.to_string())
}

/// True for JSON in which nothing is escaped but backslashes and quotes, and nothing misleads.
fn is_plain(text: &str) -> bool {
    let mut escaped = text.split('\\').skip(1);
    let mut is_plain = true;
    while let Some(after) = escaped.next() {
        // Two in a row: what stands behind them is text.
        if after.is_empty() {
            escaped.next();
        } else {
            is_plain &= after.starts_with('"');
        }
    }
    is_plain && tame(text) == text
}

fn tame_all(value: &mut Value) {
    match value {
        Value::String(text) => *text = tame(text).into_owned(),
        Value::Array(values) => values.iter_mut().for_each(tame_all),
        Value::Object(members) => members.values_mut().for_each(tame_all),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_misleads_is_escaped_however_it_is_written() {
        for (json, text) in [
            (r#""a\\x0a\"b""#, r#"a\x0a"b"#),
            (r#""\u001b]0;""#, r"\x1b]0;"),
            (r#""\\\n""#, r"\\x0a"),
            ("\"\u{202e}\"", r"\u{202e}"),
            (r#""\u202e\t""#, r"\u{202e}\x09"),
        ] {
            assert_eq!(read::<String>(json).unwrap(), text, "{json}");
        }
    }

    /// Whoever is root can have a row of a megabyte, and with it a process of hundreds.
    #[test]
    fn what_is_long_and_misleads_is_not_read() {
        let row = |count: usize| format!(r#"{{"a":"\u0007","b":[{}0]}}"#, "[],".repeat(count));
        type Row = std::collections::BTreeMap<String, Value>;
        read::<Row>(&row(10_000)).unwrap();
        read::<Row>(&row(11_000)).unwrap_err();
        read::<Row>(&row(11_000).replace(r"\u0007", "")).unwrap();
    }
}
