"""Writes a Whisper model of Hugging Face's form as two ONNX graphs, weights of the matrix products in int8.

The encoder gives keys and values of the cross-attention, already split into heads; the decoder takes one token and the
caches of the tokens so far and gives logits and longer caches. The same cut as sherpa-onnx's, and its kind of
quantization: dynamic, matrix products only.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file

OPSET = 20
# The newest version that every supported onnxruntime reads.
IR_VERSION = 10


class Graph:
    """Collects nodes and weights; every method gives the name of its result."""

    def __init__(self, tensors: dict[str, np.ndarray], heads: int) -> None:
        self.tensors = tensors
        self.heads = heads
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: np.ndarray) -> str:
        if name not in self.weights:
            self.weights[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def shape(self, *dimensions: int) -> str:
        return self.constant("shape_" + "_".join(map(str, dimensions)), np.array(dimensions, np.int64))

    def node(self, kind: str, *inputs: str, output: str | None = None, **attributes: object) -> str:
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def tensor(self, name: str) -> str:
        return self.constant(name, self.tensors[name])

    def norm(self, x: str, name: str) -> str:
        return self.node("LayerNormalization", x, self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias"), axis=-1)

    def linear(self, x: str, name: str, scale: float = 1.0) -> str:
        weight = self.constant(f"{name}.transposed", self.tensors[f"{name}.weight"].T * np.float32(scale))
        product = self.node("MatMul", x, weight)
        if f"{name}.bias" not in self.tensors:
            return product
        return self.node(
            "Add", product, self.constant(f"{name}.bias", self.tensors[f"{name}.bias"] * np.float32(scale))
        )

    def conv(self, x: str, name: str, stride: int) -> str:
        weights = (self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias"))
        return self.node("Gelu", self.node("Conv", x, *weights, strides=[stride], pads=[1, 1]))

    def split(self, x: str, transposed: bool = False, output: str | None = None) -> str:
        """`[1, n, width]` into heads `[1, heads, n, width / heads]`, or with the last two axes exchanged."""
        split = self.node("Reshape", x, self.shape(0, 0, self.heads, -1))
        return self.node("Transpose", split, perm=[0, 2, 3, 1] if transposed else [0, 2, 1, 3], output=output)

    def query(self, x: str, name: str) -> str:
        width = self.tensors[f"{name}.q_proj.weight"].shape[0]
        return self.split(self.linear(x, f"{name}.q_proj", (width / self.heads) ** -0.5))

    def attend(self, query: str, keys: str, values: str, name: str) -> str:
        weights = self.node("Softmax", self.node("MatMul", query, keys), axis=-1)
        joined = self.node("Transpose", self.node("MatMul", weights, values), perm=[0, 2, 1, 3])
        return self.linear(self.node("Reshape", joined, self.shape(0, 0, -1)), f"{name}.out_proj")

    def feed_forward(self, x: str, name: str) -> str:
        hidden = self.node("Gelu", self.linear(self.norm(x, f"{name}.final_layer_norm"), f"{name}.fc1"))
        return self.node("Add", x, self.linear(hidden, f"{name}.fc2"))

    def save(self, file: Path, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> None:
        graph = helper.make_graph(self.nodes, file.stem, inputs, outputs, list(self.weights.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        exact = file.with_suffix(".f32.onnx")
        onnx.save(model, exact)
        quantize_dynamic(exact, file, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8)
        exact.unlink()


def floats(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def encoder(tensors: dict[str, np.ndarray], config: dict, file: Path) -> None:
    heads, width = config["encoder_attention_heads"], config["d_model"]
    graph = Graph(tensors, heads)
    x = graph.conv("mel", "model.encoder.conv1", 1)
    x = graph.node("Transpose", graph.conv(x, "model.encoder.conv2", 2), perm=[0, 2, 1])
    x = graph.node("Add", x, graph.tensor("model.encoder.embed_positions.weight"))
    for layer in range(config["encoder_layers"]):
        name = f"model.encoder.layers.{layer}"
        attention = f"{name}.self_attn"
        normed = graph.norm(x, f"{name}.self_attn_layer_norm")
        keys = graph.split(graph.linear(normed, f"{attention}.k_proj"), transposed=True)
        values = graph.split(graph.linear(normed, f"{attention}.v_proj"))
        x = graph.node("Add", x, graph.attend(graph.query(normed, attention), keys, values, attention))
        x = graph.feed_forward(x, name)
    x = graph.norm(x, "model.encoder.layer_norm")
    outputs = []
    states, size = config["max_source_positions"], width // heads
    for layer in range(config["decoder_layers"]):
        attention = f"model.decoder.layers.{layer}.encoder_attn"
        graph.split(graph.linear(x, f"{attention}.k_proj"), transposed=True, output=f"cross_keys_{layer}")
        graph.split(graph.linear(x, f"{attention}.v_proj"), output=f"cross_values_{layer}")
        outputs.append(floats(f"cross_keys_{layer}", 1, heads, size, states))
        outputs.append(floats(f"cross_values_{layer}", 1, heads, states, size))
    graph.save(file, [floats("mel", 1, config["num_mel_bins"], 2 * states)], outputs)


def decoder(tensors: dict[str, np.ndarray], config: dict, file: Path) -> None:
    heads, width, states = config["decoder_attention_heads"], config["d_model"], config["max_source_positions"]
    size = width // heads
    graph = Graph(tensors, heads)
    embedding = "model.decoder.embed_tokens"
    x = graph.node("Gather", graph.tensor(f"{embedding}.weight"), "token")
    x = graph.node("Add", x, graph.node("Gather", graph.tensor("model.decoder.embed_positions.weight"), "position"))
    whole = [helper.make_tensor_value_info(name, TensorProto.INT64, [1, 1]) for name in ("token", "position")]
    inputs, outputs = list(whole), [floats("logits", 1, 1, config["vocab_size"])]
    for layer in range(config["decoder_layers"]):
        name = f"model.decoder.layers.{layer}"
        attention = f"{name}.self_attn"
        normed = graph.norm(x, f"{name}.self_attn_layer_norm")
        key = graph.split(graph.linear(normed, f"{attention}.k_proj"), transposed=True)
        value = graph.split(graph.linear(normed, f"{attention}.v_proj"))
        keys = graph.node("Concat", f"keys_{layer}", key, axis=3, output=f"next_keys_{layer}")
        values = graph.node("Concat", f"values_{layer}", value, axis=2, output=f"next_values_{layer}")
        x = graph.node("Add", x, graph.attend(graph.query(normed, attention), keys, values, attention))
        attention = f"{name}.encoder_attn"
        query = graph.query(graph.norm(x, f"{name}.encoder_attn_layer_norm"), attention)
        x = graph.node("Add", x, graph.attend(query, f"cross_keys_{layer}", f"cross_values_{layer}", attention))
        x = graph.feed_forward(x, name)
        inputs += [floats(f"keys_{layer}", 1, heads, size, "past"), floats(f"values_{layer}", 1, heads, "past", size)]
        inputs += [floats(f"cross_keys_{layer}", 1, heads, size, states)]
        inputs += [floats(f"cross_values_{layer}", 1, heads, states, size)]
        outputs += [floats(f"next_keys_{layer}", 1, heads, size, "length")]
        outputs += [floats(f"next_values_{layer}", 1, heads, "length", size)]
    x = graph.norm(x, "model.decoder.layer_norm")
    vocabulary = graph.constant("vocabulary", tensors[f"{embedding}.weight"].T)
    graph.node("MatMul", x, vocabulary, output="logits")
    graph.save(file, inputs, outputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    config = json.loads((options.model / "config.json").read_text())
    tensors = {name: value.astype(np.float32) for name, value in load_file(options.model / "model.safetensors").items()}
    options.output.mkdir(parents=True, exist_ok=True)
    encoder(tensors, config, options.output / "encoder.onnx")
    decoder(tensors, config, options.output / "decoder.onnx")


if __name__ == "__main__":
    main()
