"""Writes core/audio/tests/goldens/audio.json: what libsndfile and ffmpeg decode from the recordings of the data folder.

Lossless 16 kHz mono files: the number of samples and an FNV-1a hash over their 16-bit little-endian bytes. All other
files: ffmpeg's length at 16 kHz mono (mean of the channels, soxr resampler) and three excerpts of 20 ms, for
correlation sample by sample: a shift by one sample shows.
"""

import json
import subprocess

import numpy as np
import soundfile
from reference import ROOT, SAMPLE_RATE, data_folder, rows

OUTPUT = ROOT / "core" / "audio" / "tests" / "goldens" / "audio.json"
EXCERPT = SAMPLE_RATE // 50
CONVERTED = [
    "formats/8_Channel_ID.m4a",
    "formats/OSR_us_000_0034_8k.wav",
    "formats/hotwords.mp3",
    "formats/jfk_441khz.m4a",
    "formats/longform_en.ogg",
    "formats/stereo_diarization.wav",
]


def fnv1a(data):
    digest = 0xCBF29CE484222325
    for byte in data:
        digest = ((digest ^ byte) * 0x100000001B3) % 2**64
    return f"{digest:016x}"


def lossless(data, file):
    pcm, rate = soundfile.read(data / "speech" / file, dtype="int16", always_2d=True)
    if rate != SAMPLE_RATE or pcm.shape[1] != 1:
        raise ValueError(f"{file}: {rate} Hz, {pcm.shape[1]} channels")
    # Every 7th sample: enough to see any difference, quick under an emulator.
    return {"samples": len(pcm), "fnv1a_of_every_7th": fnv1a(pcm[::7, 0].astype("<i2").tobytes())}


def converted(data, file):
    path = data / "speech" / file
    probe = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "stream=channels,sample_rate", "-of", "json", path],
        capture_output=True,
        check=True,
        text=True,
    )
    stream = json.loads(probe.stdout)["streams"][0]
    channels = stream["channels"]
    mean = "|".join(["pan=mono"] + ["c0=" + "+".join(f"{1 / channels}*c{i}" for i in range(channels))])
    # The reference decoder of Opus: ffmpeg's own resamples SILK in its own way.
    decoder = ["-c:a", "libopus"] if path.suffix == ".ogg" else []
    resample = f"{mean},aresample=16000:resampler=soxr:precision=28"
    pcm = subprocess.run(
        ["ffmpeg", "-v", "error", *decoder, "-i", path, "-af", resample, "-f", "f32le", "-"],
        capture_output=True,
        check=True,
    ).stdout
    audio = np.frombuffer(pcm, dtype="<f4")
    # The three loudest of ten equally spaced excerpts: correlation says nothing about silence.
    starts = [len(audio) * i // 11 for i in range(1, 11)]
    starts.sort(key=lambda at: -float(np.square(audio[at : at + EXCERPT]).sum()))
    excerpts = [
        {"at": at, "values": [round(float(x) * 32768) for x in audio[at : at + EXCERPT]]} for at in sorted(starts[:3])
    ]
    return {"samples": len(audio), "rate": int(stream["sample_rate"]), "channels": channels, "excerpts": excerpts}


def main():
    data = data_folder(__doc__)
    files = [row["file"] for name in ("manifest", "synthetic") for row in rows(data, name)] + ["formats/jfk.wav"]
    ffmpeg = subprocess.run(["ffmpeg", "-version"], capture_output=True, check=True, text=True).stdout.split()[2]
    golden = {
        "script": "scripts/goldens/audio.py",
        "libsndfile": soundfile.__libsndfile_version__,
        "ffmpeg": ffmpeg,
        "lossless": {file: lossless(data, file) for file in files},
        "converted": {file: converted(data, file) for file in CONVERTED},
    }
    OUTPUT.write_text(json.dumps(golden, indent=0, separators=(",", ":")).replace(",\n", ",") + "\n")
    print(
        f"{OUTPUT.relative_to(ROOT)}: {OUTPUT.stat().st_size} bytes, "
        f"{len(files)} lossless and {len(CONVERTED)} other files"
    )


if __name__ == "__main__":
    main()
