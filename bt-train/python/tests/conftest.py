"""What tests share: data that can be learned, files of the repository, the program."""

import json
import os
import pathlib
import struct

import numpy as np
import pytest

REPOSITORY = pathlib.Path(__file__).parents[3]


def tensors(path):
    """The tensors of a .safetensors file, by the format's own description."""
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    body = data[8 + length :]
    return {
        name: np.frombuffer(body[slice(*about["data_offsets"])], "<f4").reshape(about["shape"])
        for name, about in header.items()
    }


@pytest.fixture
def classes():
    """x [90, 6, 12] and y [90] of three classes that a small model tells apart."""
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = rng.normal(size=(90, 6, 12)) + 2 * y[:, None, None] * np.linspace(-1, 1, 12)
    return x.astype("f4"), y


@pytest.fixture
def program():
    """bt-train, which `cargo xtask test` builds."""
    return os.environ["BT_TRAIN"]
