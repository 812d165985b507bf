#!/usr/bin/env python3
"""Draws docs/accuracy.svg, accuracy over weights, from the tables of RESULTS.md:

    python3 tools/data/plot_results.py
"""
import math
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARKS = {"dense": ("square", "#4477aa"), "tensor-train": ("triangle", "#228833"), "block-term": ("circle", "#ee6677")}
SETS = {
    "fsdd": "spoken digits, unseen speakers",
    "mmwave_gesture8": "radar, 8 gestures",
    "mmwave_gesture5": "radar, 5 gestures",
    "hapt": "phone motion",
    "japanese_vowels": "vowels",
}
LEFT, TOP, WIDTH, HEIGHT = 64, 24, 560, 320
LOW, HIGH = 75.0, 100.0
FEWEST, MOST = 400.0, 800_000.0


def rows(text):
    """(data set, kind, weights of the input map, accuracy, deviation) of every main table."""
    data_set = None
    columns = []
    for line in text.splitlines():
        heading = re.match(r"#+ (\w+)", line)
        if heading:
            data_set = heading.group(1)
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| input map"):
            columns = cells
        if data_set in SETS and cells[0] in MARKS and columns[1:2] == ["weights: input map"]:
            weights = int(cells[1].replace(",", ""))
            mean, deviation = (float(part) for part in cells[columns.index("float, %")].split("±"))
            yield data_set, cells[0], weights, mean, deviation


def x_of(weights):
    return LEFT + WIDTH * math.log(weights / FEWEST) / math.log(MOST / FEWEST)


def y_of(accuracy):
    return TOP + HEIGHT * (HIGH - accuracy) / (HIGH - LOW)


def mark(kind, x, y):
    shape, colour = MARKS[kind]
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>'
    if shape == "square":
        return f'<rect x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9" fill="{colour}"/>'
    points = f"{x:.1f},{y - 6:.1f} {x - 5.5:.1f},{y + 4:.1f} {x + 5.5:.1f},{y + 4:.1f}"
    return f'<polygon points="{points}" fill="{colour}"/>'


def main():
    found = list(rows((ROOT / "RESULTS.md").read_text()))
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 400" font-family="sans-serif" font-size="12">',
        '<rect width="820" height="400" fill="white"/>',
    ]
    for power in range(3, 6):
        x = x_of(10.0**power)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{TOP + HEIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{10**power:,}</text>')
    for accuracy in range(int(LOW), int(HIGH) + 1, 5):
        y = y_of(accuracy)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + WIDTH}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{accuracy}</text>')
    middle = LEFT + WIDTH / 2
    parts.append(f'<text x="{middle}" y="{TOP + HEIGHT + 40}" text-anchor="middle">weights of the input map</text>')
    parts.append(
        f'<text x="16" y="{TOP + HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 16 {TOP + HEIGHT / 2})">'
        "test accuracy, %</text>"
    )
    for data_set, name in SETS.items():
        points = sorted((row for row in found if row[0] == data_set), key=lambda row: row[2])
        if len(points) != len(MARKS):
            raise SystemExit(f"RESULTS.md: {data_set} has {len(points)} rows")
        line = " ".join(f"{x_of(weights):.1f},{y_of(mean):.1f}" for _, _, weights, mean, _ in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="#bbb"/>')
        for _, kind, weights, mean, deviation in points:
            x = x_of(weights)
            low, high = y_of(mean - deviation), y_of(mean + deviation)
            parts.append(f'<line x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}" stroke="#777"/>')
            parts.append(mark(kind, x, y_of(mean)))
        *_, (_, _, weights, mean, _) = points
        parts.append(f'<text x="{x_of(weights) + 10:.1f}" y="{y_of(mean) + 4:.1f}">{name}</text>')
    for at, kind in enumerate(MARKS):
        parts.append(mark(kind, LEFT + 24, y_of(88.0) + 20 * at))
        parts.append(f'<text x="{LEFT + 38}" y="{y_of(88.0) + 4 + 20 * at:.1f}">{kind}</text>')
    parts.append("</svg>")
    (ROOT / "docs" / "accuracy.svg").write_text("\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
