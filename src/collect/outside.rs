//! What runs with a bundle and stands outside of it, as it was judged.

use std::collections::BTreeMap;

use crate::bundle::Bundle;
use crate::digest::{Records, of_entries};
use crate::meta::Kind;

/// The digest of what stands at a place, as that of a bundle; `None` where it is not known whole.
pub type Sum = Option<[u8; 32]>;

/// What is reached from a bundle outside of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Where it really stands, as the Mac names it.
    pub places: BTreeMap<Vec<u8>, Sum>,
    /// True when there may be more than these.
    pub is_cut: bool,
}

impl Outside {
    /// That of a bundle: its main executable, and what links in it and its libraries lead to.
    pub fn of(bundle: &Bundle) -> Self {
        let evidence = &bundle.evidence;
        let executable = evidence.executable.as_ref().filter(|e| e.is_outside());
        let executable = executable.map(|executable| {
            let sha256 = executable.outside.sha256();
            let sha256 = sha256.filter(|_| !executable.has_fork);
            (
                executable.path.clone(),
                sha256.as_ref().map(|sum| of_file(sum)),
            )
        });
        let places = evidence.reach.places.iter().map(|(path, place)| {
            let is_directory = place.meta.kind == Kind::Directory;
            let sum = of_entries(&place.entries, is_directory).filter(|_| place.is_whole);
            (path.to_vec(), sum)
        });
        let beyond = evidence.reach.beyond.paths();
        let beyond = beyond.map(|path| (path.to_vec(), None));
        Self {
            places: places.chain(executable).chain(beyond).collect(),
            is_cut: evidence.is_linked_late || evidence.is_linked_cut,
        }
    }
}

/// The digest of a place that is a file.
fn of_file(sha256: &[u8; 32]) -> [u8; 32] {
    let mut records = Records::default();
    records.add(Kind::File, sha256, b"");
    records.finish()
}
