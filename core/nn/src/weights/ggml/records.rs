//! Tensor records: dimensions, name length, type, the dimensions, the name, the values.

use std::collections::BTreeMap;

use sotto_runtime::Bytes;

use super::reader::Reader;
use crate::weights::element::Element;
use crate::weights::error::{WeightError, printable};
use crate::weights::index::{Entry, MAX_TENSORS, elements};

/// ggml's `GGML_MAX_DIMS`.
const MAX_DIMENSIONS: usize = 4;

const MAX_NAME: usize = 1024;

/// Reads records up to the end of the file. A file without records is valid: whisper.cpp's test files end after their
/// header.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<BTreeMap<String, Entry>, WeightError> {
    let mut entries = BTreeMap::new();
    while reader.remaining() > 0 {
        if entries.len() == MAX_TENSORS {
            return Err(reader.damaged(format!("more than {MAX_TENSORS} tensors")));
        }
        let (name, entry) = record(reader, entries.len())?;
        if entries.contains_key(&name) {
            return Err(WeightError::Duplicate { file: reader.file().to_owned(), name: printable(&name) });
        }
        entries.insert(name, entry);
    }
    Ok(entries)
}

fn record(reader: &mut Reader<'_>, number: usize) -> Result<(String, Entry), WeightError> {
    let head = format_args!("tensor record {number}");
    let rank = reader.count(head)?;
    let name_length = reader.count(head)?;
    let kind = reader.int(head)?;
    if rank > MAX_DIMENSIONS {
        return Err(reader.damaged(format!("{head} has {rank} dimensions")));
    }
    if name_length > MAX_NAME {
        return Err(reader.damaged(format!("{head} has a name of {name_length} bytes")));
    }
    let mut shape = (0..rank).map(|_| reader.count(head)).collect::<Result<Vec<_>, _>>()?;
    shape.reverse();
    let name = std::str::from_utf8(reader.take(name_length, head)?)
        .map_err(|_| reader.damaged(format!("{head} has a name that is not UTF-8")))?;
    let length = byte_length(reader.file(), name, kind, &shape)?;
    let start = reader.position();
    if length > reader.remaining() {
        return Err(WeightError::Truncated {
            file: reader.file().to_owned(),
            what: format!("tensor `{}`", printable(name)),
            needed: Bytes(length as u64),
            available: Bytes(reader.remaining() as u64),
        });
    }
    reader.take(length, head)?;
    let element = Element::from_ggml(kind).ok_or_else(|| unknown_type(reader.file(), name, kind))?;
    Ok((name.to_owned(), Entry { element, shape, start, end: start + length }))
}

fn byte_length(file: &str, name: &str, kind: i32, shape: &[usize]) -> Result<usize, WeightError> {
    let layout = |problem: String| WeightError::Layout { file: file.to_owned(), name: printable(name), problem };
    let element = Element::from_ggml(kind).ok_or_else(|| unknown_type(file, name, kind))?;
    let row = shape.last().copied().unwrap_or(1);
    if !row.is_multiple_of(element.block()) {
        return Err(layout(format!("has rows of {row} values, {} has blocks of {}", element.name(), element.block())));
    }
    elements(shape)
        .and_then(|count| element.bytes(count))
        .ok_or_else(|| layout(format!("has a shape that overflows: {shape:?}")))
}

fn unknown_type(file: &str, name: &str, kind: i32) -> WeightError {
    WeightError::ElementType { file: file.to_owned(), name: printable(name), found: format!("ggml type {kind}") }
}
