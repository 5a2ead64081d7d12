//! A configuration of osquery, or a pack: what is asked of it, and the rest, which is other people's,
//! passed over.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::ours::OURS;
use super::{disk, numbers};
use crate::pack::conf::{self, osquery_json};
use crate::pack::restriction;
use crate::root::Root;
use crate::text::escape;

/// The most bytes of a configuration, without its comments, that any osqueryd takes (osquery:
/// `kMaxConfigSize` of config.cpp, 1 MiB until August 2026). Packs that it names have no such bound.
pub const MOST_CONFIG: usize = 4 * 1024 * 1024;

/// A configuration of osquery or a pack, which may have `most` bytes: what is asked of it. What osqueryd
/// reads as something else than stands there, or not at all, is an error, wherever in the file it is: one
/// such number among other people's things, and osqueryd passes over the whole file.
pub fn read(root: &Root, path: &str, most: usize) -> Result<Option<Part>, String> {
    let Some(text) =
        disk::read_text(root, path, disk::MOST_CONFIG).map_err(|error| error.to_string())?
    else {
        return Ok(None);
    };
    let path = escape(path.as_bytes());
    let json = osquery_json(&text);
    if json.len() > most {
        return Err(format!(
            "{path}: more than {most} bytes, and osqueryd takes no such configuration"
        ));
    }
    let part = serde_json::from_str(&json).map_err(|error| {
        let what = if error.is_data() { "" } else { "not JSON: " };
        format!("{path}: {what}{error}")
    })?;
    if numbers::has_too_large(&json) {
        return Err(format!(
            "{path}: a number of more than {} digits, which osqueryd does not take",
            numbers::MOST_DIGITS
        ));
    }
    Ok(Some(part))
}

/// What is asked of a configuration: an object.
#[derive(Debug)]
pub struct Config(Object);

impl Config {
    /// None where osqueryd takes it for no configuration.
    pub fn new(part: Part) -> Option<Self> {
        match part {
            Part::Object(object) => Some(Self(object)),
            _ => None,
        }
    }

    /// A pack that it names, as it names it.
    pub fn pack(&self, name: &str) -> Option<&Part> {
        self.below("packs")?.get(name)
    }

    /// The value of an option, as osquery makes text of it.
    pub fn option(&self, name: &str) -> Option<&str> {
        match self.below("options")?.get(name)? {
            Part::Text(text) | Part::Scalar(text) => Some(text),
            Part::Object(_) | Part::List | Part::Other => None,
        }
    }

    /// What stands twice of that which is asked for. Of packs and options osqueryd goes through all, and the last
    /// that it can use counts; of the two themselves it takes the first.
    pub fn twice(&self) -> impl Iterator<Item = &str> {
        let below = ["packs", "options"].map(|key| self.below(key));
        let objects = std::iter::once(&self.0).chain(below.into_iter().flatten());
        objects.flat_map(|object| object.twice.iter().map(String::as_str))
    }

    fn below(&self, key: &str) -> Option<&Object> {
        match self.0.get(key)? {
            Part::Object(object) => Some(object),
            _ => None,
        }
    }
}

/// A part of a configuration: the file that holds it, or the thing itself.
#[derive(Debug)]
pub enum Part {
    Text(String),
    Scalar(String),
    Object(Object),
    /// A list that is not empty.
    List,
    Other,
}

impl Part {
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Why nothing of it, taken for a pack, runs on a Mac; none where something does.
    pub fn why_nothing_runs(&self) -> Option<String> {
        let Self::Object(pack) = self else {
            return Some(NO_QUERIES.to_owned());
        };
        if let Some(why) = pack.left_out() {
            return Some(format!("no query of it runs: {why}"));
        }
        match pack.get("queries") {
            Some(Self::Object(queries)) if queries.runs => None,
            _ => Some(NO_QUERIES.to_owned()),
        }
    }

    /// A number of osquery's, which it takes as text too; none where it is no such thing.
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Text(text) | Self::Scalar(text) => text.trim().parse().ok(),
            Self::Object(_) | Self::List | Self::Other => None,
        }
    }

    /// What osquery takes it for where a yes or no is asked for (`JSON::valueToBool`).
    pub fn is_yes(&self) -> bool {
        match self {
            Self::Text(text) => ["true", "t"]
                .iter()
                .any(|yes| text.eq_ignore_ascii_case(yes)),
            Self::Scalar(text) => !matches!(text.as_str(), "false" | "0"),
            Self::Object(_) | Self::List | Self::Other => false,
        }
    }
}

const NO_QUERIES: &str = "a pack without queries that run on a Mac";

/// An object: the few keys of it that are asked for anywhere.
#[derive(Debug, Default)]
pub struct Object {
    kept: BTreeMap<String, Part>,
    /// Those of them that stand there more than once.
    twice: BTreeSet<String>,
    /// True when something in it, taken for a query, would run on a Mac.
    runs: bool,
}

/// Keys of an object that are kept, beside the names of our queries; a file of somebody else's may have
/// millions of others.
const KEPT: &[&str] = &[
    "*",
    "denylist",
    "disable_extensions",
    "disable_logging",
    "disable_tables",
    "discovery",
    "dsplug",
    "interval",
    "logger_path",
    "options",
    "packs",
    "platform",
    "queries",
    "query",
    "removed",
    "schedule_timeout",
    "shard",
    "snapshot",
    "version",
];

impl Object {
    pub fn get(&self, key: &str) -> Option<&Part> {
        self.kept.get(key)
    }

    /// Why osquery leaves a pack or a query out on a Mac, by the platform and the version that it asks for.
    fn left_out(&self) -> Option<String> {
        let [platform, version] = ["platform", "version"].map(|key| {
            let part = self.kept.get(key);
            part.and_then(Part::text).unwrap_or_default()
        });
        restriction::leaves_out_by(platform, version)
    }

    /// Why osquery, taking it for a query, does not run it on a Mac (`Pack::initialize` of packs.cpp).
    pub fn why_not_run(&self) -> Option<String> {
        if let Some(why) = self.left_out() {
            return Some(why);
        }
        if self
            .get("query")
            .and_then(Part::text)
            .is_none_or(str::is_empty)
        {
            return Some("it has no text `query`".to_owned());
        }
        // osquery has one for a query without.
        let interval = self.get("interval")?;
        let is_valid = interval.number().is_some_and(conf::is_interval);
        (!is_valid).then(|| "its interval is not from 1 to 604800 seconds".to_owned())
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shape;
        impl<'de> Visitor<'de> for Shape {
            type Value = Part;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Part, E> {
                whole(text.to_owned()).map(Part::Text)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
                let mut object = Object::default();
                while let Some((key, part)) = map.next_entry::<String, Part>()? {
                    let key = whole(key)?;
                    if let Part::Object(query) = &part {
                        object.runs |= !conf::is_reserved(&key) && query.why_not_run().is_none();
                    }
                    if !KEPT.contains(&key.as_str()) && !OURS.contains_key(&key) {
                        continue;
                    }
                    // osquery takes the first of a key that stands twice.
                    match object.kept.entry(key) {
                        Entry::Vacant(entry) => {
                            entry.insert(part);
                        }
                        Entry::Occupied(entry) => {
                            object.twice.insert(entry.key().clone());
                        }
                    }
                }
                Ok(Part::Object(object))
            }
            // Each is read as all else is: what is passed over unread may be what osqueryd refuses.
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Part, A::Error> {
                let mut part = Part::Other;
                while list.next_element::<Part>()?.is_some() {
                    part = Part::List;
                }
                Ok(part)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Part, E> {
                Ok(Part::Scalar(value.to_string()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Part, E> {
                Ok(Part::Scalar(value.to_string()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Part, E> {
                Ok(Part::Scalar(value.to_string()))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Part, E> {
                Ok(Part::Other)
            }
            fn visit_unit<E>(self) -> Result<Part, E> {
                Ok(Part::Other)
            }
        }
        deserializer.deserialize_any(Shape)
    }
}

/// A text without a NUL: osqueryd ends it there, and takes `"events\u0000x"` for `events`.
fn whole<E: Error>(text: String) -> Result<String, E> {
    if text.contains('\0') {
        return Err(E::custom("a text with a NUL, where osqueryd ends it,"));
    }
    Ok(text)
}
