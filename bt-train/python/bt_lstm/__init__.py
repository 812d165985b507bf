"""Block-term LSTMs: trained here, run in integers with the device's own bits.

    model = bt_lstm.train(x, y, units=64, epochs=20)
    integers = bt_lstm.quantize(model, x, y, board="microbit", out="m.btm")
    integers(x_new)                          # what the device will answer
    bt_lstm.import_torch(module)             # an nn.LSTM or nn.GRU with an nn.Linear, or a BtLstm
    bt_lstm.BtLinear, bt_lstm.BtLstm         # for PyTorch, with the trainer's own contraction

Everything takes and gives NumPy arrays. A mistake is a `bt_lstm.Error`, a ValueError, that says what and where.
"""

from __future__ import annotations

import warnings
from typing import Any

try:
    from ._native import Error, FloatModel, IntegerModel, import_tensors, plan, quantize, settings, train
except ImportError as _missing:  # The folder as it stands in the repository: BtLinear and BtLstm work, slower.
    if not (_missing.name or "").endswith("_native"):
        raise

__all__ = [
    "BtLinear",
    "BtLstm",
    "Error",
    "FloatModel",
    "IntegerModel",
    "import_tensors",
    "import_torch",
    "plan",
    "quantize",
    "settings",
    "train",
]


def import_torch(
    module: Any,
    *,
    head: str | None = None,
    gives: str = "classes",
    pool: str = "last",
    labels: Any = (),
    **maps: Any,
) -> FloatModel:
    """Takes a PyTorch model over, nothing lost: an nn.LSTM or nn.GRU, any number of layers, with one nn.Linear behind.

    `module` is an nn.Module or its state_dict. `head` names the nn.Linear where more than one could be it, `gives`
    is what it gives: "classes", "values" or "bits" of a sequence, or "step-classes", "step-values", "step-bits" where it
    reads every state. `pool` is the hidden state that it reads: "last", "mean" or "recent". `labels` are names of the
    classes, values or bits. A BtLstm comes over as it is.

    The keywords of maps replace matrices by the nearest map: input_map, input_modes, hidden_modes, blocks, rank,
    recurrent_map, recurrent_blocks, recurrent_rank, as those flags of `bt-train import`. `error_by_rank` of the model
    says what that cost; train(x, y, init=path) goes on from a saved one.

    What a module computes outside of its layers is not seen: only layers without weights that change values, such as
    an nn.ReLU, are warned of.
    """
    if type(module).__name__ == "BtLstm" and hasattr(module, "config"):
        if maps or head is not None or len(labels) or (gives, pool) != ("classes", "last"):
            raise Error("import_torch: a BtLstm comes over as it is; leave the keywords out")
        return FloatModel(module.config, _tensors(module.state_dict()))
    for name, layer in _without_weights(module):
        warnings.warn(
            f"{name} ({type(layer).__name__}) is left out; if what the head reads or gives goes through it, scores differ",
            stacklevel=2,
        )
    state = module.state_dict() if hasattr(module, "state_dict") else module
    return import_tensors(_tensors(state), head=head, gives=gives, pool=pool, labels=list(labels), **maps)


def _without_weights(module: Any) -> list[tuple[str, Any]]:
    """Layers that change values and have nothing in the state_dict that would tell."""
    named = getattr(module, "named_modules", lambda: [])()
    harmless = ("Identity", "Dropout", "Flatten", "Unflatten", "Loss", "Sequential", "ModuleList", "ModuleDict")
    bare = ((n, m) for n, m in named if n and not list(m.children()) and not list(m.state_dict()))
    return [(n, m) for n, m in bare if type(m).__module__.startswith("torch.nn") and not _is(m, harmless)]


def _is(module: Any, kinds: tuple[str, ...]) -> bool:
    return any(kind in type(module).__name__ for kind in kinds)


def _tensors(state: Any) -> dict[str, Any]:
    """The tensors of a state_dict as arrays of f32, PyTorch's or NumPy's."""
    if not hasattr(state, "items"):
        raise Error(f"import_torch: takes an nn.Module or its state_dict, not {type(state).__name__}")
    arrays = {}
    for name, tensor in state.items():
        if hasattr(tensor, "items"):
            raise Error(f"import_torch: `{name}` holds a dict of its own; give that, if it is the state_dict")
        if hasattr(tensor, "detach"):
            tensor = tensor.detach().cpu().float().numpy()
        if not hasattr(tensor, "astype"):
            raise Error(f"import_torch: `{name}` is no tensor but {type(tensor).__name__}; give the state_dict alone")
        arrays[name] = tensor.astype("f4", copy=False)
    return arrays


def __getattr__(name: str) -> Any:
    if name in ("BtLinear", "BtLstm"):  # PyTorch is needed for these alone.
        from . import nn

        return getattr(nn, name)
    if name in __all__:
        raise ImportError(f"bt_lstm.{name} needs the compiled part: pip install ./bt-train/python")
    raise AttributeError(f"module 'bt_lstm' has no attribute {name!r}")
