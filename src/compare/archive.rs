//! A collected archive as one side of a comparison: read from its first byte to its last, nothing
//! written. Whoever wrote it may be hostile.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read as _};

use flate2::read::GzDecoder;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tar::{Archive, EntryType};

use super::manifest::LeftOut;
use super::outside::Held;
use super::records::Records;
use super::side::{Side, Thing};
use crate::attribute;
use crate::codesign::Roots;
use crate::collect::{
    ATTRIBUTES, CASE, FILES, MANIFEST, MOST_NAMED, MOST_PATHS, Outside, special_of,
};
use crate::meta::{Kind, Owner, Rights};
use crate::root::PATH_MAX;
use crate::text::{cut, escape, hex, tame};

/// Members that are read.
const MOST_MEMBERS: usize = 5_000_000;
/// Bytes that the things of one side take, about: as many as `collect` takes have room.
const MOST_HELD: usize = 64 << 20;
/// What one takes beside its path.
const THING: usize = 128;
/// Bytes of the case.
const MOST_CASE: u64 = 32 << 20;
/// Bytes of a bundle's path that are shown.
const MOST_SHOWN: usize = 4 << 10;
/// Bundles of a case that are told apart.
const MOST_BUNDLES: usize = 100_000;

/// Reads the bundle of that path from an archive, or the only one in it, with what it holds of what was reached from
/// that, and of `also`. `wanted` is as the tables show it, and so is the archive's own path.
///
/// # Errors
/// With a line when it is no archive of evidence, damaged, or holds no such bundle.
pub fn read(
    shown: &str,
    file: File,
    wanted: &str,
    roots: &Roots,
    also: Option<&Outside>,
) -> Result<Side, String> {
    let fail = |why: &str| format!("cannot read {shown}: {why}");
    let mut archive = Archive::new(GzDecoder::new(BufReader::new(file)));
    let entries = archive.entries().map_err(|e| fail(&e.to_string()))?;
    let mut side = Side::default();
    let mut place: Option<Place> = None;
    let mut left_out: Option<(LeftOut, bool)> = None;
    let mut records = Records::default();
    let mut found = false;
    let mut held = Held::default();
    let mut room = MOST_HELD;
    for (number, entry) in entries.raw(true).enumerate() {
        let mut entry = entry.map_err(|e| fail(&e.to_string()))?;
        if number >= MOST_MEMBERS {
            return Err(fail("it has too many members"));
        }
        let kind = entry.header().entry_type();
        if kind == EntryType::XHeader {
            records = Records::read(&mut entry).map_err(|why| fail(&why))?;
            continue;
        }
        let Records {
            path,
            link,
            fork,
            is_compressed,
            uid,
            gid,
        } = std::mem::take(&mut records);
        let own = || entry.header().path_bytes().into_owned();
        let member = path.unwrap_or_else(own);
        let own = || entry.header().link_name_bytes().map(|l| l.into_owned());
        let target = link.or_else(own).unwrap_or_default();
        let Some(place) = &place else {
            if !member.ends_with(&[b"/", CASE.as_bytes()].concat()) {
                return Err(fail("it is no archive that dsplug collect has written"));
            }
            let text = whole(&mut entry, MOST_CASE).map_err(|why| fail(&why))?;
            let top = member.strip_suffix(CASE.as_bytes()).unwrap_or_default();
            let (bundle, stood) = bundle(&text, wanted).map_err(|why| fail(&why))?;
            let named: Vec<&[u8]> = bundle.outside_hex.iter().collect();
            let is_there = escape(&stood) == bundle.path;
            held = Held::at(&named, also, (!is_there).then(|| stood.clone()));
            place = Some(Place {
                manifest: [top, MANIFEST.as_bytes()].concat(),
                files: [top, FILES.as_bytes()].concat(),
                at: [top, FILES.as_bytes(), &stood].concat(),
                shown: escape(&stood),
                stood,
                bundle,
            });
            continue;
        };
        if member == place.manifest {
            let digest = side.digest();
            // What was judged is in the archive, but perhaps not all that was not judged.
            let is_whole = place.is_whole(digest);
            let is_about = |line: &str| !is_whole || line.contains(ATTRIBUTES);
            let is_of =
                |line: &str| held.tells_of(line) || is_about(line) && place.is_of(line, digest);
            let read = LeftOut::read(&mut entry, is_of);
            let read = read.map_err(|why| fail(&format!("{MANIFEST}: {why}")))?;
            left_out = Some((read, is_whole));
            continue;
        }
        let (files, place) = (&place.files, &place.at);
        let below = below(&member, place);
        let outside = member.strip_prefix(files.as_slice());
        let outside = outside.map(|path| path.strip_suffix(b"/").unwrap_or(path));
        let outside = outside.filter(|path| held.wants(path));
        if below.is_none() && outside.is_none() {
            continue;
        }
        let more = member.len().saturating_add(THING);
        let is_full = || {
            fail(
                "what it holds of the bundle has more entries, or longer paths, than dsplug collect takes",
            )
        };
        room = room.checked_sub(more).ok_or_else(is_full)?;
        found |= below.is_some();
        let header = entry.header();
        let id = |record: Option<u32>, header: Result<u64, io::Error>| {
            let header = || u32::try_from(header.unwrap_or_default()).unwrap_or(u32::MAX);
            record.unwrap_or_else(header)
        };
        let rights = Rights {
            mode: header.mode().unwrap_or_default() & 0o7777,
            owner: Owner {
                uid: id(uid, header.uid()),
                gid: id(gid, header.gid()),
            },
        };
        let mut thing = match kind {
            EntryType::Directory => Thing::new(Kind::Directory, rights, None),
            EntryType::Symlink => Thing::new(Kind::Symlink, rights, Some(&target)),
            EntryType::Fifo => Thing::new(Kind::Other(special_of(header)), rights, None),
            EntryType::Link => {
                let first = self::below(&target, place).and_then(|first| side.things.get(&first));
                let held = || held.first(target.strip_prefix(files.as_slice())?);
                match (first, held()) {
                    (Some(first), _) => first.clone(),
                    (None, Some(first)) if below.is_none() => Thing {
                        sha256: first.sha256,
                        fork: first.fork.map(Box::new),
                        is_compressed: first.is_compressed,
                        ..Thing::new(Kind::File, rights, None)
                    },
                    _ => return Err(fail("a hard link in it leads nowhere")),
                }
            }
            _ => {
                let len = entry.size();
                let mut thing = Thing::new(Kind::File, rights, None);
                thing.fork = fork.map(Box::new);
                thing.is_compressed = is_compressed;
                let read = thing.read(&mut entry, len, roots);
                read.map_err(|e| fail(&e.to_string()))?;
                thing
            }
        };
        thing.rights = rights;
        if let Some(path) = outside {
            held.add(path, &thing, &mut room).ok_or_else(is_full)?;
        }
        if let Some(below) = below {
            side.things.insert(below, thing);
        }
    }
    if !found {
        return Err(fail("it does not hold the bundle whole"));
    }
    let bundle = place.as_ref().map(|place| &place.bundle);
    let executable = bundle.and_then(|bundle| bytes(bundle.executable_hex.as_ref()?));
    let is_cut = bundle.is_some_and(|bundle| bundle.outside_cut);
    side.has_owners = true;
    side.of = bundle.map(|bundle| cut(tame(&bundle.path).into_owned(), MOST_SHOWN));
    let is_by_name = bundle.is_none_or(|bundle| bundle.runs_by_name != Some(false));
    let stands = place.as_ref().map(|place| {
        let is_there = place.shown == place.bundle.path;
        if is_there {
            Vec::new()
        } else {
            place.stood.clone()
        }
    });
    side.outside = Some(Outside {
        executable,
        stands,
        is_by_name,
        is_cut,
        ..held.into_outside()
    });
    let is_whole = place.is_some_and(|place| place.is_whole(side.digest()));
    side.unknown = match left_out {
        Some((left_out, was_whole)) if was_whole == is_whole => left_out.into_lines(),
        Some(_) => return Err(fail(&format!("something stands behind its {MANIFEST}"))),
        None => vec![format!("{shown} has no {MANIFEST}")],
    };
    let (compressed, things) = std::mem::take(&mut side.things)
        .into_iter()
        .partition::<BTreeMap<_, _>, _>(|(_, thing)| thing.is_compressed);
    let lines = compressed
        .keys()
        .map(|path| attribute::compressed(&escape(path)));
    side.unknown.extend(lines);
    side.compressed = compressed.into_keys().collect();
    side.things = things;
    Ok(side)
}

/// What is looked for in an archive.
struct Place {
    /// The member that says what is not there.
    manifest: Vec<u8>,
    /// The member below which the Mac's own paths stand.
    files: Vec<u8>,
    /// The member that is the bundle.
    at: Vec<u8>,
    /// Where it really stood.
    stood: Vec<u8>,
    /// That, as it is shown.
    shown: String,
    bundle: Bundle,
}

impl Place {
    /// True when what was judged and what is in the archive are one: no content is left out.
    fn is_whole(&self, digest: Option<[u8; 32]>) -> bool {
        digest.is_some_and(|digest| hex(&digest) == self.bundle.hash)
    }

    /// True when a line of what was left out may be of the bundle, whose digest is that in the archive. Where a scan
    /// could not read it whole either, any may.
    fn is_of(&self, line: &str, digest: Option<[u8; 32]>) -> bool {
        // It changed between the scan and the copy, and what was copied is known.
        if digest.is_some_and(|digest| line.ends_with(&format!("its digest is {}", hex(&digest)))) {
            return false;
        }
        let names = [&self.shown, &self.bundle.path];
        self.bundle.hash.is_empty() || names.iter().any(|name| line.contains(name.as_str()))
    }
}

fn whole(entry: &mut impl std::io::Read, most: u64) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let read = entry.take(most).read_to_end(&mut text);
    read.map_err(|e| e.to_string())?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) >= most {
        return Err("a part of it is too large".into());
    }
    Ok(text)
}

/// What is read of a case: nothing else of it is held, whatever stands there.
#[derive(Deserialize)]
struct Case {
    #[serde(default)]
    bundles: Bundles,
}

/// One of its bundles.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Bundle {
    path: String,
    /// Its bundle digest when it was judged; empty where that was not known.
    hash: String,
    resolved_path_hex: String,
    /// Which file its main executable was; an earlier version did not say it.
    executable_hex: Option<String>,
    /// Whether under another name another of its files would be that, likewise.
    runs_by_name: Option<bool>,
    /// What was reached from it outside of it.
    outside_hex: Paths,
    /// True when that is not all.
    outside_cut: bool,
}

/// Paths, each with a NUL behind it: whoever wrote an archive chose how many there are.
#[derive(Clone, Default)]
struct Paths(Vec<u8>);

impl Paths {
    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let all = self.0.split(|b| *b == 0);
        all.filter(|path| !path.is_empty())
    }
}

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(Self::default())
    }
}

impl<'de> Visitor<'de> for Paths {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("paths")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut from: A) -> Result<Self, A::Error> {
        let mut count = 0_usize;
        let mut left = MOST_PATHS;
        while let Some(hex) = from.next_element::<String>()? {
            count = count.saturating_add(1);
            let path = Some(hex).filter(|hex| hex.len() < 2 * PATH_MAX && count <= MOST_NAMED);
            let path = path.and_then(|hex| bytes(&hex));
            let path = path.filter(|path| !path.is_empty() && !path.contains(&0));
            let rest = path.as_ref().and_then(|path| left.checked_sub(path.len()));
            let (Some(path), Some(rest)) = (path, rest) else {
                let why =
                    "it names more outside of a bundle, or longer paths, than dsplug collect does";
                return Err(A::Error::custom(why));
            };
            left = rest;
            self.0.extend_from_slice(&path);
            self.0.push(0);
        }
        Ok(self)
    }
}

/// Its bundles, of which there are no more than are told apart.
#[derive(Default)]
struct Bundles(Vec<Bundle>);

impl<'de> Deserialize<'de> for Bundles {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(Self::default())
    }
}

impl<'de> Visitor<'de> for Bundles {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bundles")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut from: A) -> Result<Self, A::Error> {
        while let Some(bundle) = from.next_element()? {
            if self.0.len() >= MOST_BUNDLES {
                return Err(A::Error::custom("it has too many bundles"));
            }
            self.0.push(bundle);
        }
        Ok(self)
    }
}

/// The wanted bundle, or the only one, and where it really stood.
fn bundle(case: &[u8], wanted: &str) -> Result<(Bundle, Vec<u8>), String> {
    let case: Case = serde_json::from_slice(case).map_err(|e| e.to_string())?;
    let bundles = case.bundles.0.as_slice();
    let is_wanted = |bundle: &&Bundle| bundle.path == wanted;
    let bundle = match (bundles.iter().find(is_wanted), bundles) {
        (Some(bundle), _) | (None, [bundle]) => bundle,
        (None, all) => {
            let paths = all.iter().map(|bundle| escape(bundle.path.as_bytes()));
            let paths: Vec<String> = paths.take(8).collect();
            return Err(format!("it holds not {wanted}, but {}", paths.join(", ")));
        }
    };
    let stood = bytes(&bundle.resolved_path_hex).filter(|path| path.starts_with(b"/"));
    let stood = stood.ok_or("it does not say where its bundle stood")?;
    Ok((bundle.clone(), stood))
}

/// The bytes that are written as hexadecimal digits.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_case_no_more_is_held_than_is_asked_for() {
        let case = br#"{"dsplug":"1","more":[[1,{"a":2}]],"bundles":[
            {"path":"/a","resolved_path_hex":"2f61","files":{"x":[1]}},
            {"path":"/b","resolved_path_hex":"2f62"}]}"#;
        assert_eq!(bundle(case, "/b").unwrap().1, b"/b");
        assert_eq!(
            bundle(case, "/c").err().unwrap(),
            "it holds not /c, but /a, /b"
        );
        let one = br#"{"bundles":[{"path":"/a","resolved_path_hex":"2f61"}]}"#;
        assert_eq!(bundle(one, "/c").unwrap().1, b"/a");
        for (case, why) in [
            (&b"{}"[..], "it holds not"),
            (br#"{"bundles":[{"path":"/a"}]}"#, "does not say where"),
            (br#"{"bundles":[{"path":1}]}"#, "expected a string"),
        ] {
            let error = bundle(case, "/a").err().unwrap();
            assert!(error.contains(why), "{error}");
        }
        let many = format!(r#"{{"bundles":[{}{{}}]}}"#, "{},".repeat(MOST_BUNDLES));
        assert!(bundle(many.as_bytes(), "/a").is_err_and(|why| why.contains("too many")));
    }
}
