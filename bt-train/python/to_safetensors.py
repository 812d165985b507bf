"""Turns a model of PyTorch, ONNX or Keras into the .safetensors that `bt-train import` reads.

    python3 to_safetensors.py MODEL OUT.safetensors

MODEL is a .pt, .pth or .bin of PyTorch (a state dict, a checkpoint that holds one, or a whole module), an .onnx
with LSTM and Gemm nodes, or a .h5 or .keras of Keras with LSTM or GRU layers and a Dense. Each needs its own package: torch, onnx or h5py; all need
numpy and safetensors. Names and layout of what is written are PyTorch's.
"""

import io
import json
import pathlib
import re
import sys
import zipfile

import numpy as np
from safetensors.numpy import save_file


def fail(path, what):
    sys.exit(f"error: {path}: {what}")


def from_torch(path):
    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # A whole module is code, and runs as it is read.
        fail(
            path,
            "holds more than tensors; where you trust it, save its state_dict() alone: "
            f"torch.save(model.state_dict(), ...) ({str(error).splitlines()[0]})",
        )
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    tensors = {name: value for name, value in found.items() if torch.is_tensor(value)}
    if not tensors:
        fail(path, "holds no tensors")
    return {name: value.float().numpy() for name, value in tensors.items()}


def from_onnx(path):
    """ONNX has the gates in the order i, o, f, g and both biases in one row."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    known = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            known[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    tensors, layer = {}, 0
    for node in graph.node:
        if node.op_type in ("GRU", "RNN"):
            fail(path, f"holds a {node.op_type} node; LSTM is supported")
        if node.op_type == "LSTM":
            weights = [known.get(name) for name in node.input[1:4]]
            if weights[0] is None or weights[1] is None:
                fail(path, "the weights of its LSTM are no constants")
            if weights[0].shape[0] != 1:
                fail(path, "its LSTM runs in both directions, which a stream cannot feed")
            units = weights[1].shape[2]
            order = lambda rows: np.concatenate([rows.reshape(4, units, -1)[g] for g in (0, 2, 3, 1)])
            tensors[f"lstm.weight_ih_l{layer}"] = order(weights[0][0])
            tensors[f"lstm.weight_hh_l{layer}"] = order(weights[1][0])
            if weights[2] is not None:
                first, second = np.split(weights[2][0], 2)
                tensors[f"lstm.bias_ih_l{layer}"] = order(first)[:, 0]
                tensors[f"lstm.bias_hh_l{layer}"] = order(second)[:, 0]
            layer += 1
        if node.op_type == "Gemm" and node.input[1] in known:
            turned = any(a.name == "transB" and a.i for a in node.attribute)
            weight = known[node.input[1]]
            name = f"fc{sum(key.endswith('.weight') for key in tensors) or ''}"
            tensors[f"{name}.weight"] = weight if turned else weight.T
            if len(node.input) > 2:
                tensors[f"{name}.bias"] = known[node.input[2]]
        if node.op_type == "MatMul" and node.input[1] in known and known[node.input[1]].ndim == 2:
            name = f"fc{sum(key.endswith('.weight') for key in tensors) or ''}"
            tensors[f"{name}.weight"] = known[node.input[1]].T
            adds = [other for other in graph.node if other.op_type == "Add" and node.output[0] in other.input]
            for add in adds:
                for side in add.input:
                    if side in known:
                        tensors[f"{name}.bias"] = known[side].reshape(-1)
    if layer == 0:
        fail(path, "holds no LSTM node")
    return tensors


def from_keras(path):
    """Keras has its matrices the other way round; of an LSTM the gates in our order (i, f, c, o) and one bias, of a GRU
    z, r, h, and two biases where it resets after the product, as PyTorch does."""
    import h5py

    source, config = path, None
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            source = io.BytesIO(archive.read("model.weights.h5"))
            config = archive.read("config.json")
    layers = {}

    def visit(name, item):
        parts = name.split("/")
        if isinstance(item, h5py.Dataset) and not {"optimizer", "optimizer_weights", "seed_generator"} & set(parts):
            layers.setdefault("/".join(parts[:-1]), {})[parts[-1].partition(":")[0]] = item[()]

    with h5py.File(source) as file:
        file.visititems(visit)
        config = config or file.attrs.get("model_config")
    checked = config is not None
    if checked:
        check_keras(path, json.loads(config))
    recurrent, tensors = [], {}
    # Keras numbers layers of a class in their order: lstm, lstm_1, …, lstm_10.
    number = lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
    for name in sorted(layers, key=number):
        if "backward" in name:
            fail(path, f"{name} runs backwards, which a stream cannot feed")
        # Keras 2 names them kernel …, Keras 3 kernel … in .h5, and 0, 1, 2 in .keras.
        values = layers[name]
        kernel, back, bias = (values.pop(key, values.pop(at, None)) for key, at in KERAS_NAMES)
        if back is not None and back.ndim == 1:
            back, bias = None, back
        if values or kernel is None or kernel.ndim != 2:
            shapes = {key: value.shape for key, value in values.items()} or getattr(kernel, "shape", None)
            fail(path, f"{name} ({shapes}) is of no LSTM, GRU or Dense layer, and nothing else is supported")
        if back is not None:
            recurrent.append((name, kernel, back, bias))
            continue
        own = next(part for part in reversed(name.split("/")) if part not in ("vars", "cell", "layer"))
        tensors[f"{own}.weight"] = kernel.T
        if bias is not None:
            tensors[f"{own}.bias"] = bias
    if not recurrent:
        fail(path, "holds no LSTM or GRU layer")
    for at, (name, kernel, back, bias) in enumerate(recurrent):
        units = back.shape[0]
        gates = back.shape[1] // units
        if gates not in (3, 4):
            fail(path, f"{name} has {gates} gates; an LSTM has 4, a GRU 3, and no other layer is supported")
        if gates == 3 and bias is not None and bias.ndim == 1:
            fail(path, f"{name} {RESETS_BEFORE}")
        if gates == 3 and bias is None and not checked:
            print(
                f"warning: {path}: {name} has no bias, which would show reset_after; its default, True, is taken",
                file=sys.stderr,
            )
        order = (1, 0, 2) if gates == 3 else (0, 1, 2, 3)
        turn = lambda rows: np.concatenate([rows.reshape(gates, units, -1)[gate] for gate in order])
        tensors[f"rnn.weight_ih_l{at}"] = turn(kernel.T)
        tensors[f"rnn.weight_hh_l{at}"] = turn(back.T)
        if bias is not None:
            both = bias if gates == 3 else np.stack([bias, np.zeros_like(bias)])
            tensors[f"rnn.bias_ih_l{at}"], tensors[f"rnn.bias_hh_l{at}"] = (turn(side)[:, 0] for side in both)
    return tensors


KERAS_NAMES = (("kernel", "0"), ("recurrent_kernel", "1"), ("bias", "2"))
RESETS_BEFORE = "resets before the product (reset_after=False), which is not supported; train it with reset_after=True"


def check_keras(path, config):
    """Refuses what weights do not show: other functions, other directions."""
    name_of = lambda function: function.get("config", function) if isinstance(function, dict) else function
    layers = []

    def collect(value):
        if isinstance(value, dict):
            if "class_name" in value and isinstance(value.get("config"), dict):
                layers.append((value["class_name"], value["config"]))
            value = list(value.values())
        if isinstance(value, list):
            for inner in value:
                collect(inner)

    collect(config)
    dense = [own for kind, own in layers if kind == "Dense"]
    for kind, own in layers:
        name = own.get("name", kind)
        if kind == "Bidirectional":
            fail(path, f"{name} runs in both directions, which a stream cannot feed")
        if kind in ("LSTM", "GRU"):
            if own.get("go_backwards"):
                fail(path, f"{name} runs backwards, which a stream cannot feed")
            if kind == "GRU" and not own.get("reset_after", True):
                fail(path, f"{name} {RESETS_BEFORE}")
            for key, wanted in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
                if name_of(own.get(key, wanted)) != wanted:
                    fail(path, f"{name} has {key}={name_of(own[key])!r}; {wanted} is supported")
        if kind == "Dense":
            # The last one's gives probabilities of the same logits.
            allowed = ("linear", "softmax", "sigmoid") if own is dense[-1] else ("linear",)
            if name_of(own.get("activation", "linear")) not in allowed:
                fail(path, f"{name} has activation={name_of(own['activation'])!r}; {allowed[0]} is supported")


READERS = {
    ".pt": from_torch,
    ".pth": from_torch,
    ".bin": from_torch,
    ".ckpt": from_torch,
    ".onnx": from_onnx,
    ".h5": from_keras,
    ".hdf5": from_keras,
    ".keras": from_keras,
}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    path, out = map(pathlib.Path, sys.argv[1:])
    if path.suffix.lower() not in READERS:
        fail(path, f"is none of {', '.join(READERS)}")
    tensors = READERS[path.suffix.lower()](path)
    save_file({name: np.ascontiguousarray(value, dtype="f4") for name, value in tensors.items()}, out)
    for name, value in tensors.items():
        print(f"{name:32}{list(value.shape)}")


main()
