"""Runs models in PyTorch for tests/interop.rs.

    python3 torch_logits.py BT_LSTM_FOLDER OUT_FOLDER DATA.npz MODEL.safetensors …

OUT_FOLDER gets, of each model, its logits (of every valid step, or every sequence) and those of a model with other weights, which is saved
there too.
"""

import json
import pathlib
import sys

import numpy as np
import torch

folder, out, data, *models = map(pathlib.Path, sys.argv[1:])
sys.path.insert(0, str(folder))
from bt_lstm import BtLstm  # noqa: E402

data = np.load(data)
x = torch.from_numpy(np.ascontiguousarray(data["x_test"]))
lengths = torch.from_numpy(data["lengths_test"].astype("i8"))
logits = {}


def rows(logits):
    """[rows, K]: of every sequence, or of every valid step."""
    if logits.dim() == 3:
        behind = torch.arange(logits.shape[1]) >= lengths.view(-1, 1)
        assert (logits[behind] == 0).all()
        logits = logits[~behind]
    return logits.tolist()


for path in models:
    model = BtLstm.load(path)
    before = model(x, lengths)
    # Every weight takes part: a step of descent changes them all.
    before.square().sum().backward()
    assert all(w.grad is not None for w in model.parameters() if w.requires_grad), path
    torch.optim.Adam(model.parameters(), lr=0.05).step()
    model.save(out / path.name)
    logits[path.name] = [rows(before), rows(model(x, lengths))]
(out / "logits.json").write_text(json.dumps(logits))
