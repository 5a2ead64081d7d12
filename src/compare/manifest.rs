//! What an archive says of itself that it does not hold: the last member of it, which may be hostile as the others.

use std::fmt;
use std::io::{BufReader, Read};

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::bounded_json::Bounded;
use crate::text::{cut, escape};

/// Lines that are held; the rest is counted.
const MOST_LINES: usize = 1000;
/// Bytes of one.
const MOST_LINE: usize = 16 << 10;

/// What was left out of an archive, or stands in it with an error.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Lines that may be of the bundle that is asked for.
    lines: Vec<String>,
    /// How many more there are, of whatever.
    more: u64,
}

impl LeftOut {
    /// Reads a manifest. A line `is_of` the bundle or it does not count.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(from: impl Read, is_of: impl Fn(&str) -> bool) -> Result<Self, String> {
        let mut from = serde_json::Deserializer::from_reader(BufReader::new(Bounded::new(from)));
        let read = from.deserialize_map(Fields(is_of));
        read.and_then(|left_out| from.end().map(|()| left_out))
            .map_err(|error| error.to_string())
    }

    /// Each in a line, as it can be shown.
    pub fn into_lines(self) -> Vec<String> {
        let mut lines = self.lines;
        if self.more > 0 {
            lines.push(format!("{} more that the archive does not hold", self.more));
        }
        lines
    }
}

/// The fields of a manifest: of its members nothing is held.
struct Fields<F>(F);

impl<'de, F: Fn(&str) -> bool> Visitor<'de> for Fields<F> {
    type Value = LeftOut;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a manifest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<LeftOut, A::Error> {
        let mut left_out = LeftOut::default();
        while let Some(key) = from.next_key::<String>()? {
            match key.as_str() {
                "left_out" => from.next_value_seed(Lines(&self.0, &mut left_out))?,
                "left_out_more" => {
                    left_out.more = left_out.more.saturating_add(from.next_value()?);
                }
                _ => drop(from.next_value::<IgnoredAny>()?),
            }
        }
        Ok(left_out)
    }
}

/// The lines of what was left out.
struct Lines<'a, F>(&'a F, &'a mut LeftOut);

impl<'de, F: Fn(&str) -> bool> DeserializeSeed<'de> for Lines<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, F: Fn(&str) -> bool> Visitor<'de> for Lines<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was left out")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<(), A::Error> {
        let Self(is_of, left_out) = self;
        while let Some(line) = from.next_element::<String>()? {
            if !is_of(&line) {
                continue;
            }
            if left_out.lines.len() < MOST_LINES {
                left_out.lines.push(cut(escape(line.as_bytes()), MOST_LINE));
            } else {
                left_out.more = left_out.more.saturating_add(1);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Result<Vec<String>, String> {
        let left_out = LeftOut::read(text.as_bytes(), |line| line.contains("/a"));
        left_out.map(LeftOut::into_lines)
    }

    #[test]
    fn of_a_manifest_what_was_left_out_is_held_and_no_more_than_is_shown() {
        let text = r#"{"members":[{"member":"x","error":"/a"}],"left_out":["/b","/a \u001b"],"left_out_more":0}"#;
        assert_eq!(lines(text).unwrap(), [r"/a \x1b"]);
        assert_eq!(lines("{}").unwrap(), [""; 0]);
        let more = "2 more that the archive does not hold";
        assert_eq!(lines(r#"{"left_out_more":2}"#).unwrap(), [more]);
        let many = format!(
            r#"{{"left_out":[{}"/a"]}}"#,
            r#""/a","#.repeat(MOST_LINES + 1)
        );
        assert_eq!(lines(&many).unwrap()[MOST_LINES], more);
        let long = format!(r#"{{"left_out":["/a{}"]}}"#, "x".repeat(1 << 20));
        assert!(lines(&long).unwrap()[0].len() < MOST_LINE + 200);
        let deep = format!(r#"{{"members":{}"#, "[".repeat(1 << 20));
        assert!(lines(&deep).unwrap_err().contains("nests deeper"));
        assert!(lines("[]").is_err() && lines(r#"{"left_out":1}"#).is_err());
    }
}
