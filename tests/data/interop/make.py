"""Makes the files beside it with NumPy alone: models as another program would
write them, a data set, and the logits they must give in float64.

    python3 make.py

The files are committed; run it again only to change them.
"""

import json
import pathlib
import struct

import numpy as np

HERE = pathlib.Path(__file__).parent


def safetensors(path, tensors, metadata):
    """The format in full: length, JSON header, data."""
    header, data = {"__metadata__": metadata}, b""
    for name, values in tensors.items():
        block = np.ascontiguousarray(values, dtype="<f4").tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(values.shape),
            "data_offsets": [len(data), len(data) + len(block)],
        }
        data += block
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def block_term(rng, prefix, modes, hidden, blocks, rank):
    """Tensors of a map, and its full matrix W[j, i] by the formula of the paper."""
    outputs = [4 * hidden[0], *hidden[1:]]
    d, tensors, matrix = len(modes), {}, 0
    scale = (1 / np.sqrt(np.prod(modes)) / np.sqrt(blocks * rank**d)) ** (1 / (d + 1))
    for n in range(blocks):
        core = rng.normal(0, scale, [rank] * d).astype("f4")
        tensors[f"{prefix}.block.{n}.core"] = core
        factors = []
        for k in range(d):
            factor = rng.normal(0, scale, (modes[k], outputs[k], rank)).astype("f4")
            tensors[f"{prefix}.block.{n}.factor.{k}"] = factor
            factors.append(factor.astype("f8"))
        i, j, r = "abcdef"[:d], "ghijkl"[:d], "uvwxyz"[:d]
        terms = ",".join(i[k] + j[k] + r[k] for k in range(d))
        full = np.einsum(f"{r},{terms}->{j}{i}", core.astype("f8"), *factors, optimize=True)
        matrix = matrix + full.reshape(int(np.prod(outputs)), -1)
    return tensors, matrix


def tensor_train(rng, prefix, modes, hidden, rank):
    outputs = [4 * hidden[0], *hidden[1:]]
    d, tensors, full = len(modes), {}, np.ones((1, 1, 1))
    for k in range(d):
        left, right = (1 if k == 0 else rank), (1 if k == d - 1 else rank)
        core = rng.normal(0, 0.5, (left, modes[k], outputs[k], right)).astype("f4")
        tensors[f"{prefix}.tt.{k}"] = core
        full = np.einsum("jil,lkmr->jmikr", full, core.astype("f8"))
        full = full.reshape(full.shape[0] * full.shape[1], -1, right)
    return tensors, full[:, :, 0]


def dense(rng, prefix, modes, hidden):
    inputs, units = int(np.prod(modes)), int(np.prod(hidden))
    weight = rng.normal(0, inputs**-0.5, (4 * units, inputs)).astype("f4")
    return {f"{prefix}.weight": weight}, weight.astype("f8")


MAPS = {"block-term": block_term, "tensor-train": tensor_train, "dense": dense}


def make_map(rng, prefix, about, modes, hidden):
    sizes = [about[key] for key in ("blocks", "rank") if key in about]
    return MAPS[about["map"]](rng, prefix, modes, hidden, *sizes)


def logits(about, matrices, tensors, x, lengths):
    """The LSTM, a sequence and a step at a time, in float64."""
    units = int(np.prod(about["hidden"]["modes"]))
    get = lambda name, default: tensors.get(name, np.array(default)).astype("f8")
    bias = get("lstm.bias", np.zeros(4 * units))
    if about.get("gate", "sigmoid") == "sigmoid":
        gate = lambda z: 1 / (1 + np.exp(-z))
    else:
        gate = lambda z: np.clip(0.2 * z + 0.5, 0, 1)
    x = (x.astype("f8") - get("input.offset", [0.0])) * get("input.scale", [1.0])
    rows = []
    for frames, length in zip(x, lengths):
        h, c, states = np.zeros(units), np.zeros(units), []
        for frame in frames[:length]:
            z = matrices[0] @ frame + matrices[1] @ h + bias
            i, f, g, o = z.reshape(4, units)
            c = gate(f) * c + gate(i) * np.tanh(g)
            h = gate(o) * np.tanh(c)
            states.append(h)
        last = about["head"].get("pool", "last") == "last"
        pooled = states[-1] if last else np.mean(states, axis=0)
        rows.append(tensors["head.weight"].astype("f8") @ pooled + get("head.bias", 0.0))
    return np.array(rows)


MODELS = {
    "block_term": {
        "input": {"map": "block-term", "modes": [3, 4, 2], "blocks": 2, "rank": 3},
        "hidden": {"modes": [2, 3, 2]},
        "recurrent": {"map": "dense"},
        "gate": "sigmoid",
        "head": {"classes": 4, "pool": "last"},
    },
    "both_block_term": {
        "input": {"map": "block-term", "modes": [6, 4], "blocks": 1, "rank": 5},
        "hidden": {"modes": [1, 7]},
        "recurrent": {"map": "block-term", "blocks": 3, "rank": 2},
        "gate": "hard-sigmoid",
        "head": {"classes": 4, "pool": "mean"},
    },
    "tensor_train": {
        "input": {"map": "tensor-train", "modes": [2, 3, 4], "rank": 3},
        "hidden": {"modes": [2, 1, 4]},
        "recurrent": {"map": "tensor-train", "rank": 2},
        "head": {"classes": 4, "pool": "mean"},
    },
    "dense": {
        "input": {"map": "dense", "modes": [24]},
        "hidden": {"modes": [5]},
        "head": {"classes": 4},
    },
}


def main():
    rng = np.random.default_rng(20)
    x = rng.integers(0, 256, (12, 5, 4, 6), dtype=np.uint8)
    lengths = rng.integers(1, 6, 12)
    np.savez_compressed(
        HERE / "data.npz",
        x_test=np.asfortranarray(x),
        lengths_test=lengths.astype(">i2"),
        x_train=x[:4],
        y_train=np.array([0, 1, 2, 3], dtype=np.uint64),
        labels=np.array(["nord", "süd", "est", "🧭"]),
        comment=np.array({"an": "object"}, dtype=object),
        phase=np.zeros(3, dtype=complex),
        when=np.array(["2020-01-01"], dtype="datetime64[D]"),
    )
    frames = x.reshape(12, 5, 24)
    expected = {}
    for name, about in MODELS.items():
        modes, hidden = about["input"]["modes"], about["hidden"]["modes"]
        units = int(np.prod(hidden))
        tensors, first = make_map(rng, "lstm.input", about["input"], modes, hidden)
        more, second = make_map(
            rng, "lstm.recurrent", about.get("recurrent", {"map": "dense"}), hidden, hidden
        )
        tensors |= more
        tensors["head.weight"] = rng.normal(0, 1, (4, units)).astype("f4")
        tensors["input.scale"] = np.array([1 / 64], dtype="f4")
        if name != "dense":
            tensors["lstm.bias"] = rng.normal(0, 0.5, 4 * units).astype("f4")
            tensors["head.bias"] = rng.normal(0, 1, 4).astype("f4")
            tensors["input.offset"] = np.full(24, 127.5, dtype="f4")
        safetensors(HERE / f"{name}.safetensors", tensors, {"bt": json.dumps(about)})
        result = logits(about, (first, second), tensors, frames, lengths)
        expected[name] = [[float(value) for value in row] for row in result]
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


main()
