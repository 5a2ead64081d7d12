//! The table of queries in the pack's page, and what puts it between its markers.

use std::fmt::Write;

use super::{OLDEST_OSQUERY, Query};

/// A table with a line for each query.
pub fn queries(queries: &[Query]) -> String {
    let mut out = String::from(
        "| query | shows | every | lines | alert | severity | bytes | needs |\n|---|---|---|---|---|---|---|---|\n",
    );
    for query in queries {
        let lines = match (query.snapshot, query.removed) {
            (true, _) => "snapshot",
            (false, true) => "added, removed",
            (false, false) => "added",
        };
        let needs = query.tables.iter().chain(&query.flags);
        let mut needs: Vec<String> = needs.map(|n| format!("`{n}`")).collect();
        if query.osquery != OLDEST_OSQUERY {
            needs.push(format!("osquery {}", query.osquery));
        }
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {lines} | {} | {} {} | {} | {} |",
            query.name,
            query.summary,
            every(query.interval),
            if query.alert { "yes" } else { "" },
            query.severity.as_str(),
            query.risk_score,
            if query.line_bytes > 0 {
                query.line_bytes.to_string()
            } else {
                String::new()
            },
            needs.join(" "),
        );
    }
    out
}

fn every(seconds: u32) -> String {
    match seconds {
        0 => "by hand".into(),
        86_400 => "day".into(),
        3600 => "hour".into(),
        _ => format!("{seconds} s"),
    }
}

/// `text` with `body` between the markers `<!-- NAME:begin -->` and `<!-- NAME:end -->`; `None`
/// when they are not there.
pub fn fill(text: &str, name: &str, body: &str) -> Option<String> {
    let (begin, end) = (
        format!("<!-- {name}:begin -->"),
        format!("<!-- {name}:end -->"),
    );
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{body}{end}{after}"))
}
