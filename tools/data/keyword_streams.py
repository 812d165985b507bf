#!/usr/bin/env python3
"""Long recordings with keywords in them, from one-second clips of Speech Commands (CC BY 4.0).

    python3 keyword_streams.py FOLDER OUT

FOLDER has `index.csv` (file,label,speaker,samples,split) and the clips, or `recordings_8khz.zip` with them.
OUT gets
  clips/       the clips with an index.csv whose split has `val` too: one in five speakers of the training part
  train/       recordings of the words of the other training speakers, with events.csv
  validation/  likewise of those of the validation part, to choose thresholds on
  test/        likewise of the test speakers

Every word of a part comes once, in train/ three times, keyword or not, in an order drawn from a seed, behind 1 to 4
seconds of background noise (`_silence_`) of the part. What is no keyword is no event. OUT is a data set of
`bt-train train`, and its folders are recordings for `bt-train detect`.
"""

import array
import csv
import hashlib
import random
import sys
import wave
import zipfile
from pathlib import Path

RATE = 8000
WORDS_A_RECORDING = 150
GAP_SECONDS = (1.0, 4.0)
TRAIN_ROUNDS = 3


def samples(path):
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2), path
        return array.array("h", file.readframes(file.getnframes()))


def write(path, sound):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(sound.tobytes())


def part_of(row):
    """The test part stays; of the training speakers, or files of noise, one in five validates."""
    if row["split"] == "test":
        return "test"
    who = row["file"] if row["label"] == "_silence_" else row["speaker"]
    return "val" if hashlib.sha256(who.encode()).digest()[0] < 256 // 5 else "train"


def stream(rows, clips, out, seed, rounds=1):
    draw = random.Random(seed)
    noises = [samples(clips / row["file"]) for row in rows if row["label"] == "_silence_"]
    spoken, words = [row for row in rows if row["label"] != "_silence_"], []
    for _ in range(rounds):
        draw.shuffle(spoken)
        words += spoken

    def gap():
        length, sound = int(RATE * draw.uniform(*GAP_SECONDS)), array.array("h")
        while len(sound) < length:
            sound.extend(draw.choice(noises))
        return sound[:length]

    out.mkdir(parents=True, exist_ok=True)
    events = []
    for number in range(0, len(words), WORDS_A_RECORDING):
        name, sound = f"{number // WORDS_A_RECORDING:03}.wav", array.array("h")
        for row in words[number : number + WORDS_A_RECORDING]:
            sound.extend(gap())
            start = len(sound)
            sound.extend(samples(clips / row["file"]))
            if not row["label"].startswith("_"):
                events.append((name, row["label"], start / RATE, len(sound) / RATE))
        sound.extend(gap())
        write(out / name, sound)
    with open(out / "events.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "start", "end"])
        writer.writerows(events)


def main(folder, out):
    rows = list(csv.DictReader(open(folder / "index.csv", newline="")))
    clips = out / "clips"
    clips.mkdir(parents=True, exist_ok=True)
    archive = zipfile.ZipFile(folder / "recordings_8khz.zip")
    for row in rows:
        row["split"] = part_of(row)
        path = clips / row["file"]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(archive.read(row["file"]))
    with open(clips / "index.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    for seed, (part, name, rounds) in enumerate([("val", "validation", 1), ("test", "test", 1), ("train", "train", TRAIN_ROUNDS)]):
        stream([row for row in rows if row["split"] == part], clips, out / name, seed, rounds)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
