//! Cross-attention heads of OpenAI's models that follow the audio, for files that do not name them.
//!
//! Source: `generation_config.json` of the models as published (the same table as openai/whisper's `_ALIGNMENT_HEADS`).

/// `(layer, head)` pairs.
type Heads = &'static [(usize, usize)];

const TINY_EN: Heads = &[(1, 0), (2, 0), (2, 5), (3, 0), (3, 1), (3, 2), (3, 3), (3, 4)];
const TINY: Heads = &[(2, 2), (3, 0), (3, 2), (3, 3), (3, 4), (3, 5)];
const BASE_EN: Heads = &[(3, 3), (4, 7), (5, 1), (5, 5), (5, 7)];
const BASE: Heads = &[(3, 1), (4, 2), (4, 3), (4, 7), (5, 1), (5, 2), (5, 4), (5, 6)];
#[rustfmt::skip]
const SMALL_EN: Heads = &[
    (6, 6), (7, 0), (7, 3), (7, 8), (8, 2), (8, 5), (8, 7), (9, 0), (9, 4), (9, 8), (9, 10), (10, 0), (10, 1), (10, 2),
    (10, 3), (10, 6), (10, 11), (11, 2), (11, 4),
];
const SMALL: Heads = &[(5, 3), (5, 9), (8, 0), (8, 4), (8, 7), (8, 8), (9, 0), (9, 7), (9, 9), (10, 5)];
#[rustfmt::skip]
const MEDIUM_EN: Heads = &[
    (11, 4), (14, 1), (14, 12), (14, 14), (15, 4), (16, 0), (16, 4), (16, 9), (17, 12), (17, 14), (18, 7), (18, 10),
    (18, 15), (20, 0), (20, 3), (20, 9), (20, 14), (21, 12),
];
const MEDIUM: Heads = &[(13, 15), (15, 4), (15, 15), (16, 1), (20, 0), (23, 4)];
const LARGE_V3: Heads = &[(7, 0), (10, 17), (12, 18), (13, 12), (16, 1), (17, 14), (19, 11), (21, 4), (24, 1), (25, 6)];
const TURBO: Heads = &[(2, 4), (2, 11), (3, 3), (3, 6), (3, 11), (3, 14)];

/// The heads of the model with this decoder; `None` for other models, and for large-v1 and large-v2, which have the
/// same sizes but different heads.
pub(super) fn of_openai_model(layers: usize, heads: usize, english: bool, mels: usize) -> Option<Heads> {
    match (layers, heads, english, mels) {
        (4, 6, true, 80) => Some(TINY_EN),
        (4, 6, false, 80) => Some(TINY),
        (6, 8, true, 80) => Some(BASE_EN),
        (6, 8, false, 80) => Some(BASE),
        (12, 12, true, 80) => Some(SMALL_EN),
        (12, 12, false, 80) => Some(SMALL),
        (24, 16, true, 80) => Some(MEDIUM_EN),
        (24, 16, false, 80) => Some(MEDIUM),
        (32, 20, false, 128) => Some(LARGE_V3),
        (4, 20, false, 128) => Some(TURBO),
        _ => None,
    }
}
