"""The planned contraction under BtLinear and BtLstm, against plain NumPy in float64."""

import numpy as np
import pytest

import bt_lstm
from bt_lstm import _native

RNG = np.random.default_rng(3)
MODES = [((3, 2, 4), (4, 2, 3)), ((6, 5), (2, 4)), ((8, 20, 20, 18), (16, 4, 4, 4))]


def draw(form, dtype):
    return [RNG.normal(size=shape).astype(dtype) for _, shape in form.tensors()]


def matrix(map, inputs, outputs, blocks, weights):
    """The definition, index by index: W[j, i] = sum over blocks and ranks of core times factors."""
    d, whole = len(inputs), 0
    if map == "tensor-train":
        whole = weights[0]
        for core in weights[1:]:
            whole = np.tensordot(whole, core, 1)
        whole = whole.reshape([size for pair in zip(inputs, outputs) for size in pair])
    for n in range(blocks if map == "block-term" else 0):
        core, *factors = weights[n * (d + 1) : (n + 1) * (d + 1)]
        for factor in factors:  # The next rank is always the first axis.
            core = np.tensordot(core, factor, ((0,), (2,)))
        whole = whole + core
    return whole.transpose([*range(1, 2 * d, 2), *range(0, 2 * d, 2)]).reshape(np.prod(outputs), -1)


@pytest.mark.parametrize("map", ["block-term", "tensor-train"])
@pytest.mark.parametrize("inputs, outputs", MODES)
@pytest.mark.parametrize("dtype, off", [("f4", 1e-4), ("f8", 1e-12)])
def test_a_map_is_its_matrix(map, inputs, outputs, dtype, off):
    form = _native.LinearMap(map, inputs, outputs, 2, 3)
    weights = draw(form, dtype)
    whole = matrix(map, inputs, outputs, 2, [weight.astype("f8") for weight in weights])
    x = RNG.normal(size=(3, whole.shape[1])).astype(dtype)
    z, kept = form.forward(x, weights)
    size = np.abs(whole @ x.T.astype("f8")).max()
    assert z.dtype == dtype and np.abs(z - x @ whole.T).max() < off * size
    gradient = RNG.normal(size=z.shape).astype(dtype)
    dx, dweights = form.backward(kept, x, gradient, True)
    assert np.abs(dx - gradient @ whole).max() < off * np.abs(gradient @ whole).max()
    # The map is linear in each weight: the gradient times that weight is the gradient of z times z, over the
    # blocks that the weight is in.
    total = np.sum(gradient.astype("f8") * z)
    per_tensor = [float(np.sum(g * w)) for g, w in zip(dweights, weights)]
    count = len(inputs) + 1 if map == "block-term" else 1
    for place in range(count if map == "block-term" else len(weights)):
        share = sum(per_tensor[place::count]) if map == "block-term" else per_tensor[place]
        assert abs(share - total) < 100 * off * np.abs(gradient * z).sum()
    none, again = form.backward(kept, x, gradient, False)
    assert none is None and all((a == b).all() for a, b in zip(again, dweights))


def test_a_layer_is_the_equations_of_an_lstm():
    inputs, hidden, steps, lengths = (2, 3), (2, 2), 4, [4, 1, 3]
    input_map = _native.LinearMap("block-term", inputs, (8, 2), 2, 2)
    back = _native.LinearMap("dense", hidden, (8, 2))
    layer = _native.Layer("lstm", "sigmoid", input_map, back)
    weights, u = draw(input_map, "f8"), RNG.normal(size=(16, 4))
    bias = RNG.normal(size=16)
    x = RNG.normal(size=(3, steps, 6))
    states, _ = layer.forward(x, lengths, [*weights, u, bias])
    whole, sigmoid = matrix("block-term", inputs, (8, 2), 2, weights), lambda a: 1 / (1 + np.exp(-a))
    for sequence, length in enumerate(lengths):
        h = c = np.zeros(4)
        for t in range(steps):
            i, f, g, o = np.split(whole @ x[sequence, t] + u @ h + bias, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            expected = h if t < length else 0
            assert np.abs(states[sequence, t] - expected).max() < 1e-12


def test_what_does_not_fit_is_told():
    form = _native.LinearMap("block-term", (2, 3), (2, 2), 1, 2)
    x, weights = np.zeros((2, 6)), draw(form, "f8")
    for call, words in [
        (lambda: form.forward(x[:, :5].copy(), weights), "x: has 10 values, the map takes frames of 6"),
        (lambda: form.forward(x.astype("i4"), weights), "neither float32 nor float64"),
        (lambda: form.forward(x, weights[1:]), "has 2 tensors, the map takes 3"),
        (lambda: form.forward(x, [w.T.copy() for w in weights]), r"block.0.factor.1: has shape \[2, 2, 3\], expected \[3, 2, 2\]"),
        (lambda: form.forward(x, draw(form, "f4")), "of another type than x"),
        (lambda: form.backward(form.forward(x, weights)[1], x, np.zeros((3, 4)), True), "not of that forward pass"),
        (lambda: _native.LinearMap("circle", (2,), (2,)), "map: is `circle`"),
        (lambda: _native.LinearMap("block-term", (2, 3), (2,)), "2 input modes"),
        (lambda: _native.LinearMap("dense", (0,), (2,)), "give sizes above 0"),
        (lambda: _native.Layer("lstm", "sigmoid", form, form), "no maps to the gates"),
    ]:
        with pytest.raises(bt_lstm.Error, match=words):
            call()
