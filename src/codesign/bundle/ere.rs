//! POSIX extended regular expressions, which a seal's rules are written in, for a linear-time engine.
//!
//! Apple compiles a rule by `regcomp(…, REG_EXTENDED | REG_NOSUB)` and searches the path for it
//! (`ResourceBuilder::Rule`, `resources.cpp`): not anchored, and letter case counts. The parser of the
//! crate `regex-syntax` has another syntax, in which an expression can mean something else (`[\.]`,
//! `[a&&b]`, `(?i)`); so that an expression is parsed here by POSIX' grammar (IEEE Std 1003.1, section
//! 9.4), to that crate's form of what it means. What that grammar leaves undefined is refused.
//!
//! Paths are matched as bytes, as in the C locale: `.` is any byte.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::iter::Peekable;
use std::rc::Rc;
use std::str::Chars;

use regex_automata::Input;
use regex_automata::hybrid::dfa::{Cache, Config, DFA};
use regex_automata::nfa::thompson::{self, Compiler, WhichCaptures};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Dot, Hir, Look, Repetition};

/// Longest expression, in bytes. Apple's own longest has 110.
const MAX_LENGTH: usize = 1024;

/// Most repetitions that an interval may ask for (POSIX: `RE_DUP_MAX`, at least 255).
const MAX_REPETITIONS: u32 = 255;

/// Most bytes of a compiled expression, and of the states that the engine keeps of it.
const MAX_COMPILED: usize = 64 << 10;

/// How often the states may be thrown away for want of room. Finding one costs as much as the
/// expression is long; after that a byte of a path costs one step. Apple's own expressions have
/// room for all of theirs.
const MOST_CLEARS: usize = 1;

/// Groups within groups.
const MAX_DEPTH: u32 = 16;

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EreError {
    /// It is longer than any real one.
    TooLong,
    /// Its compiled form would be too large.
    TooComplex,
    /// It is not well-formed, or POSIX does not say what it means.
    Undefined(&'static str),
}

impl fmt::Display for EreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str("too long"),
            Self::TooComplex => f.write_str("too complex"),
            Self::Undefined(what) => f.write_str(what),
        }
    }
}

/// Matching with the expression came to more work than is done for any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GaveUp;

/// A compiled expression.
///
/// It is matched by an automaton whose states are found as they are needed. The work of that is
/// bounded, however the expression and the paths are made: an expression such as `(.?){200}x` has
/// a state for nearly every byte of a path, and each costs hundreds of steps.
#[derive(Clone, Debug)]
pub struct Expression {
    automaton: Rc<DFA>,
    cache: RefCell<Cache>,
}

impl Expression {
    /// Whether the expression matches anywhere in a path.
    ///
    /// # Errors
    /// When the work of all matches of this expression has passed its bound.
    pub fn is_match(&self, path: &[u8]) -> Result<bool, GaveUp> {
        let input = Input::new(path).earliest(true);
        let mut cache = self.cache.try_borrow_mut().map_err(|_| GaveUp)?;
        match self.automaton.try_search_fwd(&mut cache, &input) {
            Ok(found) => Ok(found.is_some()),
            Err(_) => Err(GaveUp),
        }
    }

    /// Bytes of its compiled form.
    pub fn size(&self) -> usize {
        self.automaton.get_nfa().memory_usage()
    }

    /// Bytes of all states that were found, which is what takes the time.
    pub fn found(&self) -> usize {
        self.cache.try_borrow().map_or(MAX_COMPILED, |cache| {
            let cleared = cache.clear_count().saturating_mul(MAX_COMPILED);
            cleared.saturating_add(cache.memory_usage())
        })
    }
}

/// Compiles a POSIX extended regular expression.
///
/// # Errors
/// When it is not well-formed, undefined, or too large.
pub fn compile(expression: &str) -> Result<Expression, EreError> {
    let size = thompson::Config::new()
        .utf8(false)
        .nfa_size_limit(Some(MAX_COMPILED))
        .which_captures(WhichCaptures::None);
    let work = Config::new()
        .cache_capacity(MAX_COMPILED)
        .minimum_cache_clear_count(Some(MOST_CLEARS));
    let states = Compiler::new()
        .configure(size)
        .build_from_hir(&parse(expression)?)
        .map_err(|_| EreError::TooComplex)?;
    let automaton = DFA::builder()
        .configure(work)
        .build_from_nfa(states)
        .map_err(|_| EreError::TooComplex)?;
    let cache = RefCell::new(automaton.create_cache());
    let automaton = Rc::new(automaton);
    let expression = Expression { automaton, cache };
    for path in USUAL {
        // What comes to too much work here does so again.
        let _ = expression.is_match(path);
    }
    Ok(expression)
}

/// Paths by which the states are found that nearly every bundle asks for. They are the same for all, whatever was judged
/// before: so is what is found beyond them.
const USUAL: [&[u8]; 5] = [
    b"Info.plist",
    b"PkgInfo",
    b"MacOS/Name0.bundle",
    b"Resources/Name0.bin",
    b"Resources/en.lproj/InfoPlist.strings",
];

/// Most bytes of the automata that are kept from bundle to bundle. Apple's own take half.
const MOST_KEPT: usize = 256 << 10;

/// Automata as they were compiled, kept from bundle to bundle: nearly all seals have Apple's own rules. What matching
/// finds is each bundle's own, and so are its bounds; whoever fills the room with others has every bundle pay for its rules.
#[derive(Debug, Default)]
pub struct Automata(RefCell<(HashMap<String, Expression>, usize)>);

impl Automata {
    /// The same as [`compile`].
    ///
    /// # Errors
    /// As [`compile`].
    pub fn compile(&self, expression: &str) -> Result<Expression, EreError> {
        if let Some(kept) = self.0.borrow().0.get(expression) {
            return Ok(kept.clone());
        }
        let compiled = compile(expression)?;
        let (kept, bytes) = &mut *self.0.borrow_mut();
        let found = compiled.found();
        let more = compiled.size().saturating_add(found);
        let more = more.saturating_add(expression.len());
        if bytes.saturating_add(more) <= MOST_KEPT {
            *bytes = bytes.saturating_add(more);
            kept.insert(expression.to_owned(), compiled.clone());
        }
        Ok(compiled)
    }
}

/// What the expression means.
fn parse(expression: &str) -> Result<Hir, EreError> {
    if expression.len() > MAX_LENGTH {
        return Err(EreError::TooLong);
    }
    let mut chars = expression.chars().peekable();
    let meaning = alternatives(&mut chars, 0)?;
    if chars.next().is_some() {
        return Err(EreError::Undefined("a ')' without a '('"));
    }
    Ok(meaning)
}

/// All up to the end, or to the `)` of the group that it is in.
fn alternatives(chars: &mut Peekable<Chars<'_>>, depth: u32) -> Result<Hir, EreError> {
    let mut branches = Vec::new();
    let mut pieces = Vec::new();
    // Whether the last piece can be repeated.
    let mut atom = false;
    while let Some(c) = chars.next_if(|c| *c != ')') {
        match c {
            '.' => pieces.push(Hir::dot(Dot::AnyByte)),
            '^' => pieces.push(Hir::look(Look::Start)),
            '$' => pieces.push(Hir::look(Look::End)),
            '|' => branches.push(Hir::concat(std::mem::take(&mut pieces))),
            '(' => {
                if depth >= MAX_DEPTH {
                    return Err(EreError::TooComplex);
                }
                pieces.push(alternatives(chars, depth.saturating_add(1))?);
                chars
                    .next()
                    .ok_or(EreError::Undefined("a '(' without a ')'"))?;
            }
            '*' | '+' | '?' | '{' => {
                let sub = pieces.pop().filter(|_| atom);
                let sub = sub.ok_or(EreError::Undefined("a repetition of nothing"))?;
                let (min, max) = match c {
                    '*' => (0, None),
                    '+' => (1, None),
                    '?' => (0, Some(1)),
                    _ => interval(chars)?,
                };
                pieces.push(Hir::repetition(Repetition {
                    min,
                    max,
                    greedy: true,
                    sub: Box::new(sub),
                }));
            }
            '[' => pieces.push(bracket(chars)?),
            '\\' => {
                let escaped = chars
                    .next()
                    // In some libraries these are the bounds of words and of the text.
                    .filter(|c| c.is_ascii_punctuation() && !matches!(c, '<' | '>' | '`' | '\''))
                    .ok_or(EreError::Undefined("a '\\' before an ordinary character"))?;
                literal(&mut pieces, escaped);
            }
            '\0' => return Err(EreError::Undefined("a NUL")),
            _ => literal(&mut pieces, c),
        }
        atom = !matches!(c, '^' | '$' | '|' | '*' | '+' | '?' | '{');
    }
    branches.push(Hir::concat(pieces));
    Ok(Hir::alternation(branches))
}

/// One character that stands for itself. Each byte of it is an atom, as in the C locale: what
/// repeats it repeats the last byte.
fn literal(pieces: &mut Vec<Hir>, c: char) {
    let mut buffer = [0; 4];
    let bytes = c.encode_utf8(&mut buffer).bytes();
    pieces.extend(bytes.map(|b| Hir::literal([b])));
}

/// What follows a `{`: `m}`, `m,}` or `m,n}`.
fn interval(chars: &mut Peekable<Chars<'_>>) -> Result<(u32, Option<u32>), EreError> {
    const BAD: EreError = EreError::Undefined("a damaged interval");
    let mut text = String::new();
    loop {
        match chars.next() {
            Some('}') => break,
            Some(c) if c.is_ascii_digit() || c == ',' => text.push(c),
            _ => return Err(BAD),
        }
    }
    let number = |digits: &str| match digits.parse::<u32>() {
        Ok(n) if n <= MAX_REPETITIONS => Ok(n),
        _ => Err(BAD),
    };
    let (least, most) = match text.split_once(',') {
        None => (number(&text)?, Some(number(&text)?)),
        Some((least, "")) => (number(least)?, None),
        Some((least, most)) => (number(least)?, Some(number(most)?)),
    };
    if most.is_some_and(|most| most < least) {
        return Err(BAD);
    }
    Ok((least, most))
}

/// What follows a `[`: in POSIX a backslash is nothing special there, and a `]` that comes first
/// stands for itself.
fn bracket(chars: &mut Peekable<Chars<'_>>) -> Result<Hir, EreError> {
    const OPEN: EreError = EreError::Undefined("a '[' without a ']'");
    let mut ranges = Vec::new();
    let negated = chars.next_if_eq(&'^').is_some();
    let mut first = true;
    loop {
        let c = chars.next().ok_or(OPEN)?;
        if c == ']' && !first {
            break;
        }
        // What ended a range, or a class, cannot begin one.
        if c == '-' && !first && chars.peek() != Some(&']') {
            return Err(EreError::Undefined("a '-' that is neither first nor last"));
        }
        first = false;
        if c == '[' && matches!(chars.peek(), Some(':' | '.' | '=')) {
            let is_in = class(chars)?;
            let members = (0..=0x7f).filter(is_in);
            ranges.extend(members.map(|b| ClassBytesRange::new(b, b)));
            continue;
        }
        let from = ascii(c)?;
        // A '-' is a range only between two characters.
        let mut ahead = chars.clone();
        let to = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(to)) if to != ']' => {
                if to == '[' && matches!(ahead.peek(), Some(':' | '.' | '=')) {
                    return Err(EreError::Undefined("a range to a class"));
                }
                *chars = ahead;
                ascii(to)?
            }
            _ => from,
        };
        if to < from {
            return Err(EreError::Undefined("a range that runs backwards"));
        }
        ranges.push(ClassBytesRange::new(from, to));
    }
    let mut set = ClassBytes::new(ranges);
    if negated {
        set.negate();
    }
    Ok(Hir::class(Class::Bytes(set)))
}

/// What follows a `[` within brackets, when it is `[:name:]`: whether a byte is in that class.
fn class(chars: &mut Peekable<Chars<'_>>) -> Result<fn(&u8) -> bool, EreError> {
    if chars.next() != Some(':') {
        return Err(EreError::Undefined("a collating element"));
    }
    let mut name = String::new();
    loop {
        match chars.next() {
            Some(':') => break,
            Some(c) if c.is_ascii_lowercase() => name.push(c),
            _ => return Err(EreError::Undefined("a damaged class")),
        }
    }
    const UNKNOWN: EreError = EreError::Undefined("an unknown class");
    if chars.next() != Some(']') {
        return Err(UNKNOWN);
    }
    Ok(match name.as_str() {
        "alnum" => u8::is_ascii_alphanumeric,
        "alpha" => u8::is_ascii_alphabetic,
        "blank" => |b| matches!(b, b'\t' | b' '),
        "cntrl" => u8::is_ascii_control,
        "digit" => u8::is_ascii_digit,
        "graph" => u8::is_ascii_graphic,
        "lower" => u8::is_ascii_lowercase,
        "print" => |b| matches!(b, b' '..=b'~'),
        "punct" => u8::is_ascii_punctuation,
        "space" => |b| matches!(b, b'\t'..=b'\r' | b' '),
        "upper" => u8::is_ascii_uppercase,
        "xdigit" => u8::is_ascii_hexdigit,
        _ => return Err(UNKNOWN),
    })
}

/// A member of a bracket expression. One of several bytes has no meaning in the C locale.
fn ascii(c: char) -> Result<u8, EreError> {
    u8::try_from(c)
        .ok()
        .filter(|b| b.is_ascii() && *b != 0)
        .ok_or(EreError::Undefined("a set with a character beyond ASCII"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::property_list::{self, Bounds, Value};
    use proptest::prelude::*;

    #[track_caller]
    fn check(expression: &str, matches: &[&str], others: &[&str]) {
        let regex = compile(expression).unwrap();
        for path in matches {
            assert_eq!(
                regex.is_match(path.as_bytes()),
                Ok(true),
                "{expression} on {path:?}"
            );
        }
        for path in others {
            assert_eq!(
                regex.is_match(path.as_bytes()),
                Ok(false),
                "{expression} on {path:?}"
            );
        }
    }

    /// Without `REG_NEWLINE` a line's end is a byte like any other (POSIX, `regcomp`).
    #[test]
    fn an_anchor_is_at_an_end_of_the_path_alone() {
        check("^a", &["a"], &["\na"]);
        check("a$", &["a"], &["a\n"]);
        check(".^", &[], &["a", "\na", "\n"]);
        check("$.", &[], &["a", "a\n", "\n"]);
    }

    #[test]
    fn apples_rules_match_as_posix_says() {
        check("^.*", &["", "a", "a\nb", "\u{e9}"], &[]);
        check("^[^/]+$", &["a", "a.b", "a\n"], &["a/b", ""]);
        check(
            "^(.*/)?\\.DS_Store$",
            &[".DS_Store", "a/.DS_Store", "a\nb/.DS_Store"],
            &[
                "a.DS_Store",
                "xDS_Store",
                ".DS_Store/a",
                ".ds_store",
                ".DS_Store\n",
            ],
        );
        check(
            ".*\\.dSYM($|/)",
            &["a.dSYM", "x/a.dSYM/b"],
            &["a.dSYMs", "adSYM"],
        );
        check(
            "^Resources/",
            &["Resources/a"],
            &["a/Resources/b", "Resources"],
        );
        check(
            "^Resources/.*\\.lproj/locversion.plist$",
            &[
                "Resources/en.lproj/locversion.plist",
                "Resources/a/b.lproj/locversionXplist",
            ],
            &["Resources/en.lproj/locversion.plists"],
        );
    }

    /// In the C locale, in which regcomp runs where nobody calls setlocale.
    #[test]
    fn a_repetition_after_several_bytes_repeats_the_last() {
        let regex = compile("^\u{e9}{2}$").unwrap();
        assert_eq!(regex.is_match(b"\xc3\xa9\xa9"), Ok(true));
        assert_eq!(regex.is_match("\u{e9}\u{e9}".as_bytes()), Ok(false));
    }

    #[test]
    fn brackets_are_posix_ones() {
        check("^[\\.]$", &["\\", "."], &["a"]);
        check("^[]a]$", &["]", "a"], &["b"]);
        check("^[^]a]$", &["b"], &["]", "a"]);
        check("^[a-]$", &["a", "-"], &["b"]);
        check("^[-a]$", &["a", "-"], &["b"]);
        check("^[[:digit:]-]$", &["5", "-"], &["a"]);
        check("^[%--]$", &["%", "+", "-"], &[".", "$"]);
        check("^[a&&b]$", &["a", "&", "b"], &["c"]);
        check("^[[:digit:]x]$", &["5", "x"], &[":", "d"]);
        check("^[a-c]{2,3}$", &["ab", "abc"], &["a", "abca", "ad"]);
    }

    #[test]
    fn what_posix_does_not_define_is_refused() {
        for expression in [
            "(?i)a",
            "a**",
            "*a",
            "a{",
            "a{2",
            "a{3,2}",
            "a{256}",
            "\\d",
            "\\'",
            "\\<a",
            "\\",
            "(",
            "a)",
            "[",
            "[a",
            "[z-a]",
            // XBD 9.3.5 (7): a '-' is itself only first, last, or as a range's end.
            "[a-z-9]",
            "[a-z-$]",
            "[[:digit:]-9]",
            "[[.a.]]",
            "[[=a=]]",
            "[[:nope:]]",
            "[\u{e9}]",
            "^*",
            "a\0b",
        ] {
            assert!(compile(expression).is_err(), "{expression:?}");
        }
        assert_eq!(compile(&"a".repeat(1025)).unwrap_err(), EreError::TooLong);
        assert_eq!(
            compile("((((.{255}){255}){255}){255})").unwrap_err(),
            EreError::TooComplex
        );
        assert_eq!(compile(&"(".repeat(100)).unwrap_err(), EreError::TooComplex);
    }

    /// Each of these made a scan take minutes, or would with an engine that backtracks.
    #[test]
    fn the_work_of_an_expression_is_bounded() {
        let path = "cM/".repeat(300);
        for expression in [
            "(.?){200}cN",
            "(.*.*.*.*.*.*.*.*.*.*)cN",
            "(c|M|/)*c(c|M|/){90}N",
            "((c?M?){12}/?){8}N",
        ] {
            let Ok(regex) = compile(expression) else {
                continue;
            };
            let began = std::time::Instant::now();
            for n in 0..2000 {
                let _ = regex.is_match(format!("{path}{n}").as_bytes());
            }
            // Some 2 MB in a debug build: without the bound it is minutes.
            let took = began.elapsed();
            assert!(took.as_secs() < 5, "{expression}: {took:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(expression in "\\PC{0,40}", other in "[]\\[(){}*+?|^$.,:a-c0-9\\\\-]{0,30}") {
            let _ = compile(&expression);
            let _ = compile(&other);
        }
    }

    /// What one bundle's paths have the engine find is nothing that another bundle is given less for.
    #[test]
    fn an_automaton_is_kept_and_what_is_found_by_it_is_not() {
        let automata = Automata::default();
        let [one, other] = [(); 2].map(|()| automata.compile("^(.*/)?\\.DS_Store$").unwrap());
        assert!(Rc::ptr_eq(&one.automaton, &other.automaton));
        let found = other.found();
        for path in [&b"a/.DS_Store"[..], b"a/b", b"xyz\xff/../q"] {
            assert_eq!(one.is_match(path), Ok(path.ends_with(b"/.DS_Store")));
        }
        assert!(one.found() > found);
        assert_eq!(other.found(), found);
    }

    /// Those of a seal that `codesign` would write.
    #[test]
    fn apples_own_rules_have_room_in_half_of_what_there_is() {
        let seal = include_bytes!(
            "../../../tests/images/rcodesign/Acme.dsplug/Contents/PlugIns/Inner.bundle/Contents/_CodeSignature/CodeResources"
        );
        let Ok(Value::Dictionary(seal)) = property_list::parse(seal, &Bounds::STANDARD) else {
            panic!("no list");
        };
        let automata = Automata::default();
        let mut expressions = Vec::new();
        for rules in ["rules", "rules2"] {
            let Some(Value::Dictionary(rules)) = seal.get(rules) else {
                panic!("{rules}");
            };
            expressions.extend(rules.keys().map(|rule| rule.as_str().to_owned()));
        }
        assert!(expressions.len() >= 12, "{expressions:?}");
        for expression in &expressions {
            automata.compile(expression).unwrap();
        }
        let (kept, bytes) = &*automata.0.borrow();
        assert!(expressions.iter().all(|e| kept.contains_key(e)));
        assert!(*bytes <= MOST_KEPT / 2, "{bytes}");
    }

    #[test]
    fn no_number_of_expressions_has_more_automata_kept_than_there_is_room_for() {
        let automata = Automata::default();
        for number in 0..1_000 {
            let expression = format!("^{number}(a|b){{8}}$");
            let [one, other] = [(); 2].map(|()| automata.compile(&expression).unwrap());
            let path = format!("{number}abababab");
            assert_eq!(
                [one, other].map(|e| e.is_match(path.as_bytes())),
                [Ok(true); 2]
            );
        }
        let (kept, bytes) = &*automata.0.borrow();
        let sizes = kept
            .values()
            .map(|kept| kept.size().saturating_add(kept.found()));
        assert!(sizes.sum::<usize>() <= MOST_KEPT && *bytes <= MOST_KEPT);
        assert!(kept.len() < 1_000);
    }
}
