"""What the references invent, greedy and without voice activity detection, on 60 s of each noise clip (looped) and of
silence.

For the documentation: Sotto with `--vad` must give no text at all on the same input.
"""

import numpy as np
from long_form import transcribe
from reference import SAMPLE_RATE, data_folder, openai_model, provenance, samples, transformers_model, write_json

SECONDS = 60


def inputs(data):
    """(name, samples): the noise clips (not the room responses), each looped to 60 s, then digital silence."""
    length = SECONDS * SAMPLE_RATE
    for path in sorted((data / "speech" / "noise").glob("*.flac")):
        if not path.name.startswith("rir"):
            yield path.name, np.resize(samples(data, f"noise/{path.name}"), length)
    yield "digital silence", np.zeros(length, np.float32)


def openai_result(model, pcm):
    """`transcribe` with its default thresholds, of which only the no-speech rule acts at temperature 0 alone."""
    out = model.transcribe(pcm, temperature=0.0, fp16=False, condition_on_previous_text=False)
    return {
        "text": out["text"],
        "segments": [
            {k: s[k] for k in ("seek", "start", "end", "avg_logprob", "no_speech_prob", "compression_ratio")}
            for s in out["segments"]
        ],
    }


if __name__ == "__main__":
    data = data_folder(__doc__.splitlines()[0])
    loaded, openai = transformers_model(data), openai_model(data)
    result = {"provenance": provenance(data, __file__, seconds=SECONDS, temperature=0.0), "inputs": []}
    for name, pcm in inputs(data):
        segments, windows, text = transcribe(loaded, pcm, False)
        result["inputs"].append(
            {
                "input": name,
                "transformers": {"text": text, "segments": segments, "windows": windows},
                "openai": openai_result(openai, pcm),
            }
        )
        print(name, repr(text[:100]), repr(result["inputs"][-1]["openai"]["text"][:60]), flush=True)
        write_json("silence.json", result)
