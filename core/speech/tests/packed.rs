//! Packed models: the same bits as the model that was packed, on any CPU's layout, and typed errors for bad files.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;
use sotto_audio::Pcm16k;
use sotto_kernels::KernelSet;
use sotto_nn::packed::reseal;
use sotto_nn::weights::WeightError;
use sotto_runtime::{Bytes, CancelToken, MemoryBudget, NoProgress, Progress, Threads};
use sotto_speech::{
    Isa, Layout, LoadError, LoadOptions, ModelSource, OtherLayout, PACKING_VERSION, Precision, Provenance,
    QuantizeError, QuantizeOptions, SpeechError, SpeechRecognizer, TranscribeOptions, WeightType, WeightTypes,
    WriteError, quantize,
};
use sotto_text::Tokenizer;
use support::formula::FormulaModel;
use tempfile::TempDir;

const LAYOUTS: [Layout; 5] = Layout::ALL;

// The promise is 100 ms on a desktop; emulated and busy machines get more.
const AT_ONCE: Duration = Duration::from_secs(2);

/// A small model's folder, and room for packed files in it.
struct Packer {
    folder: TempDir,
}

impl Packer {
    fn new() -> Self {
        Self { folder: FormulaModel::small().write() }
    }

    fn source(&self) -> ModelSource {
        ModelSource::Path(self.folder.path().to_owned())
    }

    fn pack(&self, layout: Layout) -> PathBuf {
        self.pack_as(layout, WeightType::Int8)
    }

    fn pack_as(&self, layout: Layout, weights: WeightType) -> PathBuf {
        let bits = if weights == WeightType::Int4 { ".int4" } else { "" };
        let path = self.folder.path().join(format!("{layout}{bits}.sotto"));
        let options = QuantizeOptions { weights: weights.into(), layout: Some(layout), replace: true, ..options() };
        quantize(&self.source(), &path, &options, &NoProgress, &CancelToken::new()).unwrap();
        path
    }
}

fn options() -> QuantizeOptions {
    let provenance = Provenance { sha256: Some("abc".into()), licence: Some("mit".into()), ..Provenance::default() };
    QuantizeOptions { provenance, ..QuantizeOptions::default() }
}

fn load_with(source: &ModelSource, options: &LoadOptions) -> Result<SpeechRecognizer, LoadError> {
    SpeechRecognizer::load(source, options, &NoProgress, &CancelToken::new())
}

fn load(path: &Path) -> Result<SpeechRecognizer, LoadError> {
    load_with(&path.into(), &LoadOptions { threads: Threads::ONE, ..LoadOptions::default() })
}

/// Bits of encoder states and logits.
fn bits(recognizer: &SpeechRecognizer) -> Vec<u32> {
    let (model, cancel) = (recognizer.model().unwrap(), CancelToken::new());
    let frames = 100;
    let features: Vec<f32> = (0..frames * model.dimensions().mels).map(|i| (i as f32 * 0.37).sin()).collect();
    let states = model.encode(&features, Threads::ONE, &cancel).unwrap();
    let logits = model.logits(&states, &[300, 301, 17, 40, 5], Threads::ONE, &cancel).unwrap();
    states.into_iter().chain(logits).map(f32::to_bits).collect()
}

fn int8(isa: Option<Isa>, precision: Precision) -> LoadOptions {
    LoadOptions { precision: Some(precision), isa, threads: Threads::ONE, ..LoadOptions::default() }
}

#[test]
fn every_layout_gives_the_bits_of_the_original_on_every_instruction_set() {
    let packer = Packer::new();
    for precision in [Precision::Int8, Precision::Mixed] {
        let original = load_with(&packer.source(), &int8(None, precision)).unwrap();
        let expected = bits(&original);
        for layout in LAYOUTS {
            let source = ModelSource::Path(packer.pack(layout));
            for isa in KernelSet::all_available().into_iter().map(|set| Some(set.isa())).chain([None]) {
                let packed = load_with(&source, &int8(isa, precision)).unwrap();
                assert!(bits(&packed) == expected, "{layout} on {isa:?}");
            }
        }
    }
}

#[test]
fn four_bit_decoders_give_the_same_bits_in_every_layout_on_every_instruction_set() {
    let packer = Packer::new();
    let int8 = load(&packer.pack(Layout::Quads)).unwrap();
    for precision in [Precision::Int8, Precision::Mixed] {
        let first = load_with(&packer.pack_as(Layout::Columns, WeightType::Int4).into(), &self::int8(None, precision));
        let expected = bits(&first.unwrap());
        if precision == Precision::Int8 {
            let eight = bits(&int8);
            let (found, other) = (states_and_logits(&expected, &int8), states_and_logits(&eight, &int8));
            assert!(found.0 == other.0, "the encoder keeps 8 bits");
            assert!(found.1 != other.1);
        }
        for layout in LAYOUTS {
            let source = ModelSource::Path(packer.pack_as(layout, WeightType::Int4));
            for isa in KernelSet::all_available().into_iter().map(|set| Some(set.isa())).chain([None]) {
                let packed = load_with(&source, &self::int8(isa, precision)).unwrap();
                assert!(bits(&packed) == expected, "{layout} on {isa:?}");
            }
        }
    }
}

/// [`bits`], divided.
fn states_and_logits<'a>(bits: &'a [u32], recognizer: &SpeechRecognizer) -> (&'a [u32], &'a [u32]) {
    bits.split_at(bits.len() - 5 * recognizer.model().unwrap().dimensions().vocabulary)
}

#[test]
fn a_four_bit_file_says_so_and_is_smaller() {
    let packer = Packer::new();
    let (int8, int4) = (packer.pack(Layout::Vnni), packer.pack_as(Layout::Vnni, WeightType::Int4));
    let size = |path: &Path| path.metadata().unwrap().len();
    assert!(size(&int4) < size(&int8));
    let recognizer = load(&int4).unwrap();
    let model = recognizer.model().unwrap();
    let info = model.packed().unwrap();
    assert_eq!((info.weights, info.layout), (WeightType::Int4.into(), Layout::Vnni));
    let quality: serde_json::Value = serde_json::from_str(info.quality.unwrap()).unwrap();
    for (class, error) in quality["relative_error"].as_object().unwrap() {
        let range = if class.starts_with("encoder") { 0.001..0.01 } else { 0.005..0.15 };
        assert!(range.contains(&error.as_f64().unwrap()), "{class}: {error}");
    }
    let options = QuantizeOptions { layout: Some(Layout::Quads), replace: true, ..options() };
    let again = |source: &Path, weights| {
        let options = QuantizeOptions { weights, ..options.clone() };
        quantize(&source.into(), &packer.folder.path().join("x"), &options, &NoProgress, &CancelToken::new())
    };
    let (from, to): (WeightTypes, WeightTypes) = (WeightType::Int4.into(), WeightType::Int8.into());
    let Err(QuantizeError::PackedWeights { found, wanted, .. }) = again(&int4, to) else { panic!("other weights") };
    assert_eq!((found, wanted), (from, to));
    assert!(matches!(again(&int8, from), Err(QuantizeError::PackedWeights { .. })));
    assert_eq!(again(&int4, from).unwrap().weights, from);
    assert!(
        std::fs::read(packer.folder.path().join("x")).unwrap()
            == std::fs::read(packer.pack_as(Layout::Quads, WeightType::Int4)).unwrap()
    );
}

#[test]
fn sizes_vocabulary_and_settings_are_those_of_the_original() {
    let packer = Packer::new();
    let (original, packed) = (load(packer.folder.path()).unwrap(), load(&packer.pack(Layout::Quads)).unwrap());
    let (original, packed) = (original.model().unwrap(), packed.model().unwrap());
    assert_eq!(packed.dimensions(), original.dimensions());
    assert_eq!(packed.alignment_heads(), original.alignment_heads());
    assert_eq!(packed.tokenizer().special(), original.tokenizer().special());
    assert_eq!(packed.tokenizer().languages(), original.tokenizer().languages());
    for text in [" one two", "w17 w99", "ünïcode"] {
        assert_eq!(packed.tokenizer().encode(text), original.tokenizer().encode(text));
    }
    assert!(original.packed().is_none());
    let info = packed.packed().unwrap();
    assert_eq!((info.layout, info.licence), (Layout::Quads, Some("mit")));
    let source: serde_json::Value = serde_json::from_str(info.source.unwrap()).unwrap();
    assert_eq!(source, json!({ "format": "safetensors F32", "sha256": "abc" }));
    let quality: serde_json::Value = serde_json::from_str(info.quality.unwrap()).unwrap();
    let errors = quality["relative_error"].as_object().unwrap();
    assert_eq!(errors.len(), 7);
    assert!(errors.values().all(|error| (0.001..0.01).contains(&error.as_f64().unwrap())), "{errors:?}");
}

#[test]
fn a_transcript_is_that_of_the_original() {
    let packer = Packer::new();
    let audio = Pcm16k::new((0..24_000).map(|i| (i as f32 * 0.05).sin() * 0.3).collect()).unwrap();
    let segments = |recognizer: &SpeechRecognizer| {
        let options = TranscribeOptions { prompt: Some("w300 one".into()), ..TranscribeOptions::default() };
        recognizer.transcribe(&audio, &options, &NoProgress, &CancelToken::new()).unwrap().segments
    };
    let original = load_with(&packer.source(), &int8(None, Precision::Int8)).unwrap();
    assert_eq!(segments(&load(&packer.pack(Layout::Pairs)).unwrap()), segments(&original));
}

#[test]
fn the_same_model_gives_the_same_bytes_also_by_way_of_another_layout() {
    let packer = Packer::new();
    let read = |path: &Path| std::fs::read(path).unwrap();
    let first = read(&packer.pack(Layout::Octets));
    assert!(read(&packer.pack(Layout::Octets)) == first);
    let (via, path) = (ModelSource::Path(packer.pack(Layout::Vnni)), packer.folder.path().join("again.sotto"));
    let options = QuantizeOptions { layout: Some(Layout::Octets), ..QuantizeOptions::default() };
    let quantized = quantize(&via, &path, &options, &NoProgress, &CancelToken::new()).unwrap();
    assert!(read(&path) == first);
    assert!(quantized.errors.is_empty() && quantized.bytes == Bytes(first.len() as u64));
}

#[test]
fn nothing_is_overwritten_unasked_and_a_cancelled_run_leaves_nothing() {
    let packer = Packer::new();
    let path = packer.pack(Layout::Quads);
    let before = std::fs::read_dir(packer.folder.path()).unwrap().count();
    let attempt = |cancel: &CancelToken, name: &str, at: f64| {
        let progress = |progress: &Progress<'_>| {
            if progress.done as f64 >= at * progress.total.unwrap() as f64 {
                cancel.cancel();
            }
        };
        quantize(&packer.source(), &packer.folder.path().join(name), &options(), &progress, cancel).unwrap_err()
    };
    let exists = quantize(&packer.source(), &path, &options(), &NoProgress, &CancelToken::new()).unwrap_err();
    assert!(matches!(exists, QuantizeError::Write(WriteError::Exists { .. })), "{exists}");
    assert!(exists.to_string().contains("quads.sotto"));
    for at in [0.0, 0.3, 1.0] {
        let error = attempt(&CancelToken::new(), "cancelled.sotto", at);
        let cancelled = [
            matches!(error, QuantizeError::Load(LoadError::Cancelled(_))),
            matches!(error, QuantizeError::Write(WriteError::Cancelled(_))),
        ];
        assert!(cancelled.contains(&true), "{error}");
    }
    assert_eq!(std::fs::read_dir(packer.folder.path()).unwrap().count(), before);
    let absent = ModelSource::Path(packer.folder.path().join("absent"));
    let error = quantize(&absent, &path, &options(), &NoProgress, &CancelToken::new()).unwrap_err();
    assert!(matches!(error, QuantizeError::Load(LoadError::NotAModel { .. })));
}

/// A layout that no kernels of this CPU read in place, and one that the best do.
fn layouts() -> (Layout, Layout) {
    let other = LAYOUTS.into_iter().find(|&layout| KernelSet::reading(layout).is_none()).unwrap();
    (other, KernelSet::best().layout())
}

/// A packed file without its header's checksum and the version of its writer, which change for other reasons.
fn what_was_packed(file: &Path) -> String {
    use sha2::{Digest, Sha256};
    let bytes = std::fs::read(file).unwrap();
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, tensors) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: serde_json::Value = serde_json::from_slice(header).unwrap();
    for key in ["sotto.checksum", "sotto.writer"] {
        header["__metadata__"].as_object_mut().unwrap().remove(key).unwrap();
    }
    let hash = Sha256::new().chain_update(header.to_string()).chain_update(tensors).finalize();
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn whoever_changes_what_packing_writes_counts_its_version_up() {
    // Where this fails although the file is right: count `PACKING_VERSION` up, so that caches leave older files alone,
    // and put the new hash here.
    let packer = Packer::new();
    let file = packer.pack(Layout::Columns);
    assert_eq!((PACKING_VERSION, what_was_packed(&file).as_str()), (2, "d709ca90f893a0ec"));
}

#[test]
fn another_layout_is_repacked_and_counted_or_refused() {
    let packer = Packer::new();
    let (other, ours) = layouts();
    let paths = (packer.pack(other), packer.pack(ours));
    let length = |path: &Path| std::fs::metadata(path).unwrap().len();
    let lengths = (length(&paths.0), length(&paths.1));
    let (other, ours) = (ModelSource::Path(paths.0), ModelSource::Path(paths.1));
    let defaults = LoadOptions::default();
    let estimate = |source: &ModelSource| SpeechRecognizer::estimate(source, &defaults).unwrap().peak().0;
    let embedding = load_with(&ours, &defaults).unwrap().model().unwrap().dimensions().clone();
    let embedding = (embedding.vocabulary * embedding.width) as u64;
    // Both count their file and one transcription; the other one its weights again.
    assert!(estimate(&other) - lengths.0 > estimate(&ours) - lengths.1 + embedding);
    let refuse = LoadOptions { other_layout: OtherLayout::Refuse, ..LoadOptions::default() };
    load_with(&ours, &refuse).unwrap();
    let error = load_with(&other, &refuse).map(|_| ()).unwrap_err();
    assert!(matches!(error, LoadError::Weights(WeightError::KernelLayout { .. })), "{error}");
    let (found, expected) = layouts();
    for part in [found.name(), expected.name(), &format!("{found}.sotto")] {
        assert!(error.to_string().contains(part), "{error}");
    }
    for (source, needed) in [(&other, estimate(&other)), (&ours, estimate(&ours))] {
        let within = |bytes| LoadOptions { budget: MemoryBudget::limited(Bytes(bytes)), ..LoadOptions::default() };
        assert!(matches!(load_with(source, &within(needed - 1)), Err(LoadError::OutOfBudget { .. })));
        load_with(source, &within(needed)).unwrap();
    }
}

#[test]
fn a_packed_model_computes_in_int8_and_says_so_when_f32_is_asked_of_it() {
    let packer = Packer::new();
    let source = ModelSource::Path(packer.pack(layouts().1));
    let default = load_with(&source, &LoadOptions::default()).unwrap();
    assert!(bits(&default) == bits(&load_with(&source, &int8(None, Precision::Int8)).unwrap()));
    for result in [
        load_with(&source, &int8(None, Precision::F32)).map(|_| ()),
        SpeechRecognizer::estimate(&source, &int8(None, Precision::F32)).map(|_| ()),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, LoadError::Precision { .. }) && error.to_string().contains(".sotto"), "{error}");
    }
}

#[test]
fn a_file_that_is_cut_under_a_model_ends_the_next_transcription_with_an_error() {
    let packer = Packer::new();
    let path = packer.pack(layouts().1);
    let recognizer = load(&path).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(5000).unwrap();
    let audio = Pcm16k::new(vec![0.1; 8000]).unwrap();
    let result = recognizer.transcribe(&audio, &TranscribeOptions::greedy(), &NoProgress, &CancelToken::new());
    let error = result.unwrap_err();
    assert!(matches!(error, SpeechError::Load(LoadError::Weights(WeightError::Changed { .. }))), "{error}");
}

/// The error of loading a file of these bytes; checks that it names the file.
#[track_caller]
fn refused(folder: &Path, bytes: &[u8]) -> LoadError {
    let path = folder.join("bad.sotto");
    std::fs::write(&path, bytes).unwrap();
    let start = Instant::now();
    let error = load(&path).map(|_| ()).unwrap_err();
    assert!(start.elapsed() < AT_ONCE, "{:?} for {error}", start.elapsed());
    let message = error.to_string();
    assert!(message.contains("bad.sotto") && message.len() < 1000, "{message}");
    error
}

fn header_len(bytes: &[u8]) -> usize {
    8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize
}

#[test]
fn damaged_files_are_refused() {
    let packer = Packer::new();
    let folder = packer.folder.path();
    let bytes = std::fs::read(packer.pack(Layout::Quads)).unwrap();
    let header = header_len(&bytes);
    for length in (0..header).step_by(211).chain((header..bytes.len()).step_by(9973)).chain([bytes.len() - 1]) {
        refused(folder, &bytes[..length]);
    }
    for at in (0..header).step_by(97) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        refused(folder, &bytes);
    }
}

/// `bytes` with one text of its header replaced by another of the same length, under a checksum that fits.
fn changed(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).expect("the header has it");
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    assert!(reseal(&mut bytes));
    bytes
}

#[test]
fn headers_that_contradict_the_tensors_are_refused_by_cause() {
    let packer = Packer::new();
    let folder = packer.folder.path();
    let bytes = std::fs::read(packer.pack(Layout::Quads)).unwrap();
    for (from, to, cause) in [
        ("\"sotto.format\":\"1\"", "\"sotto.format\":\"7\"", "format 7"),
        ("\"4 quads\"", "\"8 hexes\"", "layout 8 hexes"),
        ("\"sotto.task\":\"whisper\"", "\"sotto.task\":\"pancake\"", "pancake"),
        ("\"sotto.config\"", "\"other.config\"", "config.json"),
        ("\"sotto.generation_config\"", "\"other.generation_config\"", "generation_config.json"),
        ("\"tokenizer\"", "\"somethink\"", "tokenizer"),
        ("\\\"decoder_layers\\\":2", "\\\"decoder_layers\\\":3", "decoder.layers.2"),
        ("\\\"max_source_positions\\\":100", "\\\"max_source_positions\\\":101", "encoder.embed_positions"),
        ("\\\"vocab_size\\\":", "\\\"vocab_sice\\\":", "vocab_size"),
    ] {
        let error = refused(folder, &changed(&bytes, from, to));
        assert!(error.to_string().contains(cause), "{cause} expected in: {error}");
    }
    // Valid safetensors that were never packed.
    let plain = std::fs::read(folder.join("model.safetensors")).unwrap();
    assert!(matches!(refused(folder, &plain), LoadError::Weights(WeightError::NotPacked { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Behind a sound checksum anything may stand: a typed error, or a model that transcribes without a panic.
    #[test]
    fn hostile_files_load_or_are_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        in_header in any::<bool>(),
        four_bits in any::<bool>(),
    ) {
        static FILES: std::sync::OnceLock<(Packer, [Vec<u8>; 2])> = std::sync::OnceLock::new();
        let (packer, files) = FILES.get_or_init(|| {
            let packer = Packer::new();
            let read = |weights| std::fs::read(packer.pack_as(layouts().1, weights)).unwrap();
            let files = [WeightType::Int8, WeightType::Int4].map(read);
            (packer, files)
        });
        let bytes = &files[usize::from(four_bits)];
        let (mut bytes, header) = (bytes.clone(), header_len(bytes));
        let reach = if in_header { header } else { bytes.len() };
        changes.iter().for_each(|(at, byte)| bytes[at.index(reach)] = *byte);
        reseal(&mut bytes);
        let path = packer.folder.path().join("hostile.sotto");
        std::fs::write(&path, &bytes).unwrap();
        match load(&path) {
            Err(error) => prop_assert!(error.to_string().contains("hostile.sotto"), "{error}"),
            Ok(recognizer) => {
                let audio = Pcm16k::new(vec![0.1; 4000]).unwrap();
                let options = TranscribeOptions { max_tokens: Some(4), ..TranscribeOptions::greedy() };
                let _ = recognizer.transcribe(&audio, &options, &NoProgress, &CancelToken::new());
            }
        }
    }
}

/// The fuzzer starts from a file that it would take long to find. Written anew where the form has changed:
/// `SOTTO_WRITE_SEEDS=1 cargo test -p sotto-speech --test packed seed`.
#[test]
fn the_seed_of_the_fuzzer_is_what_packing_writes() {
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/speech_packed/quads");
    let packer = Packer { folder: FormulaModel::smallest().write() };
    let packed = packer.pack(Layout::Quads);
    load(&packed).unwrap();
    if std::env::var_os("SOTTO_WRITE_SEEDS").is_some() {
        std::fs::create_dir_all(seed.parent().unwrap()).unwrap();
        std::fs::copy(&packed, &seed).unwrap();
    }
    assert!(std::fs::read(&packed).unwrap() == std::fs::read(&seed).unwrap(), "{}", seed.display());
}
