//! Puts in order what is few: one sort for all of it. That of the standard library stands in the program once for each
//! kind of thing and each order, with five thousand bytes, and so in every `collect` into a set or a map; it is for
//! what may be as many as there are entries, for which it takes the least time and room.

use std::cmp::Ordering;

/// Sorts as `slice::sort_by` does: what is equal stays as it stood.
pub fn sort_by<T>(all: &mut [T], mut compare: impl FnMut(&T, &T) -> Ordering) {
    let sorted = sorted(all.len(), &mut |a, b| match (all.get(a), all.get(b)) {
        (Some(a), Some(b)) => compare(a, b),
        _ => Ordering::Equal,
    });
    rearrange(sorted, &mut |a, b| all.swap(a, b));
}

/// Sorts as `slice::sort` does.
pub fn sort<T: Ord>(all: &mut [T]) {
    sort_by(all, T::cmp);
}

/// Sorts as `slice::sort_by_cached_key` does: each key is made once.
pub fn sort_by_key<T, K: Ord>(all: &mut [T], key: impl FnMut(&T) -> K) {
    let keys: Vec<K> = all.iter().map(key).collect();
    let sorted = sorted(keys.len(), &mut |a, b| keys.get(a).cmp(&keys.get(b)));
    rearrange(sorted, &mut |a, b| all.swap(a, b));
}

/// Collects into a set or a map, of equal keys the last.
pub fn gather<A: Default + Extend<T>, T>(things: impl IntoIterator<Item = T>) -> A {
    let mut all = A::default();
    all.extend(things);
    all
}

/// For each place what comes there, by where it stands.
fn sorted(count: usize, compare: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    places.sort_by(|a, b| compare(*a, *b));
    places
}

/// Brings each to its place, in as many swaps as there are things at most.
fn rearrange(from: Vec<usize>, swap: &mut dyn FnMut(usize, usize)) {
    let mut to = vec![0; from.len()];
    for (place, from) in from.into_iter().enumerate() {
        if let Some(to) = to.get_mut(from) {
            *to = place;
        }
    }
    for at in 0..to.len() {
        while let Some(place) = to.get(at).copied().filter(|place| *place != at) {
            swap(at, place);
            to.swap(at, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sorts_as_the_standard_library_does(all in prop::collection::vec((0_u8..20, any::<u8>()), 0..200)) {
            let by_first = |a: &(u8, u8), b: &(u8, u8)| a.0.cmp(&b.0);
            let mut wanted = all.clone();
            wanted.sort_by(by_first);
            let mut ours = all.clone();
            sort_by(&mut ours, by_first);
            prop_assert_eq!(&ours, &wanted);
            let mut ours = all.clone();
            sort_by_key(&mut ours, |one| one.0);
            prop_assert_eq!(&ours, &wanted);
            let wanted: BTreeMap<u8, u8> = all.iter().copied().collect();
            prop_assert_eq!(gather::<BTreeMap<u8, u8>, _>(all.iter().copied()), wanted);
            let (mut ours, mut wanted) = (all.clone(), all);
            sort(&mut ours);
            wanted.sort();
            prop_assert_eq!(ours, wanted);
        }
    }
}
