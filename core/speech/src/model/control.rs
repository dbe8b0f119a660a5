//! Checks a model's settings for control tokens against its vocabulary.
//!
//! Settings and vocabulary are separate files, and repositories and converters sometimes mix them: an English-only
//! vocabulary with multilingual weights gives fluent nonsense. Contradictions are refused.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use sotto_text::Tokenizer;
use sotto_text::whisper::{WhisperTokenizer, language};

use super::Dimensions;
use crate::error::ConfigError;

/// The control tokens in the settings of a Hugging Face folder. The default has none.
#[derive(Debug, Default)]
pub(super) struct ControlTokens {
    /// File, field, name of the token and its id.
    stated: Vec<(&'static str, &'static str, &'static str, u32)>,
    /// Ids in `eos_token_id`, and their file.
    ends: Option<(&'static str, Vec<u32>)>,
    languages: BTreeMap<String, u32>,
    is_multilingual: bool,
}

// Fields may have any type: those that are not numbers are ignored.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Fields {
    decoder_start_token_id: Value,
    eos_token_id: Value,
    no_timestamps_token_id: Value,
    prev_sot_token_id: Value,
    lang_to_id: Value,
    task_to_id: Value,
    is_multilingual: Value,
}

const CONFIG: &str = "config.json";
const GENERATION_CONFIG: &str = "generation_config.json";

impl ControlTokens {
    /// Reads the texts of both files, which are JSON objects. If both name a token, the generation settings win.
    pub(super) fn read(config: &[u8], generation: Option<&[u8]>, dimensions: &Dimensions) -> Result<Self, ConfigError> {
        let parse = |json, file| serde_json::from_slice::<Fields>(json).map_err(ConfigError::json(file));
        let config = parse(config, CONFIG)?;
        let generation = generation.map(|json| parse(json, GENERATION_CONFIG)).transpose()?.unwrap_or_default();
        let mut tokens = Self { is_multilingual: generation.is_multilingual == Value::Bool(true), ..Self::default() };
        // Configurations are often copied, so an id beyond the network's embedding is ignored.
        let number = |value: &Value| {
            let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
            number.filter(|&number| (number as usize) < dimensions.vocabulary)
        };
        for (file, fields) in [(CONFIG, &config), (GENERATION_CONFIG, &generation)] {
            let task = |task: &str| fields.task_to_id.get(task).and_then(number);
            let stated = [
                ("decoder_start_token_id", "<|startoftranscript|>", number(&fields.decoder_start_token_id)),
                ("no_timestamps_token_id", "<|notimestamps|>", number(&fields.no_timestamps_token_id)),
                ("prev_sot_token_id", "<|startofprev|>", number(&fields.prev_sot_token_id)),
                ("task_to_id", "<|transcribe|>", task("transcribe")),
                ("task_to_id", "<|translate|>", task("translate")),
            ];
            for (field, token, number) in stated {
                if let Some(number) = number {
                    tokens.stated.retain(|&(_, _, known, _)| known != token);
                    tokens.stated.push((file, field, token, number));
                }
            }
            let ends: Vec<u32> = match &fields.eos_token_id {
                Value::Array(several) => several.iter().filter_map(number).collect(),
                one => number(one).into_iter().collect(),
            };
            if !ends.is_empty() {
                tokens.ends = Some((file, ends));
            }
        }
        let languages = generation.lang_to_id.as_object().into_iter().flatten();
        tokens.languages = languages.filter_map(|(token, id)| Some((token.clone(), number(id)?))).collect();
        Ok(tokens)
    }

    /// The tokenizer, with timestamps added if its file omits them.
    ///
    /// # Errors
    /// [`ConfigError`] for contradictions between settings and vocabulary.
    pub(super) fn apply(
        &self,
        tokenizer: WhisperTokenizer,
        dimensions: &Dimensions,
    ) -> Result<WhisperTokenizer, ConfigError> {
        // A timestamp for each position of the encoder, and one for the end.
        let tokenizer = tokenizer.with_timestamps(dimensions.vocabulary, dimensions.audio_context + 1);
        self.check(&tokenizer, dimensions)?;
        Ok(tokenizer)
    }

    fn check(&self, tokenizer: &WhisperTokenizer, dimensions: &Dimensions) -> Result<(), ConfigError> {
        let special = tokenizer.special();
        let contradiction = |file, field, token: &str, stated, found| {
            Err(ConfigError::ControlToken { file, field, token: token.to_owned(), stated, found })
        };
        for &(file, field, token, stated) in &self.stated {
            let found = match token {
                "<|startoftranscript|>" => Some(special.sot),
                "<|notimestamps|>" => special.no_timestamps,
                "<|startofprev|>" => special.sot_prev,
                "<|transcribe|>" => special.transcribe,
                _ => special.translate,
            };
            if found.is_some_and(|found| found != stated) {
                return contradiction(file, field, token, stated, found);
            }
        }
        if let Some((file, ends)) = &self.ends
            && !ends.contains(&special.eot)
        {
            let stated = ends.first().copied().unwrap_or_default();
            return contradiction(file, "eos_token_id", "<|endoftext|>", stated, Some(special.eot));
        }
        for (token, &stated) in &self.languages {
            let code = token.trim_start_matches("<|").trim_end_matches("|>");
            // A language unknown to Whisper comes from fine-tuning and cannot be checked.
            let Some(language) = language(code) else { continue };
            let found = tokenizer.language_token(language.code);
            if found.is_some_and(|found| found != stated) {
                return contradiction(
                    GENERATION_CONFIG,
                    "lang_to_id",
                    &format!("<|{}|>", language.code),
                    stated,
                    found,
                );
            }
        }
        if self.is_multilingual && (tokenizer.languages().is_empty() || special.transcribe.is_none()) {
            return Err(ConfigError::NoLanguages);
        }
        let (listed, vocabulary) = (tokenizer.vocab_size(), dimensions.vocabulary);
        if listed != vocabulary && OPENAI_SIZES.contains(&listed) && OPENAI_SIZES.contains(&vocabulary) {
            return Err(ConfigError::OtherVocabulary { listed, vocabulary });
        }
        Ok(())
    }
}

// OpenAI's vocabularies: English-only, multilingual, and with Cantonese. None is a prefix of another.
const OPENAI_SIZES: [usize; 3] = [51_864, 51_865, 51_866];
