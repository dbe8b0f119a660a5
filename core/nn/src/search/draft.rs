//! A draft of the text is fed at once, and only what the network says otherwise is decoded token by token (speculative
//! decoding, Leviathan et al. 2023; the draft may be the last hypothesis of live text).
//!
//! The text is that of greedy decoding. Cost: a pass of the network per place where the draft is wrong, and one per
//! token that is new.

use sotto_runtime::Cancelled;

use super::Search;
use super::candidate::Candidate;
use super::recording::Recording;
use super::sampling::argmax;
use super::sequences::pick;

// Rows of the vocabulary product at a time: their logits are 1.7 MB, and rows behind the first wrong one are not
// needed.
const ROWS: usize = 8;

// A text that differs in more places is another one.
const ROUNDS: usize = 4;

/// A prompt that was fed together with what most likely follows it.
#[derive(Debug)]
pub struct Draft<'d> {
    /// Tokens of the prompt.
    prompt: usize,
    /// Tokens that were fed behind it.
    ahead: &'d [u32],
}

impl<'d> Draft<'d> {
    /// Feeds `prompt` and `draft`; logits of all their rows are there afterwards. A network whose memories cannot be
    /// cut gets no draft.
    ///
    /// # Errors
    /// [`Cancelled`] when the token fires.
    pub fn feed(
        search: &mut Search<'_>,
        prompt: &[u32],
        draft: &'d [u32],
        recording: &mut Recording<'_>,
    ) -> Result<Self, Cancelled> {
        let max_tokens = search.settings.max_tokens;
        let ahead = if search.hypotheses.cuts() { draft } else { &[] };
        let ahead = &ahead[..ahead.len().min(max_tokens.saturating_sub(1))];
        search.hypotheses.begin(prompt.len() + max_tokens);
        search.hypotheses.extend(&[prompt, ahead].concat(), Some(recording), search.cancel)?;
        Ok(Self { prompt: prompt.len(), ahead })
    }

    /// Verifies the draft and goes on behind it, recording the attention of every token that is fed and stays: of the
    /// prompt and of all tokens but a last one that nothing followed.
    ///
    /// # Errors
    /// [`Cancelled`] when the token fires.
    pub fn follow(self, search: &mut Search<'_>, recording: &mut Recording<'_>) -> Result<Candidate, Cancelled> {
        let mut text = Candidate::with_room(search.settings.max_tokens);
        let (mut ahead, mut row, mut positions) = (self.ahead, self.prompt - 1, self.prompt);
        for round in 0.. {
            let Some((token, agreed)) = search.verify(row, ahead, &mut text) else { break };
            positions += agreed;
            search.hypotheses.truncate(positions);
            recording.truncate(positions);
            ahead = ahead.get(agreed + 1..).filter(|_| round < ROUNDS).unwrap_or_default();
            search.hypotheses.extend(&[&[token], ahead].concat(), Some(recording), search.cancel)?;
            (row, positions) = (0, positions + 1);
        }
        recording.truncate((self.prompt + text.tokens.len()).min(search.hypotheses.len()));
        Ok(text)
    }
}

impl Search<'_> {
    /// Takes tokens as long as they are those `ahead`, whose logits begin at row `row` of what was fed last. `None` at
    /// the end of the text; otherwise the token that is not ahead, and how many before it were.
    fn verify(&mut self, row: usize, ahead: &[u32], text: &mut Candidate) -> Option<(u32, usize)> {
        let rows: Vec<usize> = (row..=row + ahead.len()).collect();
        for (chunk, rows) in rows.chunks(ROWS).enumerate() {
            let logits = self.hypotheses.logits(rows);
            self.memory.sampled += 1;
            let columns = logits.len() / rows.len();
            for (index, scores) in logits.chunks_exact_mut(columns).enumerate() {
                let weighed = &mut self.memory.weighed;
                let (token, share) = pick(self.scorer, &text.tokens, scores, weighed, &mut |scores| argmax(scores));
                if token == self.scorer.end() {
                    text.end(share);
                    return None;
                }
                text.push(token, share);
                let full = text.tokens.len() >= self.settings.max_tokens;
                if full || (self.settings.stop_loops && text.cut_loop()) {
                    return None;
                }
                let place = chunk * ROWS + index;
                if ahead.get(place) != Some(&token) {
                    return Some((token, place));
                }
            }
        }
        // Not reached: the last row has nothing ahead.
        None
    }
}
