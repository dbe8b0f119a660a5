//! SentencePiece's BPE of characters in a `tokenizer.json`: a space is written as `▁`, and a character without a
//! token as its bytes, such as `<0x0A>`. Here tokens contain real spaces, so that the bytes of tokens are the text.

use std::borrow::Cow;

use super::super::merging::Alphabet;
use super::super::pre_tokenizer::PreTokenizer;
use super::super::tokenizer::{Prefix, Preparation, SPACE_SIGN};
use super::super::vocabulary::{Kind, VocabularyBuilder};
use super::json::Step;
use super::shortened;
use crate::TextError;

const SIGN: &str = "▁";

/// How text is prepared, or the first setting that is not supported.
pub(super) fn preparation(
    normalizer: Option<&Step<'_>>,
    pre_tokenizer: Option<&Step<'_>>,
    decoder: Option<&Step<'_>>,
) -> Result<Preparation, String> {
    let normalizers = normalizer.map_or(&[][..], |step| step.in_turn(&step.normalizers));
    let mut prefix = Prefix::Never;
    let mut replaced = false;
    for step in normalizers {
        match &*step.kind {
            "Prepend" if step.prepend.as_deref() == Some(SIGN) && !replaced => prefix = Prefix::Always,
            "Replace" if string(step) == Some(" ") && step.content.as_deref() == Some(SIGN) => replaced = true,
            kind => return Err(format!("normalizer {} beside byte_fallback", shortened(kind))),
        }
    }
    match pre_tokenizer {
        None => {}
        // No space is left to split at.
        Some(step) if step.kind == "Split" && string(step) == Some(" ") && replaced => {}
        Some(step) if step.kind == "Metaspace" && normalizers.is_empty() => {
            if step.split || step.replacement.as_deref() != Some(SIGN) {
                return Err("pre-tokenizer Metaspace that splits at spaces, or has another sign for them".to_owned());
            }
            replaced = true;
            prefix = match step.prepend_scheme.as_deref() {
                Some("always") => Prefix::UnlessSpace,
                Some("first") => Prefix::FirstUnlessSpace,
                Some("never") => Prefix::Never,
                scheme => return Err(format!("prepend_scheme {}", shortened(scheme.unwrap_or("missing")))),
            };
        }
        Some(step) => return Err(format!("pre-tokenizer {} beside byte_fallback", shortened(&step.kind))),
    }
    if !replaced {
        return Err("byte_fallback without ▁ for spaces".to_owned());
    }
    let decoders = decoder.map_or(&[][..], |step| &step.decoders.0);
    let strips = |step: &Step<'_>| step.kind == "Strip" && step.content.as_deref() == Some(" ") && step.start > 0;
    Ok(Preparation {
        nfc: false,
        prefix,
        alphabet: Alphabet::Characters,
        strips_space: decoders.iter().any(strips),
        pre_tokenizer: PreTokenizer::default(),
    })
}

fn string<'s>(step: &'s Step<'_>) -> Option<&'s str> {
    step.pattern.as_ref()?.string.as_deref()
}

/// Collects the tokens of the model itself, without added tokens.
pub(super) fn builder(
    name: &str,
    vocab: &[(Cow<'_, str>, u64)],
    supported: &'static str,
) -> Result<VocabularyBuilder, TextError> {
    let mut builder = VocabularyBuilder::default();
    for (token, id) in vocab {
        if token.contains(' ') {
            let what = format!("token {id} with a space, where spaces are ▁");
            return Err(TextError::Unsupported { file: name.to_owned(), what, supported });
        }
        match byte(token) {
            Some(byte) => builder.insert(name, *id, &[byte], Kind::Byte)?,
            None => builder.insert(name, *id, content(token).as_bytes(), Kind::Text)?,
        }
    }
    Ok(builder)
}

/// The text of a token.
pub(super) fn content(token: &str) -> Cow<'_, str> {
    if token.contains(SPACE_SIGN) { token.replace(SPACE_SIGN, " ").into() } else { token.into() }
}

/// The byte of a token such as `<0x0A>`.
fn byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    let upper = |digit: u8| digit.is_ascii_digit() || (b'A'..=b'F').contains(&digit);
    (digits.len() == 2 && digits.bytes().all(upper)).then(|| u8::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_in_capitals() {
        assert_eq!((byte("<0x0A>"), byte("<0xFF>"), byte("<0x00>")), (Some(10), Some(255), Some(0)));
        for token in ["<0x0a>", "<0x+1>", "<0x1>", "<0x100>", "0x0A", "<0xé>", "<0x>"] {
            assert_eq!(byte(token), None, "{token}");
        }
    }
}
