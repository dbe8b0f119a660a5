//! Speculative decoding (Leviathan et al. 2023): a draft of the text is fed in one pass, and only where the network
//! disagrees are tokens decoded one by one. The draft may be the last hypothesis of live text.
//!
//! The result is that of greedy decoding, except that with [`SearchSettings::stop_loops`] the text ends where it
//! repeats a passage of itself or of the prompt: a caller that decodes again and again knows what was said. Cost: one
//! pass of the network per wrong place in the draft, and one per new token.

use sotto_runtime::Cancelled;

use super::Search;
#[cfg(doc)]
use super::SearchSettings;
use super::candidate::Candidate;
use super::recording::Recording;
use super::sampling::argmax;
use super::sequences::pick;

// Rows of logits that are computed at a time: they take 1.7 MB, and rows after the first wrong one are not needed.
const ROWS: usize = 8;

// A draft that is wrong in more places is not worth following.
const ROUNDS: usize = 4;

/// A prompt that was fed together with its likely continuation.
#[derive(Debug)]
pub struct Draft<'d> {
    /// The prompt.
    prompt: &'d [u32],
    /// Draft tokens that were fed after it.
    ahead: &'d [u32],
}

impl<'d> Draft<'d> {
    /// Feeds `prompt` and `draft`; the logits of all their rows are then available. The draft is left out for a network
    /// whose memory cannot be truncated.
    ///
    /// # Errors
    /// [`Cancelled`] when the token fires.
    pub fn feed(
        search: &mut Search<'_>,
        prompt: &'d [u32],
        draft: &'d [u32],
        recording: &mut Recording<'_>,
    ) -> Result<Self, Cancelled> {
        let max_tokens = search.settings.max_tokens;
        let ahead = if search.hypotheses.cuts() { draft } else { &[] };
        let ahead = &ahead[..ahead.len().min(max_tokens.saturating_sub(1))];
        search.hypotheses.begin(prompt.len() + max_tokens);
        search.hypotheses.extend(&[prompt, ahead].concat(), Some(recording), search.cancel)?;
        Ok(Self { prompt, ahead })
    }

    /// Verifies the draft and continues after it. Records the attention of every token that was fed and kept: of the
    /// prompt and of all tokens, except a last one that nothing followed.
    ///
    /// # Errors
    /// [`Cancelled`] when the token fires.
    pub fn follow(self, search: &mut Search<'_>, recording: &mut Recording<'_>) -> Result<Candidate, Cancelled> {
        let mut text = Candidate::with_room(search.settings.max_tokens);
        let (mut ahead, mut row, mut positions) = (self.ahead, self.prompt.len() - 1, self.prompt.len());
        for round in 0.. {
            let Some((token, agreed)) = search.verify(row, ahead, self.prompt, &mut text) else { break };
            positions += agreed;
            search.hypotheses.truncate(positions);
            recording.truncate(positions);
            ahead = ahead.get(agreed + 1..).filter(|_| round < ROUNDS).unwrap_or_default();
            search.hypotheses.extend(&[&[token], ahead].concat(), Some(recording), search.cancel)?;
            (row, positions) = (0, positions + 1);
        }
        recording.truncate((self.prompt.len() + text.tokens.len()).min(search.hypotheses.len()));
        Ok(text)
    }
}

impl Search<'_> {
    /// Accepts tokens as long as they equal those in `ahead`; the logits start at row `row` of the last pass. `told`
    /// is the text before them. Returns
    /// `None` at the end of the text; otherwise the first token that differs, and how many were accepted before it.
    fn verify(&mut self, row: usize, ahead: &[u32], told: &[u32], text: &mut Candidate) -> Option<(u32, usize)> {
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
                let repeats = self.settings.stop_loops && (text.cut_loop() || text.ends_with_passage_of(told));
                if full || repeats {
                    return None;
                }
                let place = chunk * ROWS + index;
                if ahead.get(place) != Some(&token) {
                    return Some((token, place));
                }
            }
        }
        // Not reached: the last row has no draft token.
        None
    }
}
