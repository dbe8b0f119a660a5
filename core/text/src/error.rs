//! Errors of vocabulary files. Messages name the file and the cause, never a user's text.

use std::path::PathBuf;

/// Why a vocabulary cannot be used. `file` is the path, or the caller's name for bytes in memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is larger than any vocabulary.
    #[error("{file}: {bytes} bytes or more, a vocabulary has at most {limit}; is this another kind of file?")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size, or the number of bytes at which reading stopped.
        bytes: u64,
        /// The maximum size.
        limit: u64,
    },
    /// The file is not JSON, or not the JSON of a tokenizer.
    #[error("{file}: not a tokenizer.json: {problem}; was it downloaded completely?")]
    Json {
        /// The file.
        file: String,
        /// Where it breaks, and why.
        problem: String,
    },
    /// A line of a text vocabulary is invalid.
    #[error("{file}: line {line}: {cause}")]
    Line {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// The file is valid but needs a setting that is not supported.
    #[error("{file}: {what}; {supported}")]
    Unsupported {
        /// The file.
        file: String,
        /// The setting and its value.
        what: String,
        /// What is supported instead.
        supported: &'static str,
    },
    /// The file is a valid tokenizer of another type.
    #[error("{file}: a tokenizer of type {kind}; a tokenizer.json is read for models of type BPE only")]
    Kind {
        /// The file.
        file: String,
        /// Its type, such as `Unigram` or `WordPiece`.
        kind: String,
    },
    /// A token id is beyond what any vocabulary has.
    #[error("{file}: token id {id}, the largest allowed is {limit}; is the file damaged?")]
    IdTooLarge {
        /// The file.
        file: String,
        /// The id.
        id: u64,
        /// The largest allowed id.
        limit: u32,
    },
    /// Two different tokens claim one id.
    #[error("{file}: token id {id} is given to two different tokens")]
    DuplicateId {
        /// The file.
        file: String,
        /// The id.
        id: u32,
    },
    /// One token is listed with two ids.
    #[error("{file}: token ids {first} and {second} stand for the same token")]
    DuplicateToken {
        /// The file.
        file: String,
        /// The id that came first.
        first: u32,
        /// The id that came later.
        second: u32,
    },
    /// A merge rule joins tokens that the vocabulary does not list.
    #[error("{file}: merge rule {index}: {cause}")]
    Merge {
        /// The file.
        file: String,
        /// Counted from 0.
        index: usize,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// A token that every Whisper model needs is missing.
    #[error("{file}: special token {token} is missing; is this the tokenizer of a Whisper model?")]
    MissingSpecial {
        /// The file.
        file: String,
        /// The token.
        token: &'static str,
    },
    /// Timestamp tokens are not a contiguous run of 0.02 s steps.
    #[error("{file}: timestamp token {token} does not follow the one before it in steps of 0.02 s")]
    Timestamps {
        /// The file.
        file: String,
        /// The id of the token that is out of place.
        token: u32,
    },
    /// The number of tokens does not match a Whisper model.
    #[error("{file}: {listed} tokens listed for a vocabulary of {vocabulary}; {expected}")]
    Size {
        /// The file.
        file: String,
        /// Tokens in the file.
        listed: usize,
        /// Vocabulary size in the model's header or configuration.
        vocabulary: usize,
        /// What is expected.
        expected: &'static str,
    },
    /// The packed vocabulary inside a model file is damaged.
    #[error("{file}: the packed vocabulary is damaged: {cause}; download the model or pack it again")]
    Packed {
        /// The file.
        file: String,
        /// What is wrong with it.
        cause: &'static str,
    },
}
