#!/usr/bin/env python3
"""An epoch of DRAW on 50,000 digits, by `bt-train train` and in PyTorch.

    pip install torch numpy
    python3 tools/data/prepare.py SOURCE . binarized_mnist
    cargo build --release -p bt-train
    python3 tools/peers/draw_epoch.py --ours target/release/bt-train --data binarized_mnist.npz [--threads 2] [--rounds 3]

The models are those of draw_update.py, of PyTorch's the faster two: 64 digits an update in random order, noise, loss,
gradients, clipping and fused Adam. Rounds and what is told are those of epoch.py. An epoch of either ends with the bound of the
10,000 digits of the validation part, one of ours also with the files that a killed run goes on from; PyTorch's tensors are in
memory, and some updates warm it up.
"""

import argparse
import json
import time
from pathlib import Path

from draw_update import BATCH, build
from epoch import ours_in_a_round, tell, theirs_in_a_round

RECIPE = Path(__file__).parents[2] / "bt-train/recipes/digits-drawn.toml"
WARM = 20
KINDS = {"dense": ["dense", "dense_split"], "block-term": ["block_term_full"]}


def peer(path, kind, threads):
    """Prints the seconds of an epoch, of the clock and of the processors."""
    import numpy
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = build(kind, torch)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    arrays = numpy.load(path)
    pictures, held_out = (torch.from_numpy(arrays[f"x_{part}"]).flatten(1) for part in ("train", "val"))
    order = torch.randperm(len(pictures)).split(BATCH)
    for at, part in enumerate(order[:WARM] + order):
        if at == WARM:
            clock, busy = time.perf_counter(), time.process_time()
        adam.zero_grad(set_to_none=True)
        model(pictures[part].float()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
    with torch.no_grad():
        for part in held_out.split(BATCH):
            model(part.float()).item()
    print(json.dumps([time.perf_counter() - clock, time.process_time() - busy]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", help="the program bt-train")
    parser.add_argument("--data", required=True, help="binarized_mnist.npz")
    parser.add_argument("--kind", choices=KINDS, nargs="*", default=list(KINDS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return peer(args.data, args.peer, args.threads)
    if not args.ours:
        parser.error("--ours is missing")
    data = ["--data", args.data]
    for kind in args.kind:
        ours, theirs = [], {peer: [] for peer in KINDS[kind]}
        for _ in range(args.rounds):
            own = ["--config", RECIPE, "--input-map", kind]
            ours.append(ours_in_a_round(args.ours, args.threads, [*data, *own], epochs=1))
            for peer_, rounds in theirs.items():
                rounds.append(theirs_in_a_round(args.threads, __file__, [*data, "--peer", peer_]))
        for peer_, rounds in theirs.items():
            tell(f"{peer_} threads {args.threads}", ours, rounds)


if __name__ == "__main__":
    main()
