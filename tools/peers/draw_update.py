#!/usr/bin/env python3
"""An update of DRAW on 64 pictures, as bt-train/recipes/digits-drawn.toml has it, here and in PyTorch.

    pip install torch
    cargo build --release -p bt-train --example draw_update
    python3 tools/peers/draw_update.py --ours target/release/examples/draw_update [--rounds 10] [--threads 1]

784 pixels, 112 units, 10 steps of 32 latent values: noise, loss, gradients, clipping and Adam. Every one lives in a
process of its own; rounds are interleaved, so that a busy moment of the machine meets all alike. Told are medians over
the rounds for 640 pictures: seconds of the clock, of the processors (which other programs disturb less), and of the
latter a peer's by ours in the same round.

dense            two torch.nn.LSTMCell
dense_split      by hand: the picture's share of the encoder's product is taken once and not in every step
block_term       by hand: a contraction of all pictures of a step in three large products
block_term_full  by hand: the matrix is made of core and factors once an update, and used as in dense_split

Adam is PyTorch's fused one, and its large tensors lie on huge pages, as ours do.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time

BATCH, STEPS, LATENT, UNITS, PIXELS = 64, 10, 32, 112, 784
INPUT, HIDDEN, CODE, BLOCKS, RANK = (15, 4, 28), (7, 4, 4), (2, 4, 4), 4, 6
PEERS = {"dense": "dense", "dense_split": "dense", "block_term": "block-term", "block_term_full": "block-term"}
UPDATES = 5


def config(kind):
    """The model of ours that a peer is held against."""
    form = {"map": kind} | ({"blocks": BLOCKS, "rank": RANK} if kind != "dense" else {})
    latent = CODE if kind != "dense" else [LATENT]
    head = {"draw": PIXELS, "steps": STEPS, "latent": latent, "rows": 28}
    return {"input": form | {"modes": INPUT, "width": PIXELS}, "hidden": {"modes": HIDDEN}, "head": head}


def build(kind, torch):
    nn = torch.nn

    class BlockTerm(nn.Module):
        def __init__(self, modes):
            super().__init__()
            self.modes, self.out = modes, (4 * HIDDEN[0], *HIDDEN[1:])
            s = (math.prod(modes) ** -0.5 / (BLOCKS * RANK**3) ** 0.5) ** 0.25
            self.core = nn.Parameter(torch.randn(BLOCKS, RANK, RANK, RANK) * s)
            sizes = zip(modes, self.out)
            self.factors = nn.ParameterList(nn.Parameter(torch.randn(BLOCKS, i, j, RANK) * s) for i, j in sizes)

        def prepare(self):
            first, second, third = self.factors
            joined = torch.einsum("nabc,nijb->nicaj", self.core, second)
            if kind == "block_term_full":
                self.matrix = torch.einsum("nmoa,nicaj,nklc->mikojl", first, joined, third)
                self.matrix = self.matrix.reshape(math.prod(self.modes), -1)
                return
            self.third = third.permute(1, 0, 3, 2).reshape(self.modes[2], -1)
            self.joined = joined.reshape(BLOCKS, self.modes[1] * RANK, RANK * self.out[1])
            self.first = first.permute(0, 1, 3, 2).reshape(-1, self.out[0])

        def forward(self, x):
            if kind == "block_term_full":
                return x @ self.matrix
            (i1, i2, i3), (o1, o2, o3), rows = self.modes, self.out, len(x)
            y = (x.reshape(-1, i3) @ self.third).reshape(rows * i1, i2, BLOCKS, RANK, o3)
            y = y.permute(2, 0, 4, 1, 3).reshape(BLOCKS, rows * i1 * o3, i2 * RANK)
            y = torch.bmm(y, self.joined).reshape(BLOCKS, rows, i1, o3, RANK, o2)
            y = y.permute(1, 5, 3, 0, 2, 4).reshape(rows * o2 * o3, BLOCKS * i1 * RANK) @ self.first
            return y.reshape(rows, o2 * o3, o1).transpose(1, 2).reshape(rows, -1)

    class Dense(nn.Module):
        def __init__(self, modes):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(math.prod(modes), 4 * UNITS) * math.prod(modes) ** -0.5)

        def prepare(self):
            self.matrix = self.weight

        def forward(self, x):
            return x @ self.matrix

    class Cell(nn.Module):
        def __init__(self, modes):
            super().__init__()
            self.map = Dense(modes) if kind == "dense_split" else BlockTerm(modes)
            self.recurrent = nn.Linear(UNITS, 4 * UNITS)

        def share(self, x):
            """Of z, what the first columns of the map's matrix give, as many as x has; and the other columns."""
            return x @ self.map.matrix[: x.shape[1]], self.map.matrix[x.shape[1] :]

        def forward(self, x, state, share=None):
            z = self.map(x) if share is None else torch.addmm(share[0], x, share[1])
            i, f, g, o = (z + self.recurrent(state[0])).chunk(4, 1)
            c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
            return torch.sigmoid(o) * torch.tanh(c), c

    class Draw(nn.Module):
        def __init__(self):
            super().__init__()
            if kind == "dense":
                self.encoder = nn.LSTMCell(2 * PIXELS + UNITS, UNITS)
                self.decoder = nn.LSTMCell(LATENT, UNITS)
            else:
                self.encoder, self.decoder = Cell(INPUT), Cell(CODE)
            self.latent, self.paint = nn.Linear(UNITS, 2 * LATENT), nn.Linear(UNITS, PIXELS)

        def forward(self, x):
            h = g = (x.new_zeros(len(x), UNITS),) * 2
            canvas, divergence = torch.zeros_like(x), 0
            if kind != "dense":
                self.encoder.map.prepare()
                self.decoder.map.prepare()
            share = self.encoder.share(x) if kind in ("dense_split", "block_term_full") else None
            for _ in range(STEPS):
                read = x - torch.sigmoid(canvas), g[0]
                if share is None:
                    h = self.encoder(torch.cat([x, *read], 1), h)
                else:
                    h = self.encoder(torch.cat(read, 1), h, share)
                mean, log = self.latent(h[0]).chunk(2, 1)
                deviation = log.exp()
                divergence = divergence + (0.5 * (mean**2 + deviation**2 - 1) - log).sum()
                g = self.decoder(mean + deviation * torch.randn_like(mean), g)
                canvas = canvas + self.paint(g[0])
            entropy = nn.functional.binary_cross_entropy_with_logits(canvas, x, reduction="sum")
            return (entropy + divergence) / x.numel()

    return Draw()


def worker(kind, threads):
    """Takes so many updates for every line on standard input, and tells milliseconds of clock and processors."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print goes elsewhere.
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = build(kind, torch)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    x = (torch.rand(BATCH, PIXELS) < 0.2).float()
    for _ in sys.stdin:
        start = time.perf_counter(), time.process_time()
        for _ in range(UPDATES):
            adam.zero_grad(set_to_none=True)
            model(x).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()
        taken = time.perf_counter() - start[0], time.process_time() - start[1]
        print(json.dumps([seconds * 1e3 / UPDATES for seconds in taken]), file=answers, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", help="the built example draw_update")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--worker", choices=PEERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker, args.threads)
    if not args.ours:
        parser.error("give --ours, the built example draw_update")
    ours = {f"ours, {kind}": [args.ours, json.dumps(config(kind))] for kind in sorted(set(PEERS.values()))}
    own = [sys.executable, __file__, "--threads", str(args.threads), "--worker"]
    commands = ours | {name: [*own, name] for name in PEERS}
    environment = os.environ | {"RAYON_NUM_THREADS": str(args.threads), "THP_MEM_ALLOC_ENABLE": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    workers = {name: subprocess.Popen(command, **pipes) for name, command in commands.items()}
    taken = {name: [] for name in workers}
    for round_ in range(args.rounds + 1):
        for name, process in workers.items():
            print("update", file=process.stdin, flush=True)
            answer = process.stdout.readline()
            if not answer:
                sys.exit(f"{name} gave no answer")
            # The first round allocates.
            if round_ > 0:
                taken[name].append(json.loads(answer))
    for process in workers.values():
        process.stdin.close()
        process.wait()
    print(f"{'640 pictures':24} {'clock s':>8} {'busy s':>8} {'to ours':>8}")
    for name, rounds in taken.items():
        clock, busy = (statistics.median(column) * 640 / BATCH / 1e3 for column in zip(*rounds))
        pairs = zip(rounds, taken[f"ours, {PEERS.get(name, name.removeprefix('ours, '))}"])
        ratio = statistics.median(peer[1] / own[1] for peer, own in pairs)
        print(f"{name:24} {clock:8.3f} {busy:8.3f} {ratio:8.2f}")


if __name__ == "__main__":
    main()
