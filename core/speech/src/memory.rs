//! What a model needs before any of it is read.

use sotto_runtime::Bytes;

use crate::model::Dimensions;

/// Bytes that a loaded model and one transcription at a time hold at their peak.
///
/// Counts the f32 weights, the file's own pages while they are converted, the working memory of the encoder, the
/// cross-attention cache and the caches of five hypotheses.
pub(crate) fn estimate(dimensions: &Dimensions, bytes_on_disk: u64) -> Bytes {
    let &Dimensions { mels, audio_context, text_context, width, .. } = dimensions;
    let weights = weight_count(dimensions);
    let frames = dimensions.window_frames();
    // Input, padding, both convolutions; x, norm, q, k, v; one block of scores; one block of the feed-forward layer.
    let encoder = frames * mels * 3 + frames * width * 3 + audio_context * width * 5 + 128 * audio_context;
    let cross = 2 * dimensions.decoder_layers * audio_context * width;
    let hypotheses = 5 * (2 * dimensions.decoder_layers * text_context * width + 2 * dimensions.vocabulary);
    Bytes::of::<f32>(weights) + Bytes::of::<f32>(encoder + cross + hypotheses) + Bytes(bytes_on_disk)
}

fn weight_count(dimensions: &Dimensions) -> usize {
    let &Dimensions { mels, audio_context, text_context, width, vocabulary, .. } = dimensions;
    let attention = 4 * width * width + 5 * width;
    let ffn = |hidden: usize| 2 * width * hidden + hidden + 3 * width;
    let encoder = dimensions.encoder_layers * (attention + ffn(dimensions.encoder_ffn));
    let decoder = dimensions.decoder_layers * (2 * attention + ffn(dimensions.decoder_ffn));
    let stem = 3 * width * (mels + width) + 2 * width;
    stem + encoder + decoder + (audio_context + text_context + vocabulary + 4) * width
}
