//! Layers and search are not specific to Whisper: a Llama with real weights and a Marian with random ones run on them
//! and agree with candle's networks: logits to 1e-4, greedy texts token for token.

#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]

mod networks;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{llama2_c, marian as candle_marian};
use sotto_nn::search::{
    Draft, Hypotheses, Inference, LengthNorm, Network, Plain, Recording, Scorer, Search, SearchMemory, SearchSettings,
    argmax,
};
use sotto_runtime::{CancelToken, Threads};
use sotto_testkit::data_dir;

use networks::llama::{Llama, read_llama2c};
use networks::marian::{self, Marian};

const SETTINGS: SearchSettings =
    SearchSettings { beam: 1, patience: 1.0, length: LengthNorm::Mean, max_tokens: 200, stop_loops: false };

fn near(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1.0f32, |most, x| most.max(x.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-4 * scale, "{found} {expected}");
    }
}

fn values(logits: &Tensor) -> Vec<f32> {
    logits.flatten_all().unwrap().to_vec1().unwrap()
}

/// Feeds a prompt and returns the logits after it.
fn first<N: Network>(inference: &mut Inference<N>, prompt: &[u32], room: usize) -> Vec<f32> {
    inference.begin(prompt.len() + room);
    inference.extend(prompt, None, &CancelToken::new()).unwrap();
    inference.logits(&[prompt.len() - 1]).to_vec()
}

/// The greedy continuation of a prompt.
fn greedy<N: Network>(inference: &mut Inference<N>, prompt: &[u32], scorer: &dyn Scorer) -> Vec<u32> {
    let first = first(inference, prompt, SETTINGS.max_tokens);
    let (cancel, memory) = (CancelToken::new(), &mut SearchMemory::default());
    let mut search = Search { hypotheses: inference, memory, scorer, settings: SETTINGS, cancel: &cancel };
    search.greedy(&first).unwrap().tokens
}

#[test]
fn a_llama_with_real_weights_tells_the_story_that_candles_tells() {
    let Some(data) = data_dir() else { return };
    let (sizes, tensors) = read_llama2c(&data.join("llm/stories260K.bin"));
    let config = llama2_c::Config {
        dim: sizes.width,
        hidden_dim: sizes.hidden,
        n_layers: sizes.blocks,
        n_heads: sizes.heads,
        n_kv_heads: sizes.key_values,
        vocab_size: sizes.vocabulary,
        seq_len: sizes.positions,
        norm_eps: 1e-5,
    };
    let mut named = tensors.candle();
    named.insert("lm_head.weight".to_owned(), named["model.embed_tokens.weight"].clone());
    let weights = VarBuilder::from_tensors(named, DType::F32, &Device::Cpu);
    let mut cache = llama2_c::Cache::new(true, &config, weights.clone()).unwrap();
    let theirs = llama2_c::Llama::load(weights, config).unwrap();
    let mut ours = Inference::new(Arc::new(Llama::load(&tensors, sizes).unwrap()), Threads::ONE);

    // The start of a text, and a longer prompt fed in one pass.
    let prompt = [1, 403, 407, 261, 378];
    let input = Tensor::new(&prompt[..], &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let logits = values(&theirs.forward(&input, 0, &mut cache).unwrap());
    near(&first(&mut ours, &prompt, 0), &logits[logits.len() - sizes.vocabulary..]);

    cache.kvs = vec![None; sizes.blocks];
    let (mut token, mut story) = (1u32, Vec::new());
    for position in 0..SETTINGS.max_tokens {
        let input = Tensor::new(&[[token]], &Device::Cpu).unwrap();
        token = argmax(&values(&theirs.forward(&input, position, &mut cache).unwrap())) as u32;
        story.push(token);
    }
    assert!(!story.contains(&1), "a story of {} tokens", story.len());
    let found = greedy(&mut ours, &[1], &Plain { end: 1 });
    assert_eq!(found, story);

    // With a draft of the story that is wrong in one place, the result is the same, in fewer passes.
    let mut draft = story.clone();
    draft[70] = 5;
    let cancel = CancelToken::new();
    let memory = &mut SearchMemory::default();
    let scorer = Plain { end: 1 };
    let mut search = Search { hypotheses: &mut ours, memory, scorer: &scorer, settings: SETTINGS, cancel: &cancel };
    let mut recording = Recording::new(&[]);
    let fed = Draft::feed(&mut search, &[1], &draft, &mut recording).unwrap();
    assert_eq!(fed.follow(&mut search, &mut recording).unwrap().tokens, story);
    assert!(search.memory.sampled() < 40, "{} passes over the vocabulary", search.memory.sampled());
}

/// Sentences of several lengths; 0 ends each.
fn sentences() -> Vec<Vec<u32>> {
    [3, 11, 1, 7, 20]
        .iter()
        .zip(1..)
        .map(|(&length, seed)| (0..length).map(|i| (i * 13 + seed * 7) % 69 + 1).chain([0]).collect())
        .collect()
}

/// The texts of candle's network, one sentence at a time, with the logits of their first tokens.
fn candles_texts(tensors: &networks::Tensors) -> Vec<(Vec<f32>, Vec<u32>)> {
    let config = candle_marian::Config {
        vocab_size: marian::VOCABULARY,
        decoder_vocab_size: None,
        max_position_embeddings: marian::POSITIONS,
        encoder_layers: marian::BLOCKS,
        encoder_ffn_dim: marian::HIDDEN,
        encoder_attention_heads: marian::HEADS,
        decoder_layers: marian::BLOCKS,
        decoder_ffn_dim: marian::HIDDEN,
        decoder_attention_heads: marian::HEADS,
        use_cache: true,
        is_encoder_decoder: true,
        activation_function: candle_nn::Activation::Relu,
        d_model: marian::WIDTH,
        decoder_start_token_id: START,
        scale_embedding: true,
        pad_token_id: START,
        eos_token_id: 0,
        forced_eos_token_id: 0,
        share_encoder_decoder_embeddings: true,
    };
    let weights = VarBuilder::from_tensors(tensors.candle(), DType::F32, &Device::Cpu);
    let mut network = candle_marian::MTModel::new(&config, weights).unwrap();
    let row = |tokens: &[u32]| Tensor::new(tokens, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let text = |sentence: &Vec<u32>| {
        network.reset_kv_cache();
        let source = network.encoder().forward(&row(sentence), 0).unwrap();
        let mut first = Vec::new();
        let mut tokens = Vec::new();
        let mut token = START;
        for position in 0..LONGEST {
            let logits = values(&network.decode(&row(&[token]), &source, position).unwrap());
            token = argmax(&logits) as u32;
            if position == 0 {
                first = logits;
            }
            if token == 0 {
                break;
            }
            tokens.push(token);
        }
        (first, tokens)
    };
    sentences().iter().map(text).collect()
}

/// Encodes sentences, one source each.
fn attend_to(inference: &mut Inference<Marian>, sentences: &[Vec<u32>]) {
    let make = |network: &Marian, _: &mut marian::Scratch, sources: &mut Vec<_>| -> Result<(), ()> {
        sources.extend(sentences.iter().map(|sentence| network.encode(sentence, Threads::ONE)));
        Ok(())
    };
    inference.attend_to(make).unwrap();
}

const START: u32 = 69;
const LONGEST: usize = 40;

#[test]
fn a_marian_translates_a_batch_each_sentence_with_its_own_source_as_candles_does_one_by_one() {
    let tensors = marian::random_weights(3);
    let expected = candles_texts(&tensors);
    // The texts must differ, or the test would show nothing.
    assert!(expected.iter().any(|(_, text)| *text != expected[0].1));
    let network = Arc::new(Marian::load(&tensors).unwrap());
    let mut inference = Inference::new(Arc::clone(&network), Threads::ONE);
    attend_to(&mut inference, &sentences());
    inference.begin(LONGEST);
    inference.fork(&[0, 1, 2, 3, 4]);
    let cancel = CancelToken::new();
    let logits = inference.step(&[START; 5], &cancel).unwrap();
    for (found, (expected, _)) in logits.chunks_exact(marian::VOCABULARY).zip(&expected) {
        near(found, expected);
    }
    let settings = SearchSettings { max_tokens: LONGEST, ..SETTINGS };
    let (memory, scorer) = (&mut SearchMemory::default(), Plain { end: 0 });
    inference.begin(LONGEST);
    let mut search = Search { hypotheses: &mut inference, memory, scorer: &scorer, settings, cancel: &cancel };
    let found = search.greedy_each(START, 5).unwrap();
    for (found, (_, expected)) in found.iter().zip(&expected) {
        assert_eq!(found.tokens, *expected);
    }
    // A beam search is never worse than greedy decoding by its own score, and its texts are sorted best first.
    for (place, greedy) in found.iter().enumerate().filter(|(_, text)| text.tokens.len() < LONGEST) {
        let mut alone = Inference::new(Arc::clone(&network), Threads::ONE);
        let sentence = &sentences()[place];
        attend_to(&mut alone, std::slice::from_ref(sentence));
        let first = self::first(&mut alone, &[START], LONGEST);
        let settings = SearchSettings { beam: 8, length: LengthNorm::Power(0.0), ..settings };
        let memory = &mut SearchMemory::default();
        let mut search = Search { hypotheses: &mut alone, memory, scorer: &scorer, settings, cancel: &cancel };
        let texts = search.beam(&first).unwrap();
        assert!(texts.len() > 1 && texts.is_sorted_by(|a, b| a.sum_logprob >= b.sum_logprob), "{texts:?}");
        assert!(texts[0].sum_logprob >= greedy.sum_logprob - 1e-3, "{place}");
    }
}

/// A scorer over a shortlist.
#[derive(Debug)]
struct Shortlist(Vec<u32>);

impl Scorer for Shortlist {
    fn end(&self) -> u32 {
        0
    }

    fn log_probabilities(&self, logits: &mut [f32], _text: &[u32]) {
        sotto_kernels::log_softmax(logits);
    }

    fn token(&self, column: usize) -> u32 {
        self.0[column]
    }
}

#[test]
fn a_shortlist_that_has_the_words_of_a_text_gives_that_text() {
    let tensors = marian::random_weights(3);
    let (_, expected) = candles_texts(&tensors).swap_remove(1);
    let mut shortlist: Vec<u32> = expected.iter().copied().chain([0, 7, 12]).collect();
    shortlist.sort_unstable();
    shortlist.dedup();
    assert!(shortlist.len() < marian::VOCABULARY);
    let network = Marian::load(&tensors).unwrap().with_shortlist(&shortlist);
    let mut inference = Inference::new(Arc::new(network), Threads::ONE);
    attend_to(&mut inference, &sentences()[1..2]);
    let settings = SearchSettings { max_tokens: LONGEST, ..SETTINGS };
    let first = first(&mut inference, &[START], LONGEST);
    assert_eq!(first.len(), shortlist.len());
    let cancel = CancelToken::new();
    let memory = &mut SearchMemory::default();
    let scorer = Shortlist(shortlist);
    let mut search = Search { hypotheses: &mut inference, memory, scorer: &scorer, settings, cancel: &cancel };
    assert_eq!(search.greedy(&first).unwrap().tokens, expected);
}
