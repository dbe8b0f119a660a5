//! Recordings whose words engines are compared by, and how many of them a folder of texts has wrong.
//!
//!     word_clips --data FOLDER --clips FOLDER                    writes the recordings
//!     word_clips --data FOLDER --clips FOLDER --texts FOLDER     counts: a line of JSON for each list
//!
//! The English clips of the data folder, each clean and in one of its noises at 10 dB: `NAME.f32`, samples at 16 kHz.
//! Texts are `NAME.txt`. Words are compared after Whisper's English normaliser.

use std::path::Path;

use sotto_audio::decode_file;
use sotto_peers::{Arguments, Failure, write_floats};
use sotto_testkit::noise::mixed;
use sotto_text::metrics::{ErrorCounts, word_errors};
use sotto_text::normalize::english;

const LISTS: [(&str, &str); 2] = [("real", "manifest.tsv"), ("synthetic", "synthetic.tsv")];
const NOISES: [&str; 7] = ["doing_the_dishes", "exercise_bike", "noise1", "noise2", "noise3", "noise4", "noise5"];
const DECIBELS: f64 = 10.0;

fn main() -> Result<(), Failure> {
    let arguments = Arguments::of_process();
    let (speech, clips) = (Path::new(arguments.get("data")?).join("speech"), Path::new(arguments.get("clips")?));
    match arguments.find("texts") {
        None => write(&speech, clips),
        Some(texts) => judge(&speech, Path::new(texts)),
    }
}

/// File and text of a list's English clips.
fn rows(speech: &Path, list: &str) -> Result<Vec<(String, String)>, Failure> {
    let table = std::fs::read_to_string(speech.join(list))?;
    let cells = table.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    let english = cells.filter(|cells| cells.get(1) == Some(&"en"));
    english
        .map(|cells| match cells[..] {
            [file, _, _, _, _, text, ..] => Ok((file.to_owned(), text.to_owned())),
            _ => Err(format!("{list}: a line of {} cells", cells.len()).into()),
        })
        .collect()
}

fn name(list: &str, index: usize, noisy: bool) -> String {
    format!("{list}-{index:03}{}", if noisy { "-noisy" } else { "" })
}

fn write(speech: &Path, clips: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(clips)?;
    let sound = |file: &str| Ok::<_, Failure>(decode_file(&speech.join(file))?.samples().to_vec());
    let noises: Vec<Vec<f32>> =
        NOISES.iter().map(|name| sound(&format!("noise/{name}.flac"))).collect::<Result<_, _>>()?;
    for (list, table) in LISTS {
        for (index, (file, _)) in rows(speech, table)?.iter().enumerate() {
            let samples = sound(file)?;
            let noise = &noises[index % noises.len()];
            let noisy = mixed(&samples, noise, index * 7919 % noise.len(), DECIBELS);
            write_floats(&clips.join(name(list, index, false) + ".f32"), &samples)?;
            write_floats(&clips.join(name(list, index, true) + ".f32"), &noisy)?;
        }
    }
    Ok(())
}

fn judge(speech: &Path, texts: &Path) -> Result<(), Failure> {
    for (list, table) in LISTS {
        let rows = rows(speech, table)?;
        for noisy in [false, true] {
            let mut counts = ErrorCounts::default();
            for (index, (_, said)) in rows.iter().enumerate() {
                let heard = std::fs::read_to_string(texts.join(name(list, index, noisy) + ".txt"))?;
                counts += word_errors(&english(said), &english(&heard));
            }
            let words = counts.hits + counts.substitutions + counts.deletions;
            let errors = counts.errors();
            println!("{}", serde_json::json!({"list": list, "noisy": noisy, "words": words, "errors": errors}));
        }
    }
    Ok(())
}
