"""The compiled part: see the package's own documentation."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Unpack

Modes = str | Sequence[int]
Path = str | os.PathLike[str]
Progress = Callable[[dict[str, Any]], object]

class Settings(TypedDict, total=False):
    """Keywords of `train`: the flags of `bt-train train`."""

    input_modes: Modes
    """Modes of a frame, slowest first, such as 8x20x20x18; their product is the frame's width [default: even ones]"""
    units: int
    """Hidden units [default: 64, or the product of the hidden modes]"""
    hidden_modes: Modes
    """Modes of the hidden state, as many as of a frame, such as 4x4x4x4 [default: even ones]"""
    cell: Literal["lstm", "gru", "min-gru"]
    """Cell: what moves the state on [default: lstm]"""
    layers: int
    """Layers, one on top of the other; each further one has maps of the same forms [default: 1]"""
    input_map: Literal["block-term", "tensor-train", "dense"]
    """Form of the map from the frame [default: block-term]"""
    blocks: int
    """Blocks (N) of a block-term input map [default: 2]"""
    rank: int
    """Rank (R) of the input map [default: 4]"""
    input_filter: Literal["none", "difference", "high-pass"]
    """Filter over time: the model reads what differs from the frame before, or from a mean of those before [default: none]"""
    filter_horizon: int
    """Steps that the mean of the filter `high-pass` goes over, a power of two [default: 4]"""
    recurrent_map: Literal["block-term", "tensor-train", "dense"]
    """Form of the map from the hidden state [default: dense]"""
    recurrent_blocks: int
    """Blocks of a block-term recurrent map [default: 2]"""
    recurrent_rank: int
    """Rank of the recurrent map [default: 4]"""
    pad: bool
    """Take modes whose product is larger than the frame's width; zeros fill each frame up"""
    gate: Literal["sigmoid", "hard-sigmoid"]
    """Logistic function of the gates [default: sigmoid]"""
    pool: Literal["last", "mean", "recent"]
    """Hidden state that the head reads [default: last]"""
    horizon: int
    """Steps that the pool `recent` averages over, a power of two [default: 16]"""
    head: Literal[
        "auto", "classes", "step-classes", "values", "step-values", "bits", "step-bits", "next-bits", "next-words", "draw"
    ]
    """What the head gives [default: auto]"""
    draw_steps: int
    """Pictures: steps in which one is painted [default: 10]"""
    latent: int
    """Pictures: latent values of a step [default: 32]"""
    attention: int
    """Pictures: read and paint through windows of N by N points that the decoder places; 0 as a whole [default: 0]"""
    epochs: int
    """Passes over the training part [default: 60]"""
    batch: int
    """Sequences in one update of the weights [default: 32]"""
    schedule_epochs: int
    """Epochs over which the learning rate falls; after them it stays as low as it is [default: all]"""
    init: str
    """Start from this model: its weights, maps, modes, offset and scale"""
    lr: float
    """Highest learning rate [default: 0.004]"""
    warm_up: float
    """Share of the training in which the learning rate rises to its highest [default: 0.1]"""
    final_lr: float
    """Learning rate at the end, as a share of the highest; it falls along a cosine [default: 0.01]"""
    weight_decay: float
    """Weight decay, decoupled (AdamW); biases are left alone [default: 0]"""
    factor_decay: float
    """Share of the weight decay that cores and factors of block-term and tensor-train maps get [default: 1]"""
    beta2: float
    """Share of the mean square of the gradients (Adam's second moment) that an update keeps [default: 0.999]"""
    clip: float
    """Largest norm of the gradient; a longer one is scaled down to it [default: 1]"""
    label_smoothing: float
    """Label smoothing: share of the target that is spread evenly over all classes [default: 0]"""
    class_weights: Literal["none", "balanced"]
    """Weight of a sequence in the loss, by its class [default: none]"""
    loss: Literal["squared", "huber"]
    """Values: what an error costs [default: squared]"""
    huber_delta: float
    """Values: where Huber's loss becomes linear, in standard deviations of the target [default: 1]"""
    input_dropout: float
    """Dropout of the frames, one mask for a whole sequence (variational) [default: 0]"""
    recurrent_dropout: float
    """The same for the hidden state that the recurrent map reads [default: 0]"""
    output_dropout: float
    """The same for what the head reads [default: 0]"""
    hide_words: float
    """Captions: share of the words read that are hidden, anew at every word: word 1 is read instead [default: 0]"""
    frames: int
    """Give the model so many frames of each sequence, evenly from first to last; 0 for all there are [default: 0]"""
    normalize: str
    """What shares one offset and scale of the input [default: auto]"""
    validation: float
    """Share of the training part kept for validation where the data set has none [default: 0.15]"""
    train_share: float
    """Share of each class that is learned from, once validation is taken off [default: 1]"""
    patience: int
    """Stop after so many epochs that do not validate better; 0 for never [default: 0]"""
    keep: str
    """Figure of the validation part by which the best epoch is kept [default: auto]"""
    hold_out: str
    """Recordings that form the test part, by a column of index.csv: speaker=theo,yweweler"""
    group: str
    """Column of index.csv; recordings with the same value in it stay together in validation"""
    window: int
    """Sound: samples in a window, a power of two [default: 256]"""
    hop: int
    """Sound: samples from one window to the next [default: 128]"""
    bands: int
    """Sound: mel bands [default: 32]"""
    low_hz: float
    """Sound: lower end of the bands [default: 80]"""
    high_hz: float
    """Sound: upper end of the bands; 0 for 0.475 of the sample rate [default: 0]"""
    level: str
    """Sound: what the energies are relative to [default: relative]"""
    vectors_per_step: int
    """Sound: vectors of mel energies that make one frame [default: 8]"""
    delays: int
    """Sound: learn also from so many delayed copies of each recording [default: 0]"""
    seed: int
    """Seed of the split, the starting weights and the order of the sequences [default: 0]"""

class Device(TypedDict, total=False):
    """What a plan must keep to."""

    board: str
    ram: str | int
    flash: str | int
    core: Literal["m0", "m3", "m4", "m4f", "m7", "m33", "m55", "rv32"]
    clock: str | int

class Error(ValueError):
    """What went wrong, where, and what to do about it."""

class FloatModel:
    """A model in floats: what training leaves, and what becomes integers."""

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, NDArray[np.float32]]) -> None: ...
    @staticmethod
    def load(path: Path) -> FloatModel: ...
    def save(self, path: Path) -> None: ...
    def __call__(self, x: ArrayLike, lengths: ArrayLike | None = None) -> NDArray[np.float32]: ...
    def predict(self, x: ArrayLike, lengths: ArrayLike | None = None) -> NDArray[np.int64]: ...
    def evaluate(self, x: ArrayLike, y: ArrayLike, lengths: ArrayLike | None = None) -> dict[str, Any]: ...
    def tensors(self) -> dict[str, NDArray[np.float32]]: ...
    @property
    def config(self) -> dict[str, Any]: ...
    @property
    def labels(self) -> list[str]: ...
    @property
    def parameters(self) -> int: ...
    @property
    def epochs(self) -> list[dict[str, Any]]: ...
    @property
    def error_by_rank(self) -> dict[str, dict[int, float]]: ...

class IntegerModel:
    """A quantized model, run by the code that runs on the device: the same bits."""

    def __init__(self, model: Path | bytes) -> None: ...
    def __call__(self, x: ArrayLike, lengths: ArrayLike | None = None) -> NDArray[np.float32]: ...
    def raw(self, x: ArrayLike, lengths: ArrayLike | None = None) -> NDArray[np.int32]: ...
    def predict(self, x: ArrayLike, lengths: ArrayLike | None = None) -> NDArray[np.int64]: ...
    def evaluate(self, x: ArrayLike, y: ArrayLike, lengths: ArrayLike | None = None) -> dict[str, Any]: ...
    def save(self, path: Path) -> None: ...
    def to_bytes(self) -> bytes: ...
    @property
    def ram_bytes(self) -> int: ...
    @property
    def flash_bytes(self) -> int: ...
    @property
    def labels(self) -> list[str]: ...
    @property
    def report(self) -> dict[str, Any] | None: ...

def train(
    x: ArrayLike | Path,
    y: ArrayLike | None = None,
    *,
    x_val: ArrayLike | None = None,
    y_val: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    lengths_val: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    config: Path | None = None,
    out: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    **settings: Unpack[Settings],
) -> FloatModel: ...
def quantize(
    model: FloatModel,
    x: ArrayLike | Path | None = None,
    y: ArrayLike | None = None,
    *,
    x_val: ArrayLike | None = None,
    y_val: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    lengths_val: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    out: Path | None = None,
    name: str | None = None,
    fine_tune: int | None = None,
    progress: Progress | None = None,
    **device: Unpack[Device],
) -> IntegerModel: ...
def plan(input_modes: Modes, hidden_modes: Modes, **settings: Any) -> dict[str, Any]: ...
def import_tensors(
    tensors: Mapping[str, NDArray[np.float32]],
    *,
    head: str | None = None,
    gives: str = "classes",
    pool: str = "last",
    labels: Sequence[str] = (),
    **maps: Any,
) -> FloatModel: ...
def settings() -> list[str]: ...

Float = NDArray[np.float32] | NDArray[np.float64]

class Kept:
    """What a backward pass needs of its forward pass."""

class LinearMap:
    """The form of a linear map, without its weights."""

    def __init__(
        self, map: str, inputs: Sequence[int], outputs: Sequence[int], blocks: int = 2, rank: int = 4
    ) -> None: ...
    def tensors(self) -> list[tuple[str, list[int]]]: ...
    def forward(self, x: Float, weights: Sequence[Float]) -> tuple[Float, Kept]: ...
    def backward(self, kept: Kept, x: Float, gradient: Float, x_too: bool) -> tuple[Float | None, list[Float]]: ...

class Layer:
    """The form of a recurrent layer, without its weights."""

    def __init__(
        self, cell: str, gate: str, input: LinearMap, recurrent: LinearMap | None, filter_horizon: int | None = None
    ) -> None: ...
    def forward(self, x: Float, lengths: Sequence[int], weights: Sequence[Float]) -> tuple[Float, Kept]: ...
    def backward(self, kept: Kept, x: Float, gradient: Float, x_too: bool) -> tuple[Float | None, list[Float]]: ...
