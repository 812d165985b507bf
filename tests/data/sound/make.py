"""Makes the files beside it with libsndfile: one sound in every format that is read.

    pip install numpy soundfile && python3 make.py

The files are committed; run it again only to change them.
"""

import pathlib

import numpy as np
import soundfile

HERE = pathlib.Path(__file__).parent

rng = np.random.default_rng(1)
sound = np.round(9000 * np.sin(np.arange(400) / 9) + 300 * rng.normal(size=400)).astype("i2")
wide = sound.astype("i4") << 16
for name, subtype in [
    ("u8.wav", "PCM_U8"),
    ("i16.wav", "PCM_16"),
    ("i24.wav", "PCM_24"),
    ("i32.wav", "PCM_32"),
    ("i8.flac", "PCM_S8"),
    ("i16.flac", "PCM_16"),
    ("i24.flac", "PCM_24"),
]:
    soundfile.write(HERE / name, wide, 8000, subtype=subtype)
for name, subtype in [("f32.wav", "FLOAT"), ("f64.wav", "DOUBLE")]:
    soundfile.write(HERE / name, sound / 32768, 8000, subtype=subtype)
soundfile.write(HERE / "stereo.flac", np.stack([wide, wide[::-1]], 1), 8000, subtype="PCM_16")
