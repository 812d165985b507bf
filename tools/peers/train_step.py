#!/usr/bin/env python3
"""The training step of `bt-train`'s benchmark in PyTorch, in the same run.

    pip install torch numpy tednet
    cargo build --release -p bt-train --example train_step
    python3 tools/peers/train_step.py [--json] [--rounds 10] [--threads 2]
            [--ours target/release/examples/train_step] [--only NAME …]
            [--input 8x20x20x18] [--hidden 4x4x4x4] [--blocks 2] [--rank 4] [--batch 16] [--steps 6]
            [--cell lstm|gru] [--layers 1] [--map block-term|dense] [--inner 10]

One step: loss and gradients of 16 sequences of 6 frames of 57,600 values
(8·20·20·18), hidden 256 (4·4·4·4), N = 2, R = 4, dense recurrent matrix, and a
plain descent of all parameters; or of any other shape. Every peer lives in a process of its own, so
that its peak memory is its own; rounds are interleaved, so that a busy moment
of the machine meets all alike, and `to_ours` is the median over the rounds of a peer's time by ours in the same one.
With another cell, several layers or a dense map there is one peer, torch's own nn.LSTM or nn.GRU. In a round everyone
takes --inner steps, one behind the other, of which the median counts.

tednet_bttlstm    BTTLSTM of the package tednet, dropout off
dense_lstm        torch.nn.LSTM with a dense input matrix
dense_gru         torch.nn.GRU
torch_x4_first    by hand, all frames at once, large matmuls, last mode first
torch_x3_first    the same with the third mode first (fewer multiplications)
torch_compiled    the latter under torch.compile
bt_lstm           bt_lstm.BtLstm, the trainer's contraction within PyTorch (pip install ./bt-train/python)
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

CLASSES = 11
PEERS = ["tednet_bttlstm", "dense_lstm", "dense_gru", "torch_x4_first", "torch_x3_first", "torch_compiled", "bt_lstm"]


def build(name, torch, shape):
    """A module from x [batch, steps, inputs] to logits."""
    nn = torch.nn
    n, r = shape.blocks, shape.rank
    inputs, units = math.prod(shape.input), math.prod(shape.hidden)

    class Head(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer
            self.head = nn.Linear(units, CLASSES)

        def forward(self, x):
            return self.head(self.layer(x))

    if name == "tednet_bttlstm":
        import numpy as np
        from tednet.tnn.bt_tucker import BTTLSTM

        class Layer(nn.Module):
            def __init__(self):
                super().__init__()
                shapes = np.array(shape.input), np.array(shape.hidden), np.array([r] * 4)
                self.lstm = BTTLSTM(*shapes, n, 0.0, 0.0)

            def forward(self, x):
                state = x.new_zeros(len(x), units), x.new_zeros(len(x), units)
                return self.lstm(x.transpose(0, 1), state)[0][-1]

        return Head(Layer())
    if name in ("dense_lstm", "dense_gru"):
        cell = nn.GRU if name == "dense_gru" else nn.LSTM

        class Layer(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = cell(inputs, units, shape.layers, batch_first=True)

            def forward(self, x):
                return self.layers(x)[0][:, -1]

        return Head(Layer())

    if name == "bt_lstm":
        import bt_lstm

        return bt_lstm.BtLstm.new(shape.input, shape.hidden, classes=CLASSES, blocks=n, rank=r)

    (i1, i2, i3, i4), (j1, j2, j3, j4) = shape.input, shape.hidden

    class Layer(nn.Module):
        def __init__(self, third_first):
            super().__init__()
            s = (inputs**-0.5 / (n * r**4) ** 0.5) ** 0.2
            self.core = nn.Parameter(torch.randn(n, *[r] * 4) * s)
            self.factors = nn.ParameterList(
                nn.Parameter(torch.randn(n, i, j, r) * s)
                for i, j in zip(shape.input, (4 * j1, j2, j3, j4))
            )
            self.u = nn.Parameter(torch.randn(units, 4 * units) / units**0.5)
            self.bias = nn.Parameter(torch.zeros(4 * units))
            self.third_first = third_first

        def input_map(self, x):
            a1, a2, a3, a4 = self.factors
            frames = x.numel() // inputs
            slices = x.reshape(frames * i1 * i2, i3, i4)
            # The core joins the second factor: [n, (i2 r3 r4), (r1 j2)].
            joined = torch.einsum("nabcd,nijb->nicdaj", self.core, a2)
            joined = joined.reshape(n, i2 * r * r, r * j2)
            if self.third_first:
                first = a3.permute(0, 2, 3, 1).reshape(n * j3 * r, i3)
                state = torch.matmul(first, slices).reshape(-1, n, j3 * r, i4)
                state = state.transpose(0, 1).reshape(n, -1, i4) @ a4.reshape(n, i4, j4 * r)
            else:
                first = a4.permute(1, 0, 2, 3).reshape(i4, n * j4 * r)
                state = (slices.reshape(-1, i4) @ first).reshape(-1, i3, n, j4 * r)
                state = state.permute(2, 0, 1, 3)
                third = a3.permute(0, 2, 3, 1).reshape(n, 1, j3 * r, i3)
                state = torch.matmul(third, state)
            # [n, f i1 i2, j3 r3, j4 r4] → [n, f i1, (i2 r3 r4), (j3 j4)]
            state = state.reshape(n, -1, i2, j3, r, j4, r).permute(0, 1, 2, 4, 6, 3, 5)
            state = state.reshape(n, -1, i2 * r * r, j3 * j4)
            state = torch.matmul(joined.transpose(1, 2).unsqueeze(1), state)
            # [n, f, i1, r1, (j2 j3 j4)] → [f, (n i1 r1), (j2 j3 j4)]
            state = state.reshape(n, frames, i1, r, j2 * j3 * j4).transpose(0, 1)
            last = a1.permute(2, 0, 1, 3).reshape(4 * j1, n * i1 * r)
            state = last @ state.reshape(frames, n * i1 * r, j2 * j3 * j4)
            return state.reshape(frames, 4 * units)

        def forward(self, x):
            z = self.input_map(x).reshape(shape.batch, shape.steps, 4 * units) + self.bias
            h = c = x.new_zeros(shape.batch, units)
            for t in range(shape.steps):
                i, f, g, o = torch.addmm(z[:, t], h, self.u).chunk(4, 1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
            return h

    model = Head(Layer(name != "torch_x4_first"))
    return torch.compile(model) if name == "torch_compiled" else model


def worker(name, threads, shape):
    """Runs so many steps for every line on standard input, and tells the median."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print goes elsewhere.
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    # Everyone's large tensors lie on huge pages, as ours do.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if name == "bt_lstm":
        # PyTorch's idle threads would spin on the cores that the contraction needs; as bt_lstm's README says.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = build(name, torch, shape)
    x = torch.randn(shape.batch, shape.steps, math.prod(shape.input))
    labels = torch.arange(shape.batch) % CLASSES
    descent = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in sys.stdin:
        taken = []
        for _ in range(shape.inner):
            start = time.perf_counter()
            descent.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(model(x), labels).backward()
            descent.step()
            taken.append((time.perf_counter() - start) * 1e3)
        milliseconds = statistics.median(taken)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps([milliseconds, peak]), file=answers, flush=True)


def modes(text):
    sizes = tuple(int(size) for size in text.split("x"))
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not of the form 8x20x20x18")
    return sizes


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--ours", help="the built example train_step")
    parser.add_argument("--only", nargs="*", choices=PEERS)
    parser.add_argument("--cell", choices=["lstm", "gru"], default="lstm")
    parser.add_argument("--map", choices=["block-term", "dense"], default="block-term")
    parser.add_argument("--input", type=modes, default=modes("8x20x20x18"))
    parser.add_argument("--hidden", type=modes, default=modes("4x4x4x4"))
    for name, default in {"blocks": 2, "rank": 4, "batch": 16, "steps": 6, "layers": 1, "inner": 10}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--worker", choices=PEERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker, args.threads, args)

    if args.only is None:
        plain = (args.cell, args.layers, args.map) == ("lstm", 1, "block-term")
        own = f"dense_{args.cell}"
        args.only = [peer for peer in PEERS if peer != "dense_gru"] if plain else [own]
    if {len(args.input), len(args.hidden)} != {4}:
        args.only = [peer for peer in args.only if peer.startswith("dense_")]
    shape = []
    for name in ("input", "hidden"):
        shape += [f"--{name}", "x".join(map(str, getattr(args, name)))]
    for name in ("cell", "layers", "map", "blocks", "rank", "batch", "steps"):
        shape += [f"--{name}", str(getattr(args, name))]
    inner = ["--inner", str(args.inner)]
    command = [sys.executable, __file__, "--threads", str(args.threads), *shape, *inner, "--worker"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    errors = {name: tempfile.TemporaryFile("w+") for name in args.only}
    workers = {
        name: subprocess.Popen([*command, name], stderr=errors[name], **pipes)
        for name in args.only
    }
    times, peaks, ours = {name: [] for name in workers}, {}, []
    for round_ in range(args.rounds + 2):
        for name, process in list(workers.items()):
            answer = asked(process)
            if not answer:
                print(f"{name}: left out, it ended: {last_line(errors[name])}", file=sys.stderr)
                del workers[name], times[name]
                continue
            milliseconds, peaks[name] = json.loads(answer)
            # The first two steps allocate, tune and compile.
            if round_ >= 2:
                times[name].append(milliseconds)
        if args.ours and round_ >= 2:
            environment = os.environ | {"RAYON_NUM_THREADS": str(args.threads)}
            ours_now = [args.ours, "--json", "--repetitions", str(args.inner), *shape]
            out = subprocess.run(ours_now, env=environment, check=True, capture_output=True)
            ours.append(json.loads(out.stdout))
    for process in workers.values():
        process.stdin.close()
        process.wait()

    rows = [
        {
            "name": name,
            "milliseconds": min(taken),
            "milliseconds_median": statistics.median(taken),
            "peak_rss_bytes": peaks[name],
            "threads": args.threads,
            **pairs(taken, ours),
        }
        for name, taken in times.items()
    ]
    if ours:
        best = min(ours, key=lambda row: row["milliseconds"])
        best["milliseconds_median"] = statistics.median(r["milliseconds_median"] for r in ours)
        best["peak_rss_bytes"] = max(row["peak_rss_bytes"] for row in ours)
        best["sgemm_peak_gflops"] = max(row["sgemm_peak_gflops"] for row in ours)
        rows.insert(0, best)
    if args.json:
        print(json.dumps({"rows": rows}))
        return
    print(f"{'':32} {'ms':>8} {'median':>8} {'peak MB':>8} {'to ours':>8}")
    for row in rows:
        print(
            f"{row['name']:32} {row['milliseconds']:8.2f} {row['milliseconds_median']:8.2f}"
            f" {row['peak_rss_bytes'] / 1e6:8.0f} {row.get('to_ours', 1):8.2f}"
        )


def asked(process):
    """A worker's answer to a round; nothing if it has ended."""
    try:
        print("step", file=process.stdin, flush=True)
    except BrokenPipeError:
        return ""
    return process.stdout.readline()


def last_line(file):
    """What a worker said last: where Python stops, the reason."""
    file.seek(0)
    said = [line.strip() for line in file if line.strip()]
    return said[-1] if said else "without a word"


def pairs(taken, ours):
    """How many times ours a peer takes, in the same round."""
    if len(ours) != len(taken):
        return {}
    both = zip(taken, ours)
    return {"to_ours": statistics.median(peer / row["milliseconds_median"] for peer, row in both)}


if __name__ == "__main__":
    main()
