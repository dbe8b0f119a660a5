//! The header of a packed model: its metadata and its checksum.

use std::collections::BTreeMap;

use sotto_kernels::Layout;

use crate::weights::{WeightError, Weights, printable};

/// Version of the packed format that is written and read. It increases when older programs could not read a file.
pub const FORMAT: u32 = 1;

pub(super) const FORMAT_KEY: &str = "sotto.format";
pub(super) const LAYOUT_KEY: &str = "sotto.layout";
pub(super) const CHECKSUM_KEY: &str = "sotto.checksum";

/// Size of the length field in front of a safetensors header.
pub(super) const LENGTH: usize = 8;

// The field as it appears in the header; inside a value its quotes would be escaped.
const CHECKSUM_FIELD: &[u8] = b"\"sotto.checksum\":\"";

/// Hexadecimal digits of a checksum.
const DIGITS: usize = 16;

/// Placeholder for the checksum while it is computed.
pub(super) const NO_CHECKSUM: &str = "0000000000000000";

/// Checks version and checksum of a header; returns the layout of the packed file.
pub(super) fn check(file: &[u8], weights: &Weights) -> Result<Layout, WeightError> {
    let name = || weights.name().to_owned();
    let Some(format) = weights.metadata(FORMAT_KEY) else { return Err(WeightError::NotPacked { file: name() }) };
    // The version is checked first: later versions may have other checksums.
    if format != FORMAT.to_string() {
        return Err(WeightError::PackedVersion { file: name(), found: printable(format), known: FORMAT });
    }
    let stated = weights.metadata(CHECKSUM_KEY).unwrap_or_default();
    if json(file).and_then(checksum).is_none_or(|sum| sum != *stated.as_bytes()) {
        return Err(WeightError::Checksum { file: name() });
    }
    let stated = weights.metadata(LAYOUT_KEY).unwrap_or_default();
    let layout = stated.split(' ').next().and_then(|id| Layout::from_id(id.parse().ok()?));
    layout.ok_or_else(|| WeightError::UnknownLayout { file: name(), found: printable(stated) })
}

/// The value of `sotto.layout` for a layout.
pub(super) fn layout_value(layout: Layout) -> String {
    format!("{} {layout}", layout.id())
}

/// The header of a file whose tensors lie in `places`, padded so that the first tensor starts on a cache line.
pub(super) fn write(metadata: &BTreeMap<String, String>, places: &[Place]) -> Vec<u8> {
    let text = |value: &str| serde_json::Value::from(value).to_string();
    let metadata: Vec<String> = metadata.iter().map(|(key, value)| format!("{}:{}", text(key), text(value))).collect();
    let mut json = format!("{{\"__metadata__\":{{{}}}", metadata.join(","));
    for Place { name, kind, shape, start, end } in places {
        json +=
            &format!(",{}:{{\"dtype\":\"{kind}\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}", text(name));
    }
    json.push('}');
    let padded = (LENGTH + json.len()).next_multiple_of(super::ALIGNMENT) - LENGTH;
    json.extend(std::iter::repeat_n(' ', padded - json.len()));
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.extend_from_slice(json.as_bytes());
    reseal(&mut header);
    header
}

/// Name, type, shape and position of a tensor; positions count from the end of the header.
pub(super) struct Place {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) shape: Vec<usize>,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Recomputes the checksum of a changed header, for tests of the checks after it. Returns `false` if the header has no
/// checksum field.
pub fn reseal(file: &mut [u8]) -> bool {
    let Some(sum) = json(file).and_then(checksum) else { return false };
    let at = LENGTH + field(&file[LENGTH..]).unwrap_or_default();
    file[at..at + DIGITS].copy_from_slice(&sum);
    true
}

/// The JSON of the header, if the file contains all of it.
fn json(file: &[u8]) -> Option<&[u8]> {
    let (length, rest) = file.split_first_chunk::<LENGTH>()?;
    rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// Index of the checksum's digits.
fn field(json: &[u8]) -> Option<usize> {
    let at = json.windows(CHECKSUM_FIELD.len()).position(|window| window == CHECKSUM_FIELD)? + CHECKSUM_FIELD.len();
    (at + DIGITS <= json.len()).then_some(at)
}

/// FNV-1a of a header, with its own checksum read as zeros. Every change of a single byte changes it, and it needs no
/// table.
fn checksum(json: &[u8]) -> Option<[u8; DIGITS]> {
    let at = field(json)?;
    let (before, rest) = json.split_at(at);
    let bytes = before.iter().chain(NO_CHECKSUM.as_bytes()).chain(&rest[DIGITS..]);
    let hash = bytes
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
    format!("{hash:016x}").into_bytes().try_into().ok()
}
