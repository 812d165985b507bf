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


SETS = {f.__name__: f for f in (mmwave_gesture8, mmwave_gesture5, hapt, japanese_vowels, mnist)}


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
