//! Where dyld looks for the libraries that load commands name: what is found there runs with the bundle, and
//! stands in no digest of it when it is outside.
//!
//! The rules are those of `forEachResolvedAtPathVar`, `expandAtLoaderPath` and `expandAtExecutablePath` in
//! dyld/Loader.cpp of dyld-1378 (read, not seen): `@loader_path` is the directory that the code really
//! stands in (`F_GETPATH`, by `makeJustInTimeLoaderDisk` of dyld/JustInTimeLoader.cpp), `@executable_path`
//! that of the program, `@rpath` each run path of the code and of what loaded it (here: of all code), and what begins with
//! neither `@` nor `/` leads to the working directory, which launchd makes `/`. Where all of that finds
//! nothing, binaries built before 2022 fall back to `/usr/local/lib` and `/Library/Frameworks`
//! (`forEachDylibFallback` of dyld/DyldProcessConfig.cpp): that is not followed here. `LC_DYLD_ENVIRONMENT`
//! counts in a program alone. Load commands are those that dyld-1378 knows: of its newer ones
//! `LC_LAZY_LOAD_DYLIB_INFO` names a library, function variants and the target triple do not.

use crate::codesign::{CodeFacts, SliceFacts, is_below_any, is_system};

/// The directory of `dspluginhelperd`, which loads plug-ins. `DirectoryService` of macOS 10.6 stood as deep.
const PROGRAM: &[u8] = b"/usr/libexec";
/// What of `/usr` stands on the data volume, where root writes (`/usr/share/firmlinks` of macOS 13).
const WRITABLE: &[&[u8]] = &[b"/usr/local/", b"/usr/libexec/cups/", b"/usr/share/snmp/"];
/// File type of a program.
const MH_EXECUTE: u32 = 2;
/// Bytes of a path that the kernel opens, its end included (`PATH_MAX` of macOS).
const PATH_MAX: usize = 1_024;

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
    Library(Vec<u8>),
    /// Whatever stands so below a run path: what follows `@rpath`.
    BelowRunPaths(Vec<u8>),
    /// A run path. It counts for all code that this code loads and, because which code loads which is not
    /// worked out here, for all that there is.
    RunPath(Vec<u8>),
}

/// Passes on all that the load commands of `code` ask for, until `take` gives false. True when that was all.
pub fn each(code: Code<'_>, take: &mut dyn FnMut(Asked) -> bool) -> bool {
    let is_passed = code.facts.slices.iter().all(|slice| {
        let run_paths = slice.rpaths.iter().flat_map(|text| {
            let paths = expanded(text.as_bytes(), slice, code.at);
            paths.into_iter().map(Asked::RunPath)
        });
        let dylibs = slice.dylibs.iter().flat_map(|text| {
            let text = text.as_bytes();
            let below = text.strip_prefix(b"@rpath").filter(|t| t.starts_with(b"/"));
            let asked = match below {
                Some(tail) if tail.len() < PATH_MAX => vec![Asked::BelowRunPaths(tail.to_vec())],
                Some(_) => Vec::new(),
                None => {
                    let paths = expanded(text, slice, code.at);
                    paths.into_iter().map(Asked::Library).collect()
                }
            };
            asked.into_iter()
        });
        run_paths.chain(dylibs).all(&mut *take)
    });
    is_passed && code.facts.has_all_loads()
}

/// The paths that a load command's text leads to, but for those that are too long for the kernel.
fn expanded(text: &[u8], slice: &SliceFacts, at: &[u8]) -> Vec<Vec<u8>> {
    let after = |word: &[u8]| {
        let rest = text.strip_prefix(word);
        rest.filter(|rest| rest.is_empty() || rest.starts_with(b"/"))
    };
    let mut paths = Vec::new();
    if let Some(rest) = after(b"@loader_path") {
        paths.push(below(at, rest));
        // Of an old library whose name lacks `/Versions/A`, dyld tries the path without that as well.
        let word = b"/Versions/".as_slice();
        for (start, _) in at
            .windows(word.len())
            .enumerate()
            .filter(|(_, w)| *w == word)
        {
            paths.push(below(at.get(..start).unwrap_or_default(), rest));
        }
    } else if let Some(rest) = after(b"@executable_path") {
        let is_program = slice.file_type == MH_EXECUTE;
        paths.push(below(if is_program { at } else { PROGRAM }, rest));
    } else if text.starts_with(b"/") {
        paths.push(text.to_vec());
    } else {
        paths.push([b"/", text].concat());
    }
    paths.retain(|path| path.len() < PATH_MAX);
    paths
}

/// What is asked for below a run path; nothing when that is too long for the kernel.
pub fn below_run_path(run_path: &[u8], tail: &[u8]) -> Option<Vec<u8>> {
    let path = [run_path, tail].concat();
    (path.len() < PATH_MAX).then_some(path)
}

/// True when a path without dots leads to the system's own volume whatever links there are.
pub fn is_sealed(path: &[u8]) -> bool {
    let is_of_unix = path.starts_with(b"/usr/") && !is_below_any(path, WRITABLE);
    !has_dots(path) && (is_of_unix || is_system(path))
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
