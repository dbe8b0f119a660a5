//! Reading vocabulary files as a whole, with a limit on their size.

use crate::TextError;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// All bytes of the file, at most `limit`. The size in its metadata is not trusted: pipes and devices have none.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, TextError> {
    let failed = |source| TextError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let stated = file.metadata().map_err(failed)?.len();
    check_size(&path.display().to_string(), stated, limit)?;
    let mut bytes = Vec::with_capacity(usize::try_from(stated).unwrap_or(0));
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    check_size(&path.display().to_string(), bytes.len() as u64, limit)?;
    Ok(bytes)
}

/// Refuses sources that are larger than any vocabulary.
pub(crate) fn check_size(file: &str, bytes: u64, limit: u64) -> Result<(), TextError> {
    if bytes > limit {
        return Err(TextError::TooLarge { file: file.to_owned(), bytes, limit });
    }
    Ok(())
}
