//! Room for the candidates of a plug-in folder that are shown.

use crate::limits::Limits;

/// How many times more candidates than are shown are held until it is known which those are.
const NET: usize = 4;
/// Which part of all that are shown may stand where the loader does not look.
const NESTED: usize = 4;
/// Which part of all is kept for what had a row and is away: whoever has thousands go keeps none from what is new.
pub const RESERVED: usize = 8;
/// Which part of all one folder has whatever stands in the others.
const LEAST: usize = 12;

/// Room for candidates: how many more, and bytes of their paths.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    candidates: usize,
    paths: usize,
}

impl Room {
    /// The room for all.
    pub fn of(limits: &Limits) -> Self {
        Self {
            candidates: limits.candidates,
            paths: limits.candidate_paths,
        }
    }

    /// What of it is left beside the paths of other folders, but a part of it at least: whoever fills one folder hides
    /// nothing in another.
    pub fn beside<'p>(limits: &Limits, others: impl Iterator<Item = &'p [u8]>) -> Self {
        let (mut left, least) = (Self::of(limits), Self::of(limits).part(LEAST));
        others.for_each(|path| left.fill(path));
        Self {
            candidates: left.candidates.max(least.candidates),
            paths: left.paths.max(least.paths),
        }
    }

    /// The room of those that are held.
    pub fn net(limits: &Limits) -> Self {
        Self {
            candidates: limits.candidates.saturating_mul(NET),
            paths: limits.candidate_paths.saturating_mul(NET),
        }
    }

    /// A part of it, which is some room wherever there is any.
    pub fn part(self, of: usize) -> Self {
        Self {
            candidates: self.candidates.div_ceil(of),
            paths: self.paths.div_ceil(of),
        }
    }

    /// Whether so long a path has room in it.
    pub fn has(self, path: &[u8]) -> bool {
        self.candidates > 0 && self.paths >= path.len()
    }

    /// Takes room for a path, whether or not it is there.
    pub fn fill(&mut self, path: &[u8]) {
        self.fill_bytes(path.len());
    }

    fn fill_bytes(&mut self, bytes: usize) {
        self.candidates = self.candidates.saturating_sub(1);
        self.paths = self.paths.saturating_sub(bytes);
    }

    /// Takes room for what is away, as far as there is some of the part of `all` for that; of each as many bytes as its path
    /// has.
    pub fn reserve(&mut self, away: impl Iterator<Item = usize>, all: Self) {
        let mut part = all.part(RESERVED);
        for bytes in away {
            if part.candidates == 0 || part.paths < bytes {
                return;
            }
            part.fill_bytes(bytes);
            self.fill_bytes(bytes);
        }
    }

    /// Has the room again that a path took.
    pub fn give_back(&mut self, path: &[u8]) {
        self.candidates = self.candidates.saturating_add(1);
        self.paths = self.paths.saturating_add(path.len());
    }

    /// Takes room for a path; false where there is none.
    pub fn take(&mut self, path: &[u8]) -> bool {
        let has = self.has(path);
        if has {
            self.fill(path);
        }
        has
    }
}

/// What is left of the room once it is known which candidates of the loader's places are shown.
#[derive(Clone, Copy, Debug)]
pub struct Rooms {
    pub all: Room,
    nested: Room,
}

impl Rooms {
    pub fn of(all: Room) -> Self {
        Self {
            all,
            nested: all.part(NESTED),
        }
    }

    /// Takes room for what stands where the loader does not look.
    pub fn take_nested(&mut self, path: &[u8], is_known: bool) -> bool {
        if is_known {
            // It has its room already.
            self.nested.fill(path);
            return true;
        }
        let has = self.all.has(path) && self.nested.take(path);
        if has {
            self.all.fill(path);
        }
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However much is away, only a part of all is kept for it, of candidates and of bytes.
    #[test]
    fn what_is_away_has_no_more_than_its_part() {
        let limits = Limits {
            candidates: 80,
            candidate_paths: 800,
            ..Limits::STANDARD
        };
        let all = Room::of(&limits);
        let left = |away: &[usize]| {
            let mut room = all;
            room.reserve(away.iter().copied(), all);
            (room.candidates, room.paths)
        };
        assert_eq!(left(&[]), (80, 800));
        assert_eq!(left(&[5, 6]), (78, 789));
        assert_eq!(left(&[1; 1_000]), (70, 790));
        assert_eq!(left(&[40; 1_000]), (78, 720));
        assert_eq!(left(&[101]), (80, 800));
    }
}
