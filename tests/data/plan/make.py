#!/usr/bin/env python3
"""Reference values for plans: W x of small maps, by numpy.einsum in float64.

    python3 tests/data/plan/make.py        # rewrites plans.json beside it

Modes, outputs and ranks are odd, prime, 1 or even, so that tiles of 2 and 4 are
cut, slabs come with buffers of several sizes, and every store is needed.

Weights are whole 64ths, kept as integers; frames are bytes. The sum over all ranks
and modes is one einsum over core, factors and frame: no intermediate of a plan.
"""

import json
import math
import pathlib
import string

import numpy as np

HERE = pathlib.Path(__file__).parent
RNG = np.random.default_rng(20260404)
FRAMES = 2


def draw(*shape):
    return np.round(RNG.standard_normal(shape) * 32).astype(int)


def block_term(inputs, outputs, blocks, rank):
    """z[f, j] = sum_n sum_i sum_r G_n[r] prod_k A_n^(k)[i_k, j_k, r_k] x[f, i]"""
    order = len(inputs)
    i, j, r = (string.ascii_letters[at : at + order] for at in (0, 8, 16))
    terms = [r] + [i[k] + j[k] + r[k] for k in range(order)]
    weights = [
        [draw(*[rank] * order)] + [draw(m, n, rank) for m, n in zip(inputs, outputs)]
        for _ in range(blocks)
    ]
    return weights, f"{','.join(terms)},z{i}->z{j}"


def tensor_train(inputs, outputs, rank):
    """z[f, j] = sum_i sum_r prod_k G_k[r_{k-1}, i_k, j_k, r_k] x[f, i]"""
    order = len(inputs)
    i, j, r = (string.ascii_letters[at : at + order + 1] for at in (0, 8, 16))
    ranks = [1] + [rank] * (order - 1) + [1]
    terms = [r[k] + i[k] + j[k] + r[k + 1] for k in range(order)]
    cores = [
        draw(ranks[k], m, n, ranks[k + 1]) for k, (m, n) in enumerate(zip(inputs, outputs))
    ]
    return [cores], f"{','.join(terms)},z{i[:order]}->z{j[:order]}"


def case(kind, inputs, outputs, blocks, rank):
    if kind == "block-term":
        weights, formula = block_term(inputs, outputs, blocks, rank)
    else:
        weights, formula = tensor_train(inputs, outputs, rank)
    x = RNG.integers(0, 256, (FRAMES, *inputs))
    z = sum(np.einsum(formula, *(w / 64 for w in block), x / 1.0, optimize=True) for block in weights)
    return {
        "map": kind,
        "input": inputs,
        "output": outputs,
        "blocks": blocks,
        "rank": rank,
        "weights": [[w.ravel().tolist() for w in block] for block in weights],
        "x": x.reshape(FRAMES, math.prod(inputs)).tolist(),
        "z": z.reshape(FRAMES, math.prod(outputs)).tolist(),
    }


def main():
    cases = [
        case("block-term", [6, 4], [4, 5], 3, 3),
        case("block-term", [4, 5, 6], [8, 3, 2], 2, 2),
        case("block-term", [3, 7, 5], [4, 1, 3], 2, 3),
        case("block-term", [2, 4, 3, 2], [4, 2, 1, 3], 2, 2),
        case("tensor-train", [4, 6, 5], [8, 3, 2], 1, 2),
    ]
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    (HERE / "plans.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
