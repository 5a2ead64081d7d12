//! A state as it is read: whoever wrote the file chooses how much of what stands in it.
//!
//! What the pack does not have is passed over, and nothing is held that is longer than a run leaves it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::differential::{MOST_PACKED, Memory};

/// The fields of a state.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    Version,
    Queries,
    Snapshots,
}

/// What stands in the fields.
pub(super) struct Fields {
    pub version: u32,
    pub queries: BTreeMap<String, Memory>,
    pub snapshots: BTreeMap<String, u64>,
}

/// What a state has of the queries that are wanted.
pub(super) struct Reading<F>(pub F);

impl<'de, F: Fn(&str) -> bool> DeserializeSeed<'de> for Reading<F> {
    type Value = Fields;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Fields, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, F: Fn(&str) -> bool> Visitor<'de> for Reading<F> {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a state")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Fields, A::Error> {
        let (mut version, mut queries, mut snapshots) = (None, None, None);
        while let Some(field) = from.next_key()? {
            match field {
                Field::Version => version = Some(from.next_value()?),
                Field::Queries => {
                    let size = |memory: &Memory| memory.rows.size();
                    queries = Some(from.next_value_seed(Named(&self.0, size))?);
                }
                Field::Snapshots => {
                    snapshots = Some(from.next_value_seed(Named(&self.0, |_: &u64| 0))?);
                }
            }
        }
        let missing = A::Error::missing_field;
        Ok(Fields {
            version: version.ok_or_else(|| missing("version"))?,
            queries: queries.ok_or_else(|| missing("queries"))?,
            snapshots: snapshots.ok_or_else(|| missing("snapshots"))?,
        })
    }
}

/// What stands under the names that are wanted, and the bytes that one takes.
struct Named<'a, F, V>(&'a F, fn(&V) -> usize);

impl<'de, F: Fn(&str) -> bool, V: Deserialize<'de>> DeserializeSeed<'de> for Named<'_, F, V> {
    type Value = BTreeMap<String, V>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, F: Fn(&str) -> bool, V: Deserialize<'de>> Visitor<'de> for Named<'_, F, V> {
    type Value = BTreeMap<String, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map by names of queries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let Self(is_wanted, size) = self;
        let (mut all, mut bytes) = (BTreeMap::new(), 0_usize);
        while let Some(name) = from.next_key::<String>()? {
            if !is_wanted(&name) {
                from.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = from.next_value()?;
            bytes = bytes.saturating_add(size(&value));
            if bytes > MOST_PACKED {
                return Err(A::Error::custom("it has more than a run remembers"));
            }
            all.insert(name, value);
        }
        Ok(all)
    }
}
