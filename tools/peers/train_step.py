#!/usr/bin/env python3
"""The training step of `bt-train`'s benchmark in PyTorch, in the same run.

    pip install torch numpy tednet
    cargo build --release -p bt-train --example train_step
    python3 tools/peers/train_step.py [--json] [--rounds 10] [--threads 2]
            [--ours target/release/examples/train_step] [--only NAME …]

One step: loss and gradients of 16 sequences of 6 frames of 57,600 values
(8·20·20·18), hidden 256 (4·4·4·4), N = 2, R = 4, dense recurrent matrix, and a
plain descent of all parameters. Every peer lives in a process of its own, so
that its peak memory is its own; rounds are interleaved, so that a busy moment
of the machine meets all alike.

tednet_bttlstm    BTTLSTM of the package tednet, dropout off
dense_lstm        torch.nn.LSTM with a dense input matrix
torch_x4_first    by hand, all frames at once, large matmuls, last mode first
torch_x3_first    the same with the third mode first (fewer multiplications)
torch_compiled    the latter under torch.compile
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

BATCH, STEPS, CLASSES = 16, 6, 11
I, J, N, R = (8, 20, 20, 18), (16, 4, 4, 4), 2, 4
UNITS = 256
PEERS = ["tednet_bttlstm", "dense_lstm", "torch_x4_first", "torch_x3_first", "torch_compiled"]


def build(name, torch):
    """A module from x [batch, steps, 57600] to logits."""
    nn = torch.nn

    class Head(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer
            self.head = nn.Linear(UNITS, CLASSES)

        def forward(self, x):
            return self.head(self.layer(x))

    if name == "tednet_bttlstm":
        import numpy as np
        from tednet.tnn.bt_tucker import BTTLSTM

        class Layer(nn.Module):
            def __init__(self):
                super().__init__()
                shapes = np.array(I), np.array([4, 4, 4, 4]), np.array([R] * 4)
                self.lstm = BTTLSTM(*shapes, N, 0.0, 0.0)

            def forward(self, x):
                state = x.new_zeros(len(x), UNITS), x.new_zeros(len(x), UNITS)
                return self.lstm(x.transpose(0, 1), state)[0][-1]

        return Head(Layer())
    if name == "dense_lstm":

        class Layer(nn.Module):
            def __init__(self):
                super().__init__()
                self.lstm = nn.LSTM(57600, UNITS, batch_first=True)

            def forward(self, x):
                return self.lstm(x)[0][:, -1]

        return Head(Layer())

    class Layer(nn.Module):
        def __init__(self, third_first):
            super().__init__()
            s = (57600**-0.5 / (N * R**4) ** 0.5) ** 0.2
            self.core = nn.Parameter(torch.randn(N, *[R] * 4) * s)
            self.factors = nn.ParameterList(
                nn.Parameter(torch.randn(N, i, j, R) * s) for i, j in zip(I, J)
            )
            self.u = nn.Parameter(torch.randn(UNITS, 4 * UNITS) / 16)
            self.bias = nn.Parameter(torch.zeros(4 * UNITS))
            self.third_first = third_first

        def input_map(self, x):
            a1, a2, a3, a4 = self.factors
            frames = x.numel() // 57600
            slices = x.reshape(frames * 160, 20, 18)
            # The core joins the second factor: [n, (i2 r3 r4), (r1 j2)].
            joined = torch.einsum("nabcd,nijb->nicdaj", self.core, a2).reshape(N, 320, 16)
            if self.third_first:
                first = a3.permute(0, 2, 3, 1).reshape(N * 16, 20)
                state = torch.matmul(first, slices).reshape(-1, N, 16, 18)
                state = state.transpose(0, 1).reshape(N, -1, 18) @ a4.reshape(N, 18, 16)
            else:
                first = a4.permute(1, 0, 2, 3).reshape(18, N * 16)
                state = (slices.reshape(-1, 18) @ first).reshape(-1, 20, N, 16)
                state = state.permute(2, 0, 1, 3)
                third = a3.permute(0, 2, 3, 1).reshape(N, 1, 16, 20)
                state = torch.matmul(third, state)
            # [n, f i1 i2, j3 r3, j4 r4] → [n, f i1, (i2 r3 r4), (j3 j4)]
            state = state.reshape(N, -1, 20, 4, 4, 4, 4).permute(0, 1, 2, 4, 6, 3, 5)
            state = state.reshape(N, -1, 320, 16)
            state = torch.matmul(joined.transpose(1, 2).unsqueeze(1), state)
            # [n, f, i1, r1, (j2 j3 j4)] → [f, (n i1 r1), 64]
            state = state.reshape(N, frames, 8, 4, 64).transpose(0, 1)
            last = a1.permute(2, 0, 1, 3).reshape(16, N * 32)
            return (last @ state.reshape(frames, N * 32, 64)).reshape(frames, 4 * UNITS)

        def forward(self, x):
            z = self.input_map(x).reshape(BATCH, STEPS, 4 * UNITS) + self.bias
            h = c = x.new_zeros(BATCH, UNITS)
            for t in range(STEPS):
                i, f, g, o = torch.addmm(z[:, t], h, self.u).chunk(4, 1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
            return h

    model = Head(Layer(name != "torch_x4_first"))
    return torch.compile(model) if name == "torch_compiled" else model


def worker(name, threads):
    """Runs one step for every line on standard input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print goes elsewhere.
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = build(name, torch)
    x = torch.randn(BATCH, STEPS, 57600)
    labels = torch.arange(BATCH) % CLASSES
    descent = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in sys.stdin:
        start = time.perf_counter()
        descent.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(x), labels).backward()
        descent.step()
        milliseconds = (time.perf_counter() - start) * 1e3
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps([milliseconds, peak]), file=answers, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--ours", help="the built example train_step")
    parser.add_argument("--only", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--worker", choices=PEERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker, args.threads)

    command = [sys.executable, __file__, "--threads", str(args.threads), "--worker"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    errors = None if sys.stderr.isatty() else subprocess.DEVNULL
    workers = {
        name: subprocess.Popen([*command, name], stderr=errors, **pipes) for name in args.only
    }
    times, peaks, ours = {name: [] for name in workers}, {}, []
    for round_ in range(args.rounds + 2):
        for name, process in list(workers.items()):
            print("step", file=process.stdin, flush=True)
            answer = process.stdout.readline()
            if not answer:
                print(f"{name}: does not run here; left out", file=sys.stderr)
                del workers[name], times[name]
                continue
            milliseconds, peaks[name] = json.loads(answer)
            # The first two steps allocate, tune and compile.
            if round_ >= 2:
                times[name].append(milliseconds)
        if args.ours and round_ >= 2:
            environment = os.environ | {"RAYON_NUM_THREADS": str(args.threads)}
            command = [args.ours, "--json", "--repetitions", "10"]
            out = subprocess.run(command, env=environment, check=True, capture_output=True)
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
    print(f"{'':16} {'ms':>8} {'median':>8} {'peak MB':>8} {'to ours':>8}")
    for row in rows:
        ratio = row["milliseconds"] / rows[0]["milliseconds"]
        print(
            f"{row['name']:16} {row['milliseconds']:8.1f} {row['milliseconds_median']:8.1f}"
            f" {row['peak_rss_bytes'] / 1e6:8.0f} {ratio:8.1f}"
        )


if __name__ == "__main__":
    main()
