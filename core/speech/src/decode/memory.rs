//! Memory that decoding reuses from window to window, so that an hour of live audio allocates it once.

use sotto_kernels::softmax;
use sotto_nn::search::{Hypotheses, SearchMemory};
use sotto_runtime::{CancelToken, Cancelled};

use super::compression::Compressor;
use super::prompt::Prompt;

/// Buffers of decoding, reused from window to window.
#[derive(Debug)]
pub(crate) struct DecodingMemory {
    pub(crate) search: SearchMemory,
    pub(crate) compressor: Compressor,
    /// Logits after the prompt.
    pub(crate) first: Vec<f32>,
}

impl DecodingMemory {
    pub(crate) fn new() -> Self {
        Self { search: SearchMemory::default(), compressor: Compressor::new(), first: Vec::new() }
    }

    /// Feeds the prompt, which at most `max_tokens` will follow, and stores the logits for all attempts. Returns the
    /// no-speech probability, if the vocabulary has a token for it.
    pub(crate) fn prepare(
        &mut self,
        hypotheses: &mut dyn Hypotheses,
        prompt: &Prompt,
        max_tokens: usize,
        no_speech: Option<u32>,
        cancel: &CancelToken,
    ) -> Result<f32, Cancelled> {
        hypotheses.begin(prompt.tokens.len().saturating_add(max_tokens));
        hypotheses.extend(&prompt.tokens, None, cancel)?;
        let logits = hypotheses.logits(&[prompt.sot, prompt.tokens.len() - 1]);
        let (silence, next) = logits.split_at_mut(logits.len() / 2);
        self.first.clear();
        self.first.extend_from_slice(next);
        Ok(probability(silence, no_speech))
    }
}

/// Probability of a token, if there is one. Turns the logits into probabilities.
pub(crate) fn probability(logits: &mut [f32], token: Option<u32>) -> f32 {
    softmax(logits);
    token.and_then(|token| logits.get(token as usize).copied()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use sotto_runtime::{CancelToken, NoProgress, Threads};
    use sotto_testkit::heap::measured;
    use sotto_testkit::{data_dir, quick_tests};

    use crate::window::{Context, WindowDecoder};
    use crate::{LoadOptions, ModelSource, Precision, SpeechRecognizer, TranscribeOptions};

    /// Calls of the allocator by a second window: to encode it, and all in all; and the bytes of all.
    fn second_window(precision: Precision) -> Option<(u64, u64, u64)> {
        let source = ModelSource::Path(data_dir()?.join("openai-whisper-tiny.en"));
        let options = LoadOptions { precision: Some(precision), threads: Threads::ONE, ..LoadOptions::default() };
        let recognizer = SpeechRecognizer::load(&source, &options, &NoProgress, &CancelToken::new()).unwrap();
        let (model, cancel) = (recognizer.model().unwrap(), CancelToken::new());
        let options = TranscribeOptions { max_tokens: Some(20), ..TranscribeOptions::greedy() };
        let mels = model.dimensions.mels;
        let features: Vec<f32> = (0..3000 * mels).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut session = model.session(Threads::ONE);
        let mut encode = || {
            session.encode(&features, &cancel).unwrap();
        };
        encode();
        let ((), encoded) = measured(encode);
        let mut decoder = WindowDecoder::new(model.clone(), &options, Threads::ONE, &cancel).unwrap();
        let mut window = || drop(decoder.decode(&features, 3000, Context::default()).unwrap());
        window();
        let ((), all) = measured(window);
        Some((encoded.count_total, all.count_total, all.bytes_total))
    }

    #[test]
    fn a_further_window_allocates_no_more_than_its_text() {
        if quick_tests() {
            return;
        }
        for precision in [Precision::Int8, Precision::Mixed] {
            let Some((encoder, all, bytes)) = second_window(precision) else { return };
            println!("{precision:?}: {encoder} to encode, {all} in all, {bytes} bytes");
            assert_eq!(encoder, 0, "{precision:?}");
            assert!(all <= 20 && bytes <= 4 << 10, "{precision:?}: {all} of {bytes} bytes");
        }
    }
}
