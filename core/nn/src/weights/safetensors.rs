//! The index of a safetensors file (github.com/huggingface/safetensors, "Format").
//!
//! Eight bytes of header length, a JSON header, then the tensors without gaps. The index is not read by the
//! `safetensors` crate, because messages must name the wrong tensor and because the crate accepts two tensors with the
//! same name (the last wins). Tests compare both readers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use sotto_runtime::Bytes;

use super::bounded::BoundedMap;
use super::element::Element;
use super::error::{WeightError, printable};
use super::index::{Entry, MAX_RANK, MAX_TENSORS, elements};

const FORMAT: &str = "safetensors";

/// Size of the length field in front of the header.
const LENGTH: usize = 8;

/// A header is about 120 bytes per tensor (large-v3: 140 kB); this bounds the time and memory of a hostile one.
const MAX_HEADER: usize = 2 << 20;

/// Maximum number of metadata entries; packed models have about a dozen.
const MAX_METADATA: usize = 1024;

pub(super) struct Header {
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) metadata: BTreeMap<String, String>,
}

pub(super) fn read(file: &[u8], name: &str) -> Result<Header, WeightError> {
    let (json, data) = split(file, name)?;
    let text = std::str::from_utf8(json)
        .map_err(|error| damaged(name, format!("the header is not UTF-8 from its byte {} on", error.valid_up_to())))?;
    let RawHeader { metadata, tensors } = serde_json::from_str(text)
        .map_err(|error| damaged(name, format!("the header is not valid: {}", bounded(&error))))?;
    let first = LENGTH + json.len();
    let mut placed = Vec::with_capacity(tensors.len());
    for (tensor, raw) in tensors {
        let entry = entry(&tensor, &raw, data.len(), first, name)?;
        placed.push((tensor, entry));
    }
    check_layout(&mut placed, first, file.len(), name)?;
    let mut entries = BTreeMap::new();
    for (tensor, entry) in placed {
        if entries.contains_key(&tensor) {
            return Err(WeightError::Duplicate { file: name.to_owned(), name: printable(&tensor) });
        }
        entries.insert(tensor, entry);
    }
    recognise_nibbles(&mut entries);
    Ok(Header { entries, metadata })
}

/// Treats U8 tensors that have a tensor of scales as pairs of 4-bit values along the second dimension: safetensors has
/// no 4-bit type.
fn recognise_nibbles(entries: &mut BTreeMap<String, Entry>) {
    let scaled: Vec<String> = entries
        .iter()
        .filter(|(name, entry)| entry.element.name() == "U8" && entries.contains_key(&format!("{name}_scale")))
        .map(|(name, _)| name.clone())
        .collect();
    for name in scaled {
        if let Some(entry) = entries.get_mut(&name)
            && let Some(columns) = entry.shape.get_mut(1)
            && let Some(pairs) = columns.checked_mul(2)
        {
            *columns = pairs;
            entry.element = Element::I4;
        }
    }
}

/// The JSON header, and the bytes after it.
fn split<'a>(file: &'a [u8], name: &str) -> Result<(&'a [u8], &'a [u8]), WeightError> {
    let other = |problem| WeightError::OtherFormat { file: name.to_owned(), format: FORMAT, problem };
    if file.is_empty() {
        return Err(other("it is empty"));
    }
    let Some((length, rest)) = file.split_first_chunk::<LENGTH>() else {
        return Err(other("it is shorter than a header length"));
    };
    let length = u64::from_le_bytes(*length);
    // Checked before the length: the first eight bytes of any other file make an absurd length.
    if rest.first().is_some_and(|&first| first != b'{') {
        return Err(other("it does not begin with a JSON header"));
    }
    if length > MAX_HEADER as u64 {
        return Err(damaged(
            name,
            format!("a header of {} is claimed, {} is the limit", Bytes(length), Bytes(MAX_HEADER as u64)),
        ));
    }
    rest.split_at_checked(length as usize).ok_or_else(|| WeightError::Truncated {
        file: name.to_owned(),
        what: "the header".to_owned(),
        needed: Bytes(length),
        available: Bytes(rest.len() as u64),
    })
}

fn entry(tensor: &str, raw: &RawTensor<'_>, available: usize, first: usize, file: &str) -> Result<Entry, WeightError> {
    let layout = |problem: &str| WeightError::Layout {
        file: file.to_owned(),
        name: printable(tensor),
        problem: problem.to_owned(),
    };
    let element = Element::from_safetensors(&raw.dtype).ok_or_else(|| WeightError::ElementType {
        file: file.to_owned(),
        name: printable(tensor),
        found: printable(&raw.dtype),
    })?;
    if raw.shape.len() > MAX_RANK {
        return Err(layout("has too many dimensions"));
    }
    let shape: Option<Vec<usize>> = raw.shape.iter().map(|&dimension| usize::try_from(dimension).ok()).collect();
    let shape = shape.ok_or_else(|| layout("has a shape that overflows"))?;
    let needed = elements(&shape).and_then(|count| element.bytes(count));
    let needed = needed.ok_or_else(|| layout("has a shape that overflows or does not fill whole bytes"))?;
    let [begin, end] = raw.data_offsets;
    if begin > end {
        return Err(layout("ends before it begins"));
    }
    if end > available as u64 {
        return Err(WeightError::Truncated {
            file: file.to_owned(),
            what: format!("tensor `{}`", printable(tensor)),
            needed: Bytes(end - begin),
            available: Bytes((available as u64).saturating_sub(begin)),
        });
    }
    if end - begin != needed as u64 {
        return Err(layout(&format!(
            "has {} bytes where its shape {shape:?} as {} needs {needed}",
            end - begin,
            element.name()
        )));
    }
    Ok(Entry { element, shape, start: first + begin as usize, end: first + end as usize })
}

/// Checks that the tensors follow each other without gaps and that nothing follows the last. Leaves them in the order
/// of the file.
fn check_layout(placed: &mut [(String, Entry)], first: usize, length: usize, file: &str) -> Result<(), WeightError> {
    placed.sort_unstable_by_key(|(_, entry)| (entry.start, entry.end));
    let mut previous: Option<&str> = None;
    let mut expected = first;
    for (name, entry) in placed.iter() {
        if entry.start != expected {
            let relation = if entry.start < expected { "overlaps" } else { "leaves a hole behind" };
            let other = previous.map_or("the header".to_owned(), |name| format!("tensor `{}`", printable(name)));
            return Err(WeightError::Layout {
                file: file.to_owned(),
                name: printable(name),
                problem: format!("{relation} {other}"),
            });
        }
        expected = entry.end;
        previous = Some(name);
    }
    if expected != length {
        return Err(damaged(file, format!("{} behind the last tensor", Bytes((length - expected) as u64))));
    }
    Ok(())
}

fn damaged(file: &str, problem: String) -> WeightError {
    WeightError::Damaged { file: file.to_owned(), problem }
}

/// A JSON error quotes its input, which may be long and have any content.
fn bounded(error: &serde_json::Error) -> String {
    printable(&error.to_string())
}

struct RawHeader<'a> {
    metadata: BTreeMap<String, String>,
    tensors: Vec<(String, RawTensor<'a>)>,
}

#[derive(Deserialize)]
struct RawTensor<'a> {
    #[serde(borrow)]
    dtype: Cow<'a, str>,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

impl<'de> Deserialize<'de> for RawHeader<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

/// Keeps tensors as a list, so that duplicate names can be detected.
struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = RawHeader<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of tensors")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut header = RawHeader { metadata: BTreeMap::new(), tensors: Vec::new() };
        while let Some(key) = map.next_key::<String>()? {
            if key == "__metadata__" {
                header.metadata = map.next_value::<BoundedMap<MAX_METADATA>>()?.0;
            } else if header.tensors.len() == MAX_TENSORS {
                return Err(M::Error::custom(format_args!("more than {MAX_TENSORS} tensors")));
            } else {
                header.tensors.push((key, map.next_value()?));
            }
        }
        Ok(header)
    }
}
