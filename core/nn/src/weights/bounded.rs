//! JSON objects of bounded length: a hostile one is refused instead of filling memory.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

/// A JSON object with at most `MOST` string values.
pub(super) struct BoundedMap<const MOST: usize>(pub(super) BTreeMap<String, String>);

impl<'de, const MOST: usize> Deserialize<'de> for BoundedMap<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries::<MOST>)
    }
}

struct Entries<const MOST: usize>;

impl<'de, const MOST: usize> Visitor<'de> for Entries<MOST> {
    type Value = BoundedMap<MOST>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of strings")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = map.next_entry()? {
            if entries.len() == MOST {
                return Err(M::Error::custom(format_args!("more than {MOST} entries")));
            }
            entries.insert(key, value);
        }
        Ok(BoundedMap(entries))
    }
}
