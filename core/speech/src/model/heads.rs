//! Cross-attention heads of OpenAI's models that follow the audio, for files that do not name them.
//!
//! Source: `generation_config.json` of the models as published (the same table as openai/whisper's `_ALIGNMENT_HEADS`).

/// `(layer, head)` pairs.
type Heads = &'static [(usize, usize)];

const TINY_EN: Heads = &[(1, 0), (2, 0), (2, 5), (3, 0), (3, 1), (3, 2), (3, 3), (3, 4)];
const TINY: Heads = &[(2, 2), (3, 0), (3, 2), (3, 3), (3, 4), (3, 5)];
const BASE_EN: Heads = &[(3, 3), (4, 7), (5, 1), (5, 5), (5, 7)];
const BASE: Heads = &[(3, 1), (4, 2), (4, 3), (4, 7), (5, 1), (5, 2), (5, 4), (5, 6)];
const SMALL: Heads = &[(5, 3), (5, 9), (8, 0), (8, 4), (8, 7), (8, 8), (9, 0), (9, 7), (9, 9), (10, 5)];
const MEDIUM: Heads = &[(13, 15), (15, 4), (15, 15), (16, 1), (20, 0), (23, 4)];
const LARGE_V3: Heads = &[(7, 0), (10, 17), (12, 18), (13, 12), (16, 1), (17, 14), (19, 11), (21, 4), (24, 1), (25, 6)];
const TURBO: Heads = &[(2, 4), (2, 11), (3, 3), (3, 6), (3, 11), (3, 14)];

/// The heads of the model with this decoder; `None` for one that is not OpenAI's or whose heads are spread widely.
pub(super) fn of_openai_model(layers: usize, heads: usize, english: bool, mels: usize) -> Option<Heads> {
    match (layers, heads, english, mels) {
        (4, 6, true, 80) => Some(TINY_EN),
        (4, 6, false, 80) => Some(TINY),
        (6, 8, true, 80) => Some(BASE_EN),
        (6, 8, false, 80) => Some(BASE),
        (12, 12, false, 80) => Some(SMALL),
        (24, 16, false, 80) => Some(MEDIUM),
        (32, 20, false, 128) => Some(LARGE_V3),
        (4, 20, false, 128) => Some(TURBO),
        _ => None,
    }
}
