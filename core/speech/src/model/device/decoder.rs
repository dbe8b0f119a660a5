//! The decoder of a model that has a device: there if it works, else on the CPU, from the tokens that were fed.

use std::sync::{Arc, OnceLock};

use candle_core::Tensor;
use sotto_runtime::{CancelToken, Cancelled, Threads};

use super::network::{self, Fed, KeyValues, SelfLayers};
use super::{PassError, Switch, on_device};
use crate::model::config::Dimensions;
use crate::model::inventory::{cross_values, token_weights};
use crate::model::{self, Recording, Row};

#[derive(Debug)]
pub(crate) struct Decoder {
    cpu: Box<model::Decoder>,
    device: network::Decoder,
    switch: Switch,
}

/// Keys and values of the encoded audio, on the device or, once they are needed there, on the CPU.
#[derive(Debug)]
pub(crate) struct CrossLayers {
    states: Vec<f32>,
    device: Option<Vec<KeyValues>>,
    cpu: OnceLock<model::CrossCache>,
}

/// Caches of one hypothesis, and the tokens that they were made from.
#[derive(Debug)]
pub(crate) struct SelfCache {
    tokens: Vec<u32>,
    /// Room that caches on the CPU have.
    positions: usize,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Device(SelfLayers),
    Cpu(Box<model::SelfCache>),
    /// To be made from the tokens.
    Nowhere,
}

/// Memory that decoding reuses from token to token.
#[derive(Debug)]
pub(crate) struct DecoderScratch {
    cpu: Box<model::DecoderScratch>,
    logits: Vec<f32>,
    /// What the last tokens gave on the device; `None` where the CPU was fed.
    fed: Option<FedOnDevice>,
    /// The row of the CPU's scratch for each row that was fed, where they are not the same.
    replayed: Option<Vec<usize>>,
}

#[derive(Debug)]
struct FedOnDevice {
    hidden: Tensor,
    cross: Arc<CrossLayers>,
    /// All tokens of each hypothesis.
    tokens: Vec<Vec<u32>>,
    /// Hypothesis of each row that was fed, and its place among the hypothesis' tokens.
    rows: Vec<(usize, usize)>,
}

impl Decoder {
    pub(super) fn new(cpu: model::Decoder, device: network::Decoder, switch: Switch) -> Self {
        Self { cpu: Box::new(cpu), device, switch }
    }

    /// As [`model::Decoder::bytes_per_token`], of what computes right now.
    pub(crate) fn bytes_per_token(&self, dimensions: &Dimensions) -> u64 {
        match self.switch.is_on() {
            true => self.device.weight_bytes() * (token_weights(dimensions) + cross_values(dimensions)),
            false => self.cpu.bytes_per_token(dimensions),
        }
    }

    pub(crate) fn scratch(&self) -> DecoderScratch {
        DecoderScratch { cpu: Box::new(self.cpu.scratch()), logits: Vec::new(), fed: None, replayed: None }
    }

    /// As [`model::Decoder::cross_cache`].
    pub(crate) fn cross_layers(
        &self,
        states: &[f32],
        scratch: &mut DecoderScratch,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<CrossLayers, Cancelled> {
        let device = on_device(&self.switch, || self.device.cross_layers(states, cancel))?;
        let cross = CrossLayers { states: states.to_vec(), device, cpu: OnceLock::new() };
        if cross.device.is_none() {
            cross.on_cpu(&self.cpu, &mut scratch.cpu, threads, cancel)?;
        }
        Ok(cross)
    }

    /// An empty cache for one hypothesis of at most `positions` tokens.
    pub(crate) fn self_cache(&self, positions: usize) -> SelfCache {
        SelfCache { tokens: Vec::new(), positions, place: Place::Device(Vec::new()) }
    }

    /// As [`model::Decoder::feed`].
    #[expect(clippy::too_many_arguments, reason = "what one call of the network reads and writes")]
    pub(crate) fn feed(
        &self,
        rows: &[Row],
        caches: &mut [model::SelfCache],
        cross: &Arc<CrossLayers>,
        scratch: &mut DecoderScratch,
        mut recording: Option<&mut Recording<'_>>,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<(), Cancelled> {
        let blocks: Vec<usize> = recording.iter().flat_map(|r| r.heads.iter().map(|&(block, _)| block)).collect();
        match self.feed_device(rows, caches, cross, &blocks, cancel)? {
            Some(fed) => {
                if let Some(recording) = recording.as_deref_mut() {
                    record(recording, &fed.attention);
                }
                scratch.replayed = None;
                scratch.fed = Some(keep(rows, caches, cross, fed));
                Ok(())
            }
            None => self.feed_cpu(rows, caches, cross, scratch, recording, threads, cancel),
        }
    }

    /// `None` when the CPU has to do it.
    fn feed_device(
        &self,
        rows: &[Row],
        caches: &mut [model::SelfCache],
        cross: &CrossLayers,
        blocks: &[usize],
        cancel: &CancelToken,
    ) -> Result<Option<Fed>, Cancelled> {
        let Some(cross) = &cross.device else { return Ok(None) };
        let caches: Vec<&SelfCache> = caches.iter_mut().map(|cache| &*cache.device()).collect();
        let starts: Vec<usize> = caches.iter().map(|cache| cache.tokens.len()).collect();
        let layers: Option<Vec<&SelfLayers>> = caches.iter().map(|cache| cache.layers()).collect();
        let Some(layers) = layers else { return Ok(None) };
        on_device(&self.switch, || self.device.feed(rows, (&layers, &starts), cross, blocks, cancel))
    }

    #[expect(clippy::too_many_arguments, reason = "as feed")]
    fn feed_cpu(
        &self,
        rows: &[Row],
        caches: &mut [model::SelfCache],
        cross: &CrossLayers,
        scratch: &mut DecoderScratch,
        recording: Option<&mut Recording<'_>>,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<(), Cancelled> {
        let cross = cross.on_cpu(&self.cpu, &mut scratch.cpu, threads, cancel)?;
        let mut own = Vec::with_capacity(caches.len());
        for cache in &mut *caches {
            own.push(cache.device().take_to_cpu(&self.cpu, cross, &mut scratch.cpu, threads, cancel)?);
        }
        let result = self.cpu.feed(rows, &mut own, cross, &mut scratch.cpu, recording, threads, cancel);
        for (cache, own) in caches.iter_mut().zip(own) {
            cache.device().place = Place::Cpu(Box::new(own));
        }
        result?;
        for row in rows {
            caches[row.hypothesis].device().tokens.push(row.token);
        }
        (scratch.fed, scratch.replayed) = (None, None);
        Ok(())
    }

    /// As [`model::Decoder::logits`].
    pub(crate) fn logits<'s>(
        &self,
        picked: &[usize],
        scratch: &'s mut DecoderScratch,
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
            scratch.replayed = Some(self.replay(&fed, &mut scratch.cpu, threads));
        }
        match &scratch.replayed {
            Some(places) => {
                let picked: Vec<usize> = picked.iter().map(|&row| places[row]).collect();
                self.cpu.logits(&picked, &mut scratch.cpu, threads)
            }
            None => self.cpu.logits(picked, &mut scratch.cpu, threads),
        }
    }

    /// Feeds the CPU all tokens of a pass whose hidden states are lost with the device; returns where its rows are now.
    fn replay(&self, fed: &FedOnDevice, scratch: &mut model::DecoderScratch, threads: Threads) -> Vec<usize> {
        // Nobody waits for a token to observe here: at most one text context is fed per hypothesis.
        let never = CancelToken::new();
        let (mut rows, mut firsts, mut caches) = (Vec::new(), Vec::new(), Vec::new());
        for (hypothesis, tokens) in fed.tokens.iter().enumerate() {
            firsts.push(rows.len());
            rows.extend(tokens.iter().map(|&token| Row { hypothesis, token }));
            caches.push(self.cpu.self_cache(tokens.len()));
        }
        let mut run = || -> Result<(), Cancelled> {
            let cross = fed.cross.on_cpu(&self.cpu, scratch, threads, &never)?;
            self.cpu.feed(&rows, &mut caches, cross, scratch, None, threads, &never)
        };
        run().unwrap_or_else(|_| unreachable!("nobody has the token"));
        fed.rows.iter().map(|&(hypothesis, place)| firsts[hypothesis] + place).collect()
    }
}

/// Moves the result of a pass into the caches; what logits need stays.
fn keep(rows: &[Row], caches: &mut [model::SelfCache], cross: &Arc<CrossLayers>, fed: Fed) -> FedOnDevice {
    for (hypothesis, layers) in fed.caches {
        caches[hypothesis].device().place = Place::Device(layers);
    }
    let places = rows.iter().map(|row| {
        let tokens = &mut caches[row.hypothesis].device().tokens;
        tokens.push(row.token);
        (row.hypothesis, tokens.len() - 1)
    });
    let rows = places.collect();
    let tokens = caches.iter_mut().map(|cache| cache.device().tokens.clone()).collect();
    FedOnDevice { hidden: fed.hidden, cross: Arc::clone(cross), tokens, rows }
}

/// Hands on the attention of the chosen heads, row by row.
fn record(recording: &mut Recording<'_>, attention: &[(usize, Vec<Vec<Vec<f32>>>)]) {
    for (block, heads) in attention {
        for (head, kept) in recording.of_block(*block) {
            heads[head].iter().for_each(|row| kept.extend_from_slice(row));
        }
    }
}

impl CrossLayers {
    fn on_cpu(
        &self,
        decoder: &model::Decoder,
        scratch: &mut model::DecoderScratch,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<&model::CrossCache, Cancelled> {
        if self.cpu.get().is_none() {
            // Another thread may have been faster; both made the same.
            let _ = self.cpu.set(decoder.cross_cache(&self.states, None, scratch, threads, cancel)?);
        }
        Ok(self.cpu.get().unwrap_or_else(|| unreachable!("it was just set")))
    }
}

impl SelfCache {
    /// Positions decoded so far.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(crate) fn clear(&mut self) {
        self.tokens.clear();
        self.place = Place::Device(Vec::new());
    }

    /// What stays is fed again: tensors of a device are not cut.
    pub(crate) fn truncate(&mut self, len: usize) {
        if len < self.tokens.len() {
            self.tokens.truncate(len);
            match &mut self.place {
                Place::Cpu(cache) => cache.truncate(len),
                place => *place = Place::Nowhere,
            }
        }
    }

    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.tokens.clone_from(&other.tokens);
        match (&mut self.place, &other.place) {
            (Place::Cpu(cache), Place::Cpu(other)) => cache.copy_from(other),
            (place, Place::Device(layers)) => *place = Place::Device(layers.clone()),
            (place, _) => *place = Place::Nowhere,
        }
    }

    fn layers(&self) -> Option<&SelfLayers> {
        match &self.place {
            Place::Device(layers) => Some(layers),
            Place::Cpu(_) | Place::Nowhere => None,
        }
    }

    /// The CPU's cache of the tokens, made where it is not there; the caller puts it back.
    fn take_to_cpu(
        &mut self,
        decoder: &model::Decoder,
        cross: &model::CrossCache,
        scratch: &mut model::DecoderScratch,
        threads: Threads,
        cancel: &CancelToken,
    ) -> Result<model::SelfCache, Cancelled> {
        if let Place::Cpu(cache) = std::mem::replace(&mut self.place, Place::Nowhere) {
            return Ok(*cache);
        }
        let mut caches = [decoder.self_cache(self.positions)];
        let rows: Vec<Row> = self.tokens.iter().map(|&token| Row { hypothesis: 0, token }).collect();
        if !rows.is_empty() {
            decoder.feed(&rows, &mut caches, cross, scratch, None, threads, cancel)?;
        }
        let [cache] = caches;
        Ok(cache)
    }
}
