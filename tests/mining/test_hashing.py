from __future__ import annotations

import io

import numpy as np
import pytest
from made_images import picture
from PIL import Image
from scipy.fft import dct

from mining.hashing import flatness, grey, hamming_distance, perceptual_hash


def imagehash_phash(image: Image.Image) -> str:
    """`imagehash.phash` (version 4.3), with its own DCT from scipy."""
    pixels = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS))
    low = dct(dct(pixels.astype(np.float64), axis=0), axis=1)[:8, :8]
    bits = (low > np.median(low)).flatten()
    return f"{int(''.join(str(int(bit)) for bit in bits), 2):016x}"


@pytest.mark.parametrize("seed", range(40))
def test_hashes_equal_those_of_imagehash(seed: int) -> None:
    image = picture(50 + 13 * seed, 300 - 7 * seed, seed)
    assert perceptual_hash(grey(image)) == imagehash_phash(image)


def test_hashes_survive_another_size_and_quality_and_tell_pictures_apart() -> None:
    hashes = []
    for seed in range(10):
        image = picture(400, 300, seed)
        hashes.append(perceptual_hash(grey(image)))
        buffer = io.BytesIO()
        image.resize((250, 188)).save(buffer, "JPEG", quality=60)
        assert hamming_distance(hashes[-1], perceptual_hash(grey(Image.open(buffer)))) <= 4
    distances = [hamming_distance(one, other) for one in hashes for other in hashes if one < other]
    assert min(distances) > 12


def test_distance_counts_bits() -> None:
    assert hamming_distance("0000000000000000", "ffffffffffffffff") == 64
    assert hamming_distance("000000000000000f", "0000000000000001") == 3


@pytest.mark.parametrize("shade", [0, 1, 127, 255])
def test_blank_images_have_one_hash_and_are_flat(shade: int) -> None:
    blank = Image.new("L", (300, 200), shade)
    assert perceptual_hash(blank) == ("8000000000000000" if shade else "0000000000000000")
    assert flatness(blank) == 1.0


def test_flatness_falls_with_what_is_seen() -> None:
    page = Image.new("L", (200, 200), 255)
    page.paste(0, (0, 0, 100, 100))
    assert flatness(page) == pytest.approx(0.75)
    ramp = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (256, 1)))
    assert flatness(ramp) == pytest.approx(1 / 32)
