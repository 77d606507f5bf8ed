"""Images for the tests of readers and of the encoder."""

import numpy as np
from PIL import Image

from whitecrow.data.images import ImageEncoder


def grey(n=6, height=5, width=7, seed=0):
    """Return bytes [N, H, W] that use the whole range."""
    pixels = np.random.default_rng(seed).integers(0, 256, size=(n, height, width), dtype=np.uint8)
    pixels[0, 0, :2] = 0, 255
    return pixels


def coloured(n=6, height=5, width=7, seed=0):
    """Return bytes [N, H, W, 3]."""
    return np.stack([grey(n, height, width, seed + k) for k in range(3)], axis=-1)


def rows(X):
    """Return the rows of images, of which the encoder has seen all."""
    return ImageEncoder().fit(X).transform(X)


def saved(pixels, path, **options):
    """Write pixels to a file, whose folder is made, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path
