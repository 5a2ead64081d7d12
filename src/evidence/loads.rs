//! Where dyld looks for the libraries that load commands name: what is found there runs with the bundle, and
//! stands in no digest of it when it is outside.
//!
//! The rules are those of `forEachResolvedAtPathVar`, `expandAtLoaderPath` and `expandAtExecutablePath` in
//! dyld/Loader.cpp of dyld-1378 (read, not seen): `@loader_path` is the directory that the code really
//! stands in (`F_GETPATH`, by `makeJustInTimeLoaderDisk` of dyld/JustInTimeLoader.cpp; before macOS 12 it may be that of a link
//! that leads there, of which [`names`](super::names) tells), `@executable_path`
//! that of the program, `@rpath` each run path of the code and of what loaded it (here: of all code), and what begins
//! with neither `@` nor `/` leads to the working directory, which launchd makes `/`. What does not begin with `@` is
//! looked for behind the path of the system's cryptex as well (`forEachPathVariant`): a `..` leads out of that. Where
//! all of that finds nothing, binaries built before 2022 (before macOS 12 all) fall back to `/usr/local/lib` and `/Library/Frameworks`
//! (`forEachDylibFallback` of dyld/DyldProcessConfig.cpp): that is not followed here. Code of the bundle may start a program
//! of it, in whose directory `@executable_path` is then, for all that it loads. Load commands are those that dyld-1378 knows: of its newer ones `LC_LAZY_LOAD_DYLIB_INFO` names a
//! library, function variants and the target triple do not.

use super::load_path::{LoadPath, has_dots};
use crate::codesign::{CodeFacts, MH_EXECUTE, SliceFacts, is_system};
use crate::firm_links::leads_behind;

/// The directory of `dspluginhelperd`, which loads plug-ins. `DirectoryService` of macOS 10.6 stood as deep.
pub const PROGRAM: &[u8] = b"/usr/libexec";
/// Where the system's cryptex really stands since macOS 13 (`cryptexOSPath` of dyld/DyldProcessConfig.cpp).
const CRYPTEX: &[u8] = b"/System/Volumes/Preboot/Cryptexes/OS";
/// What is below the system's cryptexes that have libraries: each is an image of its own, on which nobody writes. Beside them,
/// on the volume on which they are mounted, root does.
const IN_CRYPTEXES: &[&[u8]] = &[
    b"/System/Volumes/Preboot/Cryptexes/App/",
    b"/System/Volumes/Preboot/Cryptexes/OS/",
];
/// A file of code.
#[derive(Clone, Copy)]
pub struct Code<'a> {
    /// What is known of it.
    pub facts: &'a CodeFacts,
    /// The directory that it really stands in.
    pub at: &'a [u8],
}

/// What a load command asks for.
pub enum Asked {
    /// The library at a path.
    Library(LoadPath),
    /// Whatever stands so below a run path: what follows `@rpath`.
    BelowRunPaths(Vec<u8>),
    /// The library below the directory of a program, by what follows `@executable_path`; or a run path there.
    BelowProgram { rest: Vec<u8>, is_run_path: bool },
    /// A run path. It counts for all code that this code loads and, because which code loads which is not
    /// worked out here, for all that there is.
    RunPath(RunPath),
}

/// A run path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunPath {
    path: LoadPath,
    /// True when it begins with `/` in the load command: it is tried in the cryptex as well.
    is_absolute: bool,
}

impl RunPath {
    /// One below the directory of a program.
    pub fn below_program(directory: &[u8], rest: &[u8]) -> Self {
        Self {
            path: LoadPath::below_program(directory, rest),
            is_absolute: false,
        }
    }

    /// The paths of what is asked for below it.
    pub fn paths(&self, tail: &[u8]) -> impl Iterator<Item = LoadPath> {
        let path = self.path.with_tail(tail);
        let in_cryptex = (self.is_absolute && path.has_dots()).then(|| {
            let above = self.path.behind(CRYPTEX);
            above.with_tail(tail)
        });
        [path].into_iter().chain(in_cryptex)
    }
}

/// True for code of which a slice is a program.
pub fn is_program(facts: &CodeFacts) -> bool {
    facts.slices.iter().any(|s| s.file_type == MH_EXECUTE)
}

/// Passes on all that the load commands of `code` ask for, until `take` gives false. True when that was all.
pub fn each(code: Code<'_>, take: &mut dyn FnMut(Asked) -> bool) -> bool {
    let is_passed = code.facts.slices.iter().all(|slice| {
        let below_program = |text: &[u8], is_run_path| {
            let rest = after(text, b"@executable_path").filter(|_| slice.file_type != MH_EXECUTE);
            rest.map(|rest| Asked::BelowProgram {
                rest: rest.to_vec(),
                is_run_path,
            })
        };
        let run_paths = slice.rpaths.iter().flat_map(|text| {
            let text = text.as_bytes();
            if let Some(asked) = below_program(text, true) {
                return vec![asked];
            }
            let paths = expanded(text, slice, code.at).into_iter();
            let is_absolute = text.starts_with(b"/");
            let run_path = |path| Asked::RunPath(RunPath { path, is_absolute });
            paths.map(run_path).collect()
        });
        let dylibs = slice.dylibs.iter().flat_map(|text| {
            let text = text.as_bytes();
            let below = text.strip_prefix(b"@rpath").filter(|t| t.starts_with(b"/"));
            let asked = match (below, below_program(text, false)) {
                (Some(tail), _) => vec![Asked::BelowRunPaths(tail.to_vec())],
                (None, Some(asked)) => vec![asked],
                (None, None) => {
                    let paths = expanded(text, slice, code.at).into_iter();
                    paths.chain(in_cryptex(text)).map(Asked::Library).collect()
                }
            };
            asked.into_iter()
        });
        run_paths.chain(dylibs).all(&mut *take)
    });
    is_passed && code.facts.has_all_loads()
}

/// What follows a word of dyld's in a text.
fn after<'t>(text: &'t [u8], word: &[u8]) -> Option<&'t [u8]> {
    let rest = text.strip_prefix(word);
    rest.filter(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// The paths that dyld makes of a load command's text; of one below a program that is its own.
fn expanded(text: &[u8], slice: &SliceFacts, at: &[u8]) -> Vec<LoadPath> {
    if let Some(rest) = after(text, b"@loader_path") {
        return [at]
            .into_iter()
            .chain(without_versions(at))
            .map(|directory| LoadPath::below(directory, rest))
            .collect();
    }
    match after(text, b"@executable_path") {
        Some(rest) if slice.file_type == MH_EXECUTE => vec![LoadPath::below_program(at, rest)],
        _ => vec![LoadPath::plain(text)],
    }
}

/// The directories beside which dyld looks for what an old library names whose own name lacks `/Versions/A`: what stands
/// before that in its path, which goes on with its last name. How far that is before the end dyld counts by the library's own
/// name for itself, which says what its author likes.
fn without_versions(at: &[u8]) -> Vec<&[u8]> {
    let word = b"/Versions/".as_slice();
    let path = [at, b"/"].concat();
    let versions = path
        .windows(word.len())
        .enumerate()
        .filter(|(_, w)| *w == word);
    versions.filter_map(|(start, _)| at.get(..start)).collect()
}

/// Where a text leads in the cryptex, when that may be out of it: by a `..`, or because what dyld puts before it ends in
/// no slash.
fn in_cryptex(text: &[u8]) -> Option<LoadPath> {
    let plain = LoadPath::plain(text);
    let may_leave = plain.has_dots() || plain.is_relative();
    // Nothing is cut here, and the kernel opens nothing that is too long.
    let path = plain.behind(CRYPTEX);
    (may_leave && !text.starts_with(b"@") && !path.is_cut).then_some(path)
}

/// True when a path without dots leads to the system's own volume whatever links there are. In letters beyond ASCII's
/// none does: a Mac's disk takes a long s for an s, and more for one name than is told apart here.
pub fn is_sealed(path: &[u8]) -> bool {
    let is_of_unix = path.is_ascii() && path.starts_with(b"/usr/") && !leads_behind(path);
    !has_dots(path) && (is_of_unix || is_system(path))
}

/// True when a path without dots stays in one of the system's cryptexes: nothing is there that bears the name of a
/// library, unless it is found.
pub fn is_in_cryptex(path: &[u8]) -> bool {
    IN_CRYPTEXES.iter().any(|above| path.starts_with(above))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What dyld-1378 cuts off in `forEachResolvedAtPathVar`, by the whole path of a library and by its own name for itself.
    fn dyld(path: &[u8], install_name: &[u8]) -> Option<Vec<u8>> {
        let leaf = install_name.iter().rposition(|b| *b == b'/')?;
        let length = install_name.len() - leaf;
        if path.len() <= length + 11 {
            return None;
        }
        let end = path.len() - length - 11;
        path[end..]
            .starts_with(b"/Versions/")
            .then(|| path[..end].to_vec())
    }

    proptest! {
        /// Whatever a library calls itself, dyld looks in no directory that is not named here.
        #[test]
        fn no_name_of_a_library_leads_where_nobody_looks(
            names in prop::collection::vec(prop::sample::select(&["Versions", "A", "x.framework", "Versionsx"][..]), 1..8),
            leaf in "[a-z]{1,30}",
        ) {
            let at = format!("/{}", names.join("/"));
            let path = format!("{at}/Lib.dylib");
            for length in 1..path.len() {
                let install_name = format!("/{leaf}/{}", "l".repeat(length));
                if let Some(directory) = dyld(path.as_bytes(), install_name.as_bytes()) {
                    prop_assert!(without_versions(at.as_bytes()).contains(&directory.as_slice()), "{path} {install_name}");
                }
            }
        }
    }
}
