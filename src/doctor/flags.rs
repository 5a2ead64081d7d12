//! osquery's flag file: one `--name=value` a line, the last line of a name counts.
//!
//! As gflags reads it (`ProcessOptionsFromStringLocked` of gflags.cc, and the real osqueryd): a NUL ends the
//! text; where a carriage return follows anywhere, a line ends there and nowhere before; leading white space is
//! skipped, and trailing white space belongs to the value; one dash is as good as two, and a dash in a name as
//! an underscore; `#` begins a comment; a flag without a value is true where it is a bool, and passed over
//! where it is not. A line of anything else names programs, and the flags that follow are for them alone.

/// What osqueryd is called, where its package puts it.
const PROGRAM: &str = "osqueryd";
const PROGRAM_PATH: &str = "/opt/osquery/lib/osquery.app/Contents/MacOS/osqueryd";

/// The flags of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Names with underscores; no value where the line has no `=`.
    lines: Vec<(String, Option<String>)>,
    for_others: Vec<String>,
}

impl Flags {
    /// Reads a flag file.
    pub fn parse(text: &str) -> Self {
        let mut flags = Self::default();
        // The lines since the last flag that name programs, and whether one of them names osqueryd.
        let mut programs: Vec<&str> = Vec::new();
        let mut is_ours = true;
        for line in lines(text) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some(flag) = line.strip_prefix("--").or_else(|| line.strip_prefix('-')) else {
                if programs.is_empty() {
                    is_ours = false;
                }
                is_ours |= names_osqueryd(line);
                programs.push(line);
                continue;
            };
            if is_ours {
                let (name, value) = match flag.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (flag, None),
                };
                flags.lines.push((name.replace('-', "_"), value));
            } else if let Some(first) = programs.first() {
                flags.for_others.push((*first).to_owned());
            }
            programs.clear();
        }
        flags
    }

    /// The lines that begin a part for other programs, whose flags osqueryd passes over.
    pub fn for_others(&self) -> &[String] {
        &self.for_others
    }

    /// The value that counts of a flag that is no bool, when the file gives one.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut lines = self.lines.iter().rev();
        lines.find_map(|(flag, value)| value.as_deref().filter(|_| flag == name))
    }

    /// Every value of it that is not empty: of a flag that acts where it stands.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let lines = self.lines.iter().filter(move |(flag, _)| flag == name);
        let values = lines.filter_map(|(_, value)| value.as_deref());
        values.filter(|value| !value.is_empty())
    }

    /// True when the flag is given and says yes, as gflags reads a bool: `--noNAME` says no, whatever follows.
    pub fn is_true(&self, name: &str) -> bool {
        let mut lines = self.lines.iter().rev();
        lines
            .find_map(|(flag, value)| {
                if flag.strip_prefix("no") == Some(name) {
                    return Some(false);
                }
                (flag == name).then(|| value.as_deref().is_none_or(is_yes))
            })
            .unwrap_or_default()
    }

    /// A value that gflags takes for neither yes nor no: osqueryd ends there, whatever the other lines say.
    pub fn illegal(&self, name: &str) -> Option<&str> {
        let values = self.lines.iter().filter(|(flag, _)| flag == name);
        let mut values = values.filter_map(|(_, value)| value.as_deref());
        values.find(|value| !is_yes(value) && !is_no(value))
    }

    /// True when a flag that is a comma list names `item`.
    pub fn lists(&self, name: &str, item: &str) -> bool {
        self.get(name)
            .unwrap_or_default()
            .split(',')
            .any(|part| part.trim() == item)
    }
}

/// The lines as gflags finds them, without the white space before them.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}');
    let mut rest = text.split('\0').next();
    // How much follows the last carriage return: it is not searched for at each line.
    let last = rest.and_then(|all| {
        all.rsplit_once('\r')
            .map_or(Some(all), |(_, last)| Some(last))
    });
    let last = last.map_or(0, str::len);
    std::iter::from_fn(move || {
        let text = rest.take()?.trim_start_matches(is_space);
        let end = if text.len() > last { '\r' } else { '\n' };
        let Some((line, more)) = text.split_once(end) else {
            return Some(text);
        };
        rest = Some(more);
        Some(line)
    })
}

/// True for a line of names of programs, of which one is osqueryd. Of the patterns that `fnmatch` knows, those
/// of stars alone: what is written in another way is for other programs here, and is told.
fn names_osqueryd(line: &str) -> bool {
    let mut words = line.split(' ');
    words
        .any(|word| super::glob::matches(word, PROGRAM) || super::glob::matches(word, PROGRAM_PATH))
}

/// True for what gflags takes for yes, in any letter case.
pub fn is_yes(value: &str) -> bool {
    is_one_of(value, ["1", "t", "true", "y", "yes"])
}

/// True for what it takes for no.
fn is_no(value: &str) -> bool {
    is_one_of(value, ["0", "f", "false", "n", "no"])
}

fn is_one_of(value: &str, words: [&str; 5]) -> bool {
    words.iter().any(|word| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::Flags;

    #[test]
    fn the_last_line_counts_and_dashes_are_one_or_two() {
        let flags = Flags::parse("--a=1\n  -a=2\n# --a=3\n--b\n--list=x, dsplug\n");
        assert_eq!(flags.get("a"), Some("2"));
        assert!(flags.is_true("b"));
        assert!(Flags::parse("--b=TRUE\n").is_true("b"));
        assert!(!Flags::parse("--b\n--nob\n").is_true("b"));
        assert!(!Flags::parse("--nob=1\n").is_true("b"));
        assert!(Flags::parse("--nob\n--b=yes\n").is_true("b"));
        assert!(flags.lists("list", "dsplug"));
        assert!(!flags.lists("list", "dsp"));
    }

    /// Each was seen with osqueryd 5.23.1 (`osquery_flags`).
    #[test]
    fn a_dash_in_a_name_is_an_underscore() {
        let flags = Flags::parse("--disable-tables=x\n--disable-logging\n");
        assert_eq!(flags.get("disable_tables"), Some("x"));
        assert!(flags.is_true("disable_logging"));
        let flags = Flags::parse("--a_b\n--noa-b\n");
        assert!(!flags.is_true("a_b"));
        assert!(Flags::parse("--a_b\n--no-a-b\n---noa_b\n").is_true("a_b"));
    }

    #[test]
    fn lines_end_where_gflags_ends_them() {
        let flags = Flags::parse("--a=1\n# c\n--b=2\r\n--c=3 \n--d=4");
        assert_eq!(flags.get("a"), Some("1\n# c\n--b=2"));
        assert_eq!(flags.get("b"), None);
        assert_eq!(flags.get("c"), Some("3 "));
        assert_eq!(flags.get("d"), Some("4"));
        let flags = Flags::parse("--a=1\0\n--b=2\n");
        assert_eq!((flags.get("a"), flags.get("b")), (Some("1"), None));
        assert_eq!(Flags::parse("--a=1\n--a\n").get("a"), Some("1"));
        assert_eq!(Flags::parse("--a=1\n--a=\n").get("a"), Some(""));
    }

    #[test]
    fn what_follows_names_of_programs_is_for_them() {
        let flags = Flags::parse("--a=1\nzzz\n--a=2\nosqueryi\nosqueryd\n--b=2\n");
        assert_eq!((flags.get("a"), flags.get("b")), (Some("1"), Some("2")));
        assert_eq!(flags.for_others(), ["zzz"]);
        for line in ["x osqueryd", "osquery*", "/opt/osquery/*/*/*/*/osqueryd"] {
            let flags = Flags::parse(&format!("{line}\n--a=1\n"));
            assert_eq!(flags.get("a"), Some("1"), "{line}");
        }
        assert_eq!(Flags::parse("--a=1\nzzz\n").for_others(), [""; 0]);
    }

    #[test]
    fn what_is_neither_yes_nor_no_is_illegal() {
        let flags = Flags::parse("--a=maybe\n--a\n--b=No\n--c=1 \n");
        assert_eq!(flags.illegal("a"), Some("maybe"));
        assert_eq!(flags.illegal("b"), None);
        assert_eq!(flags.illegal("c"), Some("1 "));
    }
}
