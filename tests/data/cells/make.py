"""Layers of PyTorch, their weights, frames and last hidden states: `torch.json`, by the names of a state_dict.

    python3 -m venv V && V/bin/pip install torch numpy && V/bin/python make.py > torch.json
"""

import json

import torch

torch.manual_seed(11)
STEPS, INPUTS, UNITS = 6, 5, 7


def rounded(values):
    return [round(float(value), 7) for value in values.detach().flatten()]


models = {}
for name, kind, layers in [
    ("gru", torch.nn.GRU, 1),
    ("gru of two layers", torch.nn.GRU, 2),
    ("lstm of three layers", torch.nn.LSTM, 3),
]:
    net = kind(INPUTS, UNITS, layers, batch_first=True)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(torch.tensor(rounded(1.6 * weight)).reshape(weight.shape))
    x = torch.tensor(rounded(torch.randn(4, STEPS, INPUTS))).reshape(4, STEPS, INPUTS)
    states, _ = net.double()(x.double())
    models[name] = {
        "layers": layers,
        "weights": {key: rounded(value) for key, value in net.state_dict().items()},
        "x": rounded(x),
        "h": rounded(states),
    }
shape = {"sequences": 4, "steps": STEPS, "inputs": INPUTS, "units": UNITS}
print(json.dumps({"torch": torch.__version__, **shape, "models": models}))
