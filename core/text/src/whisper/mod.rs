//! Whisper's tokenizer: byte-level byte-pair encoding with special tokens and timestamps
//! (Radford et al. 2022, §2.2; references: openai/whisper `tokenizer.py`, tiktoken, Hugging Face tokenizers).
//!
//! One engine, four sources: a Hugging Face `tokenizer.json`, the vocabulary of a whisper.cpp `ggml` file, OpenAI's
//! rank files, and the packed form of any of them, which is used where it lies. Special tokens are found by their
//! content wherever the source lists them, so small vocabularies with the same names work too. Loading tiny.en takes a
//! few milliseconds; a loaded tokenizer holds about 3 MB, is immutable and can be shared between threads.

mod bpe;
mod byte_alphabet;
mod compact;
mod hugging_face;
mod incremental;
mod languages;
mod openai;
mod packed;
mod pre_tokenize;
mod source;
mod special;
mod table;
mod tokenizer;
mod vocab_merges;
mod vocabulary;
mod words;

pub use incremental::IncrementalDecoder;
pub use languages::{LANGUAGES, Language, language};
pub use special::SpecialTokens;
pub use table::SharedBytes;
pub use tokenizer::WhisperTokenizer;
pub use vocab_merges::VocabMerges;
