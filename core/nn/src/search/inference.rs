//! A network at work: the memories of the texts that it was fed, behind calls that know nothing of their types.

use std::fmt::Debug;
use std::sync::Arc;

use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::network::{Memory, Network, Pass, Row};
use super::recording::Recording;

// Memories have room for multiples of this many tokens, so that those of one text fit the next.
const ROOM_STEP: usize = 128;

/// Texts that a network was fed: first one, the *prompt*, then hypotheses that all continue it.
pub trait Hypotheses: Debug {
    /// Begins an empty prompt; it and what continues it have room for `room` tokens. What was there before is
    /// forgotten.
    fn begin(&mut self, room: usize);

    /// Feeds more tokens of the prompt, which attends to the first source, and records the attention of chosen heads.
    ///
    /// # Errors
    /// [`Cancelled`] when `cancel` fires; the prompt is to be begun anew then.
    ///
    /// # Panics
    /// When a token is beyond the vocabulary, or the prompt beyond its room.
    fn extend(
        &mut self,
        tokens: &[u32],
        recording: Option<&mut Recording<'_>>,
        cancel: &CancelToken,
    ) -> Result<(), Cancelled>;

    /// Tokens of the prompt.
    fn len(&self) -> usize;

    /// Whether nothing was fed yet.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`truncate`](Self::truncate) works and costs nothing.
    fn cuts(&self) -> bool;

    /// Forgets all tokens of the prompt from `len` on.
    fn truncate(&mut self, len: usize);

    /// Scores of the next token after each of the rows `picked` of what was fed last: `[picked, columns]`.
    fn logits(&mut self, picked: &[usize]) -> &mut [f32];

    /// Makes hypotheses that continue the prompt; hypothesis `i` attends to source `sources[i]`. Hypotheses of before
    /// are given up.
    fn fork(&mut self, sources: &[usize]);

    /// Feeds one token to each hypothesis and returns the logits of the next ones, `[hypotheses, columns]`.
    ///
    /// # Errors
    /// [`Cancelled`] when `cancel` fires.
    ///
    /// # Panics
    /// When a token is beyond the vocabulary, a hypothesis beyond its room, or there are not as many tokens as
    /// hypotheses.
    fn step(&mut self, tokens: &[u32], cancel: &CancelToken) -> Result<&mut [f32], Cancelled>;

    /// Hypothesis `i` continues what was hypothesis `parents[i]`; memories are copied unless `parents` ascends, each
    /// named once at most.
    fn reorder(&mut self, parents: &[usize]);

    /// Gives the hypotheses up.
    fn release(&mut self);
}

/// A network with its memories: what one transcription or translation holds.
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
    /// Memories of hypotheses that were not continued, for the next step.
    spare: Vec<N::Memory>,
    /// Memories that nobody uses, with room for `room` tokens.
    free: Vec<N::Memory>,
    room: usize,
    rows: Vec<Row>,
    picked: Vec<usize>,
    parent_sources: Vec<usize>,
}

impl<N: Network> Inference<N> {
    /// A network at rest. `threads` is for a network that has no pool of its own.
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

    /// Sets what texts attend to from here on. `make` gets the network, its scratch, and the sources of before, whose
    /// memory it may use.
    ///
    /// # Errors
    /// Those of `make`; there are no sources then.
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
            // Each goes on at most once: those that do move up.
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
        // The sum of what was fed, and of the source.
        assert_eq!(Toy::best(inference.step(&[0, 0], &cancel).unwrap()), [4, 7]);
        inference.reorder(&[1, 1, 0]);
        assert_eq!(Toy::best(inference.step(&[0, 1, 1], &cancel).unwrap()), [7, 0, 5]);
        inference.reorder(&[0, 2]);
        assert_eq!(Toy::best(inference.step(&[2, 2], &cancel).unwrap()), [1, 7]);
        // The prompt is as it was.
        inference.fork(&[0]);
        assert_eq!(Toy::best(inference.step(&[2], &cancel).unwrap()), [6]);
        inference.begin(300);
        assert!(inference.is_empty());
    }
}
