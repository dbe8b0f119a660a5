//! A network with the memories of its texts, behind an interface without their types.

use std::fmt::Debug;
use std::sync::Arc;

use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::network::{Memory, Network, Pass, Row};
use super::recording::Recording;

// Memories are sized in multiples of this many tokens, so that those of one text can be reused for the next.
const ROOM_STEP: usize = 128;

/// The texts of a search: first one, the *prompt*, then hypotheses that all continue it.
pub trait Hypotheses: Debug {
    /// Begins an empty prompt; it and its continuations may have up to `room` tokens. Earlier texts are dropped.
    fn begin(&mut self, room: usize);

    /// Feeds more tokens of the prompt, which attends to the first source. Records the attention of chosen heads.
    ///
    /// # Errors
    /// [`Cancelled`] when `cancel` fires; the prompt must then be begun again.
    ///
    /// # Panics
    /// When a token is outside the vocabulary, or the prompt exceeds its room.
    fn extend(
        &mut self,
        tokens: &[u32],
        recording: Option<&mut Recording<'_>>,
        cancel: &CancelToken,
    ) -> Result<(), Cancelled>;

    /// Number of tokens of the prompt.
    fn len(&self) -> usize;

    /// Whether the prompt has no tokens.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`truncate`](Self::truncate) is supported; it then costs nothing.
    fn cuts(&self) -> bool;

    /// Drops all tokens of the prompt from `len` on.
    fn truncate(&mut self, len: usize);

    /// Logits of the next token after each of the rows `picked` of the last call that fed tokens: `[picked, columns]`.
    fn logits(&mut self, picked: &[usize]) -> &mut [f32];

    /// Makes hypotheses that continue the prompt; hypothesis `i` attends to source `sources[i]`. Earlier hypotheses are
    /// dropped.
    fn fork(&mut self, sources: &[usize]);

    /// Feeds one token to each hypothesis and returns the logits of the next ones, `[hypotheses, columns]`.
    ///
    /// # Errors
    /// [`Cancelled`] when `cancel` fires.
    ///
    /// # Panics
    /// When a token is outside the vocabulary, a hypothesis exceeds its room, or there are not as many tokens as
    /// hypotheses.
    fn step(&mut self, tokens: &[u32], cancel: &CancelToken) -> Result<&mut [f32], Cancelled>;

    /// Hypothesis `i` becomes a continuation of the previous hypothesis `parents[i]`. Memories are copied, unless
    /// `parents` is strictly ascending.
    fn reorder(&mut self, parents: &[usize]);

    /// Drops the hypotheses.
    fn release(&mut self);
}

/// A network with its memories: the state of one transcription or translation.
#[derive(Debug)]
pub struct Inference<N: Network> {
    network: Arc<N>,
    scratch: N::Scratch,
    threads: Threads,
    sources: Vec<N::Source>,
    /// One memory from [`begin`](Hypotheses::begin) on.
    prompt: Vec<N::Memory>,
    hypotheses: Vec<N::Memory>,
    hypothesis_sources: Vec<usize>,
    /// Memories of hypotheses that were not continued, to be reused in the next step.
    spare: Vec<N::Memory>,
    /// Unused memories, with room for `room` tokens.
    free: Vec<N::Memory>,
    room: usize,
    rows: Vec<Row>,
    picked: Vec<usize>,
    parent_sources: Vec<usize>,
}

impl<N: Network> Inference<N> {
    /// A network without texts. `threads` is for a network that has no pool of its own.
    #[must_use]
    pub fn new(network: Arc<N>, threads: Threads) -> Self {
        let scratch = network.scratch();
        Self {
            network,
            scratch,
            threads,
            sources: Vec::new(),
            prompt: Vec::new(),
            hypotheses: Vec::new(),
            hypothesis_sources: Vec::new(),
            spare: Vec::new(),
            free: Vec::new(),
            room: 0,
            rows: Vec::new(),
            picked: Vec::new(),
            parent_sources: Vec::new(),
        }
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &N {
        &self.network
    }

    /// Sets the sources that texts attend to. `make` gets the network, its scratch memory, and the previous sources,
    /// whose memory it may reuse.
    ///
    /// # Errors
    /// Those of `make`; there are then no sources.
    pub fn attend_to<E>(
        &mut self,
        make: impl FnOnce(&N, &mut N::Scratch, &mut Vec<N::Source>) -> Result<(), E>,
    ) -> Result<(), E> {
        let made = make(&self.network, &mut self.scratch, &mut self.sources);
        if made.is_err() {
            self.sources.clear();
        }
        made
    }

    /// An empty memory.
    fn take(&mut self) -> N::Memory {
        match self.free.pop() {
            Some(mut memory) => {
                memory.clear();
                memory
            }
            None => self.network.memory(self.room),
        }
    }
}

impl<N: Network> Hypotheses for Inference<N> {
    fn begin(&mut self, room: usize) {
        self.release();
        self.free.append(&mut self.prompt);
        let room = room.next_multiple_of(ROOM_STEP);
        if room > self.room {
            self.room = room;
            self.free.clear();
        }
        let prompt = self.take();
        self.prompt.push(prompt);
    }

    fn extend(
        &mut self,
        tokens: &[u32],
        mut recording: Option<&mut Recording<'_>>,
        cancel: &CancelToken,
    ) -> Result<(), Cancelled> {
        let Self { network, scratch, threads, sources, prompt, rows, .. } = self;
        rows.clear();
        rows.extend(tokens.iter().map(|&token| Row { hypothesis: 0, source: 0, token }));
        if let Some(recording) = recording.as_deref_mut() {
            recording.expect(rows.len());
        }
        network.feed(Pass { rows, memories: prompt, sources, recording, threads: *threads, cancel }, scratch)
    }

    fn len(&self) -> usize {
        self.prompt.first().map_or(0, Memory::len)
    }

    fn cuts(&self) -> bool {
        N::CUTS
    }

    fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.prompt.iter_mut().for_each(|prompt| prompt.truncate(len));
        }
    }

    fn logits(&mut self, picked: &[usize]) -> &mut [f32] {
        self.network.logits(picked, &mut self.scratch, self.threads)
    }

    fn fork(&mut self, sources: &[usize]) {
        self.release();
        for &source in sources {
            let mut hypothesis = self.take();
            if let Some(prompt) = self.prompt.first() {
                hypothesis.copy_from(prompt);
            }
            self.hypotheses.push(hypothesis);
            self.hypothesis_sources.push(source);
        }
    }

    fn step(&mut self, tokens: &[u32], cancel: &CancelToken) -> Result<&mut [f32], Cancelled> {
        assert_eq!(tokens.len(), self.hypotheses.len(), "one token for each hypothesis");
        let Self { network, scratch, threads, sources, hypotheses, hypothesis_sources, rows, picked, .. } = self;
        let continued = tokens.iter().zip(&*hypothesis_sources).enumerate();
        rows.clear();
        rows.extend(continued.map(|(hypothesis, (&token, &source))| Row { hypothesis, source, token }));
        let pass = Pass { rows, memories: hypotheses, sources, recording: None, threads: *threads, cancel };
        network.feed(pass, scratch)?;
        picked.clear();
        picked.extend(0..rows.len());
        Ok(network.logits(picked, scratch, *threads))
    }

    fn reorder(&mut self, parents: &[usize]) {
        self.parent_sources.clear();
        self.parent_sources.extend(parents.iter().map(|&parent| self.hypothesis_sources[parent]));
        std::mem::swap(&mut self.hypothesis_sources, &mut self.parent_sources);
        if parents.is_sorted_by(|earlier, later| earlier < later) {
            // Each hypothesis is continued at most once: those that are continued move up.
            parents.iter().enumerate().for_each(|(target, &parent)| self.hypotheses.swap(target, parent));
            self.spare.extend(self.hypotheses.drain(parents.len()..));
            return;
        }
        while self.spare.len() < parents.len() {
            let memory = self.take();
            self.spare.push(memory);
        }
        for (target, &parent) in self.spare.iter_mut().zip(parents) {
            target.copy_from(&self.hypotheses[parent]);
        }
        std::mem::swap(&mut self.hypotheses, &mut self.spare);
        self.spare.extend(self.hypotheses.drain(parents.len()..));
    }

    fn release(&mut self) {
        self.free.append(&mut self.hypotheses);
        self.free.append(&mut self.spare);
        self.hypothesis_sources.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::toy::Toy;
    use super::*;

    #[test]
    fn hypotheses_continue_the_prompt_each_with_its_own_source_and_take_it_along() {
        let mut inference = Inference::new(Arc::new(Toy { columns: 8 }), Threads::ONE);
        let cancel = CancelToken::new();
        let sources = |_: &Toy, _: &mut _, sources: &mut Vec<u32>| -> Result<(), ()> {
            sources.extend([0, 3]);
            Ok(())
        };
        inference.attend_to(sources).unwrap();
        inference.begin(5);
        inference.extend(&[1, 2], None, &cancel).unwrap();
        assert_eq!((inference.len(), Toy::best(inference.logits(&[0, 1]))), (2, vec![1, 3]));
        inference.truncate(1);
        inference.extend(&[3], None, &cancel).unwrap();
        inference.fork(&[0, 1]);
        // The sum of the fed tokens and of the source.
        assert_eq!(Toy::best(inference.step(&[0, 0], &cancel).unwrap()), [4, 7]);
        inference.reorder(&[1, 1, 0]);
        assert_eq!(Toy::best(inference.step(&[0, 1, 1], &cancel).unwrap()), [7, 0, 5]);
        inference.reorder(&[0, 2]);
        assert_eq!(Toy::best(inference.step(&[2, 2], &cancel).unwrap()), [1, 7]);
        // The prompt is unchanged.
        inference.fork(&[0]);
        assert_eq!(Toy::best(inference.step(&[2], &cancel).unwrap()), [6]);
        inference.begin(300);
        assert!(inference.is_empty());
    }
}
