"""Turns a model of PyTorch, ONNX or Keras into the .safetensors that `bt-train import` reads.

    python3 to_safetensors.py MODEL OUT.safetensors

MODEL is a .pt, .pth or .bin of PyTorch (a state dict, a checkpoint that holds one, or a whole module), an .onnx
with LSTM and Gemm nodes, or a .h5 or .keras of Keras. Each needs its own package: torch, onnx or h5py; all need
numpy and safetensors. Names and layout of what is written are PyTorch's.
"""

import io
import pathlib
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
    """Keras has the gates in our order (i, f, c, o), its matrices the other way round, and one bias."""
    import h5py

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            source = io.BytesIO(archive.read("model.weights.h5"))
    else:
        source = path
    layers = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and "optimizer" not in name.split("/"):
            layers.setdefault(name.rpartition("/")[0], {})[name.rpartition("/")[2]] = item[()]

    with h5py.File(source) as file:
        file.visititems(visit)
    tensors, recurrent, linear = {}, 0, 0
    for name, values in layers.items():
        # Keras 2 names them kernel:0 …, Keras 3 kernel … in .h5, and 0, 1, 2 in .keras.
        values = {key.partition(":")[0]: value for key, value in values.items()}
        if "recurrent_kernel" in values or "2" in values or ("1" in values and values["1"].ndim == 2):
            kernel = values.get("kernel", values.get("0"))
            back = values.get("recurrent_kernel", values.get("1"))
            bias = values.get("bias", values.get("2"))
            gates = back.shape[1] // back.shape[0]
            if gates != 4:
                fail(path, f"{name} has {gates} gates; an LSTM has 4, and no other layer is supported")
            tensors[f"lstm{recurrent or ''}.weight_ih_l0"] = kernel.T
            tensors[f"lstm{recurrent or ''}.weight_hh_l0"] = back.T
            if bias is not None:
                tensors[f"lstm{recurrent or ''}.bias_ih_l0"] = bias
                tensors[f"lstm{recurrent or ''}.bias_hh_l0"] = np.zeros_like(bias)
            recurrent += 1
        elif "kernel" in values or ("0" in values and values["0"].ndim == 2):
            tensors[f"fc{linear or ''}.weight"] = values.get("kernel", values.get("0")).T
            bias = values.get("bias", values.get("1"))
            if bias is not None:
                tensors[f"fc{linear or ''}.bias"] = bias
            linear += 1
    if recurrent == 0:
        fail(path, "holds no LSTM layer")
    return tensors


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
