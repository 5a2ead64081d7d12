//! The libraries plainly of the system that a file of code names, packed: each honest file has some ten, and all of
//! them are kept for as long as what is known of the file, for a link or a volume may stand in their way.

use crate::held::Held;

/// Bytes that are kept for one file: an honest one takes some hundred.
const MOST: usize = 8 << 10;

const FRAMEWORKS: &[u8] = b"/System/Library/Frameworks/";
const FRAMEWORK: &[u8] = b".framework/Versions/";

/// Paths, each once. Of `/System/Library/Frameworks/X.framework/Versions/A/X` only `A/X` is kept. There
/// are thousands of files that name none: those have a pointer's room for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemLibraries(Option<Box<Box<[u8]>>>);

impl SystemLibraries {
    /// Packs paths; with false for each for which there was no room.
    pub fn pack<'a>(paths: impl Iterator<Item = &'a [u8]>) -> (Self, bool) {
        let mut names: Vec<Vec<u8>> = paths.map(short).collect();
        names.sort_unstable();
        names.dedup();
        let mut packed = Vec::new();
        let mut is_whole = true;
        for name in names {
            if packed.len().saturating_add(name.len()) < MOST {
                packed.extend(name);
                packed.push(0);
            } else {
                is_whole = false;
            }
        }
        let packed = (!packed.is_empty()).then(|| Box::new(packed.into()));
        (Self(packed), is_whole)
    }

    /// The paths.
    pub fn paths(&self) -> impl Iterator<Item = Vec<u8>> {
        let packed = self.0.as_ref().map_or(&[][..], |packed| packed);
        let names = packed.split(|b| *b == 0).filter(|name| !name.is_empty());
        names.map(|name| match split(name) {
            Some((version, own)) if !version.is_empty() => {
                [FRAMEWORKS, own, FRAMEWORK, name].concat()
            }
            _ => name.to_vec(),
        })
    }
}

impl Held for SystemLibraries {
    fn held(&self) -> usize {
        self.0.held()
    }
}

/// What stands before the first slash, and behind it.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = name.iter().position(|b| *b == b'/')?;
    Some((name.get(..at)?, name.get(at.saturating_add(1)..)?))
}

/// The packed text of a path.
fn short(path: &[u8]) -> Vec<u8> {
    let short = || {
        let (version, own) = split(path.strip_prefix(FRAMEWORKS).and_then(|rest| {
            let at = rest.iter().position(|b| *b == b'/')?;
            let (framework, rest) = rest.split_at_checked(at)?;
            let (_, name) = split(rest.strip_prefix(b"/Versions/")?)?;
            let is_its_own = framework.strip_suffix(b".framework") == Some(name);
            is_its_own
                .then(|| rest.strip_prefix(b"/Versions/"))
                .flatten()
        })?)?;
        let is_short = !version.is_empty() && !own.contains(&b'/');
        is_short.then(|| [version, b"/", own].concat())
    };
    short().unwrap_or_else(|| path.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        let all = [
            "/System/Library/Frameworks/Foundation.framework/Versions/C/Foundation",
            "/System/Library/Frameworks/X.framework/Versions/A/Y",
            "/System/Library/Frameworks/X.framework/Versions/A/X/X",
            "/System/Library/Frameworks/X.framework/Versions//X",
            "/System/Library/Frameworks/X.framework/X",
            "/System/Library/PrivateFrameworks/X.framework/Versions/A/X",
            "/usr/lib/libSystem.B.dylib",
        ];
        let twice = all.iter().chain(&all).map(|path| path.as_bytes());
        let (packed, is_whole) = SystemLibraries::pack(twice);
        let mut out: Vec<_> = packed
            .paths()
            .map(|p| String::from_utf8(p).unwrap())
            .collect();
        out.sort_unstable();
        let mut all = all.to_vec();
        all.sort_unstable();
        assert_eq!(out, all);
        assert!(is_whole && packed.held() < 350, "{}", packed.held());
    }

    #[test]
    fn there_is_a_bound_on_them() {
        let paths: Vec<_> = (0..1_000)
            .map(|n| format!("/usr/lib/lib{n}.dylib"))
            .collect();
        let (packed, is_whole) = SystemLibraries::pack(paths.iter().map(|path| path.as_bytes()));
        assert!(!is_whole && packed.held() <= MOST + 64);
    }
}
