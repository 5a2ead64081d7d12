//! A configuration of osquery, or a pack: what is asked of it, and the rest, which is other people's,
//! passed over.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::disk;
use super::ours::OURS;
use crate::pack::conf::{self, osquery_json};
use crate::pack::restriction;
use crate::root::Root;
use crate::text::escape;

/// The most bytes of a configuration, without its comments, that any osqueryd takes (osquery:
/// `kMaxConfigSize` of config.cpp, 1 MiB until August 2026). Packs that it names have no such bound.
pub const MOST_CONFIG: usize = 4 * 1024 * 1024;

/// What is asked of a configuration of osquery ([`Config`]) or of a pack ([`Part`]), which may have `most` bytes.
pub fn read<T: DeserializeOwned>(
    root: &Root,
    path: &str,
    most: usize,
) -> Result<Option<T>, String> {
    let Some(text) = disk::read_text(root, path).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let json = osquery_json(&text);
    if json.len() > most {
        let path = escape(path.as_bytes());
        return Err(format!(
            "{path}: more than {most} bytes, and osqueryd takes no such configuration"
        ));
    }
    serde_json::from_str(&json)
        .map(Some)
        .map_err(|error| format!("{}: not JSON: {error}", escape(path.as_bytes())))
}

/// What is asked of a configuration.
#[derive(Debug, Default, Deserialize)]
pub struct Config {
    #[serde(default)]
    pub packs: BTreeMap<String, Part>,
    options: Option<Part>,
}

impl Config {
    /// The value of an option, as osquery makes text of it.
    pub fn option(&self, name: &str) -> Option<&str> {
        let Some(Part::Object(options)) = &self.options else {
            return None;
        };
        match options.kept.get(name)? {
            Part::Text(text) | Part::Scalar(text) => Some(text),
            Part::Object(_) | Part::List | Part::Other => None,
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
    /// True when something in it, taken for a query, would run on a Mac.
    runs: bool,
}

/// Keys of an object that are kept, beside the names of our queries; a file of somebody else's may have
/// millions of others.
const KEPT: &[&str] = &[
    "denylist",
    "disable_extensions",
    "disable_logging",
    "disable_tables",
    "discovery",
    "interval",
    "logger_path",
    "platform",
    "queries",
    "query",
    "removed",
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
            fn visit_str<E>(self, text: &str) -> Result<Part, E> {
                Ok(Part::Text(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
                let mut object = Object::default();
                while let Some((key, part)) = map.next_entry::<String, Part>()? {
                    if let Part::Object(query) = &part {
                        object.runs |= !conf::is_reserved(&key) && query.why_not_run().is_none();
                    }
                    // osquery takes the first of a key that stands twice.
                    if KEPT.contains(&key.as_str()) || OURS.contains_key(&key) {
                        object.kept.entry(key).or_insert(part);
                    }
                }
                Ok(Part::Object(object))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Part, A::Error> {
                let mut part = Part::Other;
                while list.next_element::<IgnoredAny>()?.is_some() {
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
