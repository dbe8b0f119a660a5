//! Sizes and generation settings of a Whisper model, read from Hugging Face JSON or a ggml header.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sotto_nn::weights::WhisperHeader;

use crate::error::ConfigError;

/// Sizes of a Whisper network (Radford et al. 2022, table 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dimensions {
    /// Log-mel bins per frame: 80, or 128 from large-v3 on.
    pub mels: usize,
    /// Encoder positions of a full window; each covers two mel frames (20 ms). 1500 for OpenAI's models.
    pub audio_context: usize,
    /// Decoder positions. 448 for OpenAI's models.
    pub text_context: usize,
    /// Width of every hidden state.
    pub width: usize,
    /// Encoder blocks.
    pub encoder_layers: usize,
    /// Attention heads of an encoder block.
    pub encoder_heads: usize,
    /// Width of the encoder's feed-forward layer.
    pub encoder_ffn: usize,
    /// Decoder blocks.
    pub decoder_layers: usize,
    /// Attention heads of a decoder block.
    pub decoder_heads: usize,
    /// Width of the decoder's feed-forward layer.
    pub decoder_ffn: usize,
    /// Rows of the token embedding.
    pub vocabulary: usize,
    /// Whether the output layer is the token embedding, as in OpenAI's models; otherwise it has a matrix of its own.
    pub tied_output: bool,
}

// Limits well above large-v3 (1280 wide, 32 blocks), so that a hostile header cannot request more than a phone has.
const MAX_WIDTH: usize = 4096;
const MAX_LAYERS: usize = 128;
const MAX_CONTEXT: usize = 16_384;
const MAX_VOCABULARY: usize = 1 << 20;

// Start of transcript, language, task, no timestamps, start of previous text and some text: less cannot decode
// anything.
const MIN_TEXT_CONTEXT: usize = 16;

impl Dimensions {
    /// Mel frames of a full window (3000 for OpenAI's models).
    #[must_use]
    pub fn window_frames(&self) -> usize {
        self.audio_context * 2
    }

    /// Checks that the sizes are consistent and supported.
    fn checked(self) -> Result<Self, ConfigError> {
        let fields = [
            ("max_source_positions", self.audio_context, MAX_CONTEXT),
            ("max_target_positions", self.text_context, MAX_CONTEXT),
            ("d_model", self.width, MAX_WIDTH),
            ("encoder_layers", self.encoder_layers, MAX_LAYERS),
            ("encoder_attention_heads", self.encoder_heads, self.width),
            ("encoder_ffn_dim", self.encoder_ffn, MAX_WIDTH * 8),
            ("decoder_layers", self.decoder_layers, MAX_LAYERS),
            ("decoder_attention_heads", self.decoder_heads, self.width),
            ("decoder_ffn_dim", self.decoder_ffn, MAX_WIDTH * 8),
            ("vocab_size", self.vocabulary, MAX_VOCABULARY),
        ];
        for (field, value, limit) in fields {
            let least = if field == "max_target_positions" { MIN_TEXT_CONTEXT } else { 1 };
            if value < least || value > limit {
                return Err(ConfigError::OutOfRange { field, value, least, limit });
            }
        }
        // The numbers of bins that `LogMel` supports.
        if !matches!(self.mels, 80 | 128) {
            return Err(ConfigError::MelBins { found: self.mels });
        }
        for (field, heads) in
            [("encoder_attention_heads", self.encoder_heads), ("decoder_attention_heads", self.decoder_heads)]
        {
            if !self.width.is_multiple_of(heads) {
                return Err(ConfigError::Heads { field, heads, width: self.width });
            }
        }
        Ok(self)
    }

    /// Sizes from the text of a Hugging Face `config.json`.
    ///
    /// # Errors
    /// When it is not the JSON of a Whisper model, or its sizes are not supported.
    pub fn from_config_json(json: &[u8]) -> Result<Self, ConfigError> {
        let config: ConfigJson = serde_json::from_slice(json).map_err(ConfigError::json("config.json"))?;
        if config.model_type != "whisper" {
            return Err(ConfigError::NotWhisper { model_type: config.model_type.chars().take(40).collect() });
        }
        Self {
            mels: config.num_mel_bins,
            audio_context: config.max_source_positions,
            text_context: config.max_target_positions,
            width: config.d_model,
            encoder_layers: config.encoder_layers,
            encoder_heads: config.encoder_attention_heads,
            encoder_ffn: config.encoder_ffn_dim,
            decoder_layers: config.decoder_layers,
            decoder_heads: config.decoder_attention_heads,
            decoder_ffn: config.decoder_ffn_dim,
            vocabulary: config.vocab_size,
            tied_output: config.tie_word_embeddings.unwrap_or(true),
        }
        .checked()
    }

    /// The sizes as the text of a `config.json`, as [`from_config_json`](Self::from_config_json) reads it.
    #[must_use]
    pub(crate) fn to_config_json(&self) -> String {
        json!({
            "model_type": "whisper",
            "num_mel_bins": self.mels,
            "max_source_positions": self.audio_context,
            "max_target_positions": self.text_context,
            "d_model": self.width,
            "encoder_layers": self.encoder_layers,
            "encoder_attention_heads": self.encoder_heads,
            "encoder_ffn_dim": self.encoder_ffn,
            "decoder_layers": self.decoder_layers,
            "decoder_attention_heads": self.decoder_heads,
            "decoder_ffn_dim": self.decoder_ffn,
            "vocab_size": self.vocabulary,
            "tie_word_embeddings": self.tied_output,
        })
        .to_string()
    }

    /// Sizes from the header of a whisper.cpp file.
    ///
    /// # Errors
    /// When the sizes in the header are not supported.
    pub fn from_ggml(header: &WhisperHeader) -> Result<Self, ConfigError> {
        if header.n_text_state != header.n_audio_state {
            return Err(ConfigError::Widths { encoder: header.n_audio_state, decoder: header.n_text_state });
        }
        Self {
            mels: header.n_mels,
            audio_context: header.n_audio_ctx,
            text_context: header.n_text_ctx,
            width: header.n_audio_state,
            encoder_layers: header.n_audio_layer,
            encoder_heads: header.n_audio_head,
            encoder_ffn: header.n_audio_state.saturating_mul(4),
            decoder_layers: header.n_text_layer,
            decoder_heads: header.n_text_head,
            decoder_ffn: header.n_text_state.saturating_mul(4),
            vocabulary: header.n_vocab,
            tied_output: true,
        }
        .checked()
    }
}

#[derive(Deserialize)]
struct ConfigJson {
    model_type: String,
    num_mel_bins: usize,
    max_source_positions: usize,
    max_target_positions: usize,
    d_model: usize,
    encoder_layers: usize,
    encoder_attention_heads: usize,
    encoder_ffn_dim: usize,
    decoder_layers: usize,
    decoder_attention_heads: usize,
    decoder_ffn_dim: usize,
    vocab_size: usize,
    tie_word_embeddings: Option<bool>,
}

/// Generation settings that come with a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(default)]
pub struct GenerationConfig {
    /// Tokens that are never sampled; by default the reference's list of non-speech symbols.
    pub suppress_tokens: Option<Vec<i64>>,
    /// Tokens that cannot be first: a space and the end of the text.
    pub begin_suppress_tokens: Option<Vec<i64>>,
    /// `(layer, head)` pairs of cross-attention that follow the audio.
    pub alignment_heads: Option<Vec<(usize, usize)>>,
    /// Highest first timestamp, in steps of 20 ms.
    pub max_initial_timestamp_index: Option<usize>,
    /// Whether the model writes timestamps unless told otherwise.
    pub return_timestamps: bool,
    /// Whether language and task are part of the prompt; by default the vocabulary decides.
    pub is_multilingual: Option<bool>,
}

impl GenerationConfig {
    /// Reads the text of a Hugging Face `generation_config.json`.
    ///
    /// # Errors
    /// When it is not valid JSON of that form.
    pub fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        serde_json::from_slice(json).map_err(ConfigError::json("generation_config.json"))
    }

    /// Alignment heads that exist in a network of these sizes.
    ///
    /// Without a list: every head of the upper half of the decoder, as openai/whisper does for unknown models.
    ///
    /// # Errors
    /// When the list names a head that the network does not have.
    pub fn alignment_heads(&self, dimensions: &Dimensions) -> Result<Vec<(usize, usize)>, ConfigError> {
        let (layers, heads) = (dimensions.decoder_layers, dimensions.decoder_heads);
        match &self.alignment_heads {
            Some(list) if !list.is_empty() => match list.iter().find(|&&(l, h)| l >= layers || h >= heads) {
                Some(&(layer, head)) => Err(ConfigError::AlignmentHead { layer, head, layers, heads }),
                None => Ok(list.clone()),
            },
            _ => Ok((layers / 2..layers).flat_map(|layer| (0..heads).map(move |head| (layer, head))).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = r#"{"model_type":"whisper","num_mel_bins":80,"max_source_positions":1500,
        "max_target_positions":448,"d_model":384,"encoder_layers":4,"encoder_attention_heads":6,
        "encoder_ffn_dim":1536,"decoder_layers":4,
        "decoder_attention_heads":6,"decoder_ffn_dim":1536,"vocab_size":51864}"#;

    #[test]
    fn sizes_are_read_from_config_json() {
        let tiny = Dimensions::from_config_json(TINY.as_bytes()).unwrap();
        assert_eq!((tiny.width, tiny.window_frames(), tiny.vocabulary), (384, 3000, 51864));
        assert!(tiny.tied_output);
        for tied_output in [true, false] {
            let sizes = Dimensions { tied_output, ..tiny.clone() };
            assert_eq!(Dimensions::from_config_json(sizes.to_config_json().as_bytes()).unwrap(), sizes);
        }
    }

    #[test]
    fn impossible_sizes_are_refused_with_the_field() {
        for (from, to, field) in [
            ("\"d_model\":384", "\"d_model\":99999999999", "d_model"),
            ("\"encoder_layers\":4", "\"encoder_layers\":0", "encoder_layers"),
            ("\"max_target_positions\":448", "\"max_target_positions\":4", "max_target_positions"),
            ("\"encoder_attention_heads\":6", "\"encoder_attention_heads\":7", "encoder_attention_heads"),
        ] {
            let error = Dimensions::from_config_json(TINY.replace(from, to).as_bytes()).unwrap_err();
            assert!(error.to_string().contains(field), "{error}");
        }
        assert!(Dimensions::from_config_json(b"{\"model_type\":\"bert\"}").is_err());
        assert!(Dimensions::from_config_json(TINY.replace("\"whisper\"", "\"bert\"").as_bytes()).is_err());
    }

    #[test]
    fn the_mel_bins_are_those_that_features_are_made_of() {
        for mels in 0..=520 {
            let config = TINY.replace("\"num_mel_bins\":80", &format!("\"num_mel_bins\":{mels}"));
            match (Dimensions::from_config_json(config.as_bytes()), sotto_audio::LogMel::new(mels)) {
                (Ok(_), Ok(_)) => {}
                (Err(error @ ConfigError::MelBins { .. }), Err(_)) => {
                    assert!(error.to_string().contains(&format!("{mels}; Whisper models have 80")), "{error}");
                }
                other => panic!("{mels}: {other:?}"),
            }
        }
    }

    #[test]
    fn alignment_heads_default_to_the_upper_half_and_must_exist() {
        let tiny = Dimensions::from_config_json(TINY.as_bytes()).unwrap();
        assert_eq!(GenerationConfig::default().alignment_heads(&tiny).unwrap().len(), 12);
        let listed = GenerationConfig::from_json(br#"{"alignment_heads":[[1,0],[3,5]]}"#).unwrap();
        assert_eq!(listed.alignment_heads(&tiny).unwrap(), [(1, 0), (3, 5)]);
        let absent = GenerationConfig::from_json(br#"{"alignment_heads":[[4,0]]}"#).unwrap();
        assert!(absent.alignment_heads(&tiny).is_err());
    }
}
