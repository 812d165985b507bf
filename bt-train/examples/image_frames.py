#!/usr/bin/env python3
"""Frames for examples/ablation.rs: every so-manyth JPEG of a tar, as u8 [frames, height, width, 3].

    python3 bt-train/examples/image_frames.py IMAGES.tar FRAMES.npy [EVERY]

Needs NumPy and Pillow. All images must have one size; they are taken in the order of their names.
"""

import sys
import tarfile

import numpy as np
from PIL import Image


def main():
    images, frames, *every = sys.argv[1:]
    with tarfile.open(images) as tar:
        names = sorted(name for name in tar.getnames() if name.endswith(".jpg"))
        chosen = names[:: int(*every or [1])]
        pixels = [np.asarray(Image.open(tar.extractfile(name)).convert("RGB")) for name in chosen]
    np.save(frames, np.stack(pixels))
    print(f"{len(pixels)} frames of {pixels[0].shape}")


if __name__ == "__main__":
    main()
