//! The pages: each link in them leads somewhere, and each file that they name is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

/// What builds, tests and tools leave in the repository, which is none of it.
const LEFT: &[&str] = &[".git", "target", ".venv", "cache", "corpus", "artifacts"];
/// Where a file that a page names in `code` stands.
const ROOMS: &[&str] = &[".ci/", ".github/", "install/", "packs/", "src/", "tests/"];
/// What a page names and a test's preparation makes.
const MADE: &[&str] = &["tests/.venv", "tests/cache"];

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page, with its text outside of blocks of code.
fn pages() -> BTreeMap<PathBuf, String> {
    let ours = |e: &DirEntry| !LEFT.contains(&&*e.file_name().to_string_lossy());
    WalkDir::new(top())
        .into_iter()
        .filter_entry(ours)
        .map(Result::unwrap)
        .filter(|e| e.path().extension().is_some_and(|x| x == "md"))
        .map(|e| {
            (
                e.path().to_owned(),
                prose(&fs::read_to_string(e.path()).unwrap()),
            )
        })
        .collect()
}

fn prose(text: &str) -> String {
    let mut code = false;
    let outside = |line: &&str| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    };
    let lines: Vec<&str> = text.lines().filter(outside).collect();
    lines.join("\n")
}

/// What is called `name` in a link to a heading: as GitHub makes it of the heading's text.
fn anchors(page: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for line in page.lines().filter(|l| l.starts_with('#')) {
        let heading = line.trim_start_matches('#').trim();
        let anchor: String = heading
            .to_lowercase()
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                '-' | '_' => Some(c),
                c if c.is_alphanumeric() => Some(c),
                _ => None,
            })
            .collect();
        let same = |a: &&String| {
            let rest = a.strip_prefix(anchor.as_str());
            rest.is_some_and(|r| r.is_empty() || r.strip_prefix('-').is_some_and(number))
        };
        let before = anchors.iter().filter(same).count();
        anchors.push(match before {
            0 => anchor,
            _ => format!("{anchor}-{before}"),
        });
    }
    anchors
}

fn number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The targets of a page's links, those to other sites apart.
fn links(page: &str) -> impl Iterator<Item = &str> {
    let parts = page.split("](").skip(1);
    parts
        .map(|rest| rest.split_once(')').expect("the end of a link").0)
        .filter(|link| !link.contains("://"))
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_of_it() {
    let pages = pages();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (path, page) in &pages {
        for link in links(page) {
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            let Ok(target) = target.canonicalize() else {
                wrong.push(format!("{}: {link}", path.display()));
                continue;
            };
            let headings = pages.get(&target).map(|page| anchors(page));
            let found = headings.is_some_and(|h| h.iter().any(|a| a == anchor));
            if !(anchor.is_empty() || found) {
                wrong.push(format!("{}: {link}: no such heading", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen >= 40, "{seen}");
}

#[test]
fn every_file_that_a_page_names_is_there() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (path, page) in pages() {
        // What changed in a past version may be gone.
        if path.ends_with("CHANGELOG.md") {
            continue;
        }
        let codes = page.split('`').skip(1).step_by(2);
        for name in codes.filter(|c| ROOMS.iter().any(|room| c.starts_with(room))) {
            // A call of it, a pattern, or a place to fill in.
            let name = name.split([' ', '\n']).next().unwrap();
            if name.contains(['*', '…']) || name.contains("NAME") || MADE.contains(&name) {
                continue;
            }
            seen += 1;
            // The release has some of the rooms' own pages beside what they name.
            let beside = path.parent().unwrap().join(name);
            if !top().join(name).exists() && !beside.exists() {
                wrong.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen >= 30, "{seen}");
}

#[test]
fn anchors_are_made_as_github_makes_them() {
    let page = "# Where Elastic's rule went\n## Words in `load_reasons`\n## A, b: c\n## A, b: c\n";
    assert_eq!(
        anchors(page),
        [
            "where-elastics-rule-went",
            "words-in-load_reasons",
            "a-b-c",
            "a-b-c-1"
        ]
    );
}

/// A stranger reads the first page to its end.
#[test]
fn the_first_page_is_short() {
    let text = fs::read_to_string(top().join("README.md")).unwrap();
    assert!(text.lines().count() < 250, "{}", text.lines().count());
}
