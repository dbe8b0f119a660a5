//! Raw samples that arrive as bytes in pieces of any size.

use crate::file::{HEADER_BYTES, file_kind};
use crate::{AudioError, SampleFormat};

// Size of the largest sample.
const MOST_BYTES: usize = 8;

/// Turns bytes of raw samples into samples of full scale ±1. Bytes of an incomplete sample are kept until the rest
/// arrives, so the samples do not depend on how the bytes were cut.
#[derive(Debug, Clone)]
pub struct RawBytes {
    format: SampleFormat,
    tail: [u8; MOST_BYTES],
    /// Number of used bytes in `tail`.
    kept: usize,
    /// The first bytes of the stream, until they were checked for a file header.
    head: Option<Vec<u8>>,
}

impl RawBytes {
    /// The state at the beginning of a stream.
    #[must_use]
    pub fn new(format: SampleFormat) -> Self {
        Self { format, tail: [0; MOST_BYTES], kept: 0, head: Some(Vec::new()) }
    }

    /// How the samples are stored.
    #[must_use]
    pub fn format(&self) -> SampleFormat {
        self.format
    }

    /// Number of samples that will be complete with that many more bytes.
    #[must_use]
    pub fn samples_with(&self, bytes: usize) -> usize {
        (self.kept + bytes) / self.format.bytes()
    }

    /// Whether there is an incomplete sample.
    #[must_use]
    pub fn is_inside_sample(&self) -> bool {
        self.kept > 0
    }

    /// Appends the samples that `bytes` complete to `out`. After the first bytes of the stream, only `out` allocates.
    ///
    /// # Errors
    /// [`AudioError::FileHeader`] when the stream begins like a file; `source_name` is its name in the error. No
    /// samples were appended.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<f32>, source_name: &str) -> Result<(), AudioError> {
        self.check_head(bytes, source_name)?;
        let size = self.format.bytes();
        let missing = if self.kept > 0 { (size - self.kept).min(bytes.len()) } else { 0 };
        let (first, rest) = bytes.split_at(missing);
        self.tail[self.kept..self.kept + missing].copy_from_slice(first);
        self.kept += missing;
        if self.kept == size {
            self.format.decode(&self.tail[..size], out);
            self.kept = 0;
        }
        let (whole, tail) = rest.split_at(rest.len() - rest.len() % size);
        self.format.decode(whole, out);
        self.tail[self.kept..self.kept + tail.len()].copy_from_slice(tail);
        self.kept += tail.len();
        Ok(())
    }

    /// Checks the first bytes of the stream for a file header, as soon as there are enough.
    fn check_head(&mut self, bytes: &[u8], source_name: &str) -> Result<(), AudioError> {
        let Some(head) = &mut self.head else { return Ok(()) };
        let before = head.len();
        head.extend(bytes.iter().take(HEADER_BYTES - before));
        if head.len() < HEADER_BYTES {
            return Ok(());
        }
        if let Some(kind) = file_kind(head) {
            head.truncate(before);
            return Err(AudioError::FileHeader { source_name: source_name.into(), kind });
        }
        self.head = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORMATS: [SampleFormat; 8] = [
        SampleFormat::U8,
        SampleFormat::S16Le,
        SampleFormat::S24Le,
        SampleFormat::S32Le,
        SampleFormat::F32Le,
        SampleFormat::F64Le,
        SampleFormat::ALaw,
        SampleFormat::MuLaw,
    ];

    fn bits(samples: &[f32]) -> Vec<u32> {
        samples.iter().map(|sample| sample.to_bits()).collect()
    }

    proptest! {
        #[test]
        fn samples_do_not_depend_on_how_the_bytes_are_cut(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            cuts in prop::collection::vec(0..20usize, 1..40),
        ) {
            for format in FORMATS {
                let mut expected = Vec::new();
                format.decode(&bytes, &mut expected);
                let mut raw = RawBytes::new(format);
                let mut out = Vec::new();
                let mut left = bytes.as_slice();
                // Random bytes begin like a file once in many thousand cases.
                raw.head = None;
                for &cut in &cuts {
                    let (now, later) = left.split_at(cut.min(left.len()));
                    let promised = out.len() + raw.samples_with(now.len());
                    raw.push(now, &mut out, "test").unwrap();
                    prop_assert_eq!(out.len(), promised);
                    left = later;
                }
                raw.push(left, &mut out, "test").unwrap();
                prop_assert_eq!(bits(&out), bits(&expected));
                prop_assert_eq!(raw.is_inside_sample(), !bytes.len().is_multiple_of(format.bytes()));
            }
        }
    }

    #[test]
    fn a_file_is_told_from_its_samples_however_it_arrives() {
        let file = b"RIFF\x24\x08\0\0WAVEfmt \x10\0\0\0";
        for size in [1, 2, 5, 20] {
            let (mut raw, mut out) = (RawBytes::new(SampleFormat::S16Le), Vec::new());
            let refused = file.chunks(size).find_map(|bytes| raw.push(bytes, &mut out, "live audio").err());
            assert!(
                matches!(&refused, Some(AudioError::FileHeader { kind, .. }) if kind.contains("WAV")),
                "{refused:?}"
            );
        }
    }
}
