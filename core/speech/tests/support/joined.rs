//! The joined recordings of `scripts/goldens/joined.json`, rebuilt sample for sample.
#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use serde_json::Value;
use sha2::{Digest, Sha256};
use sotto_audio::{Pcm16k, SAMPLE_RATE};
use sotto_testkit::workspace_root;

use super::{clip, synthetic};

/// Synthetic clips in a row, with pauses between them, and what is said.
pub struct Joined {
    pub audio: Pcm16k,
    pub text: String,
    /// Where each clip's pause ends, in samples, and what the clip says.
    pub parts: Vec<(usize, String)>,
}

impl Joined {
    /// The whole clips that end within the first `seconds`, with what they say.
    pub fn beginning(&self, seconds: usize) -> Self {
        let parts: Vec<_> =
            self.parts.iter().take_while(|(end, _)| *end <= seconds * SAMPLE_RATE as usize).cloned().collect();
        let end = parts.last().unwrap().0;
        let text = parts.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" ");
        Self { audio: Pcm16k::new(self.audio.samples()[..end].to_vec()).unwrap(), text, parts }
    }
}

/// Builds the recording `two_minutes`, `five_minutes` or `twenty_minutes`.
pub fn joined(name: &str) -> Joined {
    let recipes = std::fs::read(workspace_root().join("scripts/goldens/joined.json")).unwrap();
    let recipes: Value = serde_json::from_slice(&recipes).unwrap();
    let recipes = recipes["recordings"].as_array().unwrap();
    let recipe = recipes.iter().find(|recipe| recipe["name"] == name).unwrap();
    let rows = synthetic();
    let clips: Vec<Vec<f32>> = rows.iter().map(|row| clip(&row.file).into_samples()).collect();
    let (mut samples, mut parts) = (Vec::new(), Vec::new());
    for part in recipe["parts"].as_array().unwrap() {
        let (number, pause) = (part[0].as_u64().unwrap() as usize, part[1].as_u64().unwrap() as usize);
        samples.extend_from_slice(&clips[number]);
        samples.resize(samples.len() + pause, 0.0);
        parts.push((samples.len(), rows[number].text.clone()));
    }
    if let Some(noise) = recipe["noise"].as_object() {
        let recorded = clip(noise["file"].as_str().unwrap());
        let (offset, gain) = (noise["offset"].as_u64().unwrap() as usize, noise["gain"].as_f64().unwrap() as f32);
        for (index, sample) in samples.iter_mut().enumerate() {
            *sample += gain * recorded.samples()[(offset + index) % recorded.samples().len()];
        }
    }
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(sum, recipe["sha256"].as_str().unwrap(), "{name}: other samples than joined.json names");
    Joined { audio: Pcm16k::new(samples).unwrap(), text: recipe["text"].as_str().unwrap().to_owned(), parts }
}
