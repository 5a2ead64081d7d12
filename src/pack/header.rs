//! One query's file: a header of comment lines, `-- key: value`, then the query.
//!
//! The first line is `-- name: summary`. A line indented by two more blanks continues the one above.

use super::{MITRE, NAME_COLUMN, PackError, Query, Severity};

/// The longest interval that osquery takes, in seconds.
const MAX_INTERVAL: u32 = 604_800;

/// Hours for which lines of one group are one alert, unless the header says more.
const DAY_HOURS: u32 = 24;

/// Reads the file of the query of that name.
///
/// # Errors
/// When a key is missing, unknown, given twice or has no valid value, or the query itself has a
/// comment or a `$`, which Elastic and Fleet would not take.
pub fn parse(name: &str, text: &str) -> Result<Query, PackError> {
    let fail = |why: String| PackError::new(format!("{name}.sql"), why);
    let (mut fields, sql) = split(text).map_err(fail)?;
    if sql.contains("--") || sql.contains("/*") {
        return Err(fail("the query has a comment outside of the header".into()));
    }
    if sql.contains('$') {
        return Err(fail("the query has a $, which Fleet would expand".into()));
    }
    if !sql.ends_with(';') {
        return Err(fail("the query does not end in ;".into()));
    }
    if !says_its_name(name, &sql) {
        return Err(fail(format!(
            "the query does not give `'{name}' AS {NAME_COLUMN}` as its first column, once"
        )));
    }
    let mut take = |key: &str| {
        let at = fields.iter().position(|(k, _)| k == key);
        at.map(|at| fields.remove(at).1)
    };
    let summary = take(name).ok_or_else(|| {
        fail(format!(
            "it does not begin with `-- {name}: ` and a summary"
        ))
    })?;
    let mut need = |key: &str| take(key).ok_or_else(|| fail(format!("the header has no `{key}`")));
    let (interval, severity, score) = (need("interval")?, need("severity")?, need("risk_score")?);
    let (snapshot, removed) = (need("snapshot")?, need("removed")?);
    let mut query = Query {
        name: name.to_owned(),
        summary,
        detects: need("detects")?,
        interval: number(&interval).map_err(fail)?,
        platform: need("platform")?,
        snapshot: yes(&snapshot).map_err(fail)?,
        removed: yes(&removed).map_err(fail)?,
        severity: Severity::of(&severity).ok_or_else(|| fail(bad("severity", &severity)))?,
        risk_score: score
            .parse()
            .ok()
            .filter(|s| *s <= 100)
            .ok_or_else(|| fail(bad("risk_score", &score)))?,
        mitre: words(&need("mitre")?),
        references: words(&need("references")?),
        false_positives: need("false_positives")?,
        tables: words(&need("tables")?),
        flags: words(&need("flags")?),
        sql,
        osquery: need("osquery")?,
        ..Query::default()
    };
    if query.snapshot && query.removed {
        return Err(fail("a snapshot has no removed rows".into()));
    }
    if !versioned(&query.osquery) {
        return Err(fail(bad("osquery", &query.osquery)));
    }
    if query.interval > 0 {
        query.adds = need("adds")?;
        query.alert = yes(&need("alert")?).map_err(fail)?;
        query.quiet = yes(&need("quiet")?).map_err(fail)?;
    }
    if query.interval > 0 && !query.snapshot {
        query.rule_id = need("rule_id")?;
        query.sigma_id = need("sigma_id")?;
        for id in [&query.rule_id, &query.sigma_id] {
            if !is_uuid(id) {
                return Err(fail(format!("`{id}` is no UUID")));
            }
        }
    }
    query.base_line = match take("base_line") {
        None => true,
        Some(word) => yes(&word).map_err(fail)?,
    };
    query.cap = take("cap").unwrap_or_default();
    query.policy = take("policy").unwrap_or_default();
    query.resolution = take("resolution").unwrap_or_default();
    query.group = words(&take("group").unwrap_or_default());
    query.group_hours = match take("group_hours") {
        None => DAY_HOURS,
        Some(hours) => number(&hours).map_err(|_| fail(bad("group_hours", &hours)))?,
    };
    query.ecs = pairs("ecs", &take("ecs").unwrap_or_default()).map_err(fail)?;
    query.graver = pairs("graver", &take("graver").unwrap_or_default()).map_err(fail)?;
    if let Some(bytes) = take("line_bytes") {
        let bytes_of = bytes.parse().ok().filter(|bytes| *bytes > 0);
        query.line_bytes = bytes_of.ok_or_else(|| fail(bad("line_bytes", &bytes)))?;
    }
    if let Some((key, _)) = fields.first() {
        return Err(fail(format!("the header's `{key}` is not known")));
    }
    if query.policy.is_empty() != query.resolution.is_empty() {
        return Err(fail(
            "a policy needs a resolution, and the other way round".into(),
        ));
    }
    if let Some(number) = query
        .mitre
        .iter()
        .find(|m| !MITRE.iter().any(|(n, _)| n == *m))
    {
        return Err(fail(bad("mitre", number)));
    }
    Ok(query)
}

/// True when a `SELECT` of the query begins with the constant that tells every reader of its lines
/// which query they are of, and nothing else in it has that name. That the `SELECT` is the
/// outermost one is for a test to see, which asks SQLite.
fn says_its_name(name: &str, sql: &str) -> bool {
    let constant = format!("'{name}' AS {NAME_COLUMN}, ");
    let mut parts = sql.split(&constant);
    let (before, after) = (parts.next().unwrap_or_default(), parts.next());
    (before.ends_with("SELECT ") || before.ends_with("SELECT DISTINCT "))
        && after.is_some_and(|after| !after.contains(NAME_COLUMN))
        && !before.contains(NAME_COLUMN)
        && parts.next().is_none()
}

/// The header's keys with their values, and the query in one line.
pub(super) fn split(text: &str) -> Result<(Vec<(String, String)>, String), String> {
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut sql = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("--") {
            Some(_) if !sql.is_empty() => sql.push(line),
            None => sql.extend(line.split_whitespace()),
            Some("") => {}
            Some(rest) if rest.starts_with("   ") => {
                let (_, value) = fields
                    .last_mut()
                    .ok_or("the header begins with a continuation")?;
                value.push(' ');
                value.push_str(rest.trim());
            }
            Some(rest) => {
                let (key, value) = rest
                    .trim()
                    .split_once(": ")
                    .ok_or_else(|| format!("`{rest}` is no `key: value`"))?;
                if fields.iter().any(|(k, _)| k == key) {
                    return Err(format!("the header's `{key}` is given twice"));
                }
                fields.push((key.to_owned(), value.trim().to_owned()));
            }
        }
    }
    Ok((fields, sql.join(" ")))
}

/// The words of a list; `none` is the empty one.
fn words(list: &str) -> Vec<String> {
    let words = list.split_whitespace().filter(|w| *w != "none");
    words.map(str::to_owned).collect()
}

/// The words `LEFT=RIGHT` of a list.
fn pairs(key: &str, list: &str) -> Result<Vec<(String, String)>, String> {
    words(list)
        .iter()
        .map(|word| {
            let (left, right) = word.split_once('=').ok_or_else(|| bad(key, word))?;
            Ok((left.to_owned(), right.to_owned()))
        })
        .collect()
}

/// True of three numbers with dots between them.
fn versioned(word: &str) -> bool {
    let mut parts = word.split('.');
    let numbers = parts.by_ref().take(3);
    numbers.filter(|n| n.parse::<u16>().is_ok()).count() == 3 && parts.next().is_none()
}

/// True of a UUID in lower case.
fn is_uuid(word: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let mut groups = word.split('-');
    lengths.iter().all(|length| {
        groups.next().is_some_and(|group| {
            let digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
            group.len() == *length && group.bytes().all(digit)
        })
    }) && groups.next().is_none()
}

fn yes(word: &str) -> Result<bool, String> {
    match word {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("`{word}` is neither yes nor no")),
    }
}

fn number(word: &str) -> Result<u32, String> {
    let number = word.parse().ok().filter(|n| *n <= MAX_INTERVAL);
    number.ok_or_else(|| bad("interval", word))
}

fn bad(key: &str, value: &str) -> String {
    format!("`{value}` is no valid {key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "-- one: what it shows\n--\n-- detects: this\n--   and that\n\
        -- interval: 300\n-- platform: darwin\n-- snapshot: no\n-- removed: yes\n-- severity: high\n\
        -- risk_score: 73\n-- mitre: TA0003 T1547\n-- references: none\n-- false_positives: few\n\
        -- tables: none\n-- flags: none\n-- ecs: file.path=path\n\
        -- osquery: 5.0.1\n-- adds: that\n-- alert: yes\n-- quiet: no\n\
        -- rule_id: 72a39f44-cb23-4c19-a466-b38faa60b6e2\n\
        -- sigma_id: 1a091922-f1de-41dc-9e21-1406421db1dc\n\
        SELECT 'one' AS dsplug_query,  path\n  FROM t;\n";

    #[test]
    fn a_whole_header_is_read() {
        let query = parse("one", GOOD).unwrap();
        assert_eq!(query.summary, "what it shows");
        assert_eq!(query.detects, "this and that");
        assert_eq!(query.sql, "SELECT 'one' AS dsplug_query, path FROM t;");
        assert_eq!((query.interval, query.risk_score), (300, 73));
        assert_eq!(query.mitre, ["TA0003", "T1547"]);
        assert!(query.tables.is_empty() && query.removed && !query.snapshot);
        assert_eq!(query.ecs, [("file.path".to_owned(), "path".to_owned())]);
    }

    #[test]
    fn each_fault_is_named() {
        for (old, new, why) in [
            ("-- one:", "-- two:", "does not begin"),
            ("-- interval: 300\n", "", "no `interval`"),
            ("300", "604801", "valid interval"),
            ("high", "grave", "valid severity"),
            ("73", "101", "valid risk_score"),
            ("T1547", "T9999", "valid mitre"),
            ("snapshot: no", "snapshot: maybe", "neither yes nor no"),
            ("snapshot: no", "snapshot: yes", "no removed rows"),
            (
                "-- tables: none",
                "-- tables: none\n-- tables: none",
                "given twice",
            ),
            (
                "-- tables: none",
                "-- tables: none\n-- tabels: none",
                "not known",
            ),
            (
                "-- flags: none",
                "-- flags: none\n-- policy: p",
                "needs a resolution",
            ),
            ("-- adds: that\n", "", "no `adds`"),
            ("-- alert: yes", "-- alert: often", "neither yes nor no"),
            ("-- quiet: no\n", "", "no `quiet`"),
            ("-- osquery: 5.0.1", "-- osquery: 5.0", "valid osquery"),
            ("-- osquery: 5.0.1", "-- osquery: 5.0.1.2", "valid osquery"),
            ("72a39f44-", "72A39F44-", "no UUID"),
            ("-1406421db1dc", "-1406421db1d", "no UUID"),
            ("-1406421db1dc", "-1406421db1dc-1", "no UUID"),
            (
                "-- flags: none",
                "-- flags: none\n-- graver: x",
                "valid graver",
            ),
            (
                "-- flags: none",
                "-- flags: none\n-- base_line: 0",
                "neither yes nor no",
            ),
            (
                "-- flags: none",
                "-- flags: none\n-- line_bytes: 0",
                "valid line_bytes",
            ),
            ("FROM t;", "FROM t; -- x", "comment"),
            ("FROM t;", "FROM t\n-- x\n;", "comment"),
            ("FROM t;", "FROM $t;", "a $"),
            ("FROM t;", "FROM t", "end in ;"),
            ("'one' AS dsplug_query, ", "", "first column"),
            ("'one' AS", "'two' AS", "first column"),
            (
                "'one' AS dsplug_query,  path",
                "path, 'one' AS dsplug_query",
                "first column",
            ),
            ("FROM t;", "FROM (SELECT 'two' AS dsplug_query);", "once"),
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
