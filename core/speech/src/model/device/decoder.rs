//! The decoder of a model with a device: runs there if that works, else on the CPU, from the tokens fed so far.

use std::sync::{Arc, OnceLock};

use candle_core::Tensor;
use sotto_nn::load::Switch;
use sotto_nn::search::{Memory, Pass, Recording, Row};
use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::network::{self, Fed, KeyValues, SelfLayers};
use super::whisper::Network;
use super::{PassError, on_device};
use crate::model::config::Dimensions;
use crate::model::inventory::{cross_values, token_weights};
use crate::model::network::Whisper;

/// The device's decoder, and the switch that says whether it may be used. The CPU's decoder is passed to every call.
#[derive(Debug)]
pub(super) struct Decoder {
    device: network::Decoder,
    switch: Switch,
}

/// Keys and values of the encoded audio on the device, and on the CPU once they are needed there.
#[derive(Debug)]
pub(crate) struct CrossLayers<N: Whisper> {
    states: Vec<f32>,
    device: Option<Vec<KeyValues>>,
    cpu: OnceLock<N::Source>,
}

/// Caches of one hypothesis, and the tokens that they were made from.
#[derive(Debug)]
pub(crate) struct SelfCache<N: Whisper> {
    tokens: Vec<u32>,
    /// Capacity of the caches on the CPU in tokens.
    positions: usize,
    place: Place<N>,
}

#[derive(Debug)]
enum Place<N: Whisper> {
    Device(SelfLayers),
    Cpu(N::Memory),
    /// Not computed yet; made from the tokens.
    Nowhere,
}

/// Memory that decoding reuses from token to token.
#[derive(Debug)]
pub(crate) struct DecoderScratch<N: Whisper> {
    cpu: N::Scratch,
    logits: Vec<f32>,
    /// Results of the last pass on the device; `None` if the CPU was fed.
    fed: Option<FedOnDevice<N>>,
    /// The row in the CPU's scratch memory for each fed row, if they differ.
    replayed: Option<Vec<usize>>,
}

#[derive(Debug)]
struct FedOnDevice<N: Whisper> {
    hidden: Tensor,
    cross: Arc<CrossLayers<N>>,
    /// All tokens of each hypothesis.
    tokens: Vec<Vec<u32>>,
    /// Hypothesis of each fed row, and its index among the hypothesis' tokens.
    rows: Vec<(usize, usize)>,
}

impl Decoder {
    pub(super) fn new(device: network::Decoder, switch: Switch) -> Self {
        Self { device, switch }
    }

    /// As [`Whisper::bytes_per_token`], for the processor in use.
    pub(super) fn bytes_per_token<N: Whisper>(&self, cpu: &N, dimensions: &Dimensions) -> u64 {
        if self.switch.is_on() {
            self.device.weight_bytes() * (token_weights(dimensions) + cross_values(dimensions))
        } else {
            cpu.bytes_per_token(dimensions)
        }
    }

    pub(super) fn scratch<N: Whisper>(cpu: &N) -> DecoderScratch<N> {
        DecoderScratch { cpu: cpu.scratch(), logits: Vec::new(), fed: None, replayed: None }
    }

    /// As [`Whisper::listen`].
    pub(super) fn cross_layers<N: Whisper>(
        &self,
        cpu: &N,
        states: &[f32],
        scratch: &mut DecoderScratch<N>,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<CrossLayers<N>, Cancelled> {
        let device = on_device(&self.switch, || self.device.cross_layers(states, cancel))?;
        let cross = CrossLayers { states: states.to_vec(), device, cpu: OnceLock::new() };
        if cross.device.is_none() {
            cross.on_cpu(cpu, &mut scratch.cpu, threads, cancel)?;
        }
        Ok(cross)
    }

    /// As [`search::Network::feed`](sotto_nn::search::Network::feed).
    pub(super) fn feed<N: Whisper>(
        &self,
        cpu: &N,
        mut pass: Pass<'_, '_, Network<N>>,
        scratch: &mut DecoderScratch<N>,
    ) -> Result<(), Cancelled> {
        let blocks: Vec<usize> = pass.recording.iter().flat_map(|r| r.heads.iter().map(|&(block, _)| block)).collect();
        let Some(fed) = self.feed_device(&pass, &blocks)? else { return feed_cpu(cpu, pass, scratch) };
        if let Some(recording) = pass.recording.as_deref_mut() {
            record(recording, &fed.attention);
        }
        scratch.replayed = None;
        scratch.fed = Some(keep(pass, fed));
        Ok(())
    }

    /// `None` when the CPU has to do it.
    fn feed_device<N: Whisper>(
        &self,
        pass: &Pass<'_, '_, Network<N>>,
        blocks: &[usize],
    ) -> Result<Option<Fed>, Cancelled> {
        let Some(cross) = &pass.shared_source().device else { return Ok(None) };
        let starts: Vec<usize> = pass.memories.iter().map(Memory::len).collect();
        let layers: Option<Vec<&SelfLayers>> = pass.memories.iter().map(SelfCache::layers).collect();
        let Some(layers) = layers else { return Ok(None) };
        on_device(&self.switch, || self.device.feed(pass.rows, (&layers, &starts), cross, blocks, pass.cancel))
    }

    /// As [`search::Network::logits`](sotto_nn::search::Network::logits).
    pub(super) fn logits<'s, N: Whisper>(
        &self,
        cpu: &N,
        picked: &[usize],
        scratch: &'s mut DecoderScratch<N>,
        threads: Threads,
    ) -> &'s mut [f32] {
        if let Some(fed) = &scratch.fed {
            let logits = || self.device.logits(&fed.hidden, picked).map_err(PassError::from);
            if let Ok(Some(logits)) = on_device(&self.switch, logits) {
                scratch.logits = logits;
                return &mut scratch.logits;
            }
        }
        if let Some(fed) = scratch.fed.take() {
            scratch.replayed = Some(replay(cpu, &fed, &mut scratch.cpu, threads));
        }
        match &scratch.replayed {
            Some(places) => {
                let picked: Vec<usize> = picked.iter().map(|&row| places[row]).collect();
                cpu.logits(&picked, &mut scratch.cpu, threads)
            }
            None => cpu.logits(picked, &mut scratch.cpu, threads),
        }
    }
}

/// Feeds the CPU; rebuilds caches that are on the device.
fn feed_cpu<N: Whisper>(
    cpu: &N,
    pass: Pass<'_, '_, Network<N>>,
    scratch: &mut DecoderScratch<N>,
) -> Result<(), Cancelled> {
    let cross = Arc::clone(pass.shared_source());
    let Pass { rows, memories: caches, recording, threads, cancel, .. } = pass;
    let sources = std::slice::from_ref(cross.on_cpu(cpu, &mut scratch.cpu, threads, cancel)?);
    let mut own = Vec::with_capacity(caches.len());
    for cache in &mut *caches {
        own.push(cache.take_to_cpu(cpu, sources, &mut scratch.cpu, threads, cancel)?);
    }
    let on_cpu = Pass { rows, memories: &mut own, sources, recording, threads, cancel };
    let result = cpu.feed(on_cpu, &mut scratch.cpu);
    for (cache, own) in caches.iter_mut().zip(own) {
        cache.place = Place::Cpu(own);
    }
    result?;
    for row in rows {
        caches[row.hypothesis].tokens.push(row.token);
    }
    (scratch.fed, scratch.replayed) = (None, None);
    Ok(())
}

/// Feeds the CPU all tokens of a pass whose hidden states are lost with the device; returns where its rows are now.
fn replay<N: Whisper>(cpu: &N, fed: &FedOnDevice<N>, scratch: &mut N::Scratch, threads: Threads) -> Vec<usize> {
    // Cannot be cancelled here: at most one text context is fed per hypothesis.
    let never = CancelToken::new();
    let (mut rows, mut firsts, mut memories) = (Vec::new(), Vec::new(), Vec::new());
    for (hypothesis, tokens) in fed.tokens.iter().enumerate() {
        firsts.push(rows.len());
        rows.extend(tokens.iter().map(|&token| Row { hypothesis, source: 0, token }));
        memories.push(cpu.memory(tokens.len()));
    }
    let mut run = || -> Result<(), Cancelled> {
        let sources = std::slice::from_ref(fed.cross.on_cpu(cpu, scratch, threads, &never)?);
        let (rows, memories) = (&rows, &mut memories);
        cpu.feed(Pass { rows, memories, sources, recording: None, threads, cancel: &never }, scratch)
    };
    run().unwrap_or_else(|_| unreachable!("nobody has the token"));
    fed.rows.iter().map(|&(hypothesis, place)| firsts[hypothesis] + place).collect()
}

/// Moves the caches of a pass into the memories; keeps what the logits need.
fn keep<N: Whisper>(pass: Pass<'_, '_, Network<N>>, fed: Fed) -> FedOnDevice<N> {
    let cross = Arc::clone(pass.shared_source());
    let Pass { rows, memories: caches, .. } = pass;
    for (hypothesis, layers) in fed.caches {
        caches[hypothesis].place = Place::Device(layers);
    }
    let places = rows.iter().map(|row| {
        let tokens = &mut caches[row.hypothesis].tokens;
        tokens.push(row.token);
        (row.hypothesis, tokens.len() - 1)
    });
    let rows = places.collect();
    let tokens = caches.iter().map(|cache| cache.tokens.clone()).collect();
    FedOnDevice { hidden: fed.hidden, cross, tokens, rows }
}

/// Records the attention of the chosen heads, row by row.
fn record(recording: &mut Recording<'_>, attention: &[(usize, Vec<Vec<Vec<f32>>>)]) {
    for (block, heads) in attention {
        for (head, kept) in recording.of_block(*block) {
            heads[head].iter().for_each(|row| kept.extend_from_slice(row));
        }
    }
}

impl<N: Whisper> CrossLayers<N> {
    fn on_cpu(
        &self,
        cpu: &N,
        scratch: &mut N::Scratch,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<&N::Source, Cancelled> {
        if self.cpu.get().is_none() {
            // Another thread may have been faster; both made the same.
            let _ = self.cpu.set(cpu.listen(&self.states, None, scratch, threads, cancel)?);
        }
        Ok(self.cpu.get().unwrap_or_else(|| unreachable!("it was just set")))
    }
}

impl<N: Whisper> Memory for SelfCache<N> {
    fn len(&self) -> usize {
        self.tokens.len()
    }

    fn clear(&mut self) {
        self.tokens.clear();
        self.place = Place::Device(Vec::new());
    }

    fn copy_from(&mut self, other: &Self) {
        self.tokens.clone_from(&other.tokens);
        match (&mut self.place, &other.place) {
            (Place::Cpu(cache), Place::Cpu(other)) => cache.copy_from(other),
            (place, Place::Device(layers)) => *place = Place::Device(layers.clone()),
            (place, _) => *place = Place::Nowhere,
        }
    }

    /// The remaining tokens are fed again: tensors on a device are not truncated.
    fn truncate(&mut self, len: usize) {
        if len < self.tokens.len() {
            self.tokens.truncate(len);
            match &mut self.place {
                Place::Cpu(cache) => cache.truncate(len),
                place => *place = Place::Nowhere,
            }
        }
    }
}

impl<N: Whisper> SelfCache<N> {
    /// An empty cache for one hypothesis of at most `positions` tokens.
    pub(super) fn new(positions: usize) -> Self {
        Self { tokens: Vec::new(), positions, place: Place::Device(Vec::new()) }
    }

    fn layers(&self) -> Option<&SelfLayers> {
        match &self.place {
            Place::Device(layers) => Some(layers),
            Place::Cpu(_) | Place::Nowhere => None,
        }
    }

    /// The CPU's cache of the tokens, computed if necessary; the caller puts it back.
    fn take_to_cpu(
        &mut self,
        cpu: &N,
        sources: &[N::Source],
        scratch: &mut N::Scratch,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<N::Memory, Cancelled> {
        if let Place::Cpu(cache) = std::mem::replace(&mut self.place, Place::Nowhere) {
            return Ok(cache);
        }
        let mut memory = [cpu.memory(self.positions)];
        let rows: Vec<Row> = self.tokens.iter().map(|&token| Row { hypothesis: 0, source: 0, token }).collect();
        if !rows.is_empty() {
            let (rows, memories) = (&rows, &mut memory);
            cpu.feed(Pass { rows, memories, sources, recording: None, threads, cancel }, scratch)?;
        }
        let [memory] = memory;
        Ok(memory)
    }
}
