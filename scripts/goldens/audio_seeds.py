#!/usr/bin/env python3
"""Small recordings of every container and codec for core/audio/tests/formats.rs, by ffmpeg.

Each is three seconds long, in mono, silent but for three beeps of a tenth of a second at 0.5, 1.5 and 2.5 s: a test
sees at once whether length and times are right. Run: scripts/goldens/audio_seeds.py (ffmpeg 7).

`he-aac.m4a` stays as it is: ffmpeg has no encoder for HE-AAC. It holds the same beeps at 16 kHz, encoded by version
0.9.0 of the crate `syom` (`EncodeOptions::m4a().with_bitrate_bps(8000).with_he(true)`).
"""

import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parents[2] / "core/audio/tests/seeds/beeps"

# Uncompressed audio at the lowest rate that is read, to stay small.
PCM = {
    "pcm16.wav": [],
    "alaw.wav": ["-c:a", "pcm_alaw"],
    "mulaw.wav": ["-c:a", "pcm_mulaw"],
    "ima.wav": ["-c:a", "adpcm_ima_wav"],
    "ms.wav": ["-c:a", "adpcm_ms"],
    "pcm16.w64": [],
    "rf64.wav": ["-rf64", "always"],
    "pcm16.aiff": [],
    "sowt.aifc": ["-c:a", "pcm_s16le", "-f", "aiff"],
    "ima.aifc": ["-c:a", "adpcm_ima_qt", "-f", "aiff"],
    "mulaw.au": ["-c:a", "pcm_mulaw"],
    "pcm16.caf": ["-c:a", "pcm_s16be"],
    "pcm16.mov": ["-c:a", "pcm_s16be"],
    "pcm16.mka": ["-c:a", "pcm_s16le"],
    "alac.m4a": ["-c:a", "alac", "-sample_fmt", "s16p"],
    "alac.caf": ["-c:a", "alac", "-sample_fmt", "s16p"],
}
CODED = {
    "aac.m4a": ["-c:a", "aac", "-b:a", "8k"],
    "aac.aac": ["-c:a", "aac", "-b:a", "8k"],
    "aac.mkv": ["-c:a", "aac", "-b:a", "8k"],
    "fragmented.mp4": ["-c:a", "aac", "-b:a", "8k", "-movflags", "frag_keyframe+empty_moov+default_base_moof"],
    "opus.webm": ["-c:a", "libopus", "-b:a", "8k"],
    "opus.mp4": ["-c:a", "libopus", "-b:a", "8k"],
    "opus.caf": ["-c:a", "libopus", "-b:a", "8k"],
    "opus.opus": ["-c:a", "libopus", "-b:a", "8k", "-page_duration", "400000"],
    "vorbis.webm": ["-c:a", "libvorbis", "-q:a", "-1"],
    "vorbis.ogg": ["-c:a", "libvorbis", "-q:a", "-1", "-page_duration", "400000"],
    "flac.flac": ["-c:a", "flac", "-sample_fmt", "s16", "-frame_size", "1024", "-metadata_header_padding", "1"],
    "flac.oga": ["-c:a", "flac", "-frame_size", "1024", "-page_duration", "400000", "-f", "ogg"],
    "flac.mka": ["-c:a", "flac"],
    "mp3.mp3": ["-c:a", "libmp3lame", "-b:a", "8k", "-write_xing", "0", "-id3v2_version", "0"],
    "tagged.mp3": ["-c:a", "libmp3lame", "-b:a", "8k", "-metadata", "title=beeps"],
    "mp3.wav": ["-c:a", "libmp3lame", "-b:a", "8k"],
    "mp2.mp2": ["-ar", "16000", "-c:a", "mp2", "-b:a", "8k"],
}


def beeps(rate, tone):
    return f"aevalsrc=0.5*sin(2*PI*{tone}*t)*between(mod(t\\,1)\\,0.5\\,0.6):s={rate}:d=3"


def main():
    HERE.mkdir(parents=True, exist_ok=True)
    for formats, rate, tone in ((PCM, 1000, 110), (CODED, 8000, 880)):
        for name, options in formats.items():
            command = ["ffmpeg", "-y", "-v", "error", "-f", "lavfi", "-i", beeps(rate, tone), "-ac", "1"]
            command += ["-fflags", "+bitexact", "-flags:a", "+bitexact", *options, str(HERE / name)]
            done = subprocess.run(command, capture_output=True, text=True)
            size = (HERE / name).stat().st_size if (HERE / name).exists() else 0
            print(f"{name:16} {size:6} bytes {done.stderr.strip()}")


if __name__ == "__main__":
    main()
