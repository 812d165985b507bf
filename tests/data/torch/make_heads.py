"""Makes state dicts with heads of every kind, and models of Keras, with the scores that they must give.

    pip install torch safetensors keras h5py && python3 make_heads.py

Their frames are those of data.npz. The files are committed; run it again only to change them (made with torch 2.15 and
Keras 3). Keras' scores are checked against its formulas in NumPy before they are written.
"""

import json
import os
import pathlib

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent


class Model(torch.nn.Module):
    def __init__(self, cell, units, outputs, pool, **more):
        super().__init__()
        self.body = cell(24, units, batch_first=True, **more)
        self.out = torch.nn.Linear(units, outputs)
        self.pool = pool

    def forward(self, x):
        states, _ = self.body(x)
        return self.out({"last": states[:, -1], "mean": states.mean(1), "every": states}[self.pool])


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def gru(x, kernel, back, bias):
    """Keras' GRU with reset_after: gates in the order z, r, h; states [n, steps, units]."""
    units = back.shape[0]
    h, states = np.zeros((len(x), units)), []
    for t in range(x.shape[1]):
        own, mine = x[:, t] @ kernel + bias[0], h @ back + bias[1]
        z = sigmoid(own[:, :units] + mine[:, :units])
        r = sigmoid(own[:, units : 2 * units] + mine[:, units : 2 * units])
        h = z * h + (1 - z) * np.tanh(own[:, 2 * units :] + r * mine[:, 2 * units :])
        states.append(h)
    return np.stack(states, 1)


def lstm(x, kernel, back, bias):
    """Keras' LSTM: gates in the order i, f, c, o."""
    units = back.shape[0]
    h = c = np.zeros((len(x), units))
    states = []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ back + bias, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.stack(states, 1)


def main():
    x = np.load(HERE / "data.npz")["x_test"]
    expected = {}
    torch.manual_seed(16)
    for name, model in {
        "step_classes": Model(torch.nn.LSTM, 8, 4, "every"),
        "values": Model(torch.nn.GRU, 7, 3, "mean"),
        "step_values": Model(torch.nn.GRU, 6, 1, "every", num_layers=2),
        "bits": Model(torch.nn.LSTM, 5, 3, "last"),
    }.items():
        for parameter in model.parameters():
            parameter.data *= 2
        model.double().eval()
        with torch.no_grad():
            expected[name] = model(torch.from_numpy(x).double()).reshape(-1, model.out.out_features).tolist()
        save_file(model.float().state_dict(), HERE / f"{name}.safetensors")

    keras.utils.set_random_seed(16)
    layers = keras.layers
    models = {
        # A GRU with every bias of its own; of values, from the mean.
        "keras_gru": ([layers.GRU(9, return_sequences=True), layers.GlobalAveragePooling1D(), layers.Dense(2)], gru),
        # Two LSTMs, the upper with a head on every step.
        "keras_steps": (
            [layers.LSTM(6, return_sequences=True), layers.LSTM(6, return_sequences=True), layers.Dense(4)],
            lstm,
        ),
    }
    for name, (stack, formula) in models.items():
        model = keras.Sequential([keras.Input((7, 24)), *stack])
        rng = np.random.default_rng(16)
        model.set_weights([rng.normal(0, 0.5, w.shape).astype("f4") for w in model.get_weights()])
        model.save(HERE / f"{name}.keras")
        found = model.predict(x, verbose=0)
        weights = [w.astype("f8") for w in model.get_weights()]
        states, head = x.astype("f8"), weights[-2:]
        for at in range(0, len(weights) - 2, 3):
            states = formula(states, *weights[at : at + 3])
        read = states.mean(1) if name == "keras_gru" else states
        by_hand = read @ head[0] + head[1]
        assert np.abs(by_hand - found).max() < 1e-5, name
        expected[name] = by_hand.reshape(-1, by_hand.shape[-1]).tolist()
    # What the network does not have.
    refused = {
        "keras_reset_before": [layers.GRU(4, reset_after=False), layers.Dense(2)],
        "keras_convolution": [layers.Conv1D(5, 3), layers.LSTM(4), layers.Dense(2)],
        "keras_both_ways": [layers.Bidirectional(layers.LSTM(4)), layers.Dense(2)],
        "keras_hard": [layers.LSTM(4, recurrent_activation="hard_sigmoid"), layers.Dense(2)],
    }
    for name, stack in refused.items():
        keras.Sequential([keras.Input((7, 24)), *stack]).save(HERE / f"{name}.keras")
    (HERE / "heads.json").write_text(json.dumps(expected) + "\n")


main()
