#!/usr/bin/env python3
"""Turns the data sets of RESULTS.md into the arrays that bt-train reads.

    python3 tools/data/prepare.py SOURCE TARGET [NAME …]

SOURCE holds one folder a data set as downloaded, TARGET gets NAME.npz. Needs NumPy, and Pillow for fight_video and captions_pixels. Frames of
neighbouring time steps are put together into one, so that a step of the LSTM reads more and there are
fewer of them; nothing is learnt from the data here.
"""
import csv
import gzip
import json
import sys
import tarfile
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np


def wide(x, frames):
    """[n, steps, …] to [n, steps / frames, frames, …]; zeros fill the last."""
    missing = -x.shape[1] % frames
    x = np.pad(x, [(0, 0), (0, missing)] + [(0, 0)] * (x.ndim - 2))
    return x.reshape(len(x), -1, frames, *x.shape[2:])


def parts(source, name, array):
    data = np.load(source / name / f"{name}.npz")
    out = {key: data[key] for key in ("y_train", "y_test", "labels", "group_train") if key in data}
    for part in ("train", "test"):
        out |= {f"{key}_{part}": value for key, value in array(data, part).items()}
    return out


def mmwave_gesture8(source):
    """16 steps of 4 columns of time × 4 maps × 64 bins."""
    return parts(source, "mmwave_gesture8", lambda d, part: {"x": wide(d[f"x_{part}"], 4)})


def mmwave_gesture5(source):
    """Range × |Doppler| alone, 2 radar frames a step: 2 × 9 speeds × 16 ranges.

    Rows are speeds, row 8 is 0: rows 9 to 15 are added to rows 7 to 1, row 0 stands alone.
    """

    def array(d, part):
        doppler = d[f"x_{part}"][:, :, 1].astype(np.uint16)
        speed = doppler[:, :, 8::-1].copy()
        speed[:, :, 1:8] += doppler[:, :, 9:]
        x = np.minimum(speed, 255).astype(np.uint8)
        return {"x": wide(x, 2), "lengths": (d[f"lengths_{part}"] + 1) // 2}

    return parts(source, "mmwave_gesture5", array)


def hapt(source):
    """16 steps of 8 samples × 6 channels."""
    return parts(source, "hapt", lambda d, part: {"x": wide(d[f"x_{part}"], 8)})


def hapt_basic(source):
    """The same without windows of transitions: walking, upstairs, downstairs, sitting, standing, lying."""
    whole = hapt(source)
    basic = {part: whole[f"y_{part}"] < 6 for part in ("train", "test")}
    kept = {key: value[basic[key.split("_")[1]]] for key, value in whole.items() if key != "labels"}
    return kept | {"labels": whole["labels"][:6]}


def japanese_vowels(source):
    """As it is: up to 29 steps of 12 coefficients."""
    return parts(
        source,
        "japanese_vowels",
        lambda d, part: {"x": d[f"x_{part}"], "lengths": d[f"lengths_{part}"]},
    )


def mnist(source):
    """28 rows of 28 pixels."""

    def idx(name, header):
        return np.frombuffer(gzip.open(source / "mnist" / name).read(), np.uint8, offset=header)

    out = {}
    for part, name in (("train", "train"), ("test", "t10k")):
        out[f"x_{part}"] = idx(f"{name}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
        out[f"y_{part}"] = idx(f"{name}-labels-idx1-ubyte.gz", 8)
    return out


def binarized_mnist(source):
    """28 rows of 28 bits; there is no y: the next row is to be told."""
    data = np.load(source / "binarized_mnist" / "binarized_mnist.npz")
    rows = lambda part: data[f"x_{part}"].reshape(-1, 28, 28)
    return {f"x_{part}": rows(part) for part in ("train", "val", "test")}


def lips(source, side, split):
    """60 × 80 pixels of lips, `side` by `side` averaged into one and rounded to a byte.

    `split` tells from speaker, repetition (0 to 2) and the speakers' names, arrays of one entry a clip, which part a
    clip belongs to."""
    data = np.load(source / "avletters" / "avletters.npz")
    both = lambda key: np.concatenate([data[f"{key}_train"], data[f"{key}_test"]])
    x, y, lengths, speaker = map(both, ("x", "y", "lengths", "group"))
    if side > 1:
        n, steps, rows, columns = x.shape
        x = x.reshape(n, steps, rows // side, side, columns // side, side).mean((3, 5), dtype=np.float32)
        x = x.round().astype(np.uint8)
    # Each speaker says each letter three times, in order.
    said, repetition = {}, []
    for who in zip(y, speaker):
        repetition.append(said.get(who, 0))
        said[who] = said.get(who, 0) + 1
    out = {"labels": data["labels"]}
    for name, kept in split(speaker, np.array(repetition), np.unique(speaker)).items():
        arrays = {"x": x, "y": y, "lengths": lengths}
        out |= {f"{key}_{name}": values[kept] for key, values in arrays.items()}
    return out


def last_repetition(speaker, repetition, names):
    """Repetitions 1 and 2 to learn from, 3 to test."""
    return {"train": repetition < 2, "test": repetition == 2}


def second_repetition(speaker, repetition, names):
    """For tuning: repetition 1 to learn from, 2 to validate, and no test part."""
    return {"train": repetition == 0, "val": repetition == 1}


def two_speakers(fold):
    """Two of the ten speakers, by name, to test; the other eight to learn from."""

    def split(speaker, repetition, names):
        out = np.isin(speaker, names[2 * fold : 2 * fold + 2])
        return {"train": ~out, "test": out}

    return split


def lips_sets():
    """avletters, avletters_tuning and avletters_speakers0 to 4; with averages of 4 × 4 pixels avletters_15x20 ..."""
    splits = {"": last_repetition, "_tuning": second_repetition}
    splits |= {f"_speakers{fold}": two_speakers(fold) for fold in range(5)}
    return {
        f"avletters{size}{name}": partial(lips, side=side, split=split)
        for size, side in (("", 1), ("_15x20", 4))
        for name, split in splits.items()
    }


def fight_video(source):
    """12 frames a clip of 120 × 160 pixels in three colours, 57,600 values; a group is a video the clips are cut of."""
    from PIL import Image

    folder = source / "fight_video"
    clips = list(csv.DictReader(open(folder / "clips.csv", newline="")))
    frames = {}
    with tarfile.open(folder / "frames_160x120_jpeg.tar") as tar:
        for member in filter(tarfile.TarInfo.isfile, tar):
            _, label, clip, name = member.name.split("/")
            frames[label, clip, name] = np.asarray(Image.open(tar.extractfile(member)))
    labels, groups = (sorted({clip[key] for clip in clips}) for key in ("label", "group"))
    names = [f"{frame:02}.jpg" for frame in range(12)]
    out = {"labels": np.array(labels)}
    for part in ("train", "test"):
        chosen = [clip for clip in clips if clip["split"] == part]
        out[f"x_{part}"] = np.stack(
            [[frames[clip["label"], clip["clip"], name] for name in names] for clip in chosen]
        )
        out[f"y_{part}"] = np.array([labels.index(clip["label"]) for clip in chosen], np.uint8)
        out[f"group_{part}"] = np.array([groups.index(clip["group"]) for clip in chosen])
    return out


CAPTION_WORDS_MAX = 24


def words_of(caption):
    """Lower case, split at blanks, without full stops and commas."""
    return caption.lower().replace(".", " ").replace(",", " ").split()


def captioned(source, pictures):
    """Pictures [n, 1, …] in the order of the rows, and the words of people's captions.

    The vocabulary has the words that occur five times or more in the part to learn from, behind the end of a caption and
    what stands for all others. Captions of more than 24 words are not learned from; all are kept to validate and to
    test."""
    lines = [json.loads(line) for line in open(source / "captions" / "captions.jsonl")]
    counts = Counter(
        word
        for line in lines
        if line["split"] == "train"
        for caption in line["captions"]
        for word in words_of(caption)
    )
    words = sorted((word for word, count in counts.items() if count >= 5), key=lambda word: (-counts[word], word))
    number = {word: at for at, word in enumerate(words, 2)}
    out = {"labels": np.array(["<end>", "<other>", *words])}
    for part in ("train", "val", "test"):
        chosen = [line for line in lines if line["split"] == part]
        out[f"x_{part}"] = pictures[[line["row"] for line in chosen]]
        captions = [
            (picture, [number.get(word, 1) for word in words_of(caption)])
            for picture, line in enumerate(chosen)
            for caption in line["captions"]
        ]
        captions = [
            (picture, caption)
            for picture, caption in captions
            if caption and (part != "train" or len(caption) <= CAPTION_WORDS_MAX)
        ]
        longest = max(len(caption) for _, caption in captions)
        out[f"picture_{part}"] = np.array([picture for picture, _ in captions], np.uint16)
        out[f"words_{part}"] = np.array(
            [caption + [0] * (longest - len(caption)) for _, caption in captions], np.uint16
        )
    return out


def captions(source):
    """1,280 features of each photograph, from an int8 MobileNetV2."""
    return captioned(source, np.load(source / "captions" / "mobilenet_v2_features.npz")["features"][:, None])


def captions_pixels(source):
    """60 × 80 pixels in three colours of each photograph."""
    from PIL import Image

    pictures = {}
    with tarfile.open(source / "captions" / "images_80x60_jpeg.tar") as tar:
        for member in filter(tarfile.TarInfo.isfile, tar):
            pictures[Path(member.name).name] = np.asarray(Image.open(tar.extractfile(member)).convert("RGB"))
    lines = [json.loads(line) for line in open(source / "captions" / "captions.jsonl")]
    lines.sort(key=lambda line: line["row"])
    return captioned(source, np.stack([pictures[line["image"]] for line in lines])[:, None])


ALL = (captions, captions_pixels, mmwave_gesture8, mmwave_gesture5, hapt, hapt_basic, japanese_vowels, mnist, binarized_mnist, fight_video)
SETS = {f.__name__: f for f in ALL} | lips_sets()


def main():
    if len(sys.argv) < 3 or not set(sys.argv[3:]) <= set(SETS):
        sys.exit(f"usage: prepare.py SOURCE TARGET [{' | '.join(SETS)} …]")
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[3:] or SETS:
        arrays = SETS[name](source)
        np.savez_compressed(target / f"{name}.npz", **arrays)
        print(name, {key: value.shape for key, value in arrays.items()})


if __name__ == "__main__":
    main()
