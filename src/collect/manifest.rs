//! What stands in an archive and what does not, as its last member lists it.

use std::io::{self, Read, Write as _};

use serde_json::{Map, Value, json};

use super::member::{Member, decimal};
use crate::attribute::Attribute;
use crate::spool::Spool;
use crate::text::{escape, escape_json, hex};

/// What is left out is listed, at most so many lines; the rest is counted.
const MOST_LINES: usize = 10_000;

/// Bytes of these lines.
const MOST_LINES_BYTES: usize = 4 << 20;
/// Bytes of one member's extended attributes that are shown; of more the number is, for they stand in its records.
const MOST_ATTRIBUTES: usize = 4 << 10;
/// Bytes of them that are shown of all members: all of it is in memory until the archive's end.
const MOST_SHOWN: usize = 4 << 20;

/// What stands in the archive and what does not.
pub struct Manifest {
    lines: Spool,
    attributes_left: usize,
    /// How many stand in it.
    pub members: u64,
    left_out: Vec<String>,
    lines_left: usize,
    more: u64,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            lines: Spool::default(),
            attributes_left: MOST_SHOWN,
            members: 0,
            left_out: Vec::new(),
            lines_left: MOST_LINES_BYTES,
            more: 0,
        }
    }
}

impl Manifest {
    pub fn leave_out(&mut self, line: String) {
        let rest = self.lines_left.checked_sub(line.len());
        match rest.filter(|_| self.left_out.len() < MOST_LINES) {
            Some(rest) => {
                self.lines_left = rest;
                self.left_out.push(line);
            }
            None => self.more = self.more.saturating_add(1),
        }
    }

    pub fn left_out(&self) -> u64 {
        let listed = u64::try_from(self.left_out.len()).unwrap_or(u64::MAX);
        listed.saturating_add(self.more)
    }

    pub fn add(
        &mut self,
        member: &Member,
        sha256: Option<&[u8; 32]>,
        error: Option<&str>,
    ) -> io::Result<()> {
        let mut line = Map::new();
        let mut text = |key: &str, bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => drop(line.insert(key.into(), json!(text))),
            Err(_) => {
                line.insert(key.into(), json!(escape(bytes)));
                line.insert(format!("{key}_hex"), json!(hex(bytes)));
            }
        };
        text("member", &member.name);
        if let Some(link) = &member.link {
            text("link", link);
        }
        if let Some(first) = &member.hard_link {
            text("same_file_as", first);
        }
        line.insert("kind".into(), json!(member.kind.as_str()));
        if let Some(special) = member.kind.special() {
            line.insert("special".into(), json!(special.to_string()));
        }
        if let Some(sha256) = sha256 {
            line.insert("size".into(), json!(member.size));
            line.insert("sha256".into(), json!(hex(sha256)));
        }
        if let Some(meta) = &member.meta {
            line.insert("mode".into(), json!(meta.octal_mode()));
            line.insert("uid".into(), json!(meta.uid));
            line.insert("gid".into(), json!(meta.gid));
            line.insert("mtime".into(), json!(decimal(meta.mtime)));
            line.insert("ctime".into(), json!(decimal(meta.ctime)));
            line.insert("btime".into(), json!(meta.btime));
        }
        let attributes = &member.attributes;
        let size = attributes
            .iter()
            .map(|(n, v)| n.len().saturating_add(v.len()));
        let size = size.fold(0, usize::saturating_add);
        let rest = self.attributes_left.checked_sub(size);
        if let Some(rest) = rest.filter(|_| size > 0 && size <= MOST_ATTRIBUTES) {
            self.attributes_left = rest;
            let shown = |(name, value): &Attribute| (escape(name), json!(hex(value)));
            let shown = attributes.iter().map(shown).collect();
            line.insert("attributes_hex".into(), Value::Object(shown));
        } else if size > 0 {
            line.insert("attributes".into(), json!(attributes.len()));
        }
        if let Some(error) = error {
            line.insert("error".into(), json!(error));
        }
        let comma = if self.members == 0 { "" } else { ",\n" };
        self.members = self.members.saturating_add(1);
        let line = Value::Object(line).to_string();
        let line = escape_json(&line);
        write!(self.lines, "{comma}{line}")
    }

    /// Its text, and how many bytes that has.
    pub fn finish(self) -> io::Result<(impl Read, u64)> {
        let begin: &[u8] = b"{\"members\":[\n";
        let (lines, len) = self.lines.finish()?;
        let left_out = json!(self.left_out).to_string();
        let left_out = escape_json(&left_out);
        let end = format!(
            "\n],\n\"left_out\":{left_out},\n\"left_out_more\":{}}}\n",
            self.more
        );
        let own = begin.len().saturating_add(end.len());
        let len = len.saturating_add(u64::try_from(own).unwrap_or(u64::MAX));
        Ok((begin.chain(lines).chain(io::Cursor::new(end)), len))
    }
}
