//! A collected archive as one side of a comparison: read from its first byte to its last, nothing
//! written. Whoever wrote it may be hostile.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;
use tar::{Archive, EntryType, PaxExtensions};

use super::side::{Side, Thing};
use crate::codesign::Roots;
use crate::collect::{CASE, FILES};
use crate::meta::Kind;
use crate::text::escape;

/// Members that are read.
const MOST_MEMBERS: usize = 5_000_000;
/// Bytes of a member's records, and of the case.
const MOST_TEXT: u64 = 32 << 20;

/// Reads the bundle of that path from an archive, or the only one in it. `wanted` is as the tables
/// show it.
///
/// # Errors
/// With a line when it is no archive of evidence, damaged, or holds no such bundle.
pub fn read(path: &Path, file: File, wanted: &str, roots: &Roots) -> Result<Side, String> {
    let fail = |why: &str| format!("cannot read {}: {why}", path.display());
    let mut archive = Archive::new(GzDecoder::new(BufReader::new(file)));
    let entries = archive.entries().map_err(|e| fail(&e.to_string()))?;
    let mut side = Side::default();
    let mut place: Option<Vec<u8>> = None;
    let mut name: Option<Vec<u8>> = None;
    let mut link: Option<Vec<u8>> = None;
    let mut found = false;
    for (number, entry) in entries.raw(true).enumerate() {
        let mut entry = entry.map_err(|e| fail(&e.to_string()))?;
        if number >= MOST_MEMBERS {
            return Err(fail("it has too many members"));
        }
        let kind = entry.header().entry_type();
        if kind == EntryType::XHeader {
            let text = whole(&mut entry).map_err(|why| fail(&why))?;
            for record in PaxExtensions::new(&text) {
                let record = record.map_err(|e| fail(&e.to_string()))?;
                match record.key_bytes() {
                    b"path" => name = Some(record.value_bytes().to_vec()),
                    b"linkpath" => link = Some(record.value_bytes().to_vec()),
                    _ => {}
                }
            }
            continue;
        }
        let own = || entry.header().path_bytes().into_owned();
        let member = name.take().unwrap_or_else(own);
        let own = || entry.header().link_name_bytes().map(|l| l.into_owned());
        let target = link.take().or_else(own).unwrap_or_default();
        let Some(place) = &place else {
            if !member.ends_with(&[b"/", CASE.as_bytes()].concat()) {
                return Err(fail("it is no archive that dsplug collect has written"));
            }
            let text = whole(&mut entry).map_err(|why| fail(&why))?;
            let top = member.strip_suffix(CASE.as_bytes()).unwrap_or_default();
            let stood = bundle(&text, wanted).map_err(|why| fail(&why))?;
            place = Some([top, FILES.as_bytes(), &stood].concat());
            continue;
        };
        let Some(below) = below(&member, place) else {
            continue;
        };
        found = true;
        let mode = entry.header().mode().unwrap_or_default() & 0o7777;
        let mut thing = match kind {
            EntryType::Directory if below.is_empty() => continue,
            EntryType::Directory => Thing::new(Kind::Directory, mode, None),
            EntryType::Symlink => Thing::new(Kind::Symlink, mode, Some(&target)),
            EntryType::Fifo => Thing::new(Kind::Other, mode, None),
            EntryType::Link => {
                let first = self::below(&target, place).and_then(|first| side.things.get(&first));
                match first {
                    Some(first) => first.clone(),
                    None => return Err(fail("a hard link in it leads nowhere")),
                }
            }
            _ => {
                let len = entry.size();
                let mut thing = Thing::new(Kind::File, mode, None);
                let read = thing.read(&mut entry, len, roots);
                read.map_err(|e| fail(&e.to_string()))?;
                thing
            }
        };
        thing.mode = mode;
        side.things.insert(below, thing);
    }
    if !found {
        return Err(fail("it does not hold the bundle whole"));
    }
    Ok(side)
}

fn whole(entry: &mut impl std::io::Read) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let read = entry.take(MOST_TEXT).read_to_end(&mut text);
    read.map_err(|e| e.to_string())?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) >= MOST_TEXT {
        return Err("a part of it is too large".into());
    }
    Ok(text)
}

/// Where the wanted bundle really stood, or the only one.
fn bundle(case: &[u8], wanted: &str) -> Result<Vec<u8>, String> {
    let case: Value = serde_json::from_slice(case).map_err(|e| e.to_string())?;
    let bundles = case.get("bundles").and_then(Value::as_array);
    let bundles = bundles.map_or(&[][..], Vec::as_slice);
    let text = |bundle: &'_ Value, key| {
        let text = bundle.get(key).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let is_wanted = |bundle: &&Value| text(bundle, "path") == wanted;
    let bundle = match (bundles.iter().find(is_wanted), bundles) {
        (Some(bundle), _) | (None, [bundle]) => bundle,
        (None, all) => {
            let paths = all.iter().map(|b| escape(text(b, "path").as_bytes()));
            let paths: Vec<String> = paths.take(8).collect();
            return Err(format!("it holds not {wanted}, but {}", paths.join(", ")));
        }
    };
    let hex = text(bundle, "resolved_path_hex");
    let pairs = hex.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    let stood: Option<Vec<u8>> = pairs.collect();
    let stood = stood.filter(|path| path.starts_with(b"/"));
    stood.ok_or_else(|| "it does not say where its bundle stood".into())
}

/// The path of a member below the bundle; empty for the bundle itself.
fn below(member: &[u8], place: &[u8]) -> Option<Vec<u8>> {
    let rest = member.strip_prefix(place)?;
    let rest = rest.strip_suffix(b"/").unwrap_or(rest);
    match rest {
        [] => Some(Vec::new()),
        [b'/', rest @ ..] => Some(rest.to_vec()),
        _ => None,
    }
}
