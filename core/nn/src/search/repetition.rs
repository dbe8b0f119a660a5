//! Loop detection: a decoder that has gone wrong writes the same words again and again.

// Four rounds and a dozen tokens: "no, no, no" is speech, the fourth line of the same chorus is not.
const ROUNDS: usize = 4;
const TOKENS: usize = 12;

// Longer loops are detected by the compression ratio.
const MAX_PERIOD: usize = 40;

/// Number of tokens at the end of `tokens` that only repeat earlier ones; 0 if there is no loop.
pub(super) fn looped_tail(tokens: &[u32]) -> usize {
    (1..=MAX_PERIOD.min(tokens.len() / ROUNDS))
        .map(|period| (period, repeated(tokens, period)))
        .filter(|&(period, repeated)| repeated >= period * (ROUNDS - 1) && repeated + period >= TOKENS)
        .map(|(_, repeated)| repeated)
        .max()
        .unwrap_or(0)
}

/// Whether any three consecutive tokens occur twice: within a sentence or two of speech a sign that the text continues
/// after the end of the audio.
#[must_use]
pub fn repeats(tokens: &[u32]) -> bool {
    let triples = || tokens.windows(3).enumerate();
    triples().any(|(index, triple)| triples().skip(index + 1).any(|(_, later)| later == triple))
}

/// Whether a word or a few words repeat many times anywhere in the text, as in "light light light light light": mostly
/// an error of the decoder, seldom of the speaker.
#[must_use]
pub fn stutters(tokens: &[u32]) -> bool {
    [(1, 5), (2, 4), (3, 4)].into_iter().any(|(period, rounds)| {
        let equal = tokens.iter().zip(tokens.iter().skip(period)).map(|(token, later)| token == later);
        let mut run = 0;
        equal.into_iter().any(|same| {
            run = if same { run + 1 } else { 0 };
            run >= period * (rounds - 1)
        })
    })
}

/// Repetition penalty (CTRL, Keskar et al. 2019, §4.1): makes the tokens of `recent` less likely. A positive logit is
/// divided by `penalty`, a negative one multiplied. 1 changes nothing. Each token counts once.
pub fn penalize(logits: &mut [f32], recent: &[u32], penalty: f32) {
    for (place, token) in recent.iter().enumerate() {
        if recent[..place].contains(token) {
            continue;
        }
        if let Some(logit) = logits.get_mut(*token as usize) {
            *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
        }
    }
}

/// Length of the longest tail in which every token equals the one `period` before it.
fn repeated(tokens: &[u32], period: usize) -> usize {
    let later = tokens.iter().rev();
    let earlier = tokens[..tokens.len() - period].iter().rev();
    later.zip(earlier).take_while(|(later, earlier)| later == earlier).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_found_with_its_length_whatever_its_period() {
        let text = [7, 8, 9];
        for period in [1, 2, 5, 17] {
            let line: Vec<u32> = (100..100 + period).collect();
            let tokens: Vec<u32> = text.iter().chain(line.iter().cycle().take(line.len() * 13)).copied().collect();
            assert_eq!(looped_tail(&tokens), line.len() * 12, "{period}");
        }
    }

    #[test]
    fn a_loop_that_is_cut_in_the_middle_is_found() {
        let tokens: Vec<u32> = [1, 2, 3].into_iter().cycle().take(14).collect();
        assert_eq!(looped_tail(&tokens), 11);
    }

    #[test]
    fn a_stutter_is_found_wherever_it_stands() {
        for tokens in [&[1, 2, 7, 7, 7, 7, 7, 3, 4][..], &[7, 7, 7, 7, 7], &[1, 7, 8, 7, 8, 7, 8, 7, 8, 2]] {
            assert!(stutters(tokens), "{tokens:?}");
        }
        for tokens in [&[][..], &[7], &[7, 7, 7, 7, 1, 7, 7, 7], &[7, 8, 7, 8, 7, 8, 7], &[1, 2, 3, 1, 2, 3, 1, 2, 3]] {
            assert!(!stutters(tokens), "{tokens:?}");
        }
    }

    #[test]
    fn a_penalty_makes_recent_tokens_less_likely_once() {
        let mut logits = [2.0, -2.0, 4.0, 0.0];
        penalize(&mut logits, &[1, 0, 1, 9], 2.0);
        assert_eq!(logits, [1.0, -4.0, 4.0, 0.0]);
        penalize(&mut logits, &[0, 1, 2, 3], 1.0);
        assert_eq!(logits, [1.0, -4.0, 4.0, 0.0]);
    }

    #[test]
    fn emphasis_and_lists_are_speech() {
        assert_eq!(looped_tail(&[5; 11]), 0);
        assert_eq!(looped_tail(&[1, 2, 1, 3, 1, 4, 1, 5, 1, 6, 1, 7, 1, 8]), 0);
        assert_eq!(looped_tail(&[1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]), 0);
        assert_eq!(looped_tail(&[]), 0);
    }
}
