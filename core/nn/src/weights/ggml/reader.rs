//! A cursor over the bytes of a ggml file. Every read states its purpose, so that the error for a truncated file can
//! name it.

use std::fmt::Display;

use sotto_runtime::Bytes;

use crate::weights::error::WeightError;

/// "ggml" as whisper.cpp writes it.
const MAGIC: u32 = 0x6767_6d6c;

/// Magic numbers of other formats that a `.bin` or `.gguf` file may have.
const OTHER_MAGICS: [(u32, &str); 4] = [
    (0x4655_4747, "it is a GGUF file"),
    (0x6767_6d66, "it is an old language-model file (ggmf)"),
    (0x6767_6a74, "it is an old language-model file (ggjt)"),
    (0x0403_4b50, "it is a zip archive, perhaps a PyTorch checkpoint"),
];

pub(super) struct Reader<'a> {
    file: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A cursor after the magic number; an error if that is wrong.
    pub(super) fn after_magic(bytes: &'a [u8], file: &'a str, format: &'static str) -> Result<Self, WeightError> {
        let other = |problem| WeightError::OtherFormat { file: file.to_owned(), format, problem };
        if bytes.is_empty() {
            return Err(other("it is empty"));
        }
        let Some(magic) = bytes.first_chunk::<4>() else {
            return Err(other("it is shorter than a magic number"));
        };
        match u32::from_le_bytes(*magic) {
            MAGIC => Ok(Self { file, bytes, at: 4 }),
            magic => {
                let known = OTHER_MAGICS.iter().find(|(other, _)| *other == magic);
                Err(other(known.map_or("the magic number is another", |(_, problem)| *problem)))
            }
        }
    }

    pub(super) fn file(&self) -> &'a str {
        self.file
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn take(&mut self, count: usize, what: impl Display) -> Result<&'a [u8], WeightError> {
        let Some(taken) = self.bytes[self.at..].get(..count) else {
            return Err(WeightError::Truncated {
                file: self.file.to_owned(),
                what: what.to_string(),
                needed: Bytes(count as u64),
                available: Bytes(self.remaining() as u64),
            });
        };
        self.at += count;
        Ok(taken)
    }

    /// A signed number; all numbers of the format are signed.
    pub(super) fn int(&mut self, what: impl Display) -> Result<i32, WeightError> {
        let bytes = self.take(4, what)?;
        Ok(i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A count: not negative.
    pub(super) fn count(&mut self, what: impl Display + Copy) -> Result<usize, WeightError> {
        let number = self.int(what)?;
        usize::try_from(number).map_err(|_| self.damaged(format!("{what} is {number}")))
    }

    /// A size: between 1 and `limit`.
    pub(super) fn size(&mut self, what: &str, limit: usize) -> Result<usize, WeightError> {
        let number = self.int(what)?;
        match usize::try_from(number) {
            Ok(size) if (1..=limit).contains(&size) => Ok(size),
            _ => Err(self.damaged(format!("{what} is {number}, must be 1 to {limit}"))),
        }
    }

    pub(super) fn floats(&mut self, count: usize, what: &str) -> Result<Vec<f32>, WeightError> {
        let bytes = count.checked_mul(4).ok_or_else(|| self.damaged(format!("{what} overflow")))?;
        let values: Vec<f32> =
            self.take(bytes, what)?.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
        if values.iter().all(|value| value.is_finite()) {
            Ok(values)
        } else {
            Err(self.damaged(format!("{what} are not finite")))
        }
    }

    pub(super) fn damaged(&self, problem: String) -> WeightError {
        WeightError::Damaged { file: self.file.to_owned(), problem }
    }
}
