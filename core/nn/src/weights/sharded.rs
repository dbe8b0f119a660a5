//! `model.safetensors.index.json`: which shard of a large model holds which tensor.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use serde::Deserialize;
use sotto_runtime::Bytes;

use super::error::{WeightError, printable};
use super::index::MAX_TENSORS;
use super::{Tensor, Weights};

/// An index is about 80 bytes per tensor.
const MAX_INDEX: u64 = 16 << 20;

#[derive(Deserialize)]
struct Index {
    /// Tensor → file name.
    weight_map: BTreeMap<String, String>,
}

pub(super) fn open(index_json: &Path) -> Result<Weights, WeightError> {
    let name = index_json.display().to_string();
    let damaged = |problem: String| WeightError::Damaged { file: name.clone(), problem };
    let Index { weight_map } =
        serde_json::from_slice(&read(index_json, &name)?).map_err(|error| damaged(printable(&error.to_string())))?;
    if weight_map.len() > MAX_TENSORS {
        return Err(damaged(format!("more than {MAX_TENSORS} tensors")));
    }
    let folder = index_json.parent().unwrap_or(Path::new(""));
    let mut all = Weights {
        name: name.clone(),
        path: Some(index_json.to_owned()),
        images: Vec::new(),
        tensors: BTreeMap::new(),
        metadata: BTreeMap::new(),
    };
    let mut by_shard: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (tensor, shard) in &weight_map {
        by_shard.entry(shard).or_default().push(tensor);
    }
    for (shard, tensors) in by_shard {
        // A path in an index could point anywhere on this machine.
        let mut parts = Path::new(shard).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            return Err(damaged(format!("shard `{}` is not the name of a file", printable(shard))));
        }
        let mut part = Weights::open_safetensors(&folder.join(shard))?;
        let image = all.images.len();
        for tensor in tensors {
            let Some(found) = part.tensors.remove(tensor) else {
                return Err(WeightError::Missing { file: part.name, name: printable(tensor) });
            };
            all.tensors.insert(tensor.to_owned(), Tensor { image, entry: found.entry });
        }
        all.images.append(&mut part.images);
        all.metadata.append(&mut part.metadata);
    }
    Ok(all)
}

fn read(path: &Path, name: &str) -> Result<Vec<u8>, WeightError> {
    let io = |source| WeightError::Io { file: name.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(MAX_INDEX + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MAX_INDEX {
        let problem = format!("an index of more than {}", Bytes(MAX_INDEX));
        return Err(WeightError::Damaged { file: name.to_owned(), problem });
    }
    Ok(bytes)
}
