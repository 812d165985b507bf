#!/usr/bin/env python3
"""An epoch of DRAW on 50,000 digits, by `bt-train train` and in PyTorch.

    pip install torch numpy
    python3 tools/data/prepare.py SOURCE . binarized_mnist
    cargo build --release -p bt-train
    python3 tools/peers/draw_epoch.py --ours target/release/bt-train --data binarized_mnist.npz [--threads 2] [--rounds 3]

The models are those of draw_update.py, the block-term one of PyTorch's with the matrix that is made once an update, which is the
faster way: 64 digits an update in random order, noise, loss, gradients, clipping and Adam. Ours is the difference between runs of
two epochs and of one, so that neither start nor report counts; what an epoch ends with does: the bound of the 10,000 digits of the
validation part, which PyTorch's has to find too, and here the files that a killed run goes on from. PyTorch's tensors are in memory,
and some updates warm it up. Rounds are interleaved, each has processes of its own. Told are least and median seconds of the clock, and the median over the
rounds of PyTorch's by ours in the same round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from draw_update import BATCH, build

RECIPE = Path(__file__).parents[2] / "bt-train/recipes/digits-drawn.toml"
WARM = 20
KINDS = {"dense": "dense", "block-term": "block_term_full"}


def peer(path, kind, threads):
    """Prints the seconds of an epoch, and of how many digits."""
    import numpy
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = build(kind, torch)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    arrays = numpy.load(path)
    pictures, held_out = (torch.from_numpy(arrays[f"x_{part}"]).flatten(1) for part in ("train", "val"))
    order = torch.randperm(len(pictures)).split(BATCH)
    for at, part in enumerate(order[:WARM] + order):
        if at == WARM:
            clock = time.perf_counter()
        adam.zero_grad(set_to_none=True)
        model(pictures[part].float()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
    with torch.no_grad():
        sum(model(part.float()).item() * len(part) for part in held_out.split(BATCH))
    print(json.dumps([time.perf_counter() - clock, len(pictures)]))


def run(args, kind, epochs):
    """Seconds of a run of ours."""
    with tempfile.TemporaryDirectory() as folder:
        command = [args.ours, "train", "--config", RECIPE, "--data", args.data, "--out", f"{folder}/run"]
        command += ["--input-map", kind, "--epochs", str(epochs)]
        environment = os.environ | {"RAYON_NUM_THREADS": str(args.threads)}
        clock = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=environment)
        return time.perf_counter() - clock


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", help="the program bt-train")
    parser.add_argument("--data", required=True, help="binarized_mnist.npz")
    parser.add_argument("--kind", choices=KINDS, nargs="*", default=list(KINDS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", choices=KINDS.values(), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return peer(args.data, args.peer, args.threads)
    if not args.ours:
        parser.error("--ours is missing")
    environment = os.environ | {"OMP_NUM_THREADS": str(args.threads)}
    for kind in args.kind:
        ours, theirs = [], []
        for _ in range(args.rounds):
            once, twice = (run(args, kind, epochs) for epochs in (1, 2))
            ours.append(twice - once)
            command = [sys.executable, __file__, "--data", args.data, "--threads", str(args.threads), "--peer", KINDS[kind]]
            told = subprocess.run(command, check=True, capture_output=True, env=environment).stdout
            seconds, digits = json.loads(told)
            theirs.append(seconds)
        ratio = statistics.median(theirs / ours for ours, theirs in zip(ours, theirs))
        figures = (f"{name} {min(v):.1f} least {statistics.median(v):.1f} median" for name, v in (("ours", ours), ("PyTorch", theirs)))
        print(f"{kind} threads {args.threads}, s an epoch of {digits}: {', '.join(figures)}, to ours {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
