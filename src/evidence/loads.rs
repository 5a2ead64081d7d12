//! Where dyld looks for the libraries that load commands name: what is found there runs with the bundle, and
//! stands in no digest of it when it is outside.
//!
//! The rules are those of `forEachResolvedAtPathVar`, `expandAtLoaderPath` and `expandAtExecutablePath` in
//! dyld/Loader.cpp of dyld-1378 (read, not seen): `@loader_path` is the directory that the code really
//! stands in (`F_GETPATH`, by `makeJustInTimeLoaderDisk` of dyld/JustInTimeLoader.cpp), `@executable_path`
//! that of the program, `@rpath` each run path of the code and of what loaded it, and what begins with
//! neither `@` nor `/` leads to the working directory, which launchd makes `/`. Where all of that finds
//! nothing, binaries built before 2022 fall back to `/usr/local/lib` and `/Library/Frameworks`
//! (`forEachDylibFallback` of dyld/DyldProcessConfig.cpp): that is not followed here. `LC_DYLD_ENVIRONMENT`
//! counts in a program alone.

use std::collections::BTreeSet;

use super::executable::without_dots;
use crate::codesign::{CodeFacts, SliceFacts, is_system};

/// The directory of `dspluginhelperd`, which loads plug-ins. `DirectoryService` of macOS 10.6 stood as deep.
const PROGRAM: &[u8] = b"/usr/libexec";
/// What of `/usr` stands on the data volume, where root writes (`/usr/share/firmlinks` of macOS 13).
const WRITABLE: &[&[u8]] = &[b"/usr/local/", b"/usr/libexec/cups/", b"/usr/share/snmp/"];
/// File type of a program.
const MH_EXECUTE: u32 = 2;
/// Paths of one file of code that are looked at.
const MOST: usize = 2_048;

/// A file of code.
#[derive(Clone, Copy)]
pub struct Code<'a> {
    /// What is known of it.
    pub facts: &'a CodeFacts,
    /// The directory that it really stands in.
    pub at: &'a [u8],
}

/// Every path at which dyld looks for a library that `code` names, but for those on the system's own volume.
/// `main` is what loads it, whose run paths count too. With it comes whether these are all.
pub fn paths(code: Code<'_>, main: Option<Code<'_>>) -> (BTreeSet<Vec<u8>>, bool) {
    let mut paths = BTreeSet::new();
    let mut is_whole = true;
    for slice in &code.facts.slices {
        is_whole &= !slice.is_list_cut;
        for dylib in &slice.dylibs {
            for path in expanded(dylib, slice, code, main) {
                if paths.len() >= MOST {
                    return (paths, false);
                }
                paths.insert(path);
            }
        }
    }
    (paths, is_whole)
}

fn expanded(
    dylib: &str,
    slice: &SliceFacts,
    code: Code<'_>,
    main: Option<Code<'_>>,
) -> Vec<Vec<u8>> {
    let dylib = dylib.as_bytes();
    let Some(tail) = dylib
        .strip_prefix(b"@rpath")
        .filter(|t| t.starts_with(b"/"))
    else {
        return path(dylib, slice, code.at).into_iter().collect();
    };
    let own = slice.rpaths.iter().map(|rpath| (rpath, slice, code.at));
    let main = main.into_iter().flat_map(|main| {
        let slices = main.facts.slices.iter();
        slices.flat_map(move |s| s.rpaths.iter().map(move |rpath| (rpath, s, main.at)))
    });
    own.chain(main)
        .filter_map(|(rpath, slice, at)| path(&[rpath.as_bytes(), tail].concat(), slice, at))
        .collect()
}

/// The path that a load command's text leads to; `None` where that is on the system's own volume whatever
/// links there are.
fn path(text: &[u8], slice: &SliceFacts, at: &[u8]) -> Option<Vec<u8>> {
    let after = |word: &[u8]| {
        let rest = text.strip_prefix(word);
        rest.filter(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    if let Some(rest) = after(b"@loader_path") {
        return Some(below(at, rest));
    }
    if let Some(rest) = after(b"@executable_path") {
        if slice.file_type == MH_EXECUTE {
            return Some(below(at, rest));
        }
        let path = below(PROGRAM, rest);
        let is_writable = WRITABLE.iter().any(|above| path.starts_with(above));
        let is_sealed = path.starts_with(b"/usr/") && !is_writable;
        return (!is_sealed || has_dots(&path)).then_some(path);
    }
    let path = match text.strip_prefix(b"/") {
        Some(_) => text.to_vec(),
        None => [b"/", text].concat(),
    };
    (has_dots(&path) || !is_system(&without_dots(&path))).then_some(path)
}

/// What is `rest` below a directory, that is real: the `..` at its beginning lead up from there.
fn below(directory: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut directory = directory;
    let mut rest = rest;
    loop {
        rest = rest.strip_prefix(b"/").unwrap_or(rest);
        let end = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(end).unwrap_or_default();
        match name {
            b"" if after.is_empty() => break,
            b"" | b"." => {}
            b".." => {
                let above = directory.iter().rposition(|b| *b == b'/');
                directory = directory
                    .get(..above.unwrap_or_default())
                    .unwrap_or_default();
            }
            _ => break,
        }
        rest = after;
    }
    [directory, b"/", rest].concat()
}

/// True when a path has a `..` in it: where it leads hangs on the links before that.
pub fn has_dots(path: &[u8]) -> bool {
    path.split(|b| *b == b'/').any(|name| name == b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_up_from_a_real_directory() {
        let text = |rest: &str| String::from_utf8(below(b"/A/b", rest.as_bytes())).unwrap();
        assert_eq!(text("/x"), "/A/b/x");
        assert_eq!(text("/../x/y"), "/A/x/y");
        assert_eq!(text("//.././x/../y"), "/A/x/../y");
        assert_eq!(text("/../../../x"), "/x");
        assert_eq!(text(""), "/A/b/");
        assert_eq!(text("/.."), "/A/");
    }
}
