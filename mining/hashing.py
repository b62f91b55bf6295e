"""Perceptual hash (DCT) and flatness of an image, from a small grey version of it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

_SIDE = 32
_LOW = 8
_BANDS = 32
_FLAT_SIDE = 64


def perceptual_hash(image: Image.Image) -> str:
    """64-bit DCT hash as 16 hex digits: signs of the 8 x 8 lowest frequencies of a 32 x 32 grey version against their
    median, row by row (as imagehash's `phash` has them)."""
    grey = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    basis = _dct_basis()
    frequencies = basis @ np.asarray(grey, np.float64) @ basis.T
    low = np.round(frequencies, 6)
    bits = (low > np.median(low)).flatten()
    return f"{int(''.join('1' if bit else '0' for bit in bits), 2):016x}"


def flatness(image: Image.Image) -> float:
    """Share of the commonest of 32 grey level bands in a 64 x 64 version, 0…1; 1 is a blank image."""
    grey = np.asarray(image.convert("L").resize((_FLAT_SIDE, _FLAT_SIDE), Image.Resampling.BOX))
    counts = np.bincount((grey // (256 // _BANDS)).ravel(), minlength=_BANDS)
    return float(counts.max() / grey.size)


@lru_cache(maxsize=1)
def _dct_basis() -> npt.NDArray[np.float64]:
    """The first 8 rows of the DCT-II of 32 points."""
    frequency, point = np.arange(_LOW)[:, None], np.arange(_SIDE)[None, :]
    return 2.0 * np.cos(np.pi * frequency * (2 * point + 1) / (2 * _SIDE))
