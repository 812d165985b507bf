"""Mistakes: one exception, in the words of Python."""

import _thread
import pathlib
import re
import signal
import threading
import time
import warnings

import numpy as np
import pytest

import bt_lstm

X = np.random.default_rng(1).normal(size=(40, 4, 6)).astype("f4")
Y = np.arange(40) % 2


@pytest.fixture(scope="module")
def model():
    return bt_lstm.train(X, Y, units=4, epochs=1)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"learning_rate": 1}, "train: unexpected argument 'learning_rate' found"),
        ({"lr": "fast"}, "train: invalid value 'fast' for 'lr': invalid float literal"),
        ({"lr": -1}, "lr: is -1; give a number above 0"),
        ({"weight_decay": -1}, "weight_decay: is -1; give 0 or more"),
        ({"lr": 1e6, "units": 16, "epochs": 9}, r"lower `lr` \(now 1000000\) or `clip`"),
        ({"input_modes": (4, 2)}, r'input_modes: 4x2 multiply to 8, but the width is 6; use `input_modes="'),
        ({"y": Y[:5]}, r"^y: has shape \[5\], expected \[40\]"),
        ({"y": Y - 1}, r"^y: value -1 at 0 is outside 0"),
        ({"x": X[0]}, r"^x: has shape \[4, 6\], expected \[sequences, steps, features…\]"),
        ({"x": np.where(X > 2, np.nan, X)}, "^x: holds a value that is not finite"),
        ({"x": X.astype(object)}, "^x: is object; save it as f32"),
        ({"x": X.astype(complex)}, "^x: is <c16; save it"),
        ({"x": "nowhere.npz", "y": None}, "^nowhere.npz: No such file"),
        ({"y": None}, "^y: is missing"),
        ({"lengths": np.full(40, 5)}, "^lengths: value 5 at 0 is outside 1..=4"),
        ({"x_val": X[:, :, :5], "y_val": Y}, "^x_val: has 5 features a step, x has 6"),
        ({"groups": Y[:3]}, r"^groups: has shape \[3\], expected \[40\]"),
        ({"resume": True}, "^resume: there is no `out`"),
        ({"labels": ["a", "a"]}, "^labels: has `a` twice"),
        ({"y_val": Y}, "^x_val: is missing; save the sequences too, or leave `y_val`"),
        ({"y": np.where(Y, "a", "b"), "head": "values"}, "^y: holds the class of a sequence, wanted is the values"),
        ({"validation": X}, "^train: validation: is an array, .*`x_val` and `y_val` take sequences"),
        ({"class_weights": np.ones(2)}, "^train: class_weights: is an array, and one value is wanted"),
        ({"augment": {"noise": 1}}, r"^train: augment: has no keyword; `config` takes a TOML file with the table \[augment\]"),
        ({"y": Y.astype(object)}, r"^y: is object; make names of classes texts, `y.astype\(str\)`"),
        ({"y": Y.astype("S")}, r"^y: is \|S\d+; make names of classes texts"),
        ({"units": 0}, "^units: is 0; give 1 or more"),
    ],
)
def test_of_training(arguments, words):
    with pytest.raises(bt_lstm.Error, match=words) as raised:
        bt_lstm.train(**{"x": X, "y": Y, **arguments})
    assert isinstance(raised.value, ValueError) and "\n" not in str(raised.value) and "--" not in str(raised.value)


def test_of_models(model, tmp_path):
    for call, words in [
        (lambda: bt_lstm.quantize(model, X, Y, ram=100), r"^ram: no plan fits.*allow it `ram=\d+`"),
        (lambda: bt_lstm.quantize(model, X, Y, board="toaster"), "for 'board': no board 'toaster'; there are microbit"),
        (lambda: bt_lstm.quantize(model, X[:, :, :5], Y), "^x: has 5 features a step, the model takes 6"),
        (lambda: model(X[:, :, :5]), "^x: has 5 features a step, the model takes 6"),
        (lambda: bt_lstm.IntegerModel(b"no model at all"), "cannot be read"),
        (lambda: bt_lstm.IntegerModel(tmp_path / "m.btm"), "m.btm: No such file"),
        (lambda: bt_lstm.FloatModel({}, {}), "config: missing field `input`"),
        (lambda: bt_lstm.FloatModel(model.config, {}), "is missing"),
        (lambda: bt_lstm.import_tensors({}), "missing|no recurrent|holds"),
        (lambda: bt_lstm.import_tensors({}, pool="first"), "pool: is `first`"),
        (lambda: bt_lstm.import_tensors({}, gives="all"), "gives: is `all`; classes, step-classes, values, "),
        (lambda: bt_lstm.plan((8, 20), (4, 4, 4)), "modes"),
        (lambda: bt_lstm.train(X, Y, init=model), "^train: init: is a model in memory; save it and give the path"),
        (lambda: bt_lstm.import_tensors({}, rank="four"), "^import_torch: invalid value 'four' for 'rank'"),
        (lambda: model.save(tmp_path / "no" / "m.safetensors"), "No such file"),
    ]:
        with pytest.raises(bt_lstm.Error, match=words):
            call()
    damaged = bytearray(bt_lstm.quantize(model, X, Y).to_bytes())
    damaged[len(damaged) // 2] ^= 1
    with pytest.raises(bt_lstm.Error, match="cannot be read"):
        bt_lstm.IntegerModel(bytes(damaged))


def test_what_a_model_to_start_from_says_otherwise(model, tmp_path):
    path = tmp_path / "m.safetensors"
    model.save(path)
    with pytest.raises(bt_lstm.Error, match="^rank: is 8, but the model to start from has 4"):
        bt_lstm.train(X, Y, init=path, rank=8)
    bt_lstm.quantize(model, X, Y, out=tmp_path / "m.btm")
    with pytest.raises(bt_lstm.Error, match="m.btm: is in integers already"):
        bt_lstm.train(X, Y, init=tmp_path / "m.btm")


def test_nothing_that_is_read_is_written_over(model, tmp_path):
    path, data = tmp_path / "m.safetensors", tmp_path / "d.npz"
    model.save(path)
    np.savez(data, x_train=X, y_train=Y)
    before = path.read_bytes(), data.read_bytes()
    for call, words in [
        (lambda: bt_lstm.quantize(model, data, out=data), "d.npz: is read here, and would be lost"),
        (lambda: bt_lstm.quantize(model, X, Y, out=path), "m.safetensors: is named as floats are, .*call it .btm"),
        (lambda: bt_lstm.quantize(model, X, Y).save(path), "m.safetensors: is named as floats are"),
        (lambda: model.save(tmp_path / "m.btm"), "m.btm: is named as integers are, and floats are written here"),
    ]:
        with pytest.raises(bt_lstm.Error, match=words):
            call()
    assert (path.read_bytes(), data.read_bytes()) == before and not (tmp_path / "m.btm").exists()


def test_sizes_may_be_an_array(model):
    again = bt_lstm.train(X, Y, input_modes=np.array([2, 3]), hidden_modes=(2, 2), epochs=1)
    assert again.config["input"]["modes"] == [2, 3]


def test_y_is_what_the_head_takes():
    """Integers [sequences, K] as values; floats that may be classes are told."""
    y = np.stack([np.arange(40) * 5 - 60, np.arange(40) % 7], 1)
    with pytest.raises(bt_lstm.Error, match=r"^y: has shape \[40, 2\], expected \[40\]"):
        bt_lstm.train(X, y, units=4, epochs=1)
    model = bt_lstm.train(X, y, units=4, epochs=1, head="values")
    assert model(X).shape == (40, 2) and set(model.evaluate(X, y)) >= {"rmse", "mae", "r2"}
    with pytest.warns(UserWarning, match="^y: floats are taken as values to be learned, though all of them are whole numbers.*ask for the head classes"):
        bt_lstm.train(X, Y.astype("f4"), units=4, epochs=1)


def test_nothing_to_validate_on_is_told():
    with pytest.warns(UserWarning, match="nothing is kept for validation, since all sequences are of one group"):
        bt_lstm.train(X, Y, groups=np.zeros(40, int), units=4, epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bt_lstm.train(X, Y, groups=np.zeros(40, int), units=4, epochs=1, validation=0)


def test_strange_data_are_warnings():
    """A sequence twice, with two labels."""
    x, y = X.copy(), Y.copy()
    x[1] = x[0]
    with pytest.warns(UserWarning, match=r"x\[0\].*x\[1\]|x\[1\].*x\[0\]"):
        bt_lstm.train(x, y, units=4, epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bt_lstm.train(X, Y, units=4, epochs=1)


def test_others_work_while_it_trains():
    """Training holds no lock of Python's: this thread goes on."""
    x = np.random.default_rng(2).normal(size=(256, 20, 64)).astype("f4")
    training = threading.Thread(target=bt_lstm.train, args=(x, np.arange(256) % 2), kwargs={"epochs": 4})
    ticks = 0
    training.start()
    while training.is_alive():
        ticks += 1
        time.sleep(0.005)
    assert ticks >= 10


@pytest.fixture
def interruptible():
    """Whoever runs the tests in the background has Ctrl-C ignored, and what it starts inherits that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_it_and_resume_goes_on(tmp_path, interruptible):
    def interrupt():
        while not (tmp_path / "run/metrics.jsonl").exists() or not (tmp_path / "run/metrics.jsonl").read_text():
            time.sleep(0.01)
        _thread.interrupt_main()

    threading.Thread(target=interrupt).start()
    settings = {"units": 16, "epochs": 2000, "out": tmp_path / "run"}
    with pytest.raises(KeyboardInterrupt, match="best.safetensors can be used; `resume` goes on"):
        bt_lstm.train(X, Y, **settings)
    done = len((tmp_path / "run/metrics.jsonl").read_text().splitlines())
    assert 1 <= done < 2000
    assert bt_lstm.FloatModel.load(tmp_path / "run").evaluate(X, Y)["sequences"] == 40
    with pytest.raises(bt_lstm.Error, match="lr: is 1, but the run was started with 0.004"):
        bt_lstm.train(X, Y, lr=1, resume=True, **settings)


def test_an_exception_of_the_callback_ends_it():
    def progress(epoch):
        if epoch["epoch"] == 2:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        bt_lstm.train(X, Y, units=4, epochs=50, progress=progress)


def test_stubs_know_every_setting():
    stub = (pathlib.Path(bt_lstm.__file__).parent / "_native.pyi").read_text()
    body = stub[stub.index("class Settings") : stub.index("class Device")]
    told = re.findall(r"^    (\w+): ", body, re.MULTILINE)
    assert told == bt_lstm.settings(), "class Settings of bt_lstm/_native.pyi"
    assert (pathlib.Path(bt_lstm.__file__).parent / "py.typed").exists()
    assert bt_lstm.train.__doc__ and bt_lstm.IntegerModel.__call__.__doc__
