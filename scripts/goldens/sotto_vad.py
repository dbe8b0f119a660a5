"""Speech probabilities of the built-in detector in PyTorch, to `core/speech/tests/goldens/sotto_vad.safetensors`.

Per clip (16 kHz, cut to `seconds`), one probability per 512 samples, the last step filled with zeros: the weights of
`core/starter/models/vad/model.safetensors` in `scripts/train/vad/model.py`, on the features of `features.py` there.
"""

import json
import sys
from importlib.metadata import version

import torch
from reference import OUTPUT, ROOT, SAMPLE_RATE, data_folder, samples
from safetensors.torch import load_file, save_file
from vad import CLIPS, SECONDS, sha256

sys.path.insert(0, str(ROOT / "scripts" / "train" / "vad"))
from features import log_mel  # noqa: E402
from model import Detector  # noqa: E402

if __name__ == "__main__":
    data = data_folder(__doc__.splitlines()[0])
    weights = ROOT / "core/starter/models/vad/model.safetensors"
    detector = Detector()
    detector.load_state_dict({name: tensor.float() for name, tensor in load_file(weights).items()})
    tensors = {}
    for clip, file in CLIPS.items():
        pcm = samples(data, file)[: SECONDS * SAMPLE_RATE]
        tensors[clip] = torch.sigmoid(detector(torch.from_numpy(log_mel(pcm))[None]))[0]
    metadata = {
        "script": "scripts/goldens/sotto_vad.py",
        "torch": version("torch").split("+")[0],
        "weights_sha256": sha256(weights),
        "clips": json.dumps(CLIPS),
        "seconds": str(SECONDS),
    }
    path = OUTPUT / "sotto_vad.safetensors"
    save_file(tensors, path, metadata)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1024:.0f} KiB")
