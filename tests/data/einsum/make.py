#!/usr/bin/env python3
"""Reference values for bt-train's float model, by numpy.einsum in float64.

    python3 tests/data/einsum/make.py        # rewrites the files beside it

maps.json    linear maps alone: weights, frames x, results z = W x
models.json  whole models: lengths, frames x, logits
*.safetensors  the weights of the latter, written here byte by byte, as a
             program that knows only the published names and metadata would

Weights and frames are multiples of 1/64: exact in float32, short in text.
"""

import json
import math
import pathlib
import string
import struct

import numpy as np

HERE = pathlib.Path(__file__).parent
RNG = np.random.default_rng(20260101)


def draw(*shape, scale=1.0):
    return np.round(RNG.standard_normal(shape) * scale * 64) / 64


def block_term_matrix(weights, prefix, blocks, order):
    """W[j, i] = sum_n sum_r G_n[r] prod_k A_n^(k)[i_k, j_k, r_k]"""
    i, j, r = (string.ascii_letters[at : at + order] for at in (0, 8, 16))
    terms = [r] + [i[k] + j[k] + r[k] for k in range(order)]
    total = 0
    for n in range(blocks):
        core = weights[f"{prefix}block.{n}.core"]
        factors = [weights[f"{prefix}block.{n}.factor.{k}"] for k in range(order)]
        w = np.einsum(",".join(terms) + "->" + j + i, core, *factors, optimize=True)
        total = total + w.reshape(math.prod(w.shape[:order]), -1)
    return total


def tensor_train_matrix(weights, prefix, order):
    i, j, r = (string.ascii_letters[at : at + order + 1] for at in (0, 8, 16))
    terms = [r[k] + i[k] + j[k] + r[k + 1] for k in range(order)]
    cores = [weights[f"{prefix}tt.{k}"] for k in range(order)]
    output = j[:order] + i[:order]
    w = np.einsum(",".join(terms) + "->" + output, *cores, optimize=True)
    return w.reshape(math.prod(w.shape[:order]), -1)


def map_weights(kind, inputs, outputs, blocks, rank, prefix):
    """Weights scaled so that W x stays near 1."""
    order, size = len(inputs), math.prod(inputs)
    t = size**-0.5
    if kind == "block-term":
        s = (t / (blocks * rank**order) ** 0.5) ** (1 / (order + 1))
        weights = {}
        for n in range(blocks):
            weights[f"{prefix}block.{n}.core"] = draw(*[rank] * order, scale=s)
            for k, (i, j) in enumerate(zip(inputs, outputs)):
                weights[f"{prefix}block.{n}.factor.{k}"] = draw(i, j, rank, scale=s)
        return weights
    if kind == "tensor-train":
        s = (t / rank ** ((order - 1) / 2)) ** (1 / order)
        ranks = [1] + [rank] * (order - 1) + [1]
        return {
            f"{prefix}tt.{k}": draw(ranks[k], i, j, ranks[k + 1], scale=s)
            for k, (i, j) in enumerate(zip(inputs, outputs))
        }
    return {f"{prefix}weight": draw(math.prod(outputs), size, scale=t)}


def map_matrix(kind, weights, order, blocks, prefix):
    if kind == "block-term":
        return block_term_matrix(weights, prefix, blocks, order)
    if kind == "tensor-train":
        return tensor_train_matrix(weights, prefix, order)
    return weights[f"{prefix}weight"]


def arrays(weights):
    return {
        name: {"shape": list(w.shape), "values": w.ravel().tolist()}
        for name, w in weights.items()
    }


def map_case(kind, inputs, outputs, blocks, rank, frames=3):
    weights = map_weights(kind, inputs, outputs, blocks, rank, "")
    matrix = map_matrix(kind, weights, len(inputs), blocks, "")
    x = draw(frames, math.prod(inputs))
    return {
        "map": kind,
        "input": inputs,
        "output": outputs,
        "blocks": blocks,
        "rank": rank,
        "weights": arrays(weights),
        "x": x.ravel().tolist(),
        "z": (x @ matrix.T).ravel().tolist(),
    }


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def hard_sigmoid(z):
    return np.clip(0.2 * z + 0.5, 0, 1)


def logits(config, weights, x, lengths):
    modes, hidden = config["input"]["modes"], config["hidden"]["modes"]
    recurrent, units = config["recurrent"], math.prod(hidden)
    gate = {"sigmoid": sigmoid, "hard-sigmoid": hard_sigmoid}[config["gate"]]
    w = map_matrix(
        config["input"]["map"], weights, len(modes), config["input"].get("blocks"), "lstm.input."
    )
    u = map_matrix(
        recurrent["map"], weights, len(hidden), recurrent.get("blocks"), "lstm.recurrent."
    )
    out = []
    for frames, length in zip(x, lengths):
        h, c = np.zeros(units), np.zeros(units)
        states = []
        for frame in frames[:length]:
            z = w @ frame + u @ h + weights.get("lstm.bias", 0)
            i, f, g, o = z.reshape(4, units)
            c = gate(f) * c + gate(i) * np.tanh(g)
            h = gate(o) * np.tanh(c)
            states.append(h)
        pooled = h if config["head"]["pool"] == "last" else np.mean(states, axis=0)
        out.append(weights["head.weight"] @ pooled + weights.get("head.bias", 0))
    return np.array(out)


def write_safetensors(path, config, weights):
    header, data = {"__metadata__": {"bt": json.dumps(config)}}, b""
    for name, w in weights.items():
        raw = w.astype("<f4").tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(w.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def model_case(name, config, lengths, biases=True):
    modes, hidden = config["input"]["modes"], config["hidden"]["modes"]
    outputs = [4 * hidden[0]] + hidden[1:]
    units, classes = math.prod(hidden), config["head"]["classes"]
    weights = {}
    for part, inputs in (("input", modes), ("recurrent", hidden)):
        spec = config[part]
        weights |= map_weights(
            spec["map"], inputs, outputs, spec.get("blocks"), spec.get("rank"), f"lstm.{part}."
        )
    weights["head.weight"] = draw(classes, units)
    if biases:
        weights["lstm.bias"] = draw(4 * units)
        weights["head.bias"] = draw(classes)
    x = draw(len(lengths), max(lengths), math.prod(modes), scale=2.0)
    write_safetensors(HERE / f"{name}.safetensors", config, weights)
    return {
        "file": f"{name}.safetensors",
        "lengths": lengths,
        "shape": list(x.shape),
        "x": x.ravel().tolist(),
        "logits": logits(config, weights, x, lengths).ravel().tolist(),
    }


def main():
    maps = [
        map_case("block-term", [7], [8], 2, 3),
        map_case("block-term", [3, 5], [8, 3], 2, 4),
        map_case("block-term", [4, 1], [4, 5], 1, 6),
        map_case("block-term", [2, 5, 3], [4, 3, 2], 3, 2),
        map_case("block-term", [4, 3, 2, 3], [4, 2, 1, 3], 2, 3),
        map_case("block-term", [2, 3, 1, 2, 3], [4, 1, 2, 2, 1], 2, 2),
        map_case("block-term", [2, 2, 1, 2, 3, 2], [4, 2, 1, 1, 2, 1], 1, 2),
        map_case("block-term", [3, 6, 5, 4], [8, 2, 4, 4], 2, 4, frames=2),
        map_case("tensor-train", [7], [8], 1, 3),
        map_case("tensor-train", [3, 5], [8, 3], 1, 4),
        map_case("tensor-train", [4, 3, 2, 3], [4, 2, 1, 3], 1, 3),
        map_case("tensor-train", [2, 2, 1, 2, 3, 2], [4, 2, 1, 1, 2, 1], 1, 2),
        map_case("dense", [6, 3], [4, 5], 1, 1),
    ]
    block_term = {"map": "block-term", "blocks": 2, "rank": 3}
    train = {"map": "tensor-train", "rank": 3}
    dense = {"map": "dense"}

    def config(input_map, modes, hidden, recurrent, gate, pool, classes=3):
        return {
            "input": input_map | {"modes": modes},
            "hidden": {"modes": hidden},
            "recurrent": recurrent,
            "gate": gate,
            "head": {"classes": classes, "pool": pool},
        }

    last, mean = "last", "mean"
    soft, hard = "sigmoid", "hard-sigmoid"
    small = block_term | {"rank": 2}
    models = [
        model_case(
            "bt_dense", config(block_term, [3, 4, 2], [2, 3, 2], dense, soft, last), [5, 3, 1]
        ),
        model_case(
            "bt_bt_mean", config(small, [4, 5], [3, 2], small, soft, mean), [2, 4, 4], biases=False
        ),
        model_case("tt_tt_hard", config(train, [4, 2, 3], [2, 2, 2], train, hard, last), [4, 1]),
        model_case("dense_hard_mean", config(dense, [3, 3], [2, 3], dense, hard, mean), [3, 2, 5]),
    ]
    for name, cases in (("maps", maps), ("models", models)):
        lines = ",\n".join(json.dumps(case) for case in cases)
        (HERE / f"{name}.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
