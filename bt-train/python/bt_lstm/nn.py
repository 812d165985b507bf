"""BtLinear and BtLstm for PyTorch.

On the processor, in float32 and float64, values and gradients come from the trainer's own planned contraction, whose
matrix never exists. On another device, or where the compiled part is missing, the same numbers come from the whole
matrix, which takes far longer for wide frames. Names of parameters are those of model files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

try:
    from . import _native
except ImportError:
    _native = None  # type: ignore[assignment]

GATES = {"lstm": 4, "gru": 3, "min-gru": 2}
POOLS = ("last", "mean", "recent")


def _array(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().numpy()


class _Planned(torch.autograd.Function):
    """A native map, or layer, whose `extra` are the lengths of sequences."""

    @staticmethod
    def forward(ctx: Any, form: Any, extra: tuple, x: Tensor, *weights: Tensor) -> Tensor:
        out, ctx.kept = form.forward(_array(x), *extra, [_array(weight) for weight in weights])
        ctx.form = form
        ctx.save_for_backward(x)
        return torch.from_numpy(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        (x,) = ctx.saved_tensors
        dx, weights = ctx.form.backward(ctx.kept, _array(x), _array(gradient), ctx.needs_input_grad[2])
        return None, None, None if dx is None else torch.from_numpy(dx), *map(torch.from_numpy, weights)


def _is_planned(x: Tensor) -> bool:
    return _native is not None and x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)


def _check_width(x: Tensor, modes: Sequence[int], width: int | None = None) -> None:
    width = width or math.prod(modes)
    if x.shape[-1:] != (width,):
        read = "x".join(map(str, modes))
        found = x.shape[-1] if x.dim() else "no"
        raise ValueError(f"x: has {found} values a frame, and the map of modes {read} reads {width}")


class _Block(nn.Module):
    def __init__(self, inputs: Sequence[int], outputs: Sequence[int], rank: int) -> None:
        super().__init__()
        self.core = nn.Parameter(torch.empty([rank] * len(inputs)))
        factors = (nn.Parameter(torch.empty(i, j, rank)) for i, j in zip(inputs, outputs))
        self.factor = nn.ParameterList(factors)


class _Formed(nn.Module):
    """A module with a compiled `form`, which copies and pickled files make anew."""

    def _make_form(self) -> Any:
        raise NotImplementedError

    def __getstate__(self) -> dict:
        return {**self.__dict__, "form": None}

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self.form = _native and self._make_form()


class BtLinear(_Formed):
    """A linear map from frames of `input_modes` to results of `output_modes`, [..., I] to [..., J].

    map: "block-term" (N blocks of a Tucker product of rank R), "tensor-train" (of inner rank R) or "dense". Modes are
    sizes, the slowest first; as many on either side. Parameters: `block.{n}.core` [R, ...], `block.{n}.factor.{k}`
    [I_k, J_k, R]; `tt.{k}` [r, I_k, J_k, r']; `weight` [J, I]; and `bias` [J].
    """

    def __init__(
        self,
        input_modes: Sequence[int],
        output_modes: Sequence[int],
        blocks: int = 2,
        rank: int = 4,
        bias: bool = True,
        map: str = "block-term",
    ) -> None:
        super().__init__()
        inputs, outputs = list(input_modes), list(output_modes)
        if map != "dense" and len(inputs) != len(outputs):
            raise ValueError(f"{len(inputs)} input modes, {len(outputs)} output modes: give as many (1 is a mode too)")
        self.input_modes, self.output_modes, self.map, self.blocks, self.rank = inputs, outputs, map, blocks, rank
        self.form = _native and self._make_form()
        if map == "block-term":
            self.block = nn.ModuleList(_Block(inputs, outputs, rank) for _ in range(blocks))
        elif map == "tensor-train":
            ranks = [1] + [rank] * (len(inputs) - 1) + [1]
            shapes = zip(ranks, inputs, outputs, ranks[1:])
            self.tt = nn.ParameterList(nn.Parameter(torch.empty(shape)) for shape in shapes)
        elif map == "dense":
            self.weight = nn.Parameter(torch.empty(math.prod(outputs), math.prod(inputs)))
        else:
            raise ValueError(f"map: is {map!r}; block-term, tensor-train and dense are possible")
        self.register_parameter("bias", nn.Parameter(torch.zeros(math.prod(outputs))) if bias else None)
        self.reset_parameters()

    def _make_form(self) -> Any:
        return _native.LinearMap(self.map, self.input_modes, self.output_modes, self.blocks, self.rank)

    def reset_parameters(self) -> None:
        """Draws weights that keep the variance of a frame: Var W = 1/I. The bias is 0."""
        order, deviation = len(self.input_modes), math.prod(self.input_modes) ** -0.5
        if self.map == "block-term":
            deviation = (deviation / math.sqrt(self.blocks * self.rank**order)) ** (1 / (order + 1))
        elif self.map == "tensor-train":
            deviation = (deviation / math.sqrt(self.rank ** (order - 1))) ** (1 / order)
        with torch.no_grad():
            for weight in self.weights():
                weight.normal_(0, deviation)
            if self.bias is not None:
                self.bias.zero_()

    def weights(self) -> list[Tensor]:
        """The parameters of the map, the bias left out."""
        if self.map == "block-term":
            return [weight for block in self.block for weight in (block.core, *block.factor)]
        return list(self.tt) if self.map == "tensor-train" else [self.weight]

    def matrix(self) -> Tensor:
        """The map in full, [J, I]; gradients reach its parameters."""
        if self.map == "dense":
            return self.weight
        d = len(self.input_modes)
        i, j, r = (list(range(10 * axis, 10 * axis + d + 1)) for axis in range(3))  # axes as einsum numbers them
        if self.map == "tensor-train":
            terms = [[(core, [r[k], i[k], j[k], r[k + 1]]) for k, core in enumerate(self.tt)]]
        else:
            factors = lambda block: [(factor, [i[k], j[k], r[k]]) for k, factor in enumerate(block.factor)]  # noqa: E731
            terms = [[(block.core, r[:d]), *factors(block)] for block in self.block]
        whole = sum(torch.einsum(*sum(term, ()), j[:d] + i[:d]) for term in terms)
        return whole.reshape(math.prod(self.output_modes), -1)

    def forward(self, x: Tensor) -> Tensor:
        _check_width(x, self.input_modes)
        if self.map == "dense" or not _is_planned(x):
            return nn.functional.linear(x, self.matrix(), self.bias)
        frames = x.reshape(-1, math.prod(self.input_modes))
        z = _Planned.apply(self.form, (), frames, *self.weights()).reshape(*x.shape[:-1], -1)
        return z if self.bias is None else z + self.bias

    def extra_repr(self) -> str:
        times = lambda modes: "x".join(map(str, modes))  # noqa: E731
        form = {"block-term": f", blocks={self.blocks}, rank={self.rank}", "tensor-train": f", rank={self.rank}"}
        return f"{times(self.input_modes)} -> {times(self.output_modes)}, {self.map}{form.get(self.map, '')}"


class _Layer(_Formed):
    """One recurrent layer, [batch, steps, I] to its hidden states [batch, steps, J], from a state of zeros."""

    def __init__(
        self,
        cell: str,
        gate: str,
        inputs: Sequence[int],
        hidden: Sequence[int],
        config: Mapping,
        horizon: int | None = None,
    ) -> None:
        super().__init__()
        self.cell, self.gate, self.units = cell, gate, math.prod(hidden)
        outputs = [GATES[cell] * hidden[0], *hidden[1:]]
        form = lambda part: {"map": "dense", **config.get(part, {})}  # noqa: E731
        sizes = lambda part: {key: form(part)[key] for key in ("map", "blocks", "rank") if key in form(part)}  # noqa: E731
        self.input = BtLinear(inputs, outputs, bias=False, **sizes("input"))
        if cell != "min-gru":
            self.recurrent = BtLinear(hidden, outputs, bias=False, **sizes("recurrent"))
        self.bias = nn.Parameter(torch.zeros(GATES[cell] * self.units))
        if cell == "gru":  # PyTorch's bias_hh of the gate n
            self.recurrent.bias = nn.Parameter(torch.zeros(self.units))
        self.horizon = horizon
        self.form = _native and self._make_form()
        with torch.no_grad():  # The gate that remembers starts open, a dense recurrent matrix orthogonal.
            first = 0 if cell == "min-gru" else self.units
            self.bias[first : first + self.units] = -1 if cell == "min-gru" else 1
            if cell != "min-gru" and self.recurrent.map == "dense":
                for rows in self.recurrent.weight.split(self.units):
                    nn.init.orthogonal_(rows)

    def _make_form(self) -> Any:
        back = self.recurrent.form if self.cell != "min-gru" else None
        return _native.Layer(self.cell, self.gate, self.input.form, back, self.horizon)

    def forward(self, x: Tensor, lengths: list[int]) -> Tensor:
        if _is_planned(x):
            weights = [*self.input.weights()]
            if self.cell != "min-gru":
                weights += self.recurrent.weights()
            weights.append(self.bias)
            if self.cell == "gru":
                weights.append(self.recurrent.bias)
            return _Planned.apply(self.form, (lengths,), x, *weights)
        hard = lambda a: (0.2 * a + 0.5).clamp(0, 1)  # noqa: E731
        gate = hard if self.gate == "hard-sigmoid" else torch.sigmoid
        z = x @ self.input.matrix().T
        if self.horizon:  # less a mean of the frames before
            mean, passed = z[:, 0], []
            for frame in z.unbind(1):
                passed.append(frame - mean)
                mean = mean + passed[-1] / self.horizon
            z = torch.stack(passed, 1)
        z = z + self.bias
        u = None if self.cell == "min-gru" else self.recurrent.matrix().T
        h, states = z.new_zeros(len(x), self.units), []
        c = h
        for t in range(z.shape[1]):
            if self.cell == "lstm":
                i, f, g, o = (z[:, t] + h @ u).chunk(4, 1)
                c = gate(f) * c + gate(i) * g.tanh()
                h = gate(o) * c.tanh()
            elif self.cell == "gru":
                (r, k, n), (ur, uk, un) = z[:, t].chunk(3, 1), (h @ u).chunk(3, 1)
                n = (n + gate(r + ur) * (un + self.recurrent.bias)).tanh()
                h = n + gate(k + uk) * (h - n)
            else:
                a, v = z[:, t].chunk(2, 1)
                h = h + gate(a) * (v - h)
            states.append(h)
        return torch.stack(states, 1)


class _Normalization(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("offset", torch.zeros(1))
        self.register_buffer("scale", torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        if self.offset.numel() == self.scale.numel() == 1 and self.offset.item() == 0 and self.scale.item() == 1:
            return x
        return (x - self.offset) * self.scale


KINDS = ("classes", "values", "bits", "step_classes", "step_values", "step_bits", "next_bits")


def _check(config: Mapping) -> None:
    """Raises where no program of bt-train would read a model of this configuration."""
    head, labels = config["head"], config["head"].get("labels") or ()
    outputs = next((head[kind] for kind in KINDS if kind in head), 2)
    least = 1 if head.keys().isdisjoint(("classes", "step_classes")) else 2
    for is_wrong, why in [
        (config.get("cell", "lstm") not in GATES, f"cell: is {config.get('cell')!r}; one of {', '.join(GATES)}"),
        (head.get("pool", "last") not in POOLS, f"pool: is {head.get('pool')!r}; one of {', '.join(POOLS)}"),
        (not 1 <= config.get("layers", 1) <= 4, f"layers: is {config.get('layers')}; 1 to 4 are possible"),
        (outputs < least, f"the head gives {outputs} outputs; it needs {least} at least"),
        (labels and len(labels) != outputs, f"labels: has {len(labels)} names, the head gives {outputs} outputs"),
        (len(set(labels)) < len(labels), "labels: two have the same name"),
    ]:
        if is_wrong:
            raise ValueError(why)


class BtLstm(nn.Module):
    """A model of bt-train: offset and scale, recurrent layers, pool and head.

    `config` is the JSON object of a model file's metadata, `tensors` its tensors by name; without them weights are
    drawn as the trainer draws them. state_dict() has the names of the file.

        m = BtLstm.new((8, 20, 20, 18), (4, 4, 4, 4), classes=11)
        m = BtLstm.load("RUN/best.safetensors"); m(x, lengths); m.save("mine.safetensors")
    """

    def __init__(self, config: dict, tensors: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        _check(config)
        self.config = config
        inputs, hidden = config["input"]["modes"], config["hidden"]["modes"]
        self.cell, gate = config.get("cell", "lstm"), config.get("gate", "sigmoid")
        horizons = {"difference": 1, "high-pass": config["input"].get("filter_horizon", 4)}
        layers = [_Layer(self.cell, gate, inputs, hidden, config, horizons.get(config["input"].get("filter")))]
        layers += [_Layer(self.cell, gate, hidden, hidden, config) for _ in range(1, config.get("layers", 1))]
        self.add_module(self.cell, layers[0])
        for at, layer in enumerate(layers[1:], 1):
            layers[0].add_module(str(at), layer)
        self.input = _Normalization()
        head = config["head"]
        if "next_words" in head:
            raise ValueError("head.next_words: this module reads no words; bt-train trains such models and makes captions")
        if "draw" in head:
            raise ValueError("head.draw: a model of pictures has an encoder and a decoder, and is no BtLstm")
        outputs = next(head[kind] for kind in KINDS if kind in head)
        self.head = nn.Linear(math.prod(hidden), outputs)
        nn.init.normal_(self.head.weight, 0, math.prod(hidden) ** -0.5)
        nn.init.zeros_(self.head.bias)
        if not head.keys().isdisjoint(("values", "step_values")):
            self.head.register_buffer("offset", torch.zeros(outputs))
            self.head.register_buffer("scale", torch.ones(outputs))
        if tensors is not None:
            self._take(tensors)

    @classmethod
    def new(
        cls,
        input_modes: Sequence[int],
        hidden_modes: Sequence[int],
        *,
        classes: int | None = None,
        values: int | None = None,
        every_step: bool = False,
        blocks: int = 2,
        rank: int = 4,
        cell: str = "lstm",
        layers: int = 1,
        recurrent: Mapping | None = None,
        pool: str = "last",
        labels: Sequence[str] = (),
    ) -> BtLstm:
        """A model to be trained: of `classes`, or of `values` to be learned, of a sequence or of every step.

        `recurrent` is the form of the map of the hidden state, such as {"map": "block-term", "blocks": 2, "rank": 4};
        a full matrix otherwise.
        """
        if (classes is None) == (values is None):
            raise ValueError("give either classes or values")
        kind = ("step_" if every_step else "") + ("classes" if values is None else "values")
        head: dict[str, Any] = {kind: classes if values is None else values, "pool": pool}
        if labels:
            head["labels"] = list(labels)
        config = {
            "input": {"map": "block-term", "modes": list(input_modes), "blocks": blocks, "rank": rank},
            "hidden": {"modes": list(hidden_modes)},
            "recurrent": dict(recurrent or {"map": "dense"}),
            "head": head,
        }
        if cell != "lstm":
            config["cell"] = cell
        if layers != 1:
            config["layers"] = layers
        return cls(config)

    def _take(self, tensors: Mapping[str, Tensor]) -> None:
        tensors = {name: torch.as_tensor(tensor) for name, tensor in tensors.items()}
        for name in ("offset", "scale"):  # [1] or [I]
            if f"input.{name}" in tensors:
                setattr(self.input, name, torch.empty_like(tensors[f"input.{name}"]))
        own = self.state_dict()
        for name in own.keys() - tensors.keys():  # Biases, offsets and scales may be absent.
            if name.endswith(".bias"):
                own[name].zero_()
            elif not name.endswith((".offset", ".scale")):
                raise KeyError(f"{name} is missing")
        self.load_state_dict({name: tensors.get(name, own[name]) for name in own})

    def layers(self) -> list[_Layer]:
        """The recurrent layers, from the frame on."""
        first = getattr(self, self.cell)
        return [first, *(getattr(first, str(at)) for at in range(1, self.config.get("layers", 1)))]

    def forward(self, x: Tensor, lengths: Any = None) -> Tensor:
        """[sequences, K] of raw x [sequences, steps, features…] and valid steps; with a head on every step
        [sequences, steps, K], zeros behind the end of a sequence."""
        head, steps = self.config["head"], x.shape[1]
        pool, every = head.get("pool", "last"), any("step_" in key or key == "next_bits" for key in head)
        if frames := self.config["input"].get("frames"):  # drawn evenly from each sequence, the later of two
            last = torch.as_tensor(steps if lengths is None else lengths, device=x.device).view(-1, 1) - 1
            place = torch.arange(frames, device=x.device) * last.double() / (frames - 1)
            place = (place + 0.5).floor().long().expand(len(x), -1)
            x, lengths, steps = x[torch.arange(len(x), device=x.device)[:, None], place], None, frames
        x = x.flatten(2).to(self.head.weight.dtype)
        _check_width(x, self.config["input"]["modes"], self.config["input"].get("width"))
        if missing := math.prod(self.config["input"]["modes"]) - x.shape[2]:
            x = nn.functional.pad(x, (0, missing))
        x = self.input(x)
        each = [steps] * len(x) if lengths is None else torch.as_tensor(lengths).flatten().expand(len(x)).tolist()
        for layer in self.layers():
            x = layer(x, each)
        if lengths is None and not every and pool == "last":
            return self._units(self.head(x[:, -1]))
        valid = torch.as_tensor(each, device=x.device).view(-1, 1)
        t = torch.arange(steps, device=x.device)
        if pool == "recent":  # of all steps at first, then of about the last `horizon`
            recent, means = 0, []
            for at, h in enumerate(x.unbind(1)):
                recent = recent + (h - recent) / min(at + 1, head.get("horizon", 16))
                means.append(recent)
            x = torch.stack(means, 1)
        shares = ((t < valid) / valid if pool == "mean" else t == valid - 1).to(x.dtype)
        read = x if every else (x * shares.expand(len(x), -1)[..., None]).sum(1)
        logits = self._units(self.head(read))
        return logits * (t < valid)[..., None] if every else logits

    def _units(self, logits: Tensor) -> Tensor:  # of values, in their own units
        return logits * self.head.scale + self.head.offset if hasattr(self.head, "scale") else logits

    @classmethod
    def load(cls, path: Any) -> BtLstm:
        """Reads a .safetensors file of bt-train."""
        import safetensors

        with safetensors.safe_open(str(path), "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            return cls(json.loads(file.metadata()["bt"]), tensors)

    def save(self, path: Any) -> None:
        """Writes a .safetensors file that every command of bt-train reads."""
        import safetensors.torch

        tensors = {name: tensor.detach().cpu().float().contiguous() for name, tensor in self.state_dict().items()}
        safetensors.torch.save_file(tensors, str(path), metadata={"bt": json.dumps(self.config)})
