//! The candidates that an earlier scan had rows of, of one plug-in folder.

use super::candidate::Candidate;

/// They, each held once: they stand beside all that the next scan finds.
#[derive(Debug, Default)]
pub struct Known {
    /// In order of path.
    candidates: Vec<Candidate>,
}

impl Known {
    /// None.
    pub const fn none() -> Self {
        Self {
            candidates: Vec::new(),
        }
    }

    /// That of a path.
    pub fn get(&self, path: &[u8]) -> Option<&Candidate> {
        let search = |known: &Candidate| known.path.as_slice().cmp(path);
        let at = self.candidates.binary_search_by(search).ok()?;
        self.candidates.get(at)
    }

    /// All of them, in order of path.
    pub fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter()
    }

    /// Takes others in their place; where they are the same, as mostly, nothing is made anew.
    pub fn replace<'c>(&mut self, by: impl Iterator<Item = &'c Candidate> + Clone) {
        let is_known = |candidate: &Candidate| self.get(&candidate.path) == Some(candidate);
        if by.clone().count() == self.candidates.len() && by.clone().all(is_known) {
            return;
        }
        self.candidates.clear();
        self.candidates.extend(by.cloned());
        self.candidates.shrink_to_fit();
        self.candidates.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    }
}
