//! Whisper's tokenizer: byte pairs (`bytepair`) with Whisper's control tokens, languages and timestamps
//! (Radford et al. 2022, §2.2; references: openai/whisper `tokenizer.py`, tiktoken, Hugging Face tokenizers).
//!
//! Four sources: a Hugging Face `tokenizer.json`, the vocabulary of a whisper.cpp `ggml` file, OpenAI's rank files, and
//! the packed form of any of them, which is used in place. If the source lists special tokens, they are found by name,
//! so small vocabularies with the same names work too. Loading tiny.en takes a few milliseconds. A loaded tokenizer
//! takes about 3 MB, is immutable and can be shared between threads.

mod hugging_face;
mod languages;
mod openai;
mod special;
mod tokenizer;
mod vocab_merges;
mod words;

pub use languages::{LANGUAGES, Language, language};
pub use special::SpecialTokens;
pub use tokenizer::WhisperTokenizer;
pub use vocab_merges::VocabMerges;
