from __future__ import annotations

import hashlib

import numpy as np
import pytest

from mining.similarity import cosines, sketch_matrix
from mining.sketches import SIZE, sketches


def pairs(dimension: int, alike: float, count: int = 300) -> np.ndarray:
    """`count` pairs of vectors, interleaved, whose cosines lie around `alike`."""
    rng = np.random.default_rng(dimension)
    first = rng.normal(size=(count, dimension))
    second = alike * first + np.sqrt(1 - alike**2) * rng.normal(size=(count, dimension))
    return np.stack([first, second], 1).reshape(-1, dimension).astype(np.float32)


def errors(features: np.ndarray) -> np.ndarray:
    """Cosines of the pairs' sketches less those of the vectors."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    exact = np.sum(unit[::2] * unit[1::2], axis=1)
    matrix = sketch_matrix([row.tobytes() for row in sketches(features)])
    return np.diag(cosines(matrix, matrix)[::2, 1::2]) - exact


@pytest.mark.parametrize("dimension", [384, 448])
def test_short_vectors_lose_hardly_anything(dimension: int) -> None:
    for alike in (0.0, 0.5, 0.95):
        assert np.abs(errors(pairs(dimension, alike))).max() < 0.01


@pytest.mark.parametrize(("alike", "deviation"), [(0.0, 0.045), (0.5, 0.035), (0.95, 0.006)])
@pytest.mark.parametrize("dimension", [512, 768, 1280])
def test_long_vectors_keep_their_cosines_nearly(dimension: int, alike: float, deviation: float) -> None:
    found = errors(pairs(dimension, alike))
    assert np.sqrt(np.mean(found**2)) < deviation
    assert abs(found.mean()) < 0.01
    assert np.abs(found).max() < 4.5 * deviation


def test_features_with_few_strong_numbers_are_spread() -> None:
    """Sampling coordinates without the transform would lose these altogether."""
    sparse = np.zeros((200, 1280), np.float32)
    rng = np.random.default_rng(0)
    for row in range(0, 200, 2):
        at = rng.integers(0, 1280, 4)
        sparse[row, at], sparse[row + 1, at] = rng.uniform(1, 2, 4), rng.uniform(1, 2, 4)
    assert np.abs(errors(sparse)).max() < 0.12


def test_sketches_are_small_and_fixed_for_ever() -> None:
    features = (np.arange(3 * 1280, dtype=np.float32).reshape(3, 1280) * 37 % 101) - 50
    made = sketches(features)
    assert (made.dtype, made.shape) == (np.int8, (3, SIZE))
    assert made[0].nbytes <= 480
    assert hashlib.sha256(made.tobytes()).hexdigest()[:16] == "ae0b6791a39f065a"


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    features = pairs(1280, 0.3, 20)
    assert np.array_equal(sketches(features)[7:9], sketches(features[7:9]))


def test_zeros_and_what_is_not_finite_give_zeros() -> None:
    odd = np.ones((3, 600), np.float32)
    odd[0], odd[1, 5] = 0.0, np.nan
    made = sketches(odd)
    assert not made[:2].any()
    assert made[2].any()
