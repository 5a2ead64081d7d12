//! The queries of the packs that this program holds.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::pack::conf::{self, EMBEDDED, EMBEDDED_QUIET, NAME, Scheduled};

/// The queries of the pack, by their names there.
pub static OURS: LazyLock<BTreeMap<String, Scheduled>> = LazyLock::new(|| queries(EMBEDDED));
/// Those of the small pack, which may stand in its place.
pub static QUIET: LazyLock<BTreeMap<String, Scheduled>> = LazyLock::new(|| queries(EMBEDDED_QUIET));

fn queries(pack: &str) -> BTreeMap<String, Scheduled> {
    let read = conf::read(NAME, pack).unwrap_or_default();
    let prefix = format!("pack_{NAME}_");
    let named = read.queries.into_iter();
    named
        .map(|query| (query.name.trim_start_matches(&prefix).to_owned(), query))
        .collect()
}
