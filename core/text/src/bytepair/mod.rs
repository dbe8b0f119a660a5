//! Byte-pair encoding (Sennrich et al. 2016; references: tiktoken, Hugging Face tokenizers): the common part of the
//! vocabularies of GPT-2, Whisper, Llama 3, Qwen and similar models.
//!
//! Text is normalised and split into pieces by a [`PreTokenizer`]. Then the bytes of each piece, or its characters with
//! byte fallback, are merged by the vocabulary's rules. Models differ only in values, not in code: token ids, merge
//! rules (listed, or ranks that are ids), control tokens, pre-tokenizers. Sources: a Hugging Face `tokenizer.json`, and
//! the packed form of any vocabulary, which is used in place.

mod added;
mod alphabet;
mod compact;
mod hugging_face;
mod merging;
mod packed;
mod pre_tokenizer;
mod table;
mod tokenizer;
mod vocabulary;

pub use pre_tokenizer::{PreTokenizer, Split};
pub use table::SharedBytes;
pub use tokenizer::BytePairTokenizer;

pub(crate) use alphabet::{TOKEN_ORDER, append_bytes};
pub(crate) use hugging_face::{Vocab, builder, listed_merges, merges, pair, parse, preparation};
pub(crate) use merging::{Alphabet, Merges};
pub(crate) use tokenizer::{Prefix, Preparation};
pub(crate) use vocabulary::{Kind, MAX_TOKENS, Vocabulary, VocabularyBuilder};
