//! A path as dyld makes it of a load command's text: byte by byte, in a buffer of `PATH_MAX`, of which what is too
//! long is cut off without a word.
//!
//! The rules are those of `expandAtLoaderPath`, `expandAndNormalizeAtExecutablePath` and `forEachResolvedAtPathVar`
//! of dyld/Loader.cpp and of `Utils::concatenatePaths` of common/Utilities.cpp, dyld-1378 (read, not seen).

use crate::firm_links;

/// Bytes of a path, the NUL at its end included (`PATH_MAX` of macOS).
pub const PATH_MAX: usize = 1_024;

/// A path that dyld has made.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadPath {
    text: Vec<u8>,
    /// How many bytes at its beginning are a directory that is real, so that `..` after it leads up from there.
    real: usize,
    /// True when dyld cut off a part: what it opens is none of what the code's author wrote.
    pub is_cut: bool,
}

impl LoadPath {
    /// A text as it stands in the load command.
    pub fn plain(text: &[u8]) -> Self {
        Self::below(b"", text)
    }

    /// A text behind a directory that is real, or whatever is put before it.
    pub fn below(directory: &[u8], rest: &[u8]) -> Self {
        let is_directory = rest.is_empty() || rest.starts_with(b"/");
        let end = match is_directory {
            true => directory.len(),
            // It goes on with the directory's own name.
            false => last_slash(directory),
        };
        let mut path = Self {
            text: directory.to_vec(),
            real: end,
            is_cut: false,
        };
        path.append(rest);
        path
    }

    /// A text behind the directory of the program: dyld takes off `..` itself, and any name that only begins
    /// so, but never comes to `/` by that.
    pub fn below_program(directory: &[u8], rest: &[u8]) -> Self {
        let is_long = directory.len().saturating_add(rest.len()) >= PATH_MAX;
        let (mut head, mut tail) = (directory, rest);
        while let Some(after) = tail.strip_prefix(b"/..")
            && let above @ 1.. = last_slash(head)
        {
            head = head.get(..above).unwrap_or_default();
            tail = after;
        }
        let mut path = Self::below(head, tail);
        // Before it took off anything, dyld cut what was too long all the same.
        path.is_cut |= is_long;
        path
    }

    /// The same with what follows `@rpath`: of two slashes that meet one is left out.
    pub fn with_tail(&self, tail: &[u8]) -> Self {
        let mut path = self.clone();
        let tail = match tail.strip_prefix(b"/") {
            Some(rest) if path.text.ends_with(b"/") => rest,
            _ => tail,
        };
        path.append(tail);
        path
    }

    /// The same behind what dyld puts before it.
    pub fn behind(&self, directory: &[u8]) -> Self {
        let mut path = Self::below(directory, &self.text);
        path.is_cut |= self.is_cut;
        path
    }

    /// True when something has to be asked of the disk to know where it leads: it has a `..`.
    pub fn has_dots(&self) -> bool {
        has_dots(&self.text)
    }

    /// True when it leads down from the working directory.
    pub fn is_relative(&self) -> bool {
        !self.text.starts_with(b"/")
    }

    fn append(&mut self, rest: &[u8]) {
        self.text.extend(rest);
        if self.text.len() >= PATH_MAX {
            self.text.truncate(PATH_MAX.saturating_sub(1));
            self.is_cut = true;
        }
        self.real = self.real.min(self.text.len());
    }

    /// Where it leads: absolute, for launchd makes `/` the working directory, and without the `..` that lead up
    /// from a real directory.
    pub fn resolved(&self) -> Vec<u8> {
        if self.real == 0 {
            let is_absolute = self.text.starts_with(b"/");
            let slash = if is_absolute { b"".as_slice() } else { b"/" };
            return [slash, &self.text].concat();
        }
        let (directory, rest) = self.text.split_at_checked(self.real).unwrap_or_default();
        let mut directory = directory.strip_suffix(b"/").unwrap_or(directory);
        let mut rest = rest;
        loop {
            rest = rest.strip_prefix(b"/").unwrap_or(rest);
            let end = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
            let (name, after) = rest.split_at_checked(end).unwrap_or_default();
            match name {
                b"" if after.is_empty() => break,
                b"" | b"." => {}
                // The kernel knows directories of the data volume by another path, and goes up from there.
                b".." if firm_links::below_data(directory).is_some_and(|rest| !rest.is_empty()) => {
                    break;
                }
                b".." => directory = directory.get(..last_slash(directory)).unwrap_or_default(),
                _ => break,
            }
            rest = after;
        }
        [directory, b"/", rest].concat()
    }
}

fn last_slash(path: &[u8]) -> usize {
    path.iter().rposition(|b| *b == b'/').unwrap_or_default()
}

/// True when a path has a `..` in it: where it leads hangs on the links before that.
pub fn has_dots(path: &[u8]) -> bool {
    path.split(|b| *b == b'/').any(|name| name == b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &LoadPath) -> String {
        String::from_utf8(path.resolved()).unwrap()
    }

    #[test]
    fn what_leads_up_from_a_real_directory() {
        let below = |rest: &str| text(&LoadPath::below(b"/A/b", rest.as_bytes()));
        assert_eq!(below("/x"), "/A/b/x");
        assert_eq!(below("/../x/y"), "/A/x/y");
        assert_eq!(below("//.././x/../y"), "/A/x/../y");
        assert_eq!(below("/../../../x"), "/x");
        assert_eq!(below(""), "/A/b/");
        assert_eq!(below("/.."), "/A/");
        // It goes on with a name.
        assert_eq!(below("x/../y"), "/A/bx/../y");
        let plain = |text_: &str| text(&LoadPath::plain(text_.as_bytes()));
        assert_eq!(plain("/A/../x"), "/A/../x");
        assert_eq!(plain("x/y"), "/x/y");
        assert_eq!(plain("../x"), "/../x");
    }

    /// Each expected text is what `expandAndNormalizeAtExecutablePath` writes, worked out by hand.
    #[test]
    fn what_leads_up_from_the_program() {
        let below = |rest: &str| LoadPath::below_program(b"/usr/libexec", rest.as_bytes());
        for (rest, made) in [
            ("/x", "/usr/libexec/x"),
            ("/../x", "/usr/x"),
            ("/../../x", "/usr/../x"),
            ("/..x/y", "/usrx/y"),
            ("/...", "/usr."),
            ("", "/usr/libexec"),
        ] {
            assert_eq!(String::from_utf8_lossy(&below(rest).text), made);
        }
        assert_eq!(text(&below("/../../x")), "/x");
        assert_eq!(text(&below("/..x/../y")), "/usrx/../y");
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let slashes = "/".repeat(PATH_MAX - 4);
        let cut = LoadPath::below(b"/A", format!("{slashes}bcd").as_bytes());
        assert!(cut.is_cut);
        assert_eq!(cut.text.len(), PATH_MAX - 1);
        assert_eq!(text(&cut), "/A/b");
        let fits = LoadPath::below(b"/A", format!("{slashes}b").as_bytes());
        assert!(!fits.is_cut);
        // What dyld would not cut in one step, it cuts in the next.
        let tail = fits.with_tail(b"/c");
        assert!(tail.is_cut);
        assert_eq!(text(&tail), "/A/b");
        assert_eq!(text(&LoadPath::plain(b"/a/").with_tail(b"/b")), "/a/b");
        let long = format!("{}x", "/..".repeat(400));
        assert!(LoadPath::below_program(b"/usr/libexec", long.as_bytes()).is_cut);
        assert!(fits.behind(b"/cryptex").is_cut);
    }
}
