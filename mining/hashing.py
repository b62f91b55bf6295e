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


def grey(picture: Image.Image) -> Image.Image:
    """The picture in 8-bit grey (ITU-R 601 luma), which the functions below take."""
    return picture.convert("L")


def perceptual_hash(picture: Image.Image) -> str:
    """64-bit DCT hash of a grey picture as 16 hex digits, equal to imagehash's `phash`: signs of the 8 x 8 lowest
    frequencies of a 32 x 32 version against their median, row by row."""
    small = picture.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    basis = _dct_basis()
    # Rounded, so that the last bits of a library's products never decide a sign.
    low = np.round(basis @ np.asarray(small, np.float64) @ basis.T, 6)
    bits = np.packbits((low > np.median(low)).ravel())
    return bits.tobytes().hex()


def hamming_distance(first: str, second: str) -> int:
    """How many bits of two hashes (hex digits) differ."""
    return (int(first, 16) ^ int(second, 16)).bit_count()


def flatness(picture: Image.Image) -> float:
    """Share of the commonest of 32 grey level bands in a 64 x 64 version of a grey picture, 0…1; 1 is blank."""
    small = np.asarray(picture.resize((_FLAT_SIDE, _FLAT_SIDE), Image.Resampling.BOX))
    counts = np.bincount((small // (256 // _BANDS)).ravel(), minlength=_BANDS)
    return float(counts.max() / small.size)


@lru_cache(maxsize=1)
def _dct_basis() -> npt.NDArray[np.float64]:
    """The first 8 rows of the DCT-II of 32 points."""
    frequency, point = np.arange(_LOW)[:, None], np.arange(_SIDE)[None, :]
    return 2.0 * np.cos(np.pi * frequency * (2 * point + 1) / (2 * _SIDE))
