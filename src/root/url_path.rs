//! A relative name made absolute as CoreFoundation does it for a URL: by the text alone, whatever stands there.
//!
//! `_resolvedPath` of CFURL.c, as `_resolveFileSystemPaths` calls it for `CFURLGetFileSystemRepresentation` (CF-1153 and
//! swift-corelibs-foundation 5.9 have the same lines). `..` takes away what stands before it between two
//! slashes, nothing as well: `x//../y` is `x/y`, which neither the kernel nor RFC 3986 reads so.

/// The path that a relative name has in a directory, an absolute path. What is kept of its empty components
/// means nothing to the kernel, and something to whoever goes on from there by `..`.
pub fn url_path(directory: &[u8], name: &[u8]) -> Vec<u8> {
    // Of a name all slashes at its end go, of what comes out of it one.
    let mut name = name;
    while let Some(rest) = name.strip_suffix(b"/") {
        name = rest;
    }
    let directory = directory.strip_suffix(b"/").unwrap_or(directory);
    let path = [directory, b"/", name].concat();
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut components = path.split(|b| *b == b'/').skip(1).peekable();
    while let Some(component) = components.next() {
        match component {
            b"." => {}
            b".." => match kept.last() {
                // Nothing is above `/`.
                None | Some(&b"..") => {
                    kept.push(component);
                    continue;
                }
                Some(_) => {
                    kept.pop();
                }
            },
            _ => {
                kept.push(component);
                continue;
            }
        }
        if components.peek().is_none() {
            kept.push(b"");
        }
    }
    let mut path = [b"/", kept.join(b"/".as_slice()).as_slice()].concat();
    if path.len() > 1 && path.ends_with(b"/") {
        path.pop();
    }
    path
}

/// True for a name that the text and the disk may lead elsewhere.
pub fn leads_up(name: &[u8]) -> bool {
    name.split(|b| *b == b'/')
        .any(|component| component == b"..")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::url_path;

    /// What a CoreFoundation answered that was built from swift-corelibs-foundation 5.9 for Linux:
    /// `CFURLCreateWithFileSystemPathRelativeToBase` and `CFURLGetFileSystemRepresentation`, and the same by
    /// `CFURLCopyAbsoluteURL`.
    #[test]
    fn names_lead_where_corefoundation_says() {
        for (directory, name, path) in [
            ("/P/X/Contents/MacOS", "x", "/P/X/Contents/MacOS/x"),
            ("/P/X/Contents/MacOS", "", "/P/X/Contents/MacOS"),
            ("/P/X/Contents/MacOS", ".", "/P/X/Contents/MacOS"),
            ("/P/X/Contents/MacOS", "./x", "/P/X/Contents/MacOS/x"),
            ("/P/X/Contents/MacOS", "x///", "/P/X/Contents/MacOS/x"),
            ("/P/X/Contents/MacOS", "..", "/P/X/Contents"),
            ("/P/X/Contents/MacOS", "...", "/P/X/Contents/MacOS/..."),
            ("/P/X/Contents/MacOS", "l/../x", "/P/X/Contents/MacOS/x"),
            ("/P/X/Contents/MacOS", "l//../x", "/P/X/Contents/MacOS/l/x"),
            (
                "/P/X/Contents/MacOS",
                "a/.//../b",
                "/P/X/Contents/MacOS/a/b",
            ),
            ("/P/X/Contents/MacOS", "x/..//../y", "/P/X/Contents/MacOS/y"),
            ("/P/X/Contents/MacOS", "a//..", "/P/X/Contents/MacOS/a"),
            (
                "/P/X/Contents/MacOS",
                "a/////..",
                "/P/X/Contents/MacOS/a///",
            ),
            (
                "/P/X/Contents/MacOS",
                "a/.////.",
                "/P/X/Contents/MacOS/a///",
            ),
            ("/P/X/Contents/MacOS", "a/..//", "/P/X/Contents/MacOS"),
            (
                "/P/X/Contents/MacOS",
                "a%2e%2e/b",
                "/P/X/Contents/MacOS/a%2e%2e/b",
            ),
            ("/P/X/Contents/MacOS", "x//../../../../../e/e", "/P/e/e"),
            ("/P/X/Contents/MacOS", "../../../../../../b", "/../../b"),
            ("/P/X/Contents/MacOS", "../../../../../../b/..", "/../.."),
            ("/L/q//P", "../../x", "/L/q/x"),
            ("/L/q//P", "..", "/L/q/"),
            ("/", "a/..", "/"),
        ] {
            let found = url_path(directory.as_bytes(), name.as_bytes());
            assert_eq!(
                String::from_utf8(found).unwrap(),
                path,
                "{directory} {name}"
            );
        }
    }

    /// The same by what the function does to its buffer, step by step.
    fn in_place(directory: &str, name: &str) -> Vec<u8> {
        let directory = directory.strip_suffix('/').unwrap_or(directory);
        let mut text = format!("{directory}/{}", name.trim_end_matches('/')).into_bytes();
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if rest == b"." {
                text.truncate(at);
                break;
            }
            if rest.starts_with(b"./") {
                text.drain(at..at + 2);
                continue;
            }
            if (rest == b".." || rest.starts_with(b"../")) && at >= 2 {
                let before = text[..at - 1].iter().rposition(|b| *b == b'/').unwrap() + 1;
                if &text[before..at] != b"../" {
                    let is_last = rest == b"..";
                    text.drain(before..if is_last { at + 2 } else { at + 3 });
                    at = before;
                    if is_last {
                        break;
                    }
                    continue;
                }
            }
            at += text[at..]
                .iter()
                .position(|b| *b == b'/')
                .unwrap_or(text.len())
                + 1;
        }
        if text.len() > 1 && text.ends_with(b"/") {
            text.pop();
        }
        text
    }

    proptest! {
        #[test]
        fn any_name_leads_where_the_buffer_does(
            directory in prop::sample::select(vec!["/", "/P", "/P/X", "/L/q//P", "//P"]),
            name in r"(\.|\.\.|/|/|a|\.a|\.\.\.){0,14}",
        ) {
            let name = name.trim_start_matches('/');
            prop_assert_eq!(
                url_path(directory.as_bytes(), name.as_bytes()),
                in_place(directory, name)
            );
        }
    }
}
