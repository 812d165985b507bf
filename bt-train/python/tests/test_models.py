"""Training, quantization and both kinds of model, from NumPy to NumPy."""

import json
import resource
import subprocess

import numpy as np
import pytest

import bt_lstm
from conftest import REPOSITORY, tensors

SMALL = {"units": 16, "epochs": 12, "lr": 0.02}


def test_from_arrays_to_the_bits_of_a_device(classes, tmp_path, program):
    x, y = classes
    told = []
    model = bt_lstm.train(x, y, labels=["low", "mid", "high"], progress=told.append, **SMALL)
    assert [epoch["epoch"] for epoch in told] == list(range(1, 13)) and told == model.epochs
    assert model.labels == ["low", "mid", "high"] and model.config["hidden"]["modes"] == [4, 4]
    assert model.evaluate(x, y)["accuracy"] > 0.9
    assert np.mean(model.predict(x) == y) == model.evaluate(x, y)["accuracy"]

    integers = bt_lstm.quantize(model, x, y, ram="10K", flash="64K", out=tmp_path / "m.btm")
    assert integers.ram_bytes <= 10240 and integers.flash_bytes <= 65536
    assert integers.report["comparison"]["sequences"] > 0
    read = bt_lstm.IntegerModel(tmp_path / "m.btm")
    raw = read.raw(x)
    assert raw.dtype == np.int32 and (raw == integers.raw(x)).all()
    assert (bt_lstm.IntegerModel(read.to_bytes()).raw(x) == raw).all()
    assert (read.predict(x) == raw.argmax(1)).all() and read.labels == model.labels
    assert np.abs(read(x) - model(x)).max() < 0.1
    assert read.evaluate(x, y)["accuracy"] > 0.9

    # `bt-train run`, of which other tests say that it has the device's bits.
    np.savez(tmp_path / "d.npz", x_test=x)
    words = ["run", tmp_path / "m.btm", "--data", tmp_path / "d.npz", "--logits", tmp_path / "l.npz"]
    subprocess.run([program, *words], check=True, capture_output=True)
    logits = np.load(tmp_path / "l.npz")
    assert (logits["raw"] == raw).all() and (logits["logits"] == read(x)).all()


def test_the_program_and_the_package_train_the_same_model(classes, tmp_path, program):
    x, y = classes
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y)
    words = ["train", "--data", tmp_path / "d.npz", "--out", tmp_path / "run", "--units", "16", "--epochs", "3"]
    subprocess.run([program, *words], check=True, capture_output=True)
    ours = bt_lstm.train(x, y, units=16, epochs=3, out=tmp_path / "ours")
    files = [(tmp_path / run / "best.safetensors").read_bytes() for run in ("run", "ours")]
    assert files[0] == files[1]
    read = bt_lstm.FloatModel.load(tmp_path / "run")
    assert all((read.tensors()[name] == tensor).all() for name, tensor in ours.tensors().items())
    # The data may be a file too.
    from_file = bt_lstm.train(tmp_path / "d.npz", units=16, epochs=3)
    assert (from_file(x) == ours(x)).all()
    metrics = (tmp_path / "ours" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in metrics] == ours.epochs
    with pytest.raises(bt_lstm.Error, match="holds a run already"):
        bt_lstm.train(x, y, units=16, epochs=3, out=tmp_path / "ours")
    longer = bt_lstm.train(x, y, units=16, epochs=5, out=tmp_path / "ours", resume=True)
    assert longer.epochs[:3] == ours.epochs and len(longer.epochs) == 5


def test_classes_go_by_their_names(classes, tmp_path):
    """A part with some of the classes, which alone would be numbered otherwise."""
    x, y = classes
    names = np.array(["low", "mid", "top"])[y]
    model = bt_lstm.train(x, names, **SMALL)
    some = y > 0
    expected = model.predict(x[some]) == y[some]
    assert model.evaluate(x[some], names[some])["accuracy"] == pytest.approx(expected.mean())
    integers = bt_lstm.quantize(model, x[some], names[some])
    expected = integers.predict(x[some]) == y[some]
    assert expected.mean() > 0.8
    assert integers.evaluate(x[some], names[some])["accuracy"] == pytest.approx(expected.mean())
    comparison = integers.report["comparison"]
    assert comparison["fixed_accuracy"] > 0.8 and comparison["float_accuracy"] > 0.8
    model.save(tmp_path / "m.safetensors")
    again = bt_lstm.train(x, names, init=tmp_path / "m.safetensors", epochs=1, lr=1e-6)
    assert again.evaluate(x, names)["accuracy"] > 0.9
    unnamed = bt_lstm.train(x, y, **SMALL)
    with pytest.warns(UserWarning, match="does not name its classes, .* numbered as they are sorted: class 0 is `low`"):
        unnamed.evaluate(x, names)
    with pytest.warns(UserWarning, match="the model has no class `new`"):
        model.evaluate(x[:2], np.array(["low", "new"]))


@pytest.mark.parametrize(
    "y, shape",
    [
        (np.arange(90) % 3, (90, 3)),
        (np.array(["a", "b", "c"])[np.arange(90) % 3], (90, 3)),
        (np.arange(540).reshape(90, 6) % 4, (90, 6, 4)),
        (np.linspace(0, 9, 180, dtype="f4").reshape(90, 2), (90, 2)),
        (np.linspace(0, 9, 1080).reshape(90, 6, 2), (90, 6, 2)),
    ],
)
def test_every_head(classes, y, shape):
    x, _ = classes
    lengths = 1 + np.arange(90) % 6
    model = bt_lstm.train(x, y, lengths=lengths, units=8, epochs=2)
    integers = bt_lstm.quantize(model, x, y, lengths=lengths)
    for found in (model(x, lengths), integers(x, lengths), integers.raw(x, lengths)):
        assert found.shape == shape and np.isfinite(found).all()
        if len(shape) == 3:
            assert (found[0, 1:] == 0).all()
    figure = "rmse" if y.dtype.kind == "f" else "accuracy"
    for evaluated in (model.evaluate(x, y, lengths), integers.evaluate(x, y, lengths)):
        assert np.isfinite(evaluated[figure]) and evaluated["sequences"] == 90
    if figure == "accuracy":
        assert model.predict(x, lengths).shape == integers.predict(x, lengths).shape == shape[:-1]
    else:
        with pytest.raises(bt_lstm.Error, match="gives values"):
            integers.predict(x, lengths)


def test_types_and_layouts_of_numpy(classes):
    x, y = classes
    levels = np.round(20 * x).clip(-120, 120)
    model = bt_lstm.train(levels.astype("i1"), y, units=8, epochs=1)
    expected = model(levels.astype("f4"))
    for other in (levels.astype("f8"), levels.astype("i2"), levels.astype(">i4"), np.asfortranarray(levels, "f4")):
        assert (model(other) == expected).all(), other.dtype
    assert (model(levels.astype("f4")[::-1])[::-1] == expected).all()
    assert (model(levels.astype("f4").reshape(90, 6, 3, 4)) == expected).all()
    # Values to be learned that are the same in every type; NumPy knows what a float of 16 bits is.
    values = np.stack([y / 4 - 1, np.linspace(0, 1, len(y))], 1).astype("f2")
    learned = [bt_lstm.train(x, values.astype(dtype), units=4, epochs=1)(x) for dtype in ("f2", ">f2", "f4", "f8")]
    assert all((found == learned[0]).all() for found in learned) and learned[0].shape == (90, 2)


def test_x_is_not_copied(classes):
    """307 MB of which a model reads a thousandth: as much memory more would be a copy."""
    x = np.zeros((64, 1000, 4800), "u1")
    y = np.arange(64) % 2
    x[y == 1, 0, :2400] = 200
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = bt_lstm.train(x, y, lengths=np.ones(64, int), units=4, epochs=1)
    integers = bt_lstm.quantize(model, x, y, lengths=np.ones(64, int))
    assert integers(x, np.ones(64, int)).shape == (64, 2)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 150_000, f"{grown} KiB"


def test_models_that_pytorch_trained():
    """State dicts and logits that PyTorch made, see tests/data/torch/make.py."""
    folder = REPOSITORY / "tests/data/torch"
    expected = json.loads((folder / "expected.json").read_text())
    x = np.load(folder / "data.npz")["x_test"]
    lengths = np.load(folder / "data.npz")
    lengths = lengths["lengths_test"] if "lengths_test" in lengths.files else None
    for name, pool in [("last", "last"), ("mean", "mean"), ("gru", "last"), ("stacked", "mean")]:
        model = bt_lstm.import_torch(_State(tensors(folder / f"{name}.safetensors")), pool=pool)
        found = model(x, lengths)
        assert np.abs(found - np.array(expected[name])).max() < 1e-5, name
        again = bt_lstm.FloatModel(model.config, model.tensors())
        assert (again(x, lengths) == found).all()


class _State(dict):
    """As a state_dict that PyTorch gives, without PyTorch."""

    def items(self):
        return [(name, _Tensor(value)) for name, value in super().items()]


class _Tensor:
    def __init__(self, value):
        self.value = value

    def detach(self):
        return self

    cpu = float = detach

    def numpy(self):
        return self.value


def test_plan():
    plans = bt_lstm.plan((8, 20, 20, 18), (4, 4, 4, 4), ram="10K", clock="64MHz")["plans"]
    # The paper's frame; what the order costs is counted by hand in shared documents.
    assert plans[0]["macs"] == 4_694_016 and all(plan["ram_bytes"] <= 10240 for plan in plans)
    assert bt_lstm.plan("8x20x20x18", "4x4x4x4", ram=10240, clock=64_000_000)["plans"] == plans
    shapes = bt_lstm.plan([48], [16], search_shapes=True)["shapes"]
    assert all(np.prod(shape["input_modes"]) == 48 for shape in shapes)
