#!/usr/bin/env python3
"""Turns the data sets of RESULTS.md into the arrays that bt-train reads.

    python3 tools/data/prepare.py SOURCE TARGET [NAME …]

SOURCE holds one folder a data set as downloaded, TARGET gets NAME.npz. Needs NumPy alone. Frames of
neighbouring time steps are put together into one, so that a step of the LSTM reads more and there are
fewer of them; nothing is learnt from the data here.
"""
import gzip
import sys
from pathlib import Path

import numpy as np


def wide(x, frames):
    """[n, steps, …] to [n, steps / frames, frames, …]; zeros fill the last."""
    missing = -x.shape[1] % frames
    x = np.pad(x, [(0, 0), (0, missing)] + [(0, 0)] * (x.ndim - 2))
    return x.reshape(len(x), -1, frames, *x.shape[2:])


def parts(source, name, array):
    data = np.load(source / name / f"{name}.npz")
    out = {key: data[key] for key in ("y_train", "y_test", "labels", "group_train") if key in data}
    for part in ("train", "test"):
        out |= {f"{key}_{part}": value for key, value in array(data, part).items()}
    return out


def mmwave_gesture8(source):
    """16 steps of 4 columns of time × 4 maps × 64 bins."""
    return parts(source, "mmwave_gesture8", lambda d, part: {"x": wide(d[f"x_{part}"], 4)})


def mmwave_gesture5(source):
    """Range × |Doppler| alone, 2 radar frames a step: 2 × 9 speeds × 16 ranges.

    Rows are speeds, row 8 is 0: rows 9 to 15 are added to rows 7 to 1, row 0 stands alone.
    """

    def array(d, part):
        doppler = d[f"x_{part}"][:, :, 1].astype(np.uint16)
        speed = doppler[:, :, 8::-1].copy()
        speed[:, :, 1:8] += doppler[:, :, 9:]
        x = np.minimum(speed, 255).astype(np.uint8)
        return {"x": wide(x, 2), "lengths": (d[f"lengths_{part}"] + 1) // 2}

    return parts(source, "mmwave_gesture5", array)


def hapt(source):
    """16 steps of 8 samples × 6 channels."""
    return parts(source, "hapt", lambda d, part: {"x": wide(d[f"x_{part}"], 8)})


def japanese_vowels(source):
    """As it is: up to 29 steps of 12 coefficients."""
    return parts(
        source,
        "japanese_vowels",
        lambda d, part: {"x": d[f"x_{part}"], "lengths": d[f"lengths_{part}"]},
    )


def mnist(source):
    """28 rows of 28 pixels."""

    def idx(name, header):
        return np.frombuffer(gzip.open(source / "mnist" / name).read(), np.uint8, offset=header)

    out = {}
    for part, name in (("train", "train"), ("test", "t10k")):
        out[f"x_{part}"] = idx(f"{name}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
        out[f"y_{part}"] = idx(f"{name}-labels-idx1-ubyte.gz", 8)
    return out


def binarized_mnist(source):
    """28 rows of 28 bits; there is no y: the next row is to be told."""
    data = np.load(source / "binarized_mnist" / "binarized_mnist.npz")
    rows = lambda part: data[f"x_{part}"].reshape(-1, 28, 28)
    return {f"x_{part}": rows(part) for part in ("train", "val", "test")}


def avletters(source, side=1, tuning=False):
    """Repetitions 1 and 2 to learn from, 3 to test; for tuning 1 to learn from, 2 to validate, and no test part.

    `side` by `side` pixels are averaged into one, rounded to a byte."""
    data = np.load(source / "avletters" / "avletters.npz")

    def part(name, kept):
        x = data[f"x_{name}"][kept]
        if side > 1:
            n, steps, rows, columns = x.shape
            x = x.reshape(n, steps, rows // side, side, columns // side, side).mean((3, 5), dtype=np.float32)
            x = x.round().astype(np.uint8)
        return x, data[f"y_{name}"][kept], data[f"lengths_{name}"][kept]

    # Each speaker says each letter twice in the training part, in order.
    seen, second = set(), []
    for who in zip(data["y_train"], data["group_train"]):
        second.append(who in seen)
        seen.add(who)
    second = np.array(second)
    if tuning:
        chosen = {"train": part("train", ~second), "val": part("train", second)}
    else:
        chosen = {"train": part("train", slice(None)), "test": part("test", slice(None))}
    out = {"labels": data["labels"]}
    for name, arrays in chosen.items():
        out |= {f"{key}_{name}": value for key, value in zip(("x", "y", "lengths"), arrays)}
    return out


def avletters_tuning(source):
    """60 × 80 pixels."""
    return avletters(source, tuning=True)


def avletters_15x20(source):
    """Averages of 4 × 4 pixels."""
    return avletters(source, side=4)


def avletters_15x20_tuning(source):
    """The same for tuning."""
    return avletters(source, side=4, tuning=True)


LIPS = (avletters, avletters_tuning, avletters_15x20, avletters_15x20_tuning)
ALL = (mmwave_gesture8, mmwave_gesture5, hapt, japanese_vowels, mnist, binarized_mnist, *LIPS)
SETS = {f.__name__: f for f in ALL}


def main():
    if len(sys.argv) < 3 or not set(sys.argv[3:]) <= set(SETS):
        sys.exit(f"usage: prepare.py SOURCE TARGET [{' | '.join(SETS)} …]")
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[3:] or SETS:
        arrays = SETS[name](source)
        np.savez_compressed(target / f"{name}.npz", **arrays)
        print(name, {key: value.shape for key, value in arrays.items()})


if __name__ == "__main__":
    main()
