"""A corpus as the job `mine_pairs.pages` leaves it: side table `eligible`, its manifests in force, features like real
ones.

The features of a real run are repeated with noise of their own spectrum: a difference of two real vectors, scaled, is
added, so that the directions in which images vary stay the directions in which images vary. How often a real image is
repeated follows a power law, and so does on how many pages a made image stands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from beam_jobs.corpus.images import PAGES_JOB
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows
from beam_jobs.workspace import Manifest, Workspace, basis_of
from mining.search.vectors import hash_bits
from mining.sketches import SIZE, sketches
from schemas.protocols import Float32Array

#: Weight of the n-th real image: n to this power; pages on which an image stands: Zipf with this exponent.
_REPEATS, _PAGES = -0.7, 3.0
#: Length of the noise beside the real vector's: uniform in its logarithm.
_NOISE = (0.15, 1.2)
_TEXT = 384
_SITES = 1000
_WHEN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Features:
    """Features of real images: `looks` float32 (n, s) of unit length, hashes uint64 (n), texts with their embeddings
    float32 (m, t) of unit length."""

    looks: Float32Array
    hashes: npt.NDArray[np.uint64]
    texts: tuple[str, ...]
    embeddings: Float32Array


def features_of_run(path: str) -> Features:
    """The features of the images that a run mined, each once. Raises ValueError where it has too few."""
    workspace = Workspace(path)
    found: dict[str, tuple[bytes, str]] = {}
    said: dict[str, Any] = {}
    for job in (PAGES_JOB, "mine_pairs"):
        for manifest in workspace.manifests(job, workspace.in_force(job)):
            for row in rows(workspace, manifest, "eligible", ["image_id", "sketch", "phash", "text", "embedding"]):
                found[row["image_id"]] = row["sketch"], row["phash"]
                if row["text"]:
                    said[row["text"]] = row["embedding"]
    if len(found) < 10 or len(said) < 10:
        raise ValueError(f"{path} mined {len(found)} images with {len(said)} texts: too few to make a corpus of")
    ordered, texts = [found[one] for one in sorted(found)], sorted(said)
    looks = np.stack([np.frombuffer(sketch, np.int8) for sketch, _ in ordered]).astype(np.float32)
    hashes = np.array([int(phash, 16) for _, phash in ordered], np.uint64)
    return Features(_unit(looks), hashes, tuple(texts), _unit(np.array([said[one] for one in texts], np.float32)))


def made_features(count: int = 1500) -> Features:
    """Features with the spectrum of real ones, where no run is at hand: variances fall with the rank of a direction, as
    those of ten crawled sites do, and vectors have a common mean."""
    dice = np.random.default_rng(1)

    def vectors(size: int) -> Float32Array:
        spread = np.arange(1, size + 1) ** -0.5
        basis = np.linalg.qr(dice.normal(size=(size, size)))[0]
        return _unit(((dice.normal(size=(count, size)) * spread + spread[0] * 0.5) @ basis.T).astype(np.float32))

    hashes = dice.integers(0, 1 << 64, count, np.uint64)
    return Features(vectors(SIZE), hashes, tuple(f"the text {one}" for one in range(count)), vectors(_TEXT))


def write_corpus(workspace: Workspace, real: Features, pages: int, images: int, pages_per_shard: int) -> None:
    """Write the tables of all shards and put them in force. Equal arguments give equal rows."""
    bases, dice = _bases(real, images), np.random.default_rng(3)
    shown = np.minimum(dice.zipf(_PAGES, images), max(1, pages // 10))
    places = dice.permutation(np.repeat(np.arange(images), shown))
    on_page = np.sort(dice.integers(0, pages, len(places)))
    manifests = []
    for first in range(0, pages, pages_per_shard):
        start, end = np.searchsorted(on_page, [first, first + pages_per_shard])
        key = hashlib.sha256(f"made {first}".encode()).hexdigest()[:32]
        writer = ShardWriter(workspace, PAGES_JOB, key)
        for row in _rows(real, bases, on_page[start:end], places[start:end]):
            writer.row("eligible", row)
        manifests.append(writer.commit())
    workspace.set_in_force(PAGES_JOB, [one.key for one in manifests], basis_of(manifests))


def written_corpus(workspace: Workspace) -> list[Manifest]:
    """The manifests that `write_corpus` put in force."""
    return workspace.manifests(PAGES_JOB, workspace.in_force(PAGES_JOB))


def made_images(
    real: Features, images: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.uint64], npt.NDArray[np.float16]]:
    """Sketches (n, s), hashes (n) and embeddings of texts (n, t) of a corpus' images, by their numbers."""
    bases = _bases(real, images)
    blocks = [np.arange(first, min(first + 8192, images)) for first in range(0, images, 8192)]
    looks, hashes, texts = zip(*(_noisy(real, bases[block], block) for block in blocks), strict=True)
    return np.concatenate(looks), np.concatenate(hashes), np.concatenate(texts)


def _bases(real: Features, images: int) -> npt.NDArray[np.int64]:
    """Of each image the real one that it is made of."""
    dice = np.random.default_rng(2)
    weights = np.arange(1, len(real.looks) + 1) ** _REPEATS
    return dice.permutation(len(real.looks))[dice.choice(len(real.looks), images, p=weights / weights.sum())]


def _rows(
    real: Features, bases: npt.NDArray[np.int64], pages: npt.NDArray[np.int64], images: npt.NDArray[np.int64]
) -> Iterator[dict[str, Any]]:
    """Rows of one shard, page by page; an image stands on a page once."""
    distinct, places = np.unique(images, return_inverse=True)
    looks, hashes, texts = _noisy(real, bases[distinct], distinct)
    told: set[tuple[int, int]] = set()
    for position, (page, image, place) in enumerate(zip(pages.tolist(), images.tolist(), places.tolist(), strict=True)):
        if (page, image) in told:
            continue
        told.add((page, image))
        # As on real pages, some four in ten images have a text that says something.
        text = int(bases[image] * 7 + image) % len(real.texts) if _hash("text", image)[0] < 102 else None
        site = _hash("site", page // 20)[0] * _hash("site", page // 20)[1] % _SITES
        yield {
            "page_id": _hash("page", page).hex()[:32],
            "page_url": f"http://site{site}.example/{page}.html",
            "site": f"site{site}.example",
            "image_id": _hash("image", image).hex(),
            "position": position,
            "url": f"http://site{site}.example/pictures/{image}.jpg",
            "text": None if text is None else f"{real.texts[text]} {image}",
            "embedding": None if text is None else texts[place],
            "sketch": looks[place].tobytes(),
            "phash": f"{hashes[place]:016x}",
            "width": 640 + image % 640,
            "height": 480,
            "label": None,
            "page_title": f"Page {page}",
            "language": "en",
            "crawl_date": _WHEN,
        }


def _noisy(
    real: Features, bases: npt.NDArray[np.int64], images: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.uint64], npt.NDArray[np.float16]]:
    """Sketches, hashes and embeddings of made images; they depend on the image's number alone."""
    seeds = np.array([int.from_bytes(_hash("noise", one)[:8], "little") for one in images.tolist()], np.uint64)
    uniform = (seeds >> np.uint64(40)).astype(np.float32) / (1 << 24)
    length = np.exp(np.log(_NOISE[0]) + uniform * np.log(_NOISE[1] / _NOISE[0]))[:, None]
    looks = sketches(real.looks[bases] + length * _differences(real.looks, seeds))
    said = (bases * 7 + images) % len(real.texts)
    texts = _unit(real.embeddings[said] + length * _differences(real.embeddings, seeds)).astype(np.float16)
    flipped = np.where(hash_bits(seeds * np.uint64(0x9E3779B97F4A7C15)) > 0, 1, 0) & (
        hash_bits(seeds * np.uint64(0xC2B2AE3D27D4EB4F)) > 0
    )
    # The longer the noise, the more bits of the hash change: none to a quarter of them.
    flipped &= np.arange(64) % 16 < np.rint(uniform * 16)[:, None]
    masks = np.packbits(flipped.astype(np.uint8), axis=1).view(">u8")[:, 0].astype(np.uint64)
    return looks, real.hashes[bases] ^ masks, texts


def _differences(vectors: Float32Array, seeds: npt.NDArray[np.uint64]) -> Float32Array:
    """Differences of two sums of real vectors, of unit length: noise with the covariance of what is real."""
    found = np.zeros((len(seeds), vectors.shape[1]), np.float32)
    for turn in range(4):
        mixed = (seeds ^ np.uint64(turn + 1)) * np.uint64(0x9E3779B97F4A7C15 + 2 * turn)
        one, other = (
            (mixed >> np.uint64(33)) % np.uint64(len(vectors)),
            (mixed >> np.uint64(7)) % np.uint64(len(vectors)),
        )
        found += vectors[one] - vectors[other]
    return _unit(found)


def _unit(vectors: Float32Array) -> Float32Array:
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def _hash(kind: str, number: int) -> bytes:
    return hashlib.sha256(f"{kind} {number}".encode()).digest()
