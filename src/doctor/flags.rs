//! osquery's flag file: one `--name=value` a line, the last line of a name counts.
//!
//! As gflags reads it (`ProcessFlagfile` of gflags.cc): leading white space is skipped, one dash is
//! as good as two, `#` begins a comment, and a flag without a value is true.

/// The flags of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    lines: Vec<(String, String)>,
}

impl Flags {
    /// Reads a flag file.
    pub fn parse(text: &str) -> Self {
        let lines = text
            .lines()
            .filter_map(|line| {
                let line = line.trim();
                let flag = line.strip_prefix("--").or_else(|| line.strip_prefix('-'))?;
                let (name, value) = flag.split_once('=').unwrap_or((flag, "true"));
                Some((name.to_owned(), value.to_owned()))
            })
            .collect();
        Self { lines }
    }

    /// The value that counts, when the file gives one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.lines
            .iter()
            .rev()
            .find(|(flag, _)| flag == name)
            .map(|(_, value)| value.as_str())
    }

    /// True when the flag is given and says yes, as gflags reads a bool: `--noNAME` says no.
    pub fn is_true(&self, name: &str) -> bool {
        let last = self.lines.iter().rev().find_map(|(flag, value)| {
            let is_no = flag.strip_prefix("no") == Some(name);
            (flag == name || is_no).then_some((is_no, value.as_str()))
        });
        last.is_some_and(|(is_no, value)| !is_no && is_yes(value))
    }

    /// True when a flag that is a comma list names `item`.
    pub fn lists(&self, name: &str, item: &str) -> bool {
        self.get(name)
            .unwrap_or_default()
            .split(',')
            .any(|part| part.trim() == item)
    }
}

/// True for what gflags takes for yes, in any letter case.
pub fn is_yes(value: &str) -> bool {
    let yes = ["1", "t", "true", "y", "yes"];
    yes.iter().any(|word| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::Flags;

    #[test]
    fn the_last_line_counts_and_dashes_are_one_or_two() {
        let flags = Flags::parse("--a=1\n  -a=2\n# --a=3\n--b\nc=4\n--list=x, dsplug\r\n");
        assert_eq!(flags.get("a"), Some("2"));
        assert!(flags.is_true("b"));
        assert!(Flags::parse("--b=TRUE\n").is_true("b"));
        assert!(!Flags::parse("--b\n--nob\n").is_true("b"));
        assert!(Flags::parse("--nob\n--b=yes\n").is_true("b"));
        assert_eq!(flags.get("c"), None);
        assert!(flags.lists("list", "dsplug"));
        assert!(!flags.lists("list", "dsp"));
    }
}
