//! Archives that somebody has written to: what they cost to read has a bound.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use dsplug_fixtures::Plugin;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::{Pair, collect, path, refused, unknown};

type Gzip = GzEncoder<fs::File>;

/// Writes an archive anew, each JSON in it as `edit` has it, with what `more` adds before the last member.
fn rewritten(
    archive: &Path,
    edit: impl Fn(&str, &mut Value),
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

/// Each of its lines may be of each place.
#[test]
fn lines_times_places_are_bounded_and_what_was_not_looked_through_is_not_known() {
    let (pair, archive) = pair();
    let hostile = rewritten(
        &archive,
        |file, json| {
            let many = |text: fn(usize) -> String| (0..20_000).map(text).collect::<Vec<_>>();
            if file == "case.json" {
                let hex = |n| {
                    format!("{n:06}")
                        .bytes()
                        .map(|b| format!("{b:02x}"))
                        .collect()
                };
                json["bundles"][0]["outside_hex"] = json!(many(hex));
            } else {
                json["left_out"] = json!(many(|n| format!("{n}{}", "x".repeat(200))));
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
