#!/usr/bin/env python3
"""What a step with attention paints, from the section "Window" of docs/format.md alone, in Python's integers; and the digests
that bt-core's test `paints_as_the_page_says` keeps.

    python3 tests/data/interop/window.py
"""


def rounded(v, s):  # [v]_s of the page
    return v if s == 0 else (v + (1 << (s - 1))) >> s


def product(v, w):  # ⊗ of the page
    return (v * w) >> 16


def clamp(v, lo, hi):
    return max(lo, min(hi, v))


def scaled(m, e):  # rounded down: m · 2^e
    return m << e if e >= 0 else m >> -e


def H(f):
    return 2**29 + product(product(product(product(59353612, f) - 229246479, f) + 514423446, f) - 744187950, f)


def power(b):  # b of 16 fraction bits; M, e with 2^b = M * 2^(e - 29)
    e = -((-b) >> 16)
    return H(((e << 16) - b) >> 1), e


def number(v, place_shift):  # 1
    s = place_shift - 16
    v = v << min(-s, 20) if s < 0 else rounded(v, min(s, 40))
    return clamp(v, -(2**20), 2**20)


def log2(v):
    return (v * 387270501) >> 28


def weight(t):
    t += 2**10
    return rounded(H((t % 2**26) >> 11), 15 + min(t >> 26, 16))


def axis(L, N, centre, delta, q):  # 3, 4: for each point the weights of L pixels
    M, e = q
    most = 2**32 - 1
    lines = []
    for i in range(N):
        mu = ((L + 1) * (centre + 2**16) >> 1) - 2**16 + ((2 * i + 1 - N) * delta >> 1)
        n = clamp((mu + 2**15) >> 16, 0, L - 1)
        r = clamp((n << 16) - mu, -(2**28), 2**28)
        line = [0] * L
        line[n] = weight(0)
        second = clamp(scaled(M, e - 2), 0, most)
        for way, end in ((1, L), (-1, -1)):
            first = clamp(scaled(M * (2**16 + way * 2 * r), e - 19), 0, most)
            t = 0
            for m, pixel in enumerate(range(n + way, end, way), 1):
                t = min(t + first + (m - 1) * second, most)
                line[pixel] = weight(t)
        lines.append(line)
    return lines


def shifted(P):
    largest = max(abs(v) for v in P)
    a = max(0, 31 - largest.bit_length()) if largest else 0
    return [v << a for v in P], a


def divided(v, S):
    z = 32 - S.bit_length()
    s = (S << z) >> 16
    return rounded(product(v, min((2**30 + (s >> 1)) // s, 2**15 - 1)), 17 - z)


def i16(v):
    return clamp(v, -(2**15), 2**15 - 1)


def i32(v):
    return clamp(v, -(2**31), 2**31 - 1)


def paint(N, patch_shift, place_shift, R, C, score_shift, sums, canvas):
    P = list(sums[: N * N])
    x, y, lv, ls, lg = (number(v, place_shift) for v in sums[N * N :])
    lv, ls, lg = log2(lv), log2(ls), log2(lg)
    M, e = power(ls)
    delta = scaled(M * (((max(R, C) - 1) << 16) // (N - 1)), e - 29)
    q = power(-30883 - lv)
    fx = axis(C, N, x, delta, q)
    fy = axis(R, N, y, delta, q)
    P, a = shifted(P)  # 5
    P = [divided(divided(v, sum(fx[at % N])), sum(fy[at // N])) for at, v in enumerate(P)]
    P, b = shifted(P)
    X = max(sum(f[c] for f in fx) for c in range(C)).bit_length()  # 6
    Y = max(sum(f[c] for f in fy) for c in range(R)).bit_length()
    p, l = min(15, 30 - X), min(15, 30 - Y)
    M, e = power(-lg)
    g = min(rounded(M, 14), 2**15 - 1)
    P = [i16(rounded(product(v, g), 30 - p)) for v in P]
    u = X + p - l
    k = 25 + patch_shift - score_shift + a + b - u - (30 - p) - e
    s = min(31, u + max(0, min(31, k - 30)))  # 7
    k = clamp(k, 0, 30)
    T = [[i16(rounded(sum(P[j * N + i] * fx[i][c] for i in range(N)), s)) for c in range(C)] for j in range(N)]
    return [
        i32(canvas[r * C + c] + rounded(sum(T[j][c] * fy[j][r] for j in range(N)), k))
        for r in range(R)
        for c in range(C)
    ]


# points, rows, columns, (patch_shift, place_shift, score_shift), narrow, place
CASES = [
    (5, 28, 28, (22, 24, 12), 6, [4194304, -6291456, 35165824, -16777216, 8388608]),
    (2, 7, 5, (30, 10, 13), 0, [-517, 133, -1100, -700, -1999]),
    (3, 1, 40, (8, 31, 20), 13, [1900000000, 77777777, -123456789, -2000000000, -2147483648]),
    (64, 16, 24, (24, 17, 9), 1, [9999, -131071, 400001, -65432, 100003]),
    (7, 256, 2, (40, 20, 33), 3, [-1048576, 1000000, 7340032, -2345678, 1500000]),
    (4, 1, 1, (31, 3, 12), 0, [3, -5, -40, 2, 11]),
    (6, 9, 30, (17, 50, 10), 5, [2147483647, -2147483648, 1234567890, -1987654321, 987654321]),
    (3, 2, 200, (20, -9, 10), 10, [0, -1, 1, 0, -1]),
    (4, 3, 250, (20, 22, 10), 10, [4500000, 0, 67108864, 46000000, -6000000]),
]


def digest(number, case):
    """Of the canvas of case `number`, from 1 on, after three paints."""
    points, rows, columns, (patch_shift, place_shift, score_shift), narrow, place = case
    state = number

    def draw():
        nonlocal state
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        return state - 2**32 if state >= 2**31 else state

    canvas = [draw() for _ in range(rows * columns)]
    for _ in range(3):
        sums = [draw() >> narrow for _ in range(points * points)] + place
        canvas = paint(points, patch_shift, place_shift, rows, columns, score_shift, sums, canvas)
    value = 0x811C9DC5
    for pixel in canvas:
        value = (value ^ pixel % 2**32) * 0x01000193 % 2**32
        value ^= value >> 15
    return value


if __name__ == "__main__":
    for at, case in enumerate(CASES, 1):
        print(f"{digest(at, case):#010x}")
