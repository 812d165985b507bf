"""BtLinear, BtLstm, imports, event files and the notebook, with the packages that they need."""

import copy
import io
import json
import math
import pathlib

import numpy as np
import pytest

import bt_lstm
from conftest import REPOSITORY

pytestmark = pytest.mark.long
torch = pytest.importorskip("torch")
FORMS = [("block-term", (3, 2, 4), (4, 2, 3)), ("tensor-train", (3, 4), (2, 4)), ("dense", (5,), (3,))]


def as_function(module):
    """The module as a function of x and its parameters."""
    names = [name for name, _ in module.named_parameters()]
    return lambda x, *weights: torch.func.functional_call(module, dict(zip(names, weights)), x)


@pytest.mark.parametrize("map, inputs, outputs", FORMS)
def test_gradients_of_a_map(map, inputs, outputs):
    torch.manual_seed(0)
    linear = bt_lstm.BtLinear(inputs, outputs, blocks=2, rank=2, map=map).double()
    x = torch.randn(2, 5, math.prod(inputs), dtype=torch.float64, requires_grad=True)
    function = as_function(linear)
    assert torch.autograd.gradcheck(lambda x, *w: function((x,), *w), (x, *linear.parameters()))
    expected = x @ linear.matrix().T + linear.bias
    assert (linear(x) - expected).abs().max() < 1e-12
    variance = torch.stack([bt_lstm.BtLinear(inputs, outputs, map=map).matrix().var() for _ in range(40)]).mean()
    assert 0.3 < variance * math.prod(inputs) < 3


@pytest.mark.parametrize("cell", ["lstm", "gru", "min-gru"])
def test_copies_and_pickled_modules_are_models_of_their_own(cell):
    torch.manual_seed(0)
    model = bt_lstm.BtLstm.new((3, 4), (2, 3), classes=3, cell=cell, layers=2, blocks=1, rank=2)
    x = torch.randn(4, 5, 12)
    expected = model(x)
    saved = io.BytesIO()
    torch.save(model, saved)
    saved.seek(0)
    averaged = torch.optim.swa_utils.AveragedModel(model)
    for again in copy.deepcopy(model), torch.load(saved, weights_only=False), averaged.module:
        assert all(layer.form is not None and layer.input.form is not None for layer in again.layers())
        assert torch.equal(again(x), expected)
        again(x).sum().backward()
        with torch.no_grad():
            for parameter in again.parameters():
                assert parameter.grad.abs().max() > 0
                parameter -= 0.1 * parameter.grad
        assert not torch.equal(again(x), expected)
    assert torch.equal(model(x), expected) and all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("cell", ["lstm", "gru", "min-gru"])
def test_gradients_of_a_model(cell, monkeypatch):
    torch.manual_seed(0)
    made = {"classes": 3, "cell": cell, "layers": 2, "blocks": 1, "rank": 2, "pool": "mean"}
    model = bt_lstm.BtLstm.new((2, 3), (2, 2), **made).double()
    x = torch.randn(3, 4, 6, dtype=torch.float64, requires_grad=True)
    function = as_function(model)
    assert torch.autograd.gradcheck(lambda x, *w: function((x, [4, 1, 3]), *w), (x, *model.parameters()))
    planned = model(x, [4, 1, 3])
    monkeypatch.setattr("bt_lstm.nn._native", None)
    assert (model(x, [4, 1, 3]) - planned).abs().max() < 1e-12


@pytest.mark.parametrize(
    "made",
    [
        {"classes": 3},
        {"classes": 3, "cell": "gru", "layers": 2, "recurrent": {"map": "block-term", "blocks": 1, "rank": 2}},
        {"classes": 2, "cell": "min-gru", "every_step": True},
        {"values": 2, "pool": "mean"},
    ],
)
def test_files_go_both_ways(made, tmp_path):
    model = bt_lstm.BtLstm.new((3, 4), (2, 4), **made)
    model.save(tmp_path / "m.safetensors")
    ours = bt_lstm.FloatModel.load(tmp_path / "m.safetensors")
    assert ours.tensors().keys() == model.state_dict().keys()
    x = np.random.default_rng(4).normal(size=(5, 6, 12)).astype("f4")
    expected = model(torch.from_numpy(x)).detach().numpy()
    assert np.abs(ours(x) - expected).max() < 1e-5
    assert np.abs(bt_lstm.import_torch(model)(x) - expected).max() < 1e-5
    ours.save(tmp_path / "back.safetensors")
    back = bt_lstm.BtLstm.load(tmp_path / "back.safetensors")
    assert torch.equal(back(torch.from_numpy(x)), model(torch.from_numpy(x)))


def test_a_model_that_torch_trains_goes_to_the_device(classes, tmp_path, program):
    import subprocess

    x, y = classes
    torch.manual_seed(0)
    model = bt_lstm.BtLstm.new((3, 4), (4, 4), classes=3)
    descent = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(40):
        descent.zero_grad()
        torch.nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        descent.step()
    logits = model(torch.from_numpy(x)).detach().numpy()
    assert np.mean(logits.argmax(1) == y) > 0.9
    model.save(tmp_path / "m.safetensors")
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    data = ["--data", tmp_path / "d.npz"]
    quantize = ["quantize", tmp_path / "m.safetensors", *data, "--out", tmp_path / "m.btm", "--board", "microbit"]
    subprocess.run([program, *quantize], check=True, capture_output=True)
    integers = bt_lstm.IntegerModel(tmp_path / "m.btm")
    assert np.abs(integers(x) - logits).max() < 0.05 * np.abs(logits).max()
    assert np.mean(integers.predict(x) == logits.argmax(1)) > 0.97
    from_memory = bt_lstm.quantize(bt_lstm.import_torch(model), x, y, board="microbit", name="m")
    assert (from_memory.raw(x) == integers.raw(x)).all()


def test_frames_of_another_width_are_refused():
    linear = bt_lstm.BtLinear((3, 4), (2, 3))
    for width in 11, 13, 24:  # 24 would be two frames.
        with pytest.raises(ValueError, match=f"^x: has {width} values a frame, and the map of modes 3x4 reads 12"):
            linear(torch.zeros(2, width))
    with pytest.raises(ValueError, match="^x: has no values a frame"):
        linear(torch.tensor(1.0))
    model = bt_lstm.BtLstm.new((3, 4), (2, 3), classes=3)
    for keyword in {"gives": "values"}, {"pool": "mean"}, {"labels": ["a"]}, {"head": "fc"}, {"rank": 2}:
        with pytest.raises(bt_lstm.Error, match="a BtLstm comes over as it is"):
            bt_lstm.import_torch(model, **keyword)
    for width in 11, 13, 24:
        with pytest.raises(ValueError, match=f"^x: has {width} values a frame, .* reads 12"):
            model(torch.zeros(2, 5, width))


def test_layers_without_weights_do_not_vanish_in_silence(recwarn):
    class Net(torch.nn.Module):
        def __init__(self, between):
            super().__init__()
            self.rnn = torch.nn.LSTM(6, 5, batch_first=True)
            self.head = torch.nn.Sequential(between, torch.nn.Linear(5, 3))
            self.loss = torch.nn.CrossEntropyLoss()

    with pytest.warns(UserWarning, match=r"^head\.0 \(ReLU\) is left out; .* scores differ"):
        bt_lstm.import_torch(Net(torch.nn.ReLU()))
    for harmless in torch.nn.Dropout(0.1), torch.nn.Identity(), torch.nn.Flatten():
        recwarn.clear()
        bt_lstm.import_torch(Net(harmless))
        assert not recwarn


def test_what_is_no_state_dict_is_told():
    net = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(6, 5, batch_first=True), "fc": torch.nn.Linear(5, 3)})
    state = net.state_dict()
    for given, words in [
        ({"state_dict": state, "epoch": 3}, "`state_dict` holds a dict of its own"),
        ({**state, "epoch": 3}, "`epoch` is no tensor but int"),
        ("state.safetensors", "takes an nn.Module or its state_dict, not str"),
        (None, "not NoneType"),
    ]:
        with pytest.raises(bt_lstm.Error, match=words):
            bt_lstm.import_torch(given)
    x = torch.randn(4, 7, 6)
    arrays = {name: tensor.double().numpy() for name, tensor in state.items()}
    assert (bt_lstm.import_torch(arrays)(x.numpy()) == bt_lstm.import_torch(net)(x.numpy())).all()
    with pytest.raises(bt_lstm.Error, match="labels: has `a` twice"):
        bt_lstm.import_torch(net, labels=["a", "a", "b"])


def test_a_model_that_no_program_would_read_is_not_made():
    for wrong, words in [
        ({"pool": "max"}, "^pool: is 'max'; one of last, mean, recent"),
        ({"cell": "rnn"}, "^cell: is 'rnn'; one of lstm, gru, min-gru"),
        ({"layers": 9}, "^layers: is 9; 1 to 4"),
        ({"classes": 1}, "needs 2 at least"),
        ({"labels": ["a", "b"]}, "^labels: has 2 names, the head gives 3"),
        ({"labels": ["a", "b", "a"]}, "^labels: two have the same name"),
    ]:
        with pytest.raises(ValueError, match=words):
            bt_lstm.BtLstm.new((3, 4), (2, 3), **{"classes": 3, **wrong})


def test_matrices_become_maps_on_the_way():
    torch.manual_seed(3)
    net = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(12, 6, batch_first=True), "fc": torch.nn.Linear(6, 3)})
    x = torch.randn(4, 7, 12)
    expected = net["fc"](net["rnn"](x)[0][:, -1]).detach().numpy()
    whole = bt_lstm.import_torch(net)
    assert whole.error_by_rank == {} and np.abs(whole(x.numpy()) - expected).max() < 1e-5
    # No matrix of 4x3 by 8x3 has a rank above 24.
    full = bt_lstm.import_torch(net, input_map="tensor-train", input_modes=(4, 3), hidden_modes=(2, 3), rank=24)
    errors = full.error_by_rank["input"]
    assert list(errors) == [1, 2, 4, 8, 16, 24] and errors[24] < 1e-4 < errors[1] < 1
    assert np.abs(full(x.numpy()) - expected).max() < 1e-3
    small = bt_lstm.import_torch(net, blocks=1, rank=2, recurrent_map="block-term", recurrent_rank=1)
    assert small.config["input"]["map"] == "block-term" and small.parameters < whole.parameters
    assert list(small.error_by_rank) == ["input", "recurrent"]
    with pytest.raises(bt_lstm.Error, match="input_modes: 5x2 multiply to 10, but the width is 12"):
        bt_lstm.import_torch(net, input_modes=(5, 2))


def test_modules_of_torch_come_over():
    torch.manual_seed(1)

    class Net(torch.nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.rnn = kind(6, 5, num_layers=2, batch_first=True)
            self.fc = torch.nn.Linear(5, 3)

        def forward(self, x):
            return self.fc(self.rnn(x)[0][:, -1])

    x = torch.randn(4, 7, 6)
    for kind in (torch.nn.LSTM, torch.nn.GRU):
        net = Net(kind)
        assert np.abs(bt_lstm.import_torch(net)(x.numpy()) - net(x).detach().numpy()).max() < 1e-5
    with pytest.raises(bt_lstm.Error, match="direction"):
        bt_lstm.import_torch(Net(lambda *a, **k: torch.nn.LSTM(*a, bidirectional=True, **k)))


def test_tensorboard_reads_what_a_run_leaves(classes, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    x, y = classes
    model = bt_lstm.train(x, y, units=8, epochs=3, out=tmp_path)
    bt_lstm.train(x, y, units=8, epochs=4, out=tmp_path, resume=True)
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    loss = events.Scalars("loss/train")
    assert [event.step for event in loss] == [1, 2, 3, 4]
    expected = [epoch["loss"] for epoch in model.epochs]
    assert np.allclose([event.value for event in loss[:3]], expected, rtol=1e-6)
    best = [event.value for event in events.Scalars("accuracy/validation")][:3]
    assert np.allclose(best, [epoch["validation"]["accuracy"] for epoch in model.epochs], rtol=1e-6)


def test_the_notebook_runs(tmp_path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    notebook = nbformat.read(REPOSITORY / "bt-train/python/quickstart.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = "".join(out.get("text", "") for cell in notebook.cells for out in cell.get("outputs", []))
    told = json.loads(outputs.strip().splitlines()[-1])
    assert told["bits_equal"] and told["accuracy"] > 0.9 and pathlib.Path(tmp_path, "m.btm").exists()
