//! Archives that somebody has written to: what they cost to read has a bound.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use dsplug_fixtures::Plugin;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::{Pair, collect, path, refused, unknown};

pub type Gzip = GzEncoder<fs::File>;

/// Writes an archive anew, each JSON in it as `edit` has it, with what `more` adds before the last member.
fn rewritten(
    archive: &Path,
    edit: impl Fn(&str, &mut Value),
    more: impl FnOnce(&str, &mut Builder<Gzip>),
) -> PathBuf {
    rewritten_by(archive, edit, |_| (), more)
}

/// The same, with each header as `mark` has it.
pub fn rewritten_by(
    archive: &Path,
    edit: impl Fn(&str, &mut Value),
    mark: impl Fn(&mut Header),
    more: impl FnOnce(&str, &mut Builder<Gzip>),
) -> PathBuf {
    let to = archive.with_file_name("hostile.tar.gz");
    let mut builder = Builder::new(GzEncoder::new(
        fs::File::create(&to).unwrap(),
        Compression::fast(),
    ));
    let mut from = tar::Archive::new(GzDecoder::new(fs::File::open(archive).unwrap()));
    let mut more = Some(more);
    for entry in from.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut header = entry.header().clone();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let file = name.rsplit('/').next().unwrap();
        if ["case.json", "manifest.json"].contains(&file) {
            let mut json = serde_json::from_slice(&bytes).unwrap();
            edit(file, &mut json);
            bytes = serde_json::to_vec(&json).unwrap();
        }
        if file == "manifest.json"
            && let Some(more) = more.take()
        {
            more(name.split('/').next().unwrap(), &mut builder);
        }
        header.set_size(bytes.len().try_into().unwrap());
        mark(&mut header);
        let link = entry.link_name().unwrap().map(|link| link.into_owned());
        match link {
            Some(link) => builder.append_link(&mut header, &name, link).unwrap(),
            None => builder.append_data(&mut header, &name, &bytes[..]).unwrap(),
        }
    }
    builder.into_inner().unwrap().finish().unwrap();
    to
}

fn pair() -> (Pair, PathBuf) {
    let pair = Pair::of(&Plugin::new("A"));
    let archive = collect(&pair.disk, "--all", pair.place.path().join("a.tar.gz"));
    (pair, archive)
}

#[test]
fn an_archive_of_more_than_is_collected_is_refused() {
    // Long paths, and very many short ones.
    for (count, length) in [(100, 900_000), (600_000, 1)] {
        let (pair, archive) = pair();
        let hostile = rewritten(
            &archive,
            |_, _| (),
            |top, builder| {
                for number in 0..count {
                    let bundle = path("A.dsplug");
                    let member = format!("{top}/files{bundle}/{number}{}", "a".repeat(length));
                    builder
                        .append_pax_extensions([("path", member.as_bytes())])
                        .unwrap();
                    let mut header = Header::new_ustar();
                    header.set_entry_type(EntryType::Fifo);
                    header.set_size(0);
                    header.set_cksum();
                    builder.append(&header, std::io::empty()).unwrap();
                }
            },
        );
        let error = refused(&pair.compare(&hostile), 2);
        assert!(error.contains("than dsplug collect takes"), "{error}");
    }
}

fn hex(path: &str) -> Value {
    let digits = path.bytes().map(|b| format!("{b:02x}"));
    json!(digits.collect::<String>())
}

/// An archive that says of its bundle that it leads to all of these, with members at so many others.
fn naming(archive: &Path, paths: &[String], members: impl Fn(usize) -> Option<String>) -> PathBuf {
    let edit = |file: &str, json: &mut Value| {
        if file == "case.json" {
            json["bundles"][0]["outside_hex"] = paths.iter().map(|path| hex(path)).collect();
        }
    };
    rewritten(archive, edit, |top, builder| {
        let members = (0..).map(members).take_while(Option::is_some).flatten();
        for path in members {
            let member = format!("{top}/files{path}");
            builder
                .append_pax_extensions([("path", member.as_bytes())])
                .unwrap();
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::Fifo);
            header.set_mode(0o644);
            header.set_size(0);
            header.set_cksum();
            builder.append(&header, std::io::empty()).unwrap();
        }
    })
}

#[test]
fn an_archive_that_names_more_places_than_are_collected_is_refused() {
    let (pair, archive) = pair();
    for paths in [
        vec![String::new(); 300_000],
        (0..300_000).map(|n| format!("/{n}")).collect(),
        (0..4_000)
            .map(|n| format!("/{n}{}", "a".repeat(1_000)))
            .collect(),
        vec![format!("/{}", "a".repeat(1_024))],
        vec!["/a".repeat(400_000)],
        vec!["/a\0b".to_owned()],
    ] {
        let hostile = naming(&archive, &paths, |_| None);
        let error = refused(&pair.compare(&hostile), 2);
        assert!(error.contains("than dsplug collect"), "{error}");
    }
}

/// What stands below many places counts in each.
#[test]
fn members_times_places_are_bounded() {
    let (pair, archive) = pair();
    let paths: Vec<String> = (1..500).map(|depth| "/a".repeat(depth)).collect();
    let hostile = naming(&archive, &paths, |n| {
        (n < 2_000).then(|| format!("{}/{n}", "/a".repeat(500)))
    });
    let error = refused(&pair.compare(&hostile), 2);
    assert!(error.contains("than dsplug collect takes"), "{error}");
}

/// Each of its lines may be of each place.
#[test]
fn lines_times_places_are_bounded_and_what_was_not_looked_through_is_not_known() {
    let (pair, archive) = pair();
    let hostile = rewritten(
        &archive,
        |file, json| {
            if file == "case.json" {
                let paths = (0..4_000).map(|n| hex(&format!("{n:06}")));
                json["bundles"][0]["outside_hex"] = paths.collect();
            } else {
                let line = |n| format!("{n}{}", "x".repeat(200));
                json["left_out"] = json!((0..20_000).map(line).collect::<Vec<_>>());
            }
        },
        |_, _| (),
    );
    let lines = unknown(&pair.compare(&hostile));
    assert!(
        lines.iter().any(|line| line.contains("xxx")),
        "{}",
        lines.len()
    );
}

/// What the rewriting leaves as it was is the same.
#[test]
fn an_archive_that_is_written_anew_is_the_same() {
    let (pair, archive) = pair();
    let again = rewritten(&archive, |_, _| (), |_, _| ());
    super::is_same(&pair.compare(&again));
}
