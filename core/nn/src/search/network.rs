//! The interface between search and networks.

use std::fmt::Debug;

use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::recording::Recording;

/// One token to feed: it continues hypothesis `hypothesis`, at the position after its last token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Index into the pass's memories: the hypothesis that the token continues.
    pub hypothesis: usize,
    /// Index into the pass's sources: the source that the token attends to.
    pub source: usize,
    /// The token.
    pub token: u32,
}

/// The state of a network for one hypothesis: a KV cache, or the cells of a recurrent layer.
pub trait Memory: Debug + Send {
    /// Number of tokens fed so far.
    fn len(&self) -> usize;

    /// Whether nothing was fed yet.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything.
    fn clear(&mut self);

    /// Becomes a copy of `other`, reusing its own memory.
    fn copy_from(&mut self, other: &Self);

    /// Forgets all tokens from `len` on. Only called when [`Network::CUTS`] is `true`.
    fn truncate(&mut self, len: usize);
}

/// The arguments of one pass of a network, without its scratch memory.
#[derive(Debug)]
pub struct Pass<'a, 'r, N: Network + ?Sized> {
    /// Tokens to feed; those of one hypothesis are in order.
    pub rows: &'a [Row],
    /// Memories of the hypotheses.
    pub memories: &'a mut [N::Memory],
    /// The sources that rows attend to.
    pub sources: &'a [N::Source],
    /// Records the attention to the source, if given.
    pub recording: Option<&'a mut Recording<'r>>,
    /// Threads for a network that has no pool of its own.
    pub threads: Threads,
    /// Polled at least once per block of the network.
    pub cancel: &'a CancelToken,
}

impl<'a, N: Network + ?Sized> Pass<'a, '_, N> {
    /// The only source, for networks whose rows all attend to the same one.
    ///
    /// # Panics
    /// When there is no source, or a row attends to another one.
    #[must_use]
    pub fn shared_source(&self) -> &'a N::Source {
        assert!(self.rows.iter().all(|row| row.source == 0), "this network attends to one source at a time");
        self.sources.first().expect("a network attends to something before it is fed")
    }
}

/// A network that is fed tokens and predicts the one after each of them.
///
/// A network is shared by all its users and never changes; the state that changes has associated types.
pub trait Network: Debug + Send + Sync {
    /// The state of one hypothesis.
    type Memory: Memory;
    /// What hypotheses attend to: encoded audio, an encoded sentence; `()` for a network without a source.
    type Source: Debug + Send + Sync;
    /// Scratch memory, reused from pass to pass.
    type Scratch: Debug + Send;

    /// Whether a memory can be truncated at no cost: a KV cache can, recurrent cells cannot.
    const CUTS: bool;

    /// Scratch memory for its passes.
    fn scratch(&self) -> Self::Scratch;

    /// An empty memory for one hypothesis of at most `positions` tokens, limited to the network's own maximum.
    fn memory(&self, positions: usize) -> Self::Memory;

    /// Feeds tokens; the results stay in `scratch` for [`logits`](Self::logits). Several hypotheses advance in one
    /// pass; each may have its own source.
    ///
    /// # Errors
    /// [`Cancelled`] when the pass's cancellation token fires; the memories are then unspecified.
    ///
    /// # Panics
    /// When a token is outside the vocabulary or a hypothesis exceeds its memory; callers check both.
    fn feed(&self, pass: Pass<'_, '_, Self>, scratch: &mut Self::Scratch) -> Result<(), Cancelled>;

    /// Logits of the next token after each of the rows `picked` of the last [`feed`](Self::feed): `[picked, columns]`.
    /// A column is a token, or an index into a shortlist ([`Scorer::token`](super::Scorer::token)).
    fn logits<'s>(&self, picked: &[usize], scratch: &'s mut Self::Scratch, threads: Threads) -> &'s mut [f32];
}
