//! What stands in an archive and what does not, as its last member lists it.

use std::io::{self, Write as _};

use serde_json::{Map, Value, json};

use super::member::{Member, decimal};
use crate::spool::Spool;
use crate::text::{escape, escape_json, hex};

/// What is left out is listed, at most so many lines; the rest is counted.
const MOST_LINES: usize = 10_000;

/// What stands in the archive and what does not.
#[derive(Default)]
pub struct Manifest {
    lines: Spool,
    /// How many stand in it.
    pub members: u64,
    left_out: Vec<String>,
    more: u64,
}

impl Manifest {
    pub fn leave_out(&mut self, line: String) {
        if self.left_out.len() < MOST_LINES {
            self.left_out.push(line);
        } else {
            self.more = self.more.saturating_add(1);
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
        if !member.attributes.is_empty() {
            let attributes = member.attributes.iter();
            let attributes = attributes.map(|(name, value)| (escape(name), json!(hex(value))));
            line.insert("attributes_hex".into(), Value::Object(attributes.collect()));
        }
        if let Some(error) = error {
            line.insert("error".into(), json!(error));
        }
        let comma = if self.members == 0 { "" } else { ",\n" };
        self.members = self.members.saturating_add(1);
        let line = escape_json(&Value::Object(line).to_string());
        write!(self.lines, "{comma}{line}")
    }

    pub fn finish(self) -> io::Result<Spool> {
        let mut out = Spool::default();
        out.write_all(b"{\"members\":[\n")?;
        let (mut lines, _) = self.lines.finish()?;
        io::copy(&mut lines, &mut out)?;
        let left_out = json!(self.left_out).to_string();
        let left_out = escape_json(&left_out);
        write!(
            out,
            "\n],\n\"left_out\":{left_out},\n\"left_out_more\":{}}}\n",
            self.more
        )?;
        Ok(out)
    }
}
