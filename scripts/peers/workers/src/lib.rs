//! What the workers share: how they are started and how they answer.
//!
//! A worker loads its engine once, warms up, writes a [`Ready`] line, and then answers each [`Request`] line on its
//! standard input with one line of [`Times`]. Whoever starts the workers decides whose turn it is.

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What can go wrong in a worker: it ends with the message.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Tokens decoded by the short of the two runs whose difference is the cost of a token.
pub const FEW_TOKENS: usize = 4;
/// Tokens decoded by the long one.
pub const MANY_TOKENS: usize = 36;

/// What is to be measured on a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Encoder and decoder on the clip in a window of 30 s.
    Window,
    /// From samples to text.
    Clip,
    /// What is understood in a window of 30 s; no times.
    Text,
}

/// One turn of a worker.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// Name of the clip.
    pub clip: String,
    /// What is to be measured.
    pub part: Part,
}

/// First line of a worker.
#[derive(Debug, Serialize)]
pub struct Ready {
    /// Engine, version and what it was built for.
    pub engine: String,
}

/// Answer of a worker; what was not measured is left out.
#[derive(Debug, Default, Serialize)]
#[serde(default)]
pub struct Times {
    /// Encoder, one window of 30 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encode_ms: Option<f64>,
    /// Keys and values of the cross-attention, where the engine computes them apart from the encoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_ms: Option<f64>,
    /// One token: the difference of decoding many and few, per token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_ms: Option<f64>,
    /// From samples to text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_ms: Option<f64>,
    /// Bytes of weights, keys and values that a token reads, where the engine says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_token: Option<u64>,
    /// What one thread reads of so many bytes, measured right after the tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_gb_per_s: Option<f64>,
    /// What was understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What was understood, by an engine without a tokenizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Vec<u32>>,
}

/// How a worker was started: `--name value` pairs.
#[derive(Debug)]
pub struct Arguments(Vec<String>);

impl Arguments {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// The value behind `--name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|argument| argument.strip_prefix("--") == Some(name))?;
        self.0.get(at + 1).map(String::as_str)
    }

    /// The value behind `--name`, which must be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn get(&self, name: &str) -> Result<&str, Failure> {
        self.find(name).ok_or_else(|| format!("--{name} is missing").into())
    }

    /// The value behind `--name`, read as a `T`.
    ///
    /// # Errors
    /// When it is missing or is not one.
    pub fn parse<T: FromStr>(&self, name: &str) -> Result<T, Failure> {
        let value = self.get(name)?;
        value.parse().map_err(|_| format!("--{name} {value}: not understood").into())
    }
}

/// The prepared clips: samples at 16 kHz and log-mel features as files of little-endian f32.
#[derive(Debug)]
pub struct Clips(PathBuf);

impl Clips {
    /// Those in a folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// The samples of a clip.
    ///
    /// # Errors
    /// When it was not prepared.
    pub fn samples(&self, clip: &str) -> Result<Vec<f32>, Failure> {
        read_floats(&self.0.join(format!("{clip}.pcm")))
    }

    /// The features of a clip in a window of 30 s, `[mels, frames]`.
    ///
    /// # Errors
    /// When it was not prepared.
    pub fn features(&self, clip: &str) -> Result<Vec<f32>, Failure> {
        read_floats(&self.0.join(format!("{clip}.mel")))
    }
}

/// Writes what `hear` makes of each `NAME.f32` in the folder `--clips` to `NAME.txt` in the folder `--texts`.
///
/// # Errors
/// When a file cannot be read or written, or `hear` fails.
pub fn each_clip(
    arguments: &Arguments,
    mut hear: impl FnMut(Vec<f32>) -> Result<String, Failure>,
) -> Result<(), Failure> {
    let texts = Path::new(arguments.get("texts")?);
    std::fs::create_dir_all(texts)?;
    for entry in std::fs::read_dir(arguments.get("clips")?)? {
        let clip = entry?.path();
        let (Some(name), true) = (clip.file_stem(), clip.extension().is_some_and(|end| end == "f32")) else { continue };
        let text = hear(read_floats(&clip)?)?;
        write_whole(&texts.join(name).with_extension("txt"), text.as_bytes())?;
    }
    Ok(())
}

fn read_floats(path: &Path) -> Result<Vec<f32>, Failure> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect())
}

/// Writes floats as [`Clips`] reads them.
///
/// # Errors
/// When the file cannot be written.
pub fn write_floats(path: &Path, values: &[f32]) -> Result<(), Failure> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    write_whole(path, &bytes)
}

/// Writes a file that is whole or not there: a run that was stopped leaves `.part` files, and is made good by the next
/// one.
///
/// # Errors
/// When the file cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let written = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path));
    written.map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Says that the engine is warm, then answers requests until the input ends.
///
/// # Errors
/// When a request is not understood or a measurement fails.
pub fn serve(engine: String, mut measure: impl FnMut(&Request) -> Result<Times, Failure>) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&Ready { engine })?)?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let times = measure(&serde_json::from_str(&line?)?)?;
        writeln!(out, "{}", serde_json::to_string(&times)?)?;
        out.flush()?;
    }
    Ok(())
}

/// Milliseconds since `start`.
#[must_use]
pub fn since(start: std::time::Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// The most likely of the text tokens: those below end-of-text, which is therefore never chosen.
#[must_use]
pub fn best_text_token(logits: &[f32], end_of_text: u32) -> u32 {
    best_token(&logits[..end_of_text as usize], |_| true)
}

/// The most likely token among those that `allowed` lets through; the lowest one where several are.
#[must_use]
pub fn best_token(logits: &[f32], allowed: impl Fn(u32) -> bool) -> u32 {
    let mut best = (f32::NEG_INFINITY, 0);
    for (token, &logit) in (0..).zip(logits) {
        if logit > best.0 && allowed(token) {
            best = (logit, token);
        }
    }
    best.1
}
