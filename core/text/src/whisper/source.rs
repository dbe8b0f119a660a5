//! Reading vocabulary files: whole, but never more than a vocabulary can be.

use crate::TextError;
use std::fs::File;
use std::io::Read;
use std::path::Path;

// The tokenizer.json of the multilingual models is 1.7 MB as published, 6.1 MiB indented by four and with everything
// but ASCII escaped.
pub(super) const MAX_FILE: u64 = 16 << 20;

/// All bytes of the file, at most [`MAX_FILE`]. The stated size is not trusted: pipes and devices state none.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TextError> {
    let failed = |source| TextError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let stated = file.metadata().map_err(failed)?.len();
    check_size(&path.display().to_string(), stated)?;
    let mut bytes = Vec::with_capacity(usize::try_from(stated).unwrap_or(0));
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    check_size(&path.display().to_string(), bytes.len() as u64)?;
    Ok(bytes)
}

/// Refuses sources that no vocabulary can have.
pub(super) fn check_size(file: &str, bytes: u64) -> Result<(), TextError> {
    if bytes > MAX_FILE {
        return Err(TextError::TooLarge { file: file.to_owned(), bytes, limit: MAX_FILE });
    }
    Ok(())
}
