//! The seam between search and computing: what a network has to be able to do.

use std::fmt::Debug;

use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::recording::Recording;

/// One token to feed: it continues hypothesis `hypothesis`, at the position after the last one fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Which of a pass' memories it continues.
    pub hypothesis: usize,
    /// Which of a pass' sources it attends to.
    pub source: usize,
    /// The token.
    pub token: u32,
}

/// What a network keeps of one hypothesis: keys and values of its attention, or the cells of a recurrent layer.
pub trait Memory: Debug + Send {
    /// Tokens fed so far.
    fn len(&self) -> usize;

    /// Whether nothing was fed yet.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything.
    fn clear(&mut self);

    /// Becomes a copy of `other`, in its own memory.
    fn copy_from(&mut self, other: &Self);

    /// Forgets all tokens from `len` on; never called where [`Network::CUTS`] is `false`.
    fn truncate(&mut self, len: usize);
}

/// What one call of a network reads and writes, but its scratch.
#[derive(Debug)]
pub struct Pass<'a, 'r, N: Network + ?Sized> {
    /// Tokens to feed; those of one hypothesis follow each other in order.
    pub rows: &'a [Row],
    /// Memories of the hypotheses.
    pub memories: &'a mut [N::Memory],
    /// What the rows attend to.
    pub sources: &'a [N::Source],
    /// Where attention to the source is kept, where it is wanted.
    pub recording: Option<&'a mut Recording<'r>>,
    /// Threads of a network that has no pool of its own.
    pub threads: Threads,
    /// Observed at least once per block of the network.
    pub cancel: &'a CancelToken,
}

impl<'a, N: Network + ?Sized> Pass<'a, '_, N> {
    /// The source of a network whose rows all attend to one.
    ///
    /// # Panics
    /// When there is none, or a row attends to another.
    #[must_use]
    pub fn shared_source(&self) -> &'a N::Source {
        assert!(self.rows.iter().all(|row| row.source == 0), "this network attends to one source at a time");
        self.sources.first().expect("a network attends to something before it is fed")
    }
}

/// A network that is fed tokens and predicts the one after each of them.
///
/// It is shared by all who compute with it and never changes; what changes has a type of the network's own.
pub trait Network: Debug + Send + Sync {
    /// What it keeps of one hypothesis.
    type Memory: Memory;
    /// What hypotheses attend to: encoded audio, an encoded sentence; `()` for a network that has its text only.
    type Source: Debug + Send + Sync;
    /// Memory that it reuses from pass to pass.
    type Scratch: Debug + Send;

    /// Whether a memory can forget its last tokens at no cost: keys and values can, recurrent cells cannot.
    const CUTS: bool;

    /// Memory for its passes.
    fn scratch(&self) -> Self::Scratch;

    /// An empty memory for one hypothesis of at most `positions` tokens, or as many as the network has positions for.
    fn memory(&self, positions: usize) -> Self::Memory;

    /// Feeds tokens; what they give stays in `scratch` for [`logits`](Self::logits). Several hypotheses advance in one
    /// pass: each may have a source of its own.
    ///
    /// # Errors
    /// [`Cancelled`] when the pass' token fires; what was fed of it is undefined then.
    ///
    /// # Panics
    /// When a token is beyond the vocabulary or a hypothesis beyond its memory: callers check both.
    fn feed(&self, pass: Pass<'_, '_, Self>, scratch: &mut Self::Scratch) -> Result<(), Cancelled>;

    /// Scores of the next token after each of the rows `picked` of the last [`feed`](Self::feed): `[picked, columns]`.
    /// A column is a token, or a place in a shortlist ([`Scorer::token`](super::Scorer::token)).
    fn logits<'s>(&self, picked: &[usize], scratch: &'s mut Self::Scratch, threads: Threads) -> &'s mut [f32];
}
