//! The tables as the extension serves them: one scan for all calls within a few seconds.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::extension::{Row, Shared, Source, TableSpec};
use crate::scan::{Scanner, Snapshot};
use crate::table::{FILES, TABLES, Table, Value, by_name};

/// For how long a scan answers. A join of core's calls once for each of its rows.
const HOLDS: Duration = Duration::from_secs(4);

/// Entries of `dsplug_files` that are served in one answer: each costs some 2.5 kB here and
/// in osquery. The command line has no such limit.
const MOST_FILES: usize = 8_000;

/// The source of the extension's rows.
pub struct Service {
    scans: Shared<Snapshot>,
}

impl Service {
    /// A service over a scanner.
    pub fn new(scanner: Scanner) -> Self {
        let scanner = Mutex::new(scanner.remembering());
        Self {
            scans: Shared::new(HOLDS, move || {
                let mut scanner = scanner.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(scanner.scan())
            }),
        }
    }
}

impl Source for Service {
    fn tables(&self) -> Vec<TableSpec> {
        TABLES
            .iter()
            .map(|table| TableSpec {
                name: table.name(),
                columns: table.headings().iter().map(|h| (h.name, h.kind)).collect(),
            })
            .collect()
    }

    fn generate(&self, name: &str) -> Result<Vec<Row>, String> {
        let table = by_name(name).ok_or_else(|| format!("there is no table {name}"))?;
        let snapshot = self.scans.get()?;
        if name == FILES.name() {
            return files(&snapshot);
        }
        let mut rows = Vec::new();
        table.rows(&snapshot, &mut |values| {
            rows.push(row(table, values));
            Ok(())
        })?;
        Ok(rows)
    }

    fn tick(&self) {
        self.scans.tick();
    }
}

fn row(table: &dyn Table, values: Vec<Value>) -> Row {
    let names = table.headings();
    let pairs = names.iter().zip(values).filter_map(|(heading, value)| {
        let text = match value {
            Value::Null => return None,
            Value::Int(number) => number.to_string(),
            Value::Text(text) => text,
        };
        Some((heading.name.to_owned(), text))
    });
    pairs.collect()
}

/// The rows of `dsplug_files`, cut where one bundle holds too many: so that it does not push out
/// those of others, and with a row that says so.
fn files(snapshot: &Snapshot) -> Result<Vec<Row>, String> {
    let counts: Vec<usize> = snapshot
        .bundles
        .iter()
        .map(|b| b.evidence.entries.len())
        .collect();
    let each = share(&counts, MOST_FILES);
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    let mut rows = Vec::new();
    FILES.rows(snapshot, &mut |values| {
        let Some(Value::Text(bundle)) = values.first() else {
            return Ok(());
        };
        let count = shown.entry(bundle.clone()).or_default();
        *count = count.saturating_add(1);
        if *count <= each {
            rows.push(row(&FILES, values));
        }
        Ok(())
    })?;
    for (bundle, count) in shown.into_iter().filter(|(_, count)| *count > each) {
        let left_out = count.saturating_sub(each);
        let error = format!("limit: {left_out} more entries; dsplug query shows them all");
        let text = FILES.headings().into_iter().map(|h| {
            let value = match h.name {
                "bundle_path" | "path" => bundle.clone(),
                "kind" => "other".to_owned(),
                "sealed" => "unknown".to_owned(),
                "error" => error.clone(),
                _ => String::new(),
            };
            (h.name.to_owned(), value)
        });
        rows.push(text.collect());
    }
    Ok(rows)
}

/// The largest number of entries of each bundle with which all together stay within `most`.
fn share(counts: &[usize], most: usize) -> usize {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable();
    let mut left = most;
    for (index, count) in sorted.iter().enumerate() {
        let bundles = sorted.len().saturating_sub(index);
        let even = left.checked_div(bundles).unwrap_or_default();
        if *count > even {
            return even.max(1);
        }
        left = left.saturating_sub(*count);
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn a_huge_bundle_does_not_push_out_the_others() {
        assert_eq!(share(&[10, 20], 100), usize::MAX);
        assert_eq!(share(&[10, 100_000], 100), 90);
        assert_eq!(share(&[100, 100, 1], 101), 50);
        assert_eq!(share(&[], 100), usize::MAX);
        assert_eq!(share(&[5; 1000], 100), 1);
    }
}
