//! What stands where a bundle asks for something outside of it, by what it asks for: what runs is the same while each
//! of these is, wherever links have it stand.
//!
//! The places alone do not tell that: two libraries that change places are both there.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::by_path::ByPath;
use super::entry::Entry;
use super::paths::{Homes, is_below};

/// Things of one bundle that are asked for, of which more is known than where they stand.
const MOST: usize = 32;

/// Half of a SHA-256: of thousands of bundles these are held.
type Half = [u8; 16];

/// One thing that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    /// What asks for it, and by what path.
    asked: Half,
    stands: Stands,
    /// Where below that.
    below: Half,
}

/// Where something stands that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    Nowhere,
    /// At one of the places outside, or in it, by its number.
    Outside(u16),
    /// In the bundle, by the number of the entry.
    Inside(u32),
}

impl Role {
    /// What asks, where that stands, and where below that.
    pub(crate) fn parts(&self) -> (&Half, Stands, &Half) {
        (&self.asked, self.stands, &self.below)
    }
}

/// What asks for it.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    Link,
    Code,
}

/// Those of one bundle as they are found.
#[derive(Debug)]
pub(super) struct Roles {
    homes: Homes,
    found: BTreeMap<Half, Option<Vec<u8>>>,
    is_cut: bool,
}

impl Roles {
    /// None yet of a bundle.
    pub(super) fn of(homes: Homes) -> Self {
        Self {
            homes,
            found: BTreeMap::new(),
            is_cut: false,
        }
    }

    /// Takes in what stands where something is asked for by a path, of the bundle's own wherever that is. Two that ask by
    /// one path are two.
    pub(super) fn add(&mut self, by: By, asked: &[u8], stands: Option<&[u8]>) {
        let own = self.homes.below(asked);
        let begin: &[u8] = match (by, own) {
            (By::Link, Some(_)) => b"link in it ",
            (By::Link, None) => b"link ",
            (By::Code, Some(_)) => b"code in it ",
            (By::Code, None) => b"code ",
        };
        let asked = half(&[begin, own.unwrap_or(asked)].concat());
        if self.found.len() >= MOST {
            self.is_cut = true;
        } else {
            self.found.insert(asked, stands.map(<[u8]>::to_vec));
        }
    }

    /// All of them; nothing when not all are known. `own` are the entries of the bundle.
    pub(super) fn all<T>(self, places: &ByPath<T>, own: &[Entry]) -> Option<Box<[Role]>> {
        let role = |(asked, stands): (Half, Option<&[u8]>)| {
            let Some(stands) = stands else {
                return Some(Role {
                    asked,
                    stands: Stands::Nowhere,
                    below: Half::default(),
                });
            };
            if let Some(path) = self.homes.below(stands) {
                let path = path.strip_prefix(b"/")?;
                let at = own.binary_search_by(|e| e.path.as_ref().cmp(path)).ok()?;
                return Some(Role {
                    asked,
                    stands: Stands::Inside(u32::try_from(at).ok()?),
                    below: half(b""),
                });
            }
            let mut places = places.iter().zip(0..);
            let ((above, _), place) = places.find(|((place, _), _)| is_below(stands, place))?;
            Some(Role {
                asked,
                stands: Stands::Outside(place),
                below: half(stands.get(above.len()..)?),
            })
        };
        let found = self.found.iter();
        let roles = found.map(|(asked, stands)| role((*asked, stands.as_deref())));
        roles.collect::<Option<_>>().filter(|_| !self.is_cut)
    }
}

fn half(of: &[u8]) -> Half {
    let all = Sha256::digest(of);
    all.first_chunk().copied().unwrap_or_default()
}
