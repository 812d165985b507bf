#!/usr/bin/env python3
"""An epoch of a small dense layer, by `bt-train train` and as it is usually written in PyTorch.

    pip install numpy torch
    cargo build --release -p bt-train
    python3 tools/peers/epoch.py --ours target/release/bt-train [--cell gru] [--layers 2] [--threads 2] [--rounds 8]

112 values, 64 units, 11 classes, 8,192 sequences of 16 steps in random order, 64 an update: cross entropy, gradients, clipping and
fused Adam. PyTorch's large tensors lie on huge pages, as ours do. Ours is the difference between a run of many epochs and one of a single one, so that neither start nor report counts; what an
epoch ends with does: 64 sequences of validation and the files that a killed run goes on from. PyTorch's tensors are in memory, and
nothing but the updates is timed, after an epoch that warms up. Rounds are interleaved, so that a busy moment of the machine meets
both, and each has processes of its own: how fast PyTorch is differs from process to process, by a third and more. Told are least and
median seconds, of the clock and of the processors, and the median over the rounds of PyTorch's by ours in the same round.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

INPUTS, UNITS, CLASSES, BATCH, STEPS, SEQUENCES = 112, 64, 11, 64, 16, 8192


def data(path):
    import numpy

    rng = numpy.random.default_rng(0)
    arrays = {}
    for part, count in (("train", SEQUENCES), ("val", BATCH), ("test", BATCH)):
        arrays[f"x_{part}"] = rng.standard_normal((count, STEPS, INPUTS)).astype("f4")
        arrays[f"y_{part}"] = rng.integers(0, CLASSES, count)
    numpy.savez(path, **arrays)


def peer(path, cell, layers, threads, epochs):
    """Prints the seconds of so many epochs, of the clock and of the processors, after one more."""
    import numpy
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    arrays = numpy.load(path)
    x, y = torch.from_numpy(arrays["x_train"]), torch.from_numpy(arrays["y_train"])
    layer = (nn.LSTM if cell == "lstm" else nn.GRU)(INPUTS, UNITS, layers, batch_first=True)
    head = nn.Linear(UNITS, CLASSES)
    weights = [*layer.parameters(), *head.parameters()]
    adam = torch.optim.Adam(weights, 1e-3, fused=True)
    for epoch in range(1 + epochs):
        if epoch == 1:
            clock, busy = time.perf_counter(), time.process_time()
        for part in torch.randperm(len(x)).split(BATCH):
            adam.zero_grad()
            logits = head(layer(x[part])[0][:, -1])
            nn.functional.cross_entropy(logits, y[part]).backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            adam.step()
    print(json.dumps([time.perf_counter() - clock, time.process_time() - busy]))


def run(program, threads, flags):
    """Seconds of a run of ours, of the clock and of the processors."""
    with tempfile.TemporaryDirectory() as folder:
        before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [program, "train", "--out", f"{folder}/run", *flags]
        environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        clock, after = time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return clock, busy


def ours_in_a_round(program, threads, flags, epochs):
    """The same of an epoch: the difference between a run of one and of so many more."""
    once, more = (run(program, threads, [*flags, "--epochs", str(count)]) for count in (1, 1 + epochs))
    return [(b - a) / epochs for a, b in zip(once, more)]


def theirs_in_a_round(threads, script, flags):
    """What a script of PyTorch's prints in a process of its own."""
    command = [sys.executable, script, *flags, "--threads", str(threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "THP_MEM_ALLOC_ENABLE": "1"}
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout)


def tell(what, ours, theirs):
    """Prints seconds of the clock and of the processors over the rounds, and PyTorch's by ours in the same round."""
    for at, which in enumerate(("clock", "processors")):
        a, b = ([row[at] for row in rows] for rows in (ours, theirs))
        ratio = statistics.median(theirs / ours for ours, theirs in zip(a, b))
        figures = [f"{name} {min(v):.3f} least {statistics.median(v):.3f} median" for name, v in (("ours", a), ("PyTorch", b))]
        print(f"{what} {which:10} s: {', '.join(figures)}, to ours {ratio:.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", help="the program bt-train")
    parser.add_argument("--cell", choices=("lstm", "gru"), default="lstm")
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=5, help="timed in a round")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return peer(args.peer, args.cell, args.layers, args.threads, args.epochs)
    if not args.ours:
        parser.error("--ours is missing")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/small.npz"
        data(path)
        shape = ["--cell", args.cell, "--layers", str(args.layers)]
        own = ["--data", path, "--input-map", "dense", "--units", str(UNITS), "--batch", str(BATCH), "--lr", "1e-3"]
        peers = ["--peer", path, "--epochs", str(args.epochs)]
        ours, theirs = [], []
        for _ in range(args.rounds):
            ours.append(ours_in_a_round(args.ours, args.threads, [*own, *shape], args.epochs))
            told = theirs_in_a_round(args.threads, __file__, [*peers, *shape])
            theirs.append([seconds / args.epochs for seconds in told])
    tell(f"{args.cell} {args.layers} threads {args.threads}", ours, theirs)


if __name__ == "__main__":
    main()
