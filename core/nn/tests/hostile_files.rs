//! Damaged and hostile model files: a typed error that names the file and the cause, within 100 ms and 50 MB.

use std::borrow::Cow;

use proptest::prelude::*;
use sotto_nn::weights::{ShardIndex, WeightError, Weights};
use sotto_testkit::data_dir;
use sotto_testkit::ggml::{GgmlHeader, GgmlType, NamedTensor, whisper_ggml};
use sotto_testkit::heap::assert_soon;

fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn open_safetensors(bytes: &[u8]) -> Result<Weights, WeightError> {
    Weights::from_safetensors_bytes(Cow::Owned(bytes.to_vec()), "hostile.safetensors")
}

fn open_ggml(bytes: &[u8]) -> Result<Weights, WeightError> {
    Weights::from_ggml_bytes(Cow::Owned(bytes.to_vec()), "hostile.bin").map(|(_, weights)| weights)
}

/// The error message; checks that it came in time and names the file.
fn refusal(open: fn(&[u8]) -> Result<Weights, WeightError>, bytes: &[u8]) -> String {
    let names = |weights: Weights| weights.names().count();
    let error = assert_soon(|| open(bytes).map(names)).expect_err("a hostile file must be refused");
    let message = error.to_string();
    assert!(message.contains("hostile."), "{message}");
    assert!(message.len() < 600, "{message}");
    message
}

/// A file with two small tensors.
fn good_safetensors() -> Vec<u8> {
    safetensors(
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
            "b":{"dtype":"F16","shape":[2,1],"data_offsets":[8,12]}}"#,
        &[0; 12],
    )
}

fn good_ggml() -> Vec<u8> {
    let header = GgmlHeader {
        sizes: [3, 4, 32, 2, 1, 4, 32, 2, 1, 2],
        mel_filters: vec![0.5; 6],
        vocabulary: vec![b"a".to_vec(), b" b".to_vec()],
    };
    let tensors = [("w", vec![2, 32]), ("v", vec![32])].map(|(name, shape)| {
        let values = (0..shape.iter().product()).map(|i| i as f32 / 7.0).collect();
        NamedTensor { name: name.to_owned(), shape, values }
    });
    whisper_ggml(&header, &tensors, GgmlType::Q5_0)
}

fn read_all(weights: &Weights) {
    for name in weights.names() {
        let shape = weights.shape(name).unwrap_or_default();
        if let Ok(values) = weights.tensor(name, shape) {
            assert_eq!(values.len(), shape.iter().product::<usize>());
            assert!(values.iter().all(|value| value.is_finite()));
        }
    }
}

#[test]
fn safetensors_headers_that_lie_are_refused_with_the_cause() {
    let one = |entry: &str, data: usize| safetensors(&format!(r#"{{"w":{entry}}}"#), &vec![0; data]);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "it is empty"),
        (vec![1, 2, 3], "shorter than a header length"),
        (b"RIFF\x24\x08\x00\x00WAVEfmt ".to_vec(), "not a safetensors file"),
        ([&(1u64 << 63).to_le_bytes()[..], b"{}"].concat(), "a header of"),
        ([&u64::MAX.to_le_bytes()[..], b"{}"].concat(), "a header of"),
        ([&1000u64.to_le_bytes()[..], b"{}"].concat(), "cut off: the header needs"),
        (safetensors("{\"a\u{0}", &[]), "not valid"),
        ([&3u64.to_le_bytes()[..], b"{\xff\xfe"].concat(), "not UTF-8"),
        (safetensors(&"{\"a\":".repeat(10_000), &[]), "not valid"),
        (safetensors(&"[".repeat(10_000).replacen('[', "{\"__metadata__\":[", 1), &[]), "not valid"),
        (one(r#"{"dtype":"Q7","shape":[1],"data_offsets":[0,4]}"#, 4), "stored as Q7"),
        (one(r#"{"dtype":"F32","shape":[536870912],"data_offsets":[0,2147483648]}"#, 4), "`w` needs 2.0 GiB"),
        (one(r#"{"dtype":"F32","shape":[1],"data_offsets":[0,8]}"#, 8), "needs 4"),
        (one(r#"{"dtype":"F32","shape":[1],"data_offsets":[4,0]}"#, 4), "ends before it begins"),
        (one(r#"{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}"#, 4), "overflows"),
        (one(r#"{"dtype":"F32","shape":[0,18446744073709551615,9],"data_offsets":[0,0]}"#, 0), "overflows"),
        (one(r#"{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}"#, 4), "too many dimensions"),
        (one(r#"{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}"#, 4), "not valid"),
        (one(r#"{"dtype":"F32","shape":[1],"data_offsets":[4,8]}"#, 8), "leaves a hole behind the header"),
        (one(r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#, 9), "5 B behind the last tensor"),
        (
            safetensors(
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                    "b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
                &[0; 12],
            ),
            "`b` overlaps tensor `a`",
        ),
        (
            safetensors(
                r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                    "a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
                &[0; 8],
            ),
            "`a` occurs twice",
        ),
    ];
    for (bytes, cause) in cases {
        let message = refusal(open_safetensors, &bytes);
        assert!(message.contains(cause), "{message}\n  lacks: {cause}");
    }
}

#[test]
fn a_header_of_countless_tensors_is_refused_in_time() {
    let entries: Vec<String> =
        (0..20_000).map(|i| format!(r#""{i}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#)).collect();
    let message = refusal(open_safetensors, &safetensors(&format!("{{{}}}", entries.join(",")), &[]));
    assert!(message.contains("more than 16384 tensors"), "{message}");
}

#[test]
fn headers_that_swell_when_they_are_read_are_refused_in_time_and_memory() {
    let shape = format!(r#"{{"w":{{"dtype":"F32","shape":[{}0],"data_offsets":[0,0]}}}}"#, "0,".repeat(1_000_000));
    let entries: Vec<String> = (0..150_000).map(|i| format!(r#""{i}":"""#)).collect();
    let metadata = format!(r#"{{"__metadata__":{{{}}}}}"#, entries.join(","));
    let long_name = format!(r#"{{"{}":1}}"#, "n".repeat(2_000_000));
    for header in [shape, metadata, long_name] {
        refusal(open_safetensors, &safetensors(&header, &[]));
    }
}

#[test]
fn shard_indices_that_lie_are_refused_in_time_and_memory() {
    let entries = |count: usize| (0..count).map(|i| format!(r#""{i}":"a""#)).collect::<Vec<_>>().join(",");
    let map = |entries: &str| format!(r#"{{"weight_map":{{{entries}}}}}"#);
    for (index, cause) in [
        (String::new(), "EOF"),
        ("[]".into(), "damaged"),
        ("{}".into(), "weight_map"),
        (map(r#""w":1"#), "damaged"),
        (map(r#""w":"../a.safetensors""#), "not the name of a file"),
        (map(r#""w":"/a.safetensors""#), "not the name of a file"),
        (map(r#""w":"a/b""#), "not the name of a file"),
        (map(r#""w":"a/""#), "not the name of a file"),
        (map(r#""w":"""#), "not the name of a file"),
        (map(&entries(300_000)), "more than 16384 entries"),
        (map(&format!(r#""{}":"a""#, "n".repeat(5 << 20))), "an index of more than"),
    ] {
        let message = assert_soon(|| ShardIndex::parse(index.as_bytes(), "hostile.json").unwrap_err()).to_string();
        assert!(message.contains("hostile.json") && message.contains(cause), "{message}\n  lacks: {cause}");
    }
    let index = ShardIndex::parse(map(r#""w":"a","v":"b","u":"a""#).as_bytes(), "index.json").unwrap();
    let shards: Vec<_> = index.shards().map(|(name, tensors)| (name, tensors.len())).collect();
    assert_eq!(shards, [("a", 2), ("b", 1)]);
}

/// `good_ggml` with other bytes at an offset.
fn patched(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = good_ggml();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn ggml_headers_that_lie_are_refused_with_the_cause() {
    const SIZES: usize = 4;
    const FILTERS: usize = 48;
    // Filters are 6 floats; the vocabulary follows.
    const VOCABULARY: usize = FILTERS + 8 + 24;
    // Count, two tokens with their lengths.
    const TENSORS: usize = VOCABULARY + 4 + 5 + 6;
    let number = |value: i32| value.to_le_bytes();
    let mut doubled = good_ggml();
    let again = doubled[TENSORS..].to_vec();
    doubled.extend(again);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "it is empty"),
        (b"lm".to_vec(), "shorter than a magic number"),
        (b"GGUF\x03\0\0\0".to_vec(), "it is a GGUF file"),
        (b"PK\x03\x04....".to_vec(), "PyTorch"),
        (b"some text that was renamed to .bin".to_vec(), "the magic number is another"),
        (patched(SIZES, &number(-1)), "n_vocab is -1"),
        (patched(SIZES + 4, &number(0)), "n_audio_ctx is 0"),
        (patched(SIZES + 8, &number(i32::MAX)), "n_audio_state is 2147483647"),
        (patched(FILTERS, &number(80)), "80 mel filters for 2 mel bins"),
        (patched(FILTERS + 4, &number(1 << 20)), "cut off: mel filters needs 8.0 MiB"),
        (patched(FILTERS + 8, &f32::NAN.to_le_bytes()), "mel filters are not finite"),
        (patched(VOCABULARY, &number(i32::MAX)), "size of the vocabulary is 2147483647"),
        (patched(VOCABULARY, &number(4)), "4 tokens in a vocabulary of 3"),
        (patched(VOCABULARY + 4, &number(i32::MAX)), "token 0 has 2147483647 bytes"),
        (patched(VOCABULARY + 4, &number(-5)), "token 0 is -5"),
        (patched(TENSORS, &number(5)), "tensor record 0 has 5 dimensions"),
        (patched(TENSORS + 4, &number(1 << 30)), "a name of 1073741824 bytes"),
        (patched(TENSORS + 8, &number(4)), "`w` is stored as ggml type 4"),
        (patched(TENSORS + 12, &number(33)), "rows of 33 values, q5_0 has blocks of 32"),
        (patched(TENSORS + 16, &number(i32::MAX)), "cut off: tensor `w` needs"),
        (patched(TENSORS + 20, &[0xff]), "a name that is not UTF-8"),
        (doubled, "tensor `w` occurs twice"),
    ];
    for (bytes, cause) in cases {
        let message = refusal(open_ggml, &bytes);
        assert!(message.contains(cause), "{message}\n  lacks: {cause}");
    }
}

#[test]
fn a_cut_file_is_refused_wherever_it_is_cut() {
    let file = good_safetensors();
    for length in 0..file.len() {
        refusal(open_safetensors, &file[..length]);
    }
    let file = good_ggml();
    let mut complete = 0;
    for length in 0..file.len() {
        // A cut between two tensor records looks like the end of the file: the missing tensor is noticed only when it
        // is requested.
        match open_ggml(&file[..length]) {
            Err(_) => {}
            Ok(weights) => {
                complete += 1;
                assert!(matches!(weights.tensor("v", &[32]), Err(WeightError::Missing { .. })));
            }
        }
    }
    assert_eq!(complete, 2);
}

#[test]
fn real_headers_cut_in_the_vocabulary_are_refused() {
    let Some(data) = data_dir() else { return };
    let file = std::fs::read(data.join("whisper-ggml-headers/for-tests-ggml-tiny.bin")).unwrap();
    for length in (0..file.len()).step_by(4999) {
        refusal(open_ggml, &file[..length]);
    }
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("absent.safetensors"), folder.path().to_owned()] {
        let message = Weights::open_safetensors(&path).unwrap_err().to_string();
        assert!(message.contains(&path.display().to_string()), "{message}");
    }
}

fn damaged(file: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = file.len();
    let flips = prop::collection::vec((0..length, any::<u8>()), 0..6);
    (flips, 0..=length).prop_map(move |(flips, cut)| {
        let mut bytes = file.clone();
        flips.iter().for_each(|&(at, value)| bytes[at] = value);
        bytes.truncate(cut);
        bytes
    })
}

proptest! {
    #[test]
    fn damaged_safetensors_never_panic(bytes in damaged(good_safetensors())) {
        if let Ok(weights) = open_safetensors(&bytes) {
            read_all(&weights);
        }
    }

    #[test]
    fn damaged_ggml_never_panics(bytes in damaged(good_ggml())) {
        if let Ok(weights) = open_ggml(&bytes) {
            read_all(&weights);
        }
    }
}
