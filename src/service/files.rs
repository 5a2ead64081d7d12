//! What is served of `dsplug_files`: one answer stands in memory, here and in osquery.

use std::collections::BTreeSet;

use super::rows::row;
use crate::bundle::Bundle;
use crate::codesign::Sealed;
use crate::evidence::Entry;
use crate::extension::Rows;
use crate::order;
use crate::scan::Snapshot;
use crate::table::{FILES, Table, Texts};
use crate::text::escape;

/// Entries of `dsplug_files` that are served in one answer: each costs some 2.5 kB here and
/// in osquery. The command line has no such limit.
const MOST_FILES: usize = 8_000;

/// The rows of `dsplug_files`, cut where one bundle holds too many: so that it does not push out
/// those of others, and with a row that says so.
pub(super) fn files(snapshot: &Snapshot, to: &mut Rows) -> Result<(), String> {
    let headings = FILES.headings();
    let counts: Vec<usize> = snapshot
        .bundles
        .iter()
        .map(|b| b.evidence.entries.len())
        .collect();
    let each = share(&counts, MOST_FILES);
    // By their place and not by their path, of which a row may show the beginning alone.
    let served: Vec<Option<BTreeSet<usize>>> = snapshot
        .bundles
        .iter()
        .map(|b| (b.evidence.entries.len() > each).then(|| foremost(b, each)))
        .collect();
    let mut is_served = counts.iter().zip(&served).flat_map(|(count, served)| {
        (0..*count).map(move |index| served.as_ref().is_none_or(|s| s.contains(&index)))
    });
    FILES.rows(snapshot, Texts::Short, &mut |values| {
        if is_served.next().unwrap_or(false) {
            to.push(&row(&headings, values));
        }
        Ok(())
    })?;
    let cut = snapshot.bundles.iter().zip(counts).zip(&served);
    for ((bundle, count), _) in cut.filter(|(_, served)| served.is_some()) {
        let bundle = escape(&bundle.evidence.candidate.path);
        let left_out = count.saturating_sub(each);
        let error = format!("limit: {left_out} more entries; dsplug query shows them all");
        let texts = headings.iter().map(|heading| {
            let value = match heading.name {
                "bundle_path" | "path" => bundle.clone(),
                "kind" => "other".to_owned(),
                "sealed" => "unknown".to_owned(),
                "error" => error.clone(),
                _ => String::new(),
            };
            (heading.name, value)
        });
        to.push(&texts.collect::<Vec<_>>());
    }
    Ok(())
}

/// The entries of a bundle that are served where not all are: code that no seal covers, other code,
/// other things that no seal covers, and then the first in order of path. So junk does not push
/// out what loads.
fn foremost(bundle: &Bundle, most: usize) -> BTreeSet<usize> {
    let rank = |(index, (entry, sealed, _)): (usize, (&Entry, Option<Sealed>, _))| {
        let is_code = entry.content.code().is_some();
        let is_odd = matches!(sealed, Some(Sealed::Unsealed | Sealed::Altered));
        (!(is_code && is_odd), !is_code, !is_odd, index)
    };
    let mut ranks: Vec<_> = bundle.entries().enumerate().map(rank).collect();
    ranks.sort_unstable();
    order::gather(ranks.into_iter().take(most).map(|(.., index)| index))
}

/// The largest number of entries of each bundle with which all together stay within `most`.
fn share(counts: &[usize], most: usize) -> usize {
    let mut sorted = counts.to_vec();
    order::sort(&mut sorted);
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
    use super::*;
    use crate::extension::Row;
    use crate::limits::Limits;
    use crate::root::Root;
    use crate::scan::Scanner;
    use dsplug_fixtures::{ARM64E, Disk, Plugin, mach_header};

    #[test]
    fn a_huge_bundle_does_not_push_out_the_others() {
        assert_eq!(share(&[10, 20], 100), usize::MAX);
        assert_eq!(share(&[10, 100_000], 100), 90);
        assert_eq!(share(&[100, 100, 1], 101), 50);
        assert_eq!(share(&[], 100), usize::MAX);
        assert_eq!(share(&[5; 1000], 100), 1);
    }

    /// However long its path is: of a long one rows show the beginning alone.
    #[test]
    fn junk_does_not_push_out_code() {
        let deep = format!("{}.lproj/{}", "l".repeat(245), "d".repeat(245));
        for below in ["", &deep] {
            junk_below(below);
        }
    }

    fn junk_below(folder: &str) {
        let disk = Disk::new();
        let path = Plugin::new("A").write(disk.plugin(folder));
        for number in 0..super::MOST_FILES {
            std::fs::write(path.join(format!("Contents/{number}")), "").unwrap();
        }
        std::fs::write(path.join("Contents/z.dylib"), mach_header(ARM64E)).unwrap();
        let root = Root::open(disk.path()).unwrap();
        let snapshot = Scanner::new(root, Limits::STANDARD).scan();
        let mut rows = super::Rows::default();
        files(&snapshot, &mut rows).unwrap();
        let rows = rows.maps();
        assert_eq!(rows.len(), super::MOST_FILES + 1);
        let is_code = |row: &&Row| !row["macho"].is_empty();
        assert_eq!(rows.iter().filter(is_code).count(), 2);
        let last = rows.last().unwrap();
        assert!(last["error"].starts_with("limit: "), "{last:?}");
    }
}
