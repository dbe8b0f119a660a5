//! Goldens: what a reference implementation computed, kept as `.safetensors` with its provenance in the metadata.

use std::collections::{BTreeMap, HashMap};
use std::ops::Index;
use std::path::{Path, PathBuf};

use half::f16;
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};

/// Why a golden cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The file is missing or unreadable.
    #[error("{path}: {source}; scripts/goldens/README.md tells how to make it")]
    Io {
        /// The golden.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not in safetensors format.
    #[error("{path}: {source}; make it again with its script in scripts/goldens")]
    Format {
        /// The golden.
        path: PathBuf,
        /// What the reader says.
        source: SafeTensorError,
    },
    /// A tensor has an element type that goldens do not use.
    #[error("{path}: tensor `{name}` is {dtype:?}; goldens hold F32, F16, F64, I32, I64, U8 or BOOL")]
    Dtype {
        /// The golden.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its element type.
        dtype: Dtype,
    },
}

/// The golden `tests/goldens/<name>.safetensors` of the crate under test.
///
/// # Errors
/// [`GoldenError`] when it is missing, damaged, or of an element type that goldens do not use.
pub fn golden(name: &str) -> Result<Golden, GoldenError> {
    // Cargo sets this when it runs a test; at compile time it would be the test kit's own folder.
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    Golden::open(&folder.join("tests/goldens").join(format!("{name}.safetensors")))
}

/// Named tensors and the metadata that tells where they come from (script, revisions, sha256 of the weights).
///
/// `golden["name"]` are the values of a floating-point tensor.
#[derive(Debug)]
pub struct Golden {
    path: PathBuf,
    metadata: HashMap<String, String>,
    tensors: BTreeMap<String, Tensor>,
}

#[derive(Debug)]
struct Tensor {
    shape: Vec<usize>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
}

impl Golden {
    /// Reads a golden.
    ///
    /// # Errors
    /// As [`golden`].
    pub fn open(path: &Path) -> Result<Self, GoldenError> {
        let bytes = std::fs::read(path).map_err(|source| GoldenError::Io { path: path.to_owned(), source })?;
        let format = |source| GoldenError::Format { path: path.to_owned(), source };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(format)?;
        let file = SafeTensors::deserialize(&bytes).map_err(format)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let dtype = view.dtype();
            let values =
                values(&view).ok_or_else(|| GoldenError::Dtype { path: path.to_owned(), name: name.clone(), dtype })?;
            tensors.insert(name, Tensor { shape: view.shape().to_vec(), values });
        }
        Ok(Self { path: path.to_owned(), metadata: header.metadata().clone().unwrap_or_default(), tensors })
    }

    /// One entry of the metadata.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Names of all tensors, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of a tensor.
    ///
    /// # Panics
    /// When there is no such tensor.
    #[must_use]
    #[track_caller]
    pub fn shape(&self, name: &str) -> &[usize] {
        &self.tensor(name).shape
    }

    /// Values of a floating-point tensor, row-major.
    ///
    /// # Panics
    /// When there is no such tensor, or it holds integers.
    #[must_use]
    #[track_caller]
    pub fn floats(&self, name: &str) -> &[f32] {
        match &self.tensor(name).values {
            Values::Floats(values) => values,
            Values::Integers(_) => panic!("{}: `{name}` holds integers", self.path.display()),
        }
    }

    /// Values of an integer tensor, row-major.
    ///
    /// # Panics
    /// When there is no such tensor, or it holds floating-point numbers.
    #[must_use]
    #[track_caller]
    pub fn integers(&self, name: &str) -> &[i64] {
        match &self.tensor(name).values {
            Values::Integers(values) => values,
            Values::Floats(_) => panic!("{}: `{name}` holds floating-point numbers", self.path.display()),
        }
    }

    #[track_caller]
    fn tensor(&self, name: &str) -> &Tensor {
        match self.tensors.get(name) {
            Some(tensor) => tensor,
            None => panic!(
                "{}: no tensor `{name}`; there are {}",
                self.path.display(),
                self.names().collect::<Vec<_>>().join(", ")
            ),
        }
    }
}

impl Index<&str> for Golden {
    type Output = [f32];

    #[track_caller]
    fn index(&self, name: &str) -> &[f32] {
        self.floats(name)
    }
}

fn values(view: &TensorView<'_>) -> Option<Values> {
    let data = view.data();
    Some(match view.dtype() {
        Dtype::F32 => Values::Floats(each(data, f32::from_le_bytes)),
        Dtype::F16 => Values::Floats(each(data, |b| f16::from_le_bytes(b).to_f32())),
        Dtype::F64 => Values::Floats(each(data, |b| f64::from_le_bytes(b) as f32)),
        Dtype::I32 => Values::Integers(each(data, |b| i64::from(i32::from_le_bytes(b)))),
        Dtype::I64 => Values::Integers(each(data, i64::from_le_bytes)),
        Dtype::U8 | Dtype::BOOL => Values::Integers(data.iter().map(|&b| i64::from(b)).collect()),
        _ => return None,
    })
}

fn each<const N: usize, T>(data: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks::<N>().0.iter().map(|bytes| convert(*bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_golden_gives_back_what_was_written() {
        let path = std::env::temp_dir().join(format!("sotto-golden-{}.safetensors", std::process::id()));
        let floats: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let ids: Vec<u8> = [7i32, -1].iter().flat_map(|v| v.to_le_bytes()).collect();
        let tensors = [
            ("states", TensorView::new(Dtype::F32, vec![1, 2], &floats).unwrap()),
            ("ids", TensorView::new(Dtype::I32, vec![2], &ids).unwrap()),
        ];
        let metadata = HashMap::from([("script".to_owned(), "encoder.py".to_owned())]);
        safetensors::serialize_to_file(tensors, Some(metadata), &path).unwrap();
        let golden = Golden::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(golden["states"], [1.5, -2.0]);
        assert_eq!(golden.shape("states"), [1, 2]);
        assert_eq!(golden.integers("ids"), [7, -1]);
        assert_eq!(golden.metadata("script"), Some("encoder.py"));
    }

    #[test]
    fn a_missing_golden_tells_how_to_make_it() {
        let message = golden("never_made").unwrap_err().to_string();
        assert!(message.contains("never_made.safetensors") && message.contains("scripts/goldens"), "{message}");
    }
}
