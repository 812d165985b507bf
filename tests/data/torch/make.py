"""Makes the files beside it with PyTorch: state dicts as people save them, frames, and the logits that the
models gave.

    pip install torch safetensors keras h5py onnx && pip install --no-deps tednet && python3 make.py

The files are committed; run it again only to change them (made with torch 2.15).
"""

import json
import os
import pathlib

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import onnx
import tednet.tnn.bt_tucker
import tednet.tnn.tensor_train
import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent


class Classifier(torch.nn.Module):
    """What most people write: a recurrent layer, and a linear one behind its last or mean state."""

    def __init__(self, inputs, units, classes, pool, cell=torch.nn.LSTM, **more):
        super().__init__()
        self.rnn = cell(inputs, units, batch_first=True, **more)
        self.fc = torch.nn.Linear(units, classes)
        self.pool = pool

    def forward(self, x):
        states, _ = self.rnn(x)
        return self.fc(states[:, -1] if self.pool == "last" else states.mean(1))


class Tensorized(torch.nn.Module):
    """A layer of TedNet 0.1.3."""

    def __init__(self, layer, units, classes):
        super().__init__()
        self.lstm = layer
        self.units = units
        self.out = torch.nn.Linear(units, classes)

    def forward(self, x):
        zeros = torch.zeros(len(x), self.units, dtype=x.dtype)
        states, _ = self.lstm(x.transpose(0, 1), (zeros, zeros))
        return self.out(states[-1])


class Wrapped(torch.nn.Module):
    """The same, further in, as training frameworks save it."""

    def __init__(self, inner):
        super().__init__()
        self.module = inner

    def forward(self, x):
        return self.module(x)


def to_onnx(model, path):
    """The graph as exporters write it: gates in ONNX's order i, o, f, g."""
    tensors = {name: value.numpy() for name, value in model.state_dict().items()}
    order = lambda rows: rows.reshape(4, len(rows) // 4, -1)[[0, 3, 1, 2]].reshape(rows.shape)
    bias = [order(tensors[f"rnn.bias_{side}_l0"]) for side in ("ih", "hh")]
    known = {
        "W": order(tensors["rnn.weight_ih_l0"])[None],
        "R": order(tensors["rnn.weight_hh_l0"])[None],
        "B": np.concatenate(bias)[None],
        "fc.weight": tensors["fc.weight"],
        "fc.bias": tensors["fc.bias"],
        "axis": np.array([0]),
    }
    node = onnx.helper.make_node
    graph = onnx.helper.make_graph(
        [
            node("LSTM", ["x", "W", "R", "B"], ["all", "last"], hidden_size=model.rnn.hidden_size),
            node("Squeeze", ["last", "axis"], ["state"]),
            node("Gemm", ["state", "fc.weight", "fc.bias"], ["logits"], transB=1),
        ],
        "classifier",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [7, None, 24])],
        [onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [None, 4])],
        [onnx.numpy_helper.from_array(value, name) for name, value in known.items()],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), path)


def main():
    torch.manual_seed(15)
    rng = np.random.default_rng(15)
    x = rng.normal(0, 1, (9, 7, 24)).astype("f4")
    y = rng.integers(0, 4, 9)
    y[:4] = range(4)
    np.savez_compressed(
        HERE / "data.npz",
        **{f"x_{part}": x for part in ("train", "test")},
        **{f"y_{part}": y for part in ("train", "test")},
        labels=np.array(["up", "down", "left", "right"]),
    )
    models = {
        "last": Classifier(24, 10, 4, "last"),
        "mean": Wrapped(Classifier(24, 7, 4, "mean", bias=False)),
    }
    models["gru"] = Classifier(24, 9, 4, "last", torch.nn.GRU)
    models["stacked"] = Classifier(24, 6, 4, "mean", num_layers=2)
    models["stacked_gru"] = Classifier(24, 6, 4, "last", torch.nn.GRU, num_layers=3, bias=False)
    # Ranks that differ, and modes of every kind, so that no axis can be taken for another.
    models["tednet_bt"] = Tensorized(
        tednet.tnn.bt_tucker.BTTLSTM([3, 4, 2], [2, 3, 2], [2, 3, 2], 2), 12, 4
    )
    models["tednet_tt"] = Tensorized(
        tednet.tnn.tensor_train.TTLSTM([2, 4, 3], [1, 2, 3], [3, 2]), 6, 4
    )
    expected = {}
    for name, model in models.items():
        # Larger than torch starts them, so that gates open and close.
        for parameter in model.parameters():
            parameter.data *= 2
        model.double().eval()
        with torch.no_grad():
            expected[name] = model(torch.from_numpy(x).double()).tolist()
        save_file(model.float().state_dict(), HERE / f"{name}.safetensors")
    # Other formats of the same, and a model of Keras.
    torch.save({"epoch": 3, "state_dict": models["last"].state_dict()}, HERE / "last.pt")
    to_onnx(models["last"], HERE / "last.onnx")
    keras.utils.set_random_seed(15)
    of_keras = keras.Sequential(
        [keras.Input((7, 24)), keras.layers.LSTM(10), keras.layers.Dense(4)]
    )
    of_keras.save_weights(HERE / "keras.weights.h5")
    expected["keras"] = of_keras.predict(x, verbose=0).tolist()
    refused = {
        "bidirectional": Classifier(3, 2, 2, "last", bidirectional=True),
        "projected": Classifier(3, 4, 2, "last", proj_size=2),
        "stacked_too_high": Classifier(3, 2, 2, "last", num_layers=5),
    }
    refused["bidirectional"].fc = torch.nn.Linear(4, 2)
    refused["projected"].fc = torch.nn.Linear(2, 2)
    for name, model in refused.items():
        save_file(model.state_dict(), HERE / f"{name}.safetensors")
    (HERE / "expected.json").write_text(json.dumps(expected) + "\n")


main()
