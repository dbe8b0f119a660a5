//! Live text is mostly what the last step said already: that draft is fed at once, and only what the audio now says
//! otherwise is decoded token by token (speculative decoding, Leviathan et al. 2023, with the last hypothesis in the
//! place of a small model).
//!
//! The text is that of greedy decoding. Cost: a pass of the decoder per place where the draft is wrong, and one per
//! token that is new.

use sotto_kernels::softmax;
use sotto_nn::sampling::argmax;
use sotto_runtime::Cancelled;

use super::inference::Inference;
use super::prompt::Prompt;
use super::search::{Candidate, SearchContext};
use crate::model::Recording;

// Rows of the vocabulary product at a time: their logits are 1.7 MB, and rows behind the first wrong one are not
// needed.
const ROWS: usize = 8;

// A text that differs in more places is another one.
const ROUNDS: usize = 4;

/// Verifies `draft` and goes on behind it, recording the attention of every token that is fed and stays: of the prompt
/// and of all tokens but a last one that nothing followed. Also returns the probability of silence.
pub(crate) fn follow_draft(
    inference: &mut Inference<'_>,
    prompt: &Prompt,
    draft: &[u32],
    no_speech: Option<u32>,
    context: SearchContext<'_>,
    recording: &mut Recording<'_>,
) -> Result<(Candidate, f32), Cancelled> {
    let draft = &draft[..draft.len().min(context.max_tokens.saturating_sub(1))];
    let mut candidate = Candidate::with_room(context.max_tokens);
    let mut cache = [inference.empty_cache(prompt.tokens.len() + context.max_tokens)];
    inference.feed_more(prompt.tokens.iter().chain(draft), &mut cache, recording)?;
    let silence = inference.logits(&[prompt.sot]);
    softmax(silence);
    let silence = no_speech.and_then(|token| silence.get(token as usize).copied()).unwrap_or(0.0);
    let (mut ahead, mut row, mut positions) = (draft, prompt.tokens.len() - 1, prompt.tokens.len());
    for round in 0.. {
        let Some((token, agreed)) = inference.verify(row, ahead, context, &mut candidate) else { break };
        positions += agreed;
        cache[0].truncate(positions);
        recording.truncate(positions);
        ahead = ahead.get(agreed + 1..).filter(|_| round < ROUNDS).unwrap_or_default();
        inference.feed_more([token].iter().chain(ahead), &mut cache, recording)?;
        (row, positions) = (0, positions + 1);
    }
    let kept = (prompt.tokens.len() + candidate.tokens.len()).min(cache[0].len());
    recording.truncate(kept);
    inference.keep(cache);
    Ok((candidate, silence))
}

impl Inference<'_> {
    /// Takes tokens as long as they are those `ahead`, whose logits begin at row `row` of what was fed last. `None` at
    /// the end of the text; otherwise the token that is not ahead, and how many before it were.
    fn verify(
        &mut self,
        row: usize,
        ahead: &[u32],
        context: SearchContext<'_>,
        candidate: &mut Candidate,
    ) -> Option<(u32, usize)> {
        let rows: Vec<usize> = (row..=row + ahead.len()).collect();
        for (chunk, rows) in rows.chunks(ROWS).enumerate() {
            let mut weighed = std::mem::take(&mut self.memory.weighed);
            let logits = self.logits(rows);
            let vocabulary = logits.len() / rows.len();
            let mut outcome = None;
            for (index, scores) in logits.chunks_exact_mut(vocabulary).enumerate() {
                let (token, share) =
                    context.choose(&candidate.tokens, scores, &mut weighed, &mut |scores| argmax(scores));
                if token == context.eot {
                    candidate.end(share);
                    outcome = Some(None);
                    break;
                }
                candidate.push(token, share);
                let full = candidate.tokens.len() >= context.max_tokens;
                if full || (context.stop_loops && candidate.cut_loop()) {
                    outcome = Some(None);
                    break;
                }
                let place = chunk * ROWS + index;
                if ahead.get(place) != Some(&token) {
                    outcome = Some(Some((token, place)));
                    break;
                }
            }
            self.memory.weighed = weighed;
            self.sampled += 1;
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
        // Not reached: the last row has nothing ahead.
        None
    }
}
