"""Fingerprint files of made numbers, and the plain way to search them."""

from __future__ import annotations

import numpy as np

from mining.decontamination.config import FingerprintConfig
from mining.decontamination.variants import NAMES, UNCUT
from mining.decontamination.write import ImagePrints, Origin, TextPrints, write_fingerprints
from mining.similarity import cosines, sketch_matrix

MODEL = "a-model@1"


def made_numbers(count: int, seed: int = 0, width: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of all variants uint64 (n, v), sketches int8 (n, d), in clusters."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(max(1, count // 20), width))
    rows = middles[rng.integers(0, len(middles), count)] + 0.6 * rng.normal(size=(count, width))
    sketches = np.clip(np.round(rows * 30), -127, 127).astype(np.int8)
    return rng.integers(0, 1 << 64, (count, len(NAMES)), np.uint64, endpoint=False), sketches


def write(path, hashes, sketches, benchmark="bench", grams=(), order=None, **settings):
    """Write a fingerprint file; `order` is that in which the images come."""
    prints = ImagePrints()
    for row in range(len(hashes)) if order is None else order:
        prints.names.append(f"{row:06d}.jpg")
        prints.hashes.extend(hashes[row].tolist())
        prints.sketches.append(sketches[row : row + 1])
    texts = TextPrints(np.array(sorted(grams), np.uint64), texts=len(grams))
    about = Origin(benchmark, MODEL, FingerprintConfig(**settings), 1000)
    return write_fingerprints(str(path), about, prints, texts)


def flipped(numbers: np.ndarray, bits: int, rng: np.random.Generator) -> np.ndarray:
    """Hashes with so many bits changed."""
    changed = numbers.copy()
    for row in range(len(changed)):
        for bit in rng.choice(64, bits, replace=False):
            changed[row] ^= np.uint64(1 << int(bit))
    return changed


def by_brute_force(hashes, sketches, asked_hashes, asked_sketches, config):
    """(how, distance, similarity) of the best match of each image asked for, or None; ties go to the first image."""
    known, asked = (sketch_matrix([row.tobytes() for row in rows]) for rows in (sketches, asked_sketches))
    found = []
    for one, similar in zip(asked_hashes, cosines(asked, known), strict=True):
        bits = np.bitwise_count(hashes ^ one).astype(int)
        uncut, near = bits[:, :UNCUT].min(axis=1), bits.min(axis=1)
        by_hash = (uncut <= config.hash_distance) & (similar >= config.hash_similarity)
        by_features = (similar >= config.feature_similarity) & (near <= config.feature_distance)
        by_features |= similar >= config.feature_alone
        options = [(0, int(uncut[row]), row, "hash", int(uncut[row])) for row in np.flatnonzero(by_hash)]
        options += [(1, -similar[row], row, "features", int(near[row])) for row in np.flatnonzero(by_features)]
        best = min(options, default=None)
        found.append(best and (*best[3:], float(similar[best[2]])))
    return found
