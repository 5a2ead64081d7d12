//! Questions to the log of a whole fleet: one `.sql` file each in `packs/hunting`, and the view
//! `dsplug_lines` that they all ask, for each engine that people keep such a log in.
//!
//! A file is one statement that every engine takes as it stands. What engines disagree on (how a line
//! of JSON is read, how a snapshot is taken apart, how a time is written) is in [`views`] alone.

pub mod views;

use std::fmt::Write;

use super::PackError;
use super::header::split;

/// The view that every question asks.
pub const VIEW: &str = "dsplug_lines";

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunt {
    /// The name of its file.
    pub name: String,
    /// What it shows, in half a sentence.
    pub title: String,
    /// What it asks.
    pub question: String,
    /// What to do with the answer.
    pub answer: String,
    /// How often it reads the log.
    pub cost: String,
    /// The statement as it stands, without its header.
    pub sql: String,
}

/// Reads the file of the question of that name.
///
/// # Errors
/// When a key is missing, unknown or given twice, the statement has a comment, or it does not name the
/// view once, at the end of a line of its own.
pub fn parse(name: &str, text: &str) -> Result<Hunt, PackError> {
    let fail = |why: String| PackError::new(format!("{name}.sql"), why);
    let (mut fields, _) = split(text).map_err(fail)?;
    let sql: Vec<&str> = text
        .lines()
        .skip_while(|line| line.starts_with("--"))
        .collect();
    let mut need = |key: &str| {
        let at = fields.iter().position(|(k, _)| k == key);
        let (_, value) = fields.remove(at.ok_or_else(|| format!("the header has no `{key}`"))?);
        Ok::<String, String>(value)
    };
    let hunt = Hunt {
        name: name.to_owned(),
        title: need(name).map_err(fail)?,
        question: need("question").map_err(fail)?,
        answer: need("answer").map_err(fail)?,
        cost: need("cost").map_err(fail)?,
        sql: sql.join("\n"),
    };
    if let Some((key, _)) = fields.first() {
        return Err(fail(format!("the header's `{key}` is not known")));
    }
    if hunt.sql.contains("--") || hunt.sql.contains("/*") {
        return Err(fail("the statement has a comment".into()));
    }
    if !hunt.sql.ends_with(';') {
        return Err(fail("the statement does not end in ;".into()));
    }
    let source = format!("FROM {VIEW}");
    let sources = text.lines().filter(|line| line.trim() == source).count();
    if sources != 1 || text.matches(VIEW).count() != 1 {
        return Err(fail(format!("`{source}` is not a line of it, once")));
    }
    Ok(hunt)
}

/// The index for people.
pub fn index(hunts: &[Hunt]) -> String {
    let mut out = String::new();
    for hunt in hunts {
        let apart = if out.is_empty() { "" } else { "\n" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{apart}### `{}`: {}\n\n**{}** {}\n\n*Cost:* {}",
            hunt.name, hunt.title, hunt.question, hunt.answer, hunt.cost
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "-- one: how many\n--\n-- question: How many?\n-- answer: Count\n--   them.\n\
        -- cost: The log is read once.\nSELECT COUNT(*) AS n\nFROM dsplug_lines\nWHERE path <> '';\n";

    #[test]
    fn a_whole_file_is_read() {
        let hunt = parse("one", GOOD).unwrap();
        assert_eq!(hunt.answer, "Count them.");
        assert_eq!(
            hunt.sql,
            "SELECT COUNT(*) AS n\nFROM dsplug_lines\nWHERE path <> '';"
        );
    }

    #[test]
    fn each_fault_is_named() {
        for (old, new, why) in [
            ("-- one:", "-- two:", "no `one`"),
            ("-- question: How many?\n", "", "no `question`"),
            ("-- cost:", "-- price:", "no `cost`"),
            ("-- cost:", "-- price: 1\n-- cost:", "`price` is not known"),
            ("FROM dsplug_lines", "FROM lines", "is not a line"),
            ("FROM dsplug_lines\n", "FROM dsplug_lines ", "is not a line"),
            ("path <>", "dsplug_lines.path <>", "is not a line"),
            ("'';", "''; -- all", "comment"),
            ("'';", "''", "end in ;"),
        ] {
            let text = GOOD.replace(old, new);
            assert_ne!(text, GOOD);
            let error = parse("one", &text).unwrap_err().to_string();
            assert!(
                error.starts_with("one.sql: ") && error.contains(why),
                "{error}"
            );
        }
    }
}
