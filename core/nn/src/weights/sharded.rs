//! `model.safetensors.index.json`: which shard of a large model holds which tensor.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use serde::Deserialize;
use sotto_runtime::Bytes;

use super::bounded::BoundedMap;
use super::error::{WeightError, printable};
use super::index::MAX_TENSORS;
use super::{Tensor, Weights};

/// Maximum size of an index, which has about 80 bytes per tensor.
const MAX_INDEX: u64 = 4 << 20;

/// Which shard holds which tensor: the content of a `model.safetensors.index.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardIndex {
    /// File name → tensors. Every file is in the folder of the index.
    shards: BTreeMap<String, Vec<String>>,
}

impl ShardIndex {
    /// Reads an index; `name` is its name in messages.
    ///
    /// # Errors
    /// [`WeightError::Damaged`] when it is not JSON of that form, is too long, or names a file in another folder.
    pub fn parse(json: &[u8], name: &str) -> Result<Self, WeightError> {
        let damaged = |problem: String| WeightError::Damaged { file: name.to_owned(), problem };
        if json.len() as u64 > MAX_INDEX {
            return Err(damaged(format!("an index of more than {}", Bytes(MAX_INDEX))));
        }
        let Index { weight_map } =
            serde_json::from_slice(json).map_err(|error| damaged(printable(&error.to_string())))?;
        let mut shards: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (tensor, shard) in weight_map.0 {
            // A path in an index could point to any file of the system.
            let mut parts = Path::new(&shard).components();
            if !matches!((parts.next(), parts.next()), (Some(Component::Normal(only)), None) if only == &*shard) {
                return Err(damaged(format!("shard `{}` is not the name of a file", printable(&shard))));
            }
            shards.entry(shard).or_default().push(tensor);
        }
        Ok(Self { shards })
    }

    /// The names of the shards, in alphabetical order, each with its tensors.
    pub fn shards(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.shards.iter().map(|(shard, tensors)| (shard.as_str(), tensors.as_slice()))
    }
}

#[derive(Deserialize)]
struct Index {
    /// Tensor → file name.
    weight_map: BoundedMap<MAX_TENSORS>,
}

pub(super) fn open(index_json: &Path) -> Result<Weights, WeightError> {
    let name = index_json.display().to_string();
    let index = ShardIndex::parse(&read(index_json, &name)?, &name)?;
    let folder = index_json.parent().unwrap_or(Path::new(""));
    let mut all = Weights { name, images: Vec::new(), tensors: BTreeMap::new(), metadata: BTreeMap::new() };
    for (shard, tensors) in index.shards() {
        let mut part = Weights::open_safetensors(&folder.join(shard))?;
        let image = all.images.len();
        for tensor in tensors {
            let Some(found) = part.tensors.remove(tensor) else {
                return Err(WeightError::Missing { file: part.name, name: printable(tensor) });
            };
            all.tensors.insert(tensor.clone(), Tensor { image, entry: found.entry });
        }
        all.images.append(&mut part.images);
        all.metadata.append(&mut part.metadata);
    }
    Ok(all)
}

/// The file; of a file that is too long, one byte more than an index may have.
fn read(path: &Path, name: &str) -> Result<Vec<u8>, WeightError> {
    let io = |source| WeightError::Io { file: name.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(MAX_INDEX + 1).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}
