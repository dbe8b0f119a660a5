//! Identity of a model's content, without reading its weights every time.
//!
//! A source is identified by the SHA-256 of all files that can matter to a loader. Computing it reads all files, so the
//! result is stored together with the metadata of each file (length, times, inode) and a hash of samples of its
//! content. While these do not change, the files are not read again. A file that was written within the resolution of
//! its time stamps could change again without a new time stamp: then the result is stored but not trusted, like git
//! with files that are newer than its index.

use std::fs::{self, File, Metadata};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sotto_runtime::CancelToken;

use super::disk::{create_folder, read_small, write_small};
use super::error::CacheError;

/// Increases when the stored data, or what is hashed, changes.
const VERSION: u32 = 1;

/// Files up to this size in bytes are sampled completely.
const SMALL: u64 = 64 << 10;
/// Number of sampled blocks of larger files, including the first and the last.
const SAMPLES: u64 = 16;
const SAMPLE: u64 = 4 << 10;

/// Bytes between two polls of the cancellation token.
const BLOCK: usize = 1 << 20;

/// Resolution of time stamps with fractions of a second.
const FINE: Duration = Duration::from_millis(50);
/// Resolution of time stamps without fractions: FAT has steps of two seconds.
const COARSE: Duration = Duration::from_millis(2100);

/// The identity of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    path: PathBuf,
    memo: Memo,
}

/// The stored record of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Memo {
    version: u32,
    /// Path of the source, lossily as text.
    path: String,
    files: Vec<Stamp>,
    /// When the files were stamped.
    read_at: Time,
    /// SHA-256 of everything.
    content: String,
    /// SHA-256 of the weights, if they are one file.
    weights: Option<String>,
    /// Length of its packed model.
    packed_bytes: Option<u64>,
}

/// Metadata that shows whether a file has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    name: String,
    length: u64,
    modified: Time,
    /// Change time of the inode: unlike the modification time, programs cannot set it.
    changed: Option<Time>,
    /// Device and inode.
    place: Option<(u64, u64)>,
    /// Hash of samples of the content.
    sample: String,
}

/// Time since the epoch; zero for earlier times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Time {
    seconds: u64,
    nanoseconds: u32,
}

impl Time {
    fn of(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { seconds: since.as_secs(), nanoseconds: since.subsec_nanos() }
    }

    fn duration(self) -> Duration {
        Duration::new(self.seconds, self.nanoseconds)
    }

    /// Whether a write at `now` could get the same time stamp.
    fn may_be_that_of(self, now: Self) -> bool {
        let window = if self.nanoseconds == 0 { COARSE } else { FINE };
        self.duration().abs_diff(now.duration()) < window
    }
}

/// The folder of stored records.
pub(super) fn folder(cache: &Path) -> PathBuf {
    cache.join("sources")
}

/// 32 hexadecimal digits of SHA-256.
pub(super) fn short_hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)[..16])
}

impl Identity {
    /// The identity of the source at `path`. Reads all of it if there is no valid record in `cache`; `read` gets the
    /// bytes read so far and the total.
    pub(super) fn of(
        path: &Path,
        cache: &Path,
        read: &dyn Fn(u64, u64),
        cancel: &CancelToken,
    ) -> Result<Self, CacheError> {
        let path = fs::canonicalize(path).map_err(CacheError::io(path, "find"))?;
        let files = files_of(&path)?;
        let read_at = Time::of(SystemTime::now());
        let stamps = stamps(&files)?;
        let known = read_small(&memo_file(cache, &path)).and_then(|json| serde_json::from_slice::<Memo>(&json).ok());
        if let Some(memo) = known.filter(|memo| memo.speaks_of(&path, &stamps)) {
            return Ok(Self { path, memo });
        }
        let hashes = Hashes::of(&files, read, cancel)?;
        if let Some(file) = changed(&files, &stamps, &self::stamps(&files)?) {
            return Err(CacheError::Changed { path: file.to_owned() });
        }
        let Hashes { content, weights } = hashes;
        let shown = path.to_string_lossy().into_owned();
        let memo = Memo { version: VERSION, path: shown, files: stamps, read_at, content, weights, packed_bytes: None };
        let identity = Self { path, memo };
        identity.keep(cache, None);
        Ok(identity)
    }

    /// Stores the record, with the length of the packed model. If the cache cannot be written, later loads only take
    /// longer.
    pub(super) fn keep(&self, cache: &Path, packed_bytes: Option<u64>) {
        let memo = Memo { packed_bytes: packed_bytes.or(self.memo.packed_bytes), ..self.memo.clone() };
        if let Ok(json) = serde_json::to_vec(&memo)
            && create_folder(&folder(cache)).is_ok()
        {
            let _ = write_small(&memo_file(cache, &self.path), &json);
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Hash of the source's content, in hexadecimal digits.
    pub(super) fn content(&self) -> &str {
        &self.memo.content
    }

    /// SHA-256 of the weights, if they are one file.
    pub(super) fn weights(&self) -> Option<&str> {
        self.memo.weights.as_deref()
    }

    /// Length of its last packed model.
    pub(super) fn packed_bytes(&self) -> Option<u64> {
        self.memo.packed_bytes
    }
}

impl Memo {
    /// Whether the record is valid for files with these stamps.
    fn speaks_of(&self, path: &Path, stamps: &[Stamp]) -> bool {
        let time = |stamp: &Stamp| stamp.changed.unwrap_or(stamp.modified);
        self.version == VERSION
            && self.path == path.to_string_lossy()
            && self.files == stamps
            && !stamps.iter().any(|stamp| time(stamp).may_be_that_of(self.read_at))
    }
}

fn memo_file(cache: &Path, path: &Path) -> PathBuf {
    folder(cache).join(format!("{}.json", short_hash(path.as_os_str().as_encoded_bytes())))
}

/// The files that a loader may read, ordered by name. Includes more than any one loader reads; extra files only cost
/// time.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, CacheError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let single = path.join("model.safetensors").is_file();
    let matters = |file: &PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        // The store's own manifest, which includes the date.
        let is_manifest = name == "sotto.json";
        let is_weights = extension == "safetensors" && (!single || name == "model.safetensors");
        (is_weights || matches!(extension, "json" | "txt" | "tiktoken" | "model"))
            && !is_manifest
            && !name.starts_with('.')
            && file.is_file()
    };
    let mut files: Vec<PathBuf> = super::disk::files_in(path)?.into_iter().filter(matters).collect();
    files.sort();
    Ok(files)
}

fn stamps(files: &[PathBuf]) -> Result<Vec<Stamp>, CacheError> {
    files.iter().map(|file| stamp(file)).collect()
}

fn stamp(path: &Path) -> Result<Stamp, CacheError> {
    let io = || CacheError::io(path, "read");
    let mut file = File::open(path).map_err(io())?;
    let metadata = file.metadata().map_err(io())?;
    let length = metadata.len();
    let mut hash = Sha256::new();
    if length <= SMALL {
        let mut bytes = Vec::new();
        file.take(SMALL).read_to_end(&mut bytes).map_err(io())?;
        hash.update(&bytes);
    } else {
        let mut sample = [0; SAMPLE as usize];
        for index in 0..SAMPLES {
            file.seek(SeekFrom::Start((length - SAMPLE) * index / (SAMPLES - 1))).map_err(io())?;
            file.read_exact(&mut sample).map_err(io())?;
            hash.update(sample);
        }
    }
    Ok(Stamp {
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        length,
        modified: metadata.modified().map_or(Time { seconds: 0, nanoseconds: 0 }, Time::of),
        changed: changed_at(&metadata),
        place: place(&metadata),
        sample: hex(&hash.finalize()),
    })
}

#[cfg(unix)]
fn changed_at(metadata: &Metadata) -> Option<Time> {
    use std::os::unix::fs::MetadataExt;
    Some(Time {
        seconds: u64::try_from(metadata.ctime()).unwrap_or_default(),
        nanoseconds: u32::try_from(metadata.ctime_nsec()).unwrap_or_default(),
    })
}

#[cfg(unix)]
fn place(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn changed_at(_: &Metadata) -> Option<Time> {
    None
}

#[cfg(not(unix))]
fn place(_: &Metadata) -> Option<(u64, u64)> {
    None
}

/// The first file whose stamp has changed.
fn changed<'f>(files: &'f [PathBuf], before: &[Stamp], after: &[Stamp]) -> Option<&'f Path> {
    let pairs = files.iter().zip(before.iter().zip(after));
    pairs.filter(|(_, (before, after))| before != after).map(|(file, _)| file.as_path()).next()
}

/// Hashes of the files' contents.
struct Hashes {
    content: String,
    weights: Option<String>,
}

impl Hashes {
    fn of(files: &[PathBuf], read: &dyn Fn(u64, u64), cancel: &CancelToken) -> Result<Self, CacheError> {
        let total = files.iter().filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum();
        let (mut all, mut weights, mut done) = (Sha256::new(), Vec::new(), 0);
        let mut block = vec![0; BLOCK];
        for path in files {
            let io = || CacheError::io(path, "read");
            let (mut file, mut hash) = (File::open(path).map_err(io())?, Sha256::new());
            loop {
                cancel.check().map_err(CacheError::Cancelled)?;
                let length = match file.read(&mut block) {
                    Ok(0) => break,
                    Ok(length) => length,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(io()(error)),
                };
                hash.update(&block[..length]);
                done += length as u64;
                read(done, total);
            }
            let (name, hash) = (path.file_name().unwrap_or_default().as_encoded_bytes(), hash.finalize());
            // The name of a single file does not matter, only its content.
            let name = if files.len() > 1 { name } else { &[] };
            all.update((name.len() as u64).to_le_bytes());
            all.update(name);
            all.update(&hash[..]);
            if files.len() == 1 || path.extension().is_some_and(|extension| extension == "safetensors") {
                weights.push(hex(&hash));
            }
        }
        let only = weights.len() == 1;
        Ok(Self { content: hex(&all.finalize()), weights: weights.pop().filter(|_| only) })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: u64, nanoseconds: u32) -> Time {
        Time { seconds, nanoseconds }
    }

    #[test]
    fn a_write_within_the_resolution_of_time_stamps_could_go_unnoticed() {
        let fine = time(100, 500_000_000);
        for (now, may_be) in [
            (time(100, 500_000_000), true),
            (time(100, 549_000_000), true),
            (time(100, 551_000_000), false),
            (time(200, 500_000_000), false),
            // The clock of another machine, or a clock that was set back.
            (time(100, 460_000_000), true),
            (time(50, 0), false),
        ] {
            assert_eq!(fine.may_be_that_of(now), may_be, "{now:?}");
        }
        let coarse = time(100, 0);
        assert!(coarse.may_be_that_of(time(102, 0)) && !coarse.may_be_that_of(time(102, 200_000_000)));
    }

    #[test]
    fn what_is_kept_is_relied_on_only_where_a_further_write_would_show() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.bin");
        fs::write(&file, vec![7; 200_000]).unwrap();
        let (cache, cancel) = (folder.path().join("cache"), CancelToken::new());
        let identity = Identity::of(&file, &cache, &|_, _| {}, &cancel).unwrap();
        let (mut memo, stamps) = (identity.memo.clone(), stamps(std::slice::from_ref(&file)).unwrap());
        let written = stamps[0].changed.unwrap_or(stamps[0].modified);
        memo.read_at = Time { seconds: written.seconds + 10, ..written };
        assert!(memo.speaks_of(identity.path(), &stamps));
        memo.read_at = written;
        assert!(!memo.speaks_of(identity.path(), &stamps));
        // Every part of a stamp matters, and so do version and path.
        memo.read_at.seconds += 10;
        let others: [fn(&mut Memo); 8] = [
            |memo| memo.version += 1,
            |memo| memo.path.push('x'),
            |memo| memo.files[0].name.push('x'),
            |memo| memo.files[0].length += 1,
            |memo| memo.files[0].modified.nanoseconds += 1,
            |memo| memo.files[0].place = Some((1, 2)),
            |memo| memo.files[0].sample.push('0'),
            |memo| memo.files.clear(),
        ];
        for (index, change) in others.into_iter().enumerate() {
            let mut other = memo.clone();
            change(&mut other);
            assert!(!other.speaks_of(identity.path(), &stamps), "{index}");
        }
        assert!(memo.speaks_of(identity.path(), &stamps));
    }

    #[test]
    fn files_of_any_length_are_sampled_within_their_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.bin");
        let mut seen = std::collections::BTreeSet::new();
        for (fill, length) in [0, 1, SMALL - 1, SMALL, SMALL + 1, SMALL + SAMPLE, 1 << 20].into_iter().enumerate() {
            // Longer files differ in their length, which is not part of the sample.
            let mut bytes = vec![10 * fill as u8; length as usize];
            fs::write(&file, &bytes).unwrap();
            assert!(seen.insert(stamp(&file).unwrap().sample), "{length}");
            for at in [0, length.saturating_sub(1)] {
                if let Some(byte) = bytes.get_mut(at as usize) {
                    *byte += 1;
                    fs::write(&file, &bytes).unwrap();
                    assert!(seen.insert(stamp(&file).unwrap().sample), "{length}: the ends are always looked at");
                }
            }
        }
    }

    #[test]
    fn the_hash_tells_names_and_contents_apart() {
        let folder = tempfile::tempdir().unwrap();
        let content = |files: &[(&str, &str)]| {
            let model = tempfile::tempdir_in(&folder).unwrap();
            files.iter().for_each(|(name, text)| fs::write(model.path().join(name), text).unwrap());
            let cache = model.path().join(".cache");
            Identity::of(model.path(), &cache, &|_, _| {}, &CancelToken::new()).unwrap().content().to_owned()
        };
        let one = content(&[("config.json", "ab"), ("model.safetensors", "c")]);
        assert_eq!(one, content(&[("config.json", "ab"), ("model.safetensors", "c"), (".hidden.json", "x")]));
        assert_eq!(one, content(&[("config.json", "ab"), ("model.safetensors", "c"), ("other.safetensors", "x")]));
        for other in [
            &[("config.json", "a"), ("model.safetensors", "bc")][..],
            &[("generation_config.json", "ab"), ("model.safetensors", "c")],
            &[("config.json", "ab"), ("model-1.safetensors", "c")],
            &[("config.json", "ab"), ("model.safetensors", "c"), ("merges.txt", "")],
        ] {
            assert_ne!(one, content(other), "{other:?}");
        }
    }
}
