//! The plan of the house: no circle among the files of `src`, and no room that is too large.
//!
//! A file knows each file whose nouns it names, by a `use` or by a path; what stands in comments,
//! in text or under `#[cfg(test)]` does not count, nor does a `mod` that only declares. A `mod.rs` is
//! a file as any other, and what it re-exports it knows: so a file in a room names its neighbours
//! by their own names, never by way of the door. `lib.rs` and `main.rs` are the map and the door of
//! the whole. A room is a folder's own files, or a file that stands in `src` itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The most that one room may have of all lines, in percent.
const MOST_OF_ALL: usize = 20;

/// A module by the names that lead to it.
type Module = Vec<String>;

/// Which files each file knows, with one of the paths by which it does.
type Known = BTreeMap<Module, BTreeMap<Module, String>>;

#[test]
fn no_circle_leads_from_a_file_back_to_it() {
    let circle = circle(&known(&sources()));
    assert!(circle.is_none(), "a circle: {}", circle.unwrap_or_default());
}

#[test]
fn no_room_is_too_large() {
    let mut rooms: BTreeMap<String, usize> = BTreeMap::new();
    for (path, text) in sources() {
        let room = path
            .rsplit_once('/')
            .map_or(path.as_str(), |(room, _)| room);
        *rooms.entry(room.to_owned()).or_default() += text.lines().count();
    }
    let all: usize = rooms.values().sum();
    for (room, lines) in rooms {
        let share = lines * 100 / all;
        assert!(
            share < MOST_OF_ALL,
            "{room} has {lines} of {all} lines, {share} %"
        );
    }
}

#[test]
fn every_way_to_name_a_file_counts() {
    let circles = [
        [("a.rs", "use crate::b::B;"), ("b.rs", "use crate::a::A;")],
        [
            ("a.rs", "fn f() { crate::b::g() }"),
            ("b.rs", "use super::a::{self, A};"),
        ],
        [
            ("a/mod.rs", "mod b;\npub use b::B;"),
            ("a/b.rs", "use super::A;"),
        ],
        [
            ("a/mod.rs", "mod b;\nfn f() { b::g() }"),
            ("a/b.rs", "use crate::a;"),
        ],
        [
            ("a/b.rs", "mod inner { use super::super::c::C; }"),
            ("a/c.rs", "use super::b;"),
        ],
        [
            ("a.rs", "use crate::{x, b::{B, C}};"),
            ("b.rs", "use crate::a::A as B;"),
        ],
    ];
    for files in circles {
        assert!(circle(&known(&owned(&files))).is_some(), "{files:?}");
    }
}

#[test]
fn what_only_looks_like_a_name_does_not_count() {
    let fine = [
        [
            ("a/mod.rs", "pub mod b;"),
            ("a/b.rs", "use super::super::a;"),
        ],
        [
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "//! [`A`](crate::a::A)\n/* crate::a::A */"),
        ],
        [
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "const T: &str = \"crate::a::A\";"),
        ],
        [
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "#[cfg(test)]\nmod tests { use crate::a::A; }"),
        ],
        [
            ("a/mod.rs", "pub use b::B;"),
            ("a/b.rs", "pub(in crate::a) struct B;"),
        ],
        [
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use std::a::A; mod inner { use super::C; }"),
        ],
        [
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "fn f() -> impl Sized + use<> { 1 }"),
        ],
    ];
    for files in fine {
        assert_eq!(circle(&known(&owned(&files))), None, "{files:?}");
    }
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
    files.iter().map(owned).collect()
}

/// Path and text of every file of the library, its tests apart.
fn sources() -> Vec<(String, String)> {
    fn read(dir: &Path, base: &Path, files: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, base, files);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(base).unwrap().to_str().unwrap();
                if !matches!(
                    name.rsplit('/').next(),
                    Some("lib.rs" | "main.rs" | "tests.rs")
                ) {
                    files.push((name.to_owned(), fs::read_to_string(&path).unwrap()));
                }
            }
        }
    }
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    read(&src, &src, &mut files);
    assert!(files.len() > 100, "{} files are few", files.len());
    files
}

fn module(path: &str) -> Module {
    let path = path.strip_suffix(".rs").unwrap();
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').map(str::to_owned).collect()
}

fn known(files: &[(String, String)]) -> Known {
    let modules: BTreeSet<Module> = files.iter().map(|(path, _)| module(path)).collect();
    let mut known = Known::new();
    for (path, text) in files {
        let this = module(path);
        for (within, named) in paths(&tokens(text)) {
            let mut at = this.clone();
            at.extend(within);
            let mut names = named.iter().map(String::as_str).peekable();
            match names.peek() {
                Some(&"crate") => {
                    names.next();
                    at.clear();
                }
                Some(&"self") => {
                    names.next();
                }
                Some(&"super") => {
                    while names.next_if_eq(&"super").is_some() {
                        at.pop();
                    }
                }
                Some(first) => {
                    let below = [this.as_slice(), &[(*first).to_owned()]].concat();
                    if !modules.contains(&below) {
                        continue;
                    }
                }
                None => continue,
            }
            for name in names {
                at.push(name.to_owned());
                if !modules.contains(&at) {
                    at.pop();
                    break;
                }
            }
            // What is declared in the file itself, in a module within it too.
            let file = (1..=at.len()).rev().map(|n| at[..n].to_vec());
            let file = file.into_iter().find(|m| modules.contains(m));
            if let Some(file) = file.filter(|file| *file != this) {
                let paths = known.entry(this.clone()).or_default();
                paths.entry(file).or_insert_with(|| named.join("::"));
            }
        }
    }
    known
}

/// The words and signs of a source without comments, texts and what is for tests.
fn tokens(source: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let end = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if let Some(end) = text_end(rest, tokens.last()) {
            end
        } else if c.is_alphanumeric() || c == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let end = end.unwrap_or(rest.len());
            tokens.push(rest[..end].to_owned());
            end
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
            c.len_utf8()
        };
        rest = &rest[end..];
    }
    without_tests(&tokens)
}

/// Where the text or the character ends that `rest` begins with, if it begins with one.
fn text_end(rest: &str, before: Option<&String>) -> Option<usize> {
    let is_raw = before.is_some_and(|word| matches!(word.as_str(), "r" | "br"));
    let hashes = rest.bytes().take_while(|b| *b == b'#').count();
    if is_raw && rest[hashes..].starts_with('"') {
        let close = format!("\"{}", "#".repeat(hashes));
        let inner = &rest[hashes + 1..];
        return Some(hashes + 1 + inner.find(&close)? + close.len());
    }
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut chars = rest.char_indices().skip(1);
    let (_, first) = chars.next()?;
    // A lifetime has no second quote.
    if quote == '\'' && first != '\\' {
        let (at, second) = chars.next()?;
        return (second == '\'').then_some(at + 1);
    }
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return Some(at + 1);
        }
    }
    None
}

/// Leaves out each item that stands under `#[cfg(test)]`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens.len() - at > TEST.len() && TEST.iter().zip(&tokens[at..]).all(|(a, b)| a == b) {
            let mut depth = 0;
            for token in &tokens[at..] {
                at += 1;
                match token.as_str() {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    ";" => {}
                    _ => continue,
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Every path that is named, with the modules of the file in which it is.
fn paths(tokens: &[String]) -> Vec<(Module, Vec<String>)> {
    let mut found = Vec::new();
    // The inline modules around, each with the depth of braces at which it ends.
    let mut around: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    let word = |at: usize| tokens.get(at).map_or("", String::as_str);
    while at < tokens.len() {
        let within = || around.iter().map(|(name, _)| name.clone()).collect();
        match word(at) {
            "mod" if word(at + 2) == "{" => {
                depth += 1;
                around.push((word(at + 1).to_owned(), depth));
                at += 3;
            }
            "pub" if word(at + 1) == "(" => {
                at += tokens[at..].iter().take_while(|t| *t != ")").count();
            }
            // `use<…>` behind a type says what it captures.
            "use" if word(at + 1) != "<" => {
                let mut named = Vec::new();
                at = use_tree(tokens, at + 1, &[], &mut named);
                found.extend(named.into_iter().map(|path| (within(), path)));
            }
            "{" => {
                depth += 1;
                at += 1;
            }
            "}" => {
                if around.last().is_some_and(|(_, end)| *end == depth) {
                    around.pop();
                }
                depth -= 1;
                at += 1;
            }
            _ if word(at + 1) == "::" && (at == 0 || word(at - 1) != "::") => {
                let mut path = vec![word(at).to_owned()];
                while word(at + 1) == "::" {
                    at += 2;
                    path.push(word(at).to_owned());
                }
                found.push((within(), path));
                at += 1;
            }
            _ => at += 1,
        }
    }
    found
}

/// Reads one tree of a `use` from `at` on; gives where it ends.
fn use_tree(
    tokens: &[String],
    mut at: usize,
    above: &[String],
    all: &mut Vec<Vec<String>>,
) -> usize {
    let mut path = above.to_vec();
    loop {
        match tokens.get(at).map_or(";", String::as_str) {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|t| t != "}") {
                    at = use_tree(tokens, at, &path, all);
                    if tokens.get(at).is_some_and(|t| t == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "as" => at += 2,
            "," | "}" | ";" => {
                if path.len() > 1 && path.last().is_some_and(|name| name == "self") {
                    path.pop();
                }
                all.push(path);
                return at;
            }
            name => {
                path.push(name.to_owned());
                at += 1;
            }
        }
    }
}

/// One circle, in words; `None` when there is none.
fn circle(known: &Known) -> Option<String> {
    let mut done = BTreeSet::new();
    let mut way = Vec::new();
    known
        .keys()
        .find_map(|file| follow(file, known, &mut way, &mut done))
}

fn follow<'k>(
    file: &'k Module,
    known: &'k Known,
    way: &mut Vec<&'k Module>,
    done: &mut BTreeSet<&'k Module>,
) -> Option<String> {
    if let Some(from) = way.iter().position(|passed| *passed == file) {
        let mut text = file.join("::");
        for pair in way[from..]
            .iter()
            .copied()
            .chain([file])
            .collect::<Vec<_>>()
            .windows(2)
        {
            let path = &known[pair[0]][pair[1]];
            text += &format!(" → {} (by {path})", pair[1].join("::"));
        }
        return Some(text);
    }
    if !done.insert(file) {
        return None;
    }
    way.push(file);
    let next = known.get(file).into_iter().flat_map(BTreeMap::keys);
    let found = next
        .into_iter()
        .find_map(|next| follow(next, known, way, done));
    way.pop();
    found
}
