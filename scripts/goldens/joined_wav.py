"""Writes the joined recordings of `joined.json` as WAV files (float32, sample for sample) with a list for `sotto bench
speech`.

    python scripts/goldens/joined_wav.py FOLDER        two_minutes.wav, five_minutes.wav, twenty_minutes.wav, joined.tsv

The data folder is `SOTTO_DATA`, as for the goldens.
"""

import struct
import sys
from pathlib import Path

from joined import build, recordings
from reference import SAMPLE_RATE, data_folder


def wav(samples):
    """A mono WAVE_FORMAT_IEEE_FLOAT file."""
    data = samples.astype("<f4").tobytes()
    form = struct.pack("<HHIIHHH", 3, 1, SAMPLE_RATE, 4 * SAMPLE_RATE, 4, 32, 0)
    chunks = b"WAVE" + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


if __name__ == "__main__":
    folder = Path(sys.argv.pop(1) if len(sys.argv) > 1 else ".")
    data = data_folder(__doc__.splitlines()[0])
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["file\ttext"]
    for recording in recordings():
        name = f"{recording['name']}.wav"
        (folder / name).write_bytes(wav(build(data, recording)))
        rows.append(f"{name}\t{recording['text']}")
        print(folder / name, flush=True)
    (folder / "joined.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
