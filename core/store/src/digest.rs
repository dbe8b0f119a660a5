//! Hashes of files as a hub states them, and the hash of what lies on disk.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use sotto_runtime::CancelToken;

use crate::error::StoreError;

/// The hash that a hub states for a file: SHA-256 for large files (git LFS), the git blob hash for small ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Digest {
    /// SHA-256 of the contents.
    Sha256([u8; 32]),
    /// Git's blob hash: SHA-1 of `blob LENGTH\0` and the contents.
    GitBlob([u8; 20]),
}

impl Digest {
    /// A digest from hexadecimal digits: 64 are SHA-256, 40 are a git blob hash.
    #[must_use]
    pub fn from_hex(digits: &str) -> Option<Self> {
        match digits.len() {
            64 => decode(digits).map(Self::Sha256),
            40 => decode(digits).map(Self::GitBlob),
            _ => None,
        }
    }

    /// Whether `file` is the file that this digest speaks of.
    pub(crate) fn matches(&self, file: &FileHash) -> bool {
        match self {
            Self::Sha256(expected) => *expected == file.sha256,
            Self::GitBlob(expected) => *expected == file.git_blob,
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(bytes) => write!(f, "sha256 {}", hex(bytes)),
            Self::GitBlob(bytes) => write!(f, "git blob {}", hex(bytes)),
        }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Both hashes of one file, from one pass over it.
pub(crate) struct FileHash {
    pub(crate) sha256: [u8; 32],
    git_blob: [u8; 20],
}

/// The SHA-256 of a file in hexadecimal digits. `progress` gets the bytes read so far.
///
/// # Errors
/// [`StoreError`] when it cannot be read, and when `cancel` fires.
pub fn sha256(path: &Path, cancel: &CancelToken, mut progress: impl FnMut(u64)) -> Result<String, StoreError> {
    let mut done = 0;
    let block = |bytes| {
        done += bytes;
        progress(done);
    };
    Ok(hex(&FileHash::of(path, cancel, block)?.sha256))
}

/// The SHA-256 of bytes in hexadecimal digits.
#[must_use]
pub fn sha256_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

impl FileHash {
    /// Reads the whole file from disk; `progress` gets the bytes of each block. Observes `cancel` once per block of 256
    /// KiB.
    pub(crate) fn of(path: &Path, cancel: &CancelToken, mut progress: impl FnMut(u64)) -> Result<Self, StoreError> {
        let mut file = File::open(path).map_err(StoreError::io(path, "open"))?;
        let size = file.metadata().map_err(StoreError::io(path, "read"))?.len();
        let mut sha256 = Sha256::new();
        let mut git_blob = Sha1::new();
        git_blob.update(format!("blob {size}\0"));
        let mut block = vec![0; 256 << 10];
        loop {
            cancel.check()?;
            let read = file.read(&mut block).map_err(StoreError::io(path, "read"))?;
            if read == 0 {
                break;
            }
            sha256.update(&block[..read]);
            git_blob.update(&block[..read]);
            progress(read as u64);
        }
        Ok(Self { sha256: sha256.finalize().into(), git_blob: git_blob.finalize().into() })
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `N` bytes from `2 N` hexadecimal digits.
pub(crate) fn decode<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let digits = digits.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_hashes_equal_those_of_git_and_sha256sum() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hello");
        std::fs::write(&path, "hello\n").unwrap();
        let hash = FileHash::of(&path, &CancelToken::new(), |_| {}).unwrap();
        // printf 'hello\n' | git hash-object --stdin
        let git = Digest::from_hex("ce013625030ba8dba906f756967f9e9ca394464a").unwrap();
        // printf 'hello\n' | sha256sum
        let sha = Digest::from_hex("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03").unwrap();
        assert!(git.matches(&hash));
        assert!(sha.matches(&hash));
        assert!(!Digest::Sha256([0; 32]).matches(&hash));
    }

    #[test]
    fn only_forty_or_sixty_four_hexadecimal_digits_are_a_digest() {
        assert_eq!(Digest::from_hex(""), None);
        assert_eq!(Digest::from_hex(&"g".repeat(40)), None);
        assert_eq!(Digest::from_hex(&"ä".repeat(20)), None);
        assert_eq!(Digest::from_hex(&"ab".repeat(32)), Some(Digest::Sha256([0xab; 32])));
    }

    #[test]
    fn hashing_stops_when_cancelled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "x").unwrap();
        let cancel = CancelToken::new();
        cancel.cancel();
        assert!(matches!(FileHash::of(&path, &cancel, |_| {}), Err(StoreError::Cancelled(_))));
    }
}
