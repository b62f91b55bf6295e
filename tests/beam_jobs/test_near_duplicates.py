"""Near duplicates over shards of annotations: the plain verdict, whatever the shards and their order."""

from __future__ import annotations

import random

import numpy as np
import pytest
from made_annotations import annotated

from beam_jobs.index_step import answer_map
from beam_jobs.near_duplicates import run_near_duplicates
from beam_jobs.session import asker
from mining.near_duplicates import HashedImage, NearDuplicatesConfig, near_duplicates_of
from schemas import ids


def made(count: int, seed: int = 0) -> list[HashedImage]:
    """Images in clusters of near hashes and looks, one hash that a third of them share."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 2**64, 12, dtype=np.uint64)
    looks = rng.integers(-99, 99, (3, 48))
    found = []
    for number in range(count):
        phash = int(centres[0] if number % 3 == 0 else centres[int(12 * rng.random() ** 2)])
        for bit in rng.integers(0, 64, int(rng.integers(0, 3))):
            phash ^= 1 << int(bit)
        if number % 10 == 0:
            phash = int(rng.integers(0, 2**64, dtype=np.uint64))
        look = np.clip(looks[number % 3] + rng.integers(-9, 9, 48), -127, 127).astype(np.int8)
        found.append(HashedImage(ids.image_id(str(number).encode()), phash, int(rng.integers(1, 5)), look.tobytes()))
    return found


def verdict(session, manifests, config):
    answers = run_near_duplicates(session, manifests, config)
    return [
        {
            image_id: data.hex()
            for image_id, data in answer_map(
                session.workspace, answers[asker(number)].path if asker(number) in answers else None
            ).items()
        }
        for number in range(len(manifests))
    ]


@pytest.mark.parametrize("similarity", [None, 0.9])
def test_shards_come_to_the_plain_verdict_in_any_order(tmp_path, similarity):
    images, config = made(150), NearDuplicatesConfig(distance=2, similarity=similarity)
    expected = near_duplicates_of(images, config)
    assert 30 < len(expected) < 150
    for order in range(2):
        rng = random.Random(order)
        mixed = rng.sample(images, len(images))
        # Some images lie in two shards, as those of two archives do.
        shards = [mixed[: 60 + 40 * order], mixed[60 + 40 * order :] + mixed[:10], []]
        session, manifests = annotated(tmp_path / str(order), shards)
        found = verdict(session, manifests, config)
        assert {name: survivor for one in found for name, survivor in one.items()} == expected
        for shard, one in zip(shards, found, strict=True):
            assert set(one) == {image.image_id for image in shard} & set(expected)


def test_a_second_run_asks_nothing_again_and_other_settings_do(tmp_path):
    session, manifests = annotated(tmp_path, [made(40)])
    config = NearDuplicatesConfig(distance=1, similarity=None)
    first = verdict(session, manifests, config)
    labels = list(session.engine.labels)
    assert labels[0] == "index_near_hashes"
    assert labels[-1] == "index_near_duplicate_survivors"
    assert verdict(session, manifests, config) == first
    assert session.engine.labels == labels
    verdict(session, manifests, NearDuplicatesConfig(distance=0, similarity=None))
    assert len(session.engine.labels) > len(labels)


def test_without_images_and_without_duplicates_all_survive(tmp_path):
    assert run_near_duplicates(*annotated(tmp_path / "none", []), NearDuplicatesConfig()) == {}
    alone = [HashedImage(ids.image_id(bytes([n])), (0xFFFF << 16 * n) & (2**64 - 1), 1, b"\1" * 8) for n in range(4)]
    session, manifests = annotated(tmp_path / "some", [alone[:2], alone[2:]])
    assert run_near_duplicates(session, manifests, NearDuplicatesConfig()) == {}
