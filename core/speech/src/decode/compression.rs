//! Compression ratio of a text: high if it repeats itself.

use flate2::{Compress, Compression, FlushCompress, Status};

/// zlib at its default level; its memory is reused from text to text.
#[derive(Debug)]
pub(crate) struct Compressor {
    zlib: Compress,
    output: Vec<u8>,
}

impl Compressor {
    pub(super) fn new() -> Self {
        Self { zlib: Compress::new(Compression::default(), true), output: Vec::new() }
    }

    /// Bytes of the text divided by its bytes after zlib.
    pub(super) fn ratio(&mut self, text: &str) -> f32 {
        self.zlib.reset();
        self.output.clear();
        // More than the output for text that does not compress.
        self.output.reserve(text.len() + text.len() / 8 + 64);
        let finished = self.zlib.compress_vec(text.as_bytes(), &mut self.output, FlushCompress::Finish);
        match finished {
            Ok(Status::StreamEnd) => text.len() as f32 / self.output.len() as f32,
            // Cannot happen, because there is room; a ratio of 0 only means that the text passes.
            Ok(Status::Ok | Status::BufError) | Err(_) => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn repetition_shows_in_the_compression_ratio() {
        let mut compressor = Compressor::new();
        let ratio = compressor.ratio("The quick brown fox jumps over the lazy dog.");
        assert!((0.7..1.2).contains(&ratio), "{ratio}");
        assert!(compressor.ratio(&"so on and so on ".repeat(20)) > 5.0);
        assert_eq!(compressor.ratio(""), 0.0);
    }

    #[test]
    fn a_text_has_the_ratio_of_a_stream_of_its_own_whatever_came_before() {
        let mut compressor = Compressor::new();
        let noise: String =
            (0..5000u32).map(|i| char::from(b' ' + (i.wrapping_mul(2_654_435_761) >> 25) as u8 % 95)).collect();
        for text in ["one two one two", "", &noise, &"na ".repeat(1000), "one two one two"] {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text.as_bytes()).unwrap();
            let expected = text.len() as f32 / encoder.finish().unwrap().len() as f32;
            assert_eq!(compressor.ratio(text), expected);
        }
    }
}
