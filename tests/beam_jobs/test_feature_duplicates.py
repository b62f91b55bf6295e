"""Embedding duplicates over shards of annotations: the plain verdict, whatever the shards, their order and parts."""

from __future__ import annotations

import random
import tempfile
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_annotations import InProcess, annotated
from made_jobs import DyingEngine, KilledError, PlainEngine

from beam_jobs import feature_duplicates
from beam_jobs.feature_duplicates import run_feature_duplicates
from beam_jobs.feature_parts import features_left
from beam_jobs.index_step import answer_map
from beam_jobs.near_duplicates import run_near_duplicates
from beam_jobs.session import Session
from mining.mine_config import SearchConfig
from mining.near_duplicates import HashedImage, NearDuplicatesConfig, near_duplicates_of
from mining.similarity import cosines, sketch_matrix
from schemas import ids

BY_HASH = {"distance": 1, "similarity": 0.99}


def made(count, seed, size=3, spread=0.4):
    """Images in clusters of looks, whose hashes mostly lie far apart; one in ten has no features at all."""
    dice = np.random.default_rng(seed)
    looks = dice.normal(size=(4, size))[dice.integers(0, 4, count)] + dice.normal(size=(count, size)) * spread
    looks[::10] = 0
    hashes = dice.integers(0, 2**64, count, dtype=np.uint64)
    hashes[: count // 3] = hashes[:1]
    return [
        HashedImage(
            ids.image_id(f"{seed} {number}".encode()),
            int(hashes[number]),
            int(dice.integers(1, 5)),
            np.clip(looks[number] * 40, -127, 127).astype(np.int8).tobytes(),
        )
        for number in range(count)
    ]


def plain(images, config):
    looks = sketch_matrix([one.sketch for one in images])
    scores = cosines(looks, looks)
    names = [one.image_id for one in images]
    rows = ((names[i], names[j], float(scores[i, j])) for i in range(len(names)) for j in range(i))
    return near_duplicates_of(images, config, rows)


def verdict(session, manifests, config, search=None, usable=None):
    """What a run removes by hashes and by features."""
    by_hash = run_near_duplicates(session, manifests, config, usable)
    shards = features_left(manifests, usable, by_hash)
    found = run_feature_duplicates(session, shards, config.feature_similarity, search or SearchConfig(), "models")
    removed = {}
    for answers in (*by_hash.values(), *(one for _, one in found)):
        for image_id, survivor in answer_map(session.workspace, answers.path).items():
            assert removed.setdefault(image_id, survivor.hex()) == survivor.hex()
    return removed


def dealt(images, shards, rng):
    parts = [[] for _ in range(shards)]
    for one in images:
        # Some images lie in two shards, as those of two archives do.
        for number in rng.sample(range(shards), rng.choice([1, 1, 1, min(2, shards)])):
            parts[number].append(one)
    return parts


def opened(path, shards, backwards=False):
    session, manifests = annotated(path, shards)
    return Session(session.workspace, PlainEngine(backwards)), manifests


@settings(deadline=None, max_examples=12)
@given(
    st.integers(0, 40),
    st.sampled_from([0.6, 0.9, 0.97, 1.0]),
    st.integers(1, 4),
    st.sampled_from([1, 9, 1000]),
    st.integers(0, 999),
)
def test_shards_and_parts_come_to_the_plain_verdict(count, bound, shards, part, seed):
    images, rng = made(count, seed), random.Random(seed)
    config = NearDuplicatesConfig(**BY_HASH, feature_similarity=bound)
    with tempfile.TemporaryDirectory() as path:
        session, manifests = opened(path, dealt(images, shards, rng), backwards=bool(seed % 2))
        found = verdict(session, manifests, config, SearchConfig(images_per_part=part))
    assert found == plain(images, config)


CONFIG = NearDuplicatesConfig(**BY_HASH, feature_similarity=0.93)
IMAGES = made(120, 1)
SMALL = SearchConfig(images_per_part=30)


@pytest.fixture(scope="module")
def expected():
    found = plain(IMAGES, CONFIG)
    assert 40 < len(found) < 110
    # The rule of the two verdicts: who is named by a hash may be named near another one by features.
    assert set(found.values()) & found.keys()
    return found


def test_beams_runner_and_short_lists_give_the_same_in_any_order(tmp_path, expected, monkeypatch):
    shards = dealt(IMAGES, 5, random.Random(2))
    session, manifests = annotated(tmp_path / "beam", shards)
    assert isinstance(session.engine, InProcess)
    assert verdict(session, manifests, CONFIG, SMALL) == expected
    monkeypatch.setattr(feature_duplicates, "_LISTED", 1)
    monkeypatch.setattr(feature_duplicates, "_MORE", 2)
    session, manifests = opened(tmp_path / "short", shards[::-1], True)
    assert verdict(session, manifests, CONFIG, SMALL) == expected
    assert session.worked["mine_pairs.near_search.1"] > 0


def test_images_that_no_page_can_use_take_no_part(tmp_path, expected):
    session, manifests = opened(tmp_path / "all", dealt(IMAGES, 3, random.Random(0)))
    everything = {one.image_id for one in IMAGES}
    best = min((one for one in IMAGES if one.image_id in set(expected.values())), key=lambda one: one.rank)

    def usable(names, number):
        step = Named(session.workspace, frozenset(names))
        return session.index(step, list(range(len(manifests))), f"named {number}")

    told = usable(everything, 0)
    assert verdict(session, manifests, CONFIG, SMALL, told) == expected
    told = usable(everything - {best.image_id}, 1)
    left = [one for one in IMAGES if one is not best]
    assert verdict(session, manifests, CONFIG, SMALL, told) == plain(left, CONFIG)


class Named:
    """Tells each shard which of the images are usable."""

    name = "named"

    def __init__(self, workspace, names):
        self.workspace, self.names = workspace, names

    def messages(self, task):
        yield from ((name, f"{task:06d}", b"u") for name in sorted(self.names))

    def resolve(self, key, askers, values):
        yield from ((one, b"") for one in askers)


def test_a_second_run_does_nothing_again_and_an_addition_searches_what_is_new(tmp_path, expected):
    shards = [IMAGES[start : start + 30] for start in range(0, 120, 30)]
    session, manifests = opened(tmp_path, shards)
    config = CONFIG.model_copy(update={"distance": 0, "similarity": 1.0})
    before = verdict(session, manifests[:3], config, SMALL)
    assert before == plain(IMAGES[:90], config)
    assert session.worked["mine_pairs.near_search"] == 6
    ran = len(session.engine.ran)
    assert verdict(session, manifests[:3], config, SMALL) == before
    assert len(session.engine.ran) == ran
    again = Session(session.workspace, PlainEngine())
    assert verdict(again, manifests, config, SMALL) == plain(IMAGES, config)
    assert again.worked["mine_pairs.near_search"] == 4


def test_a_killed_run_goes_on(tmp_path, expected):
    session, manifests = opened(tmp_path, dealt(IMAGES, 4, random.Random(3)))
    ran, after = [], 0
    while True:
        engine = DyingEngine(after % 3)
        try:
            found = verdict(Session(session.workspace, engine), manifests, CONFIG, SMALL)
            break
        except KilledError:
            ran += engine.ran
            after += 1
    ran += engine.ran
    assert found == expected
    assert max(Counter(label for label in ran if "rounds" not in label).values()) == 1


def test_planted_duplicates_are_found_in_cells(tmp_path):
    """More images than are searched exactly: copies whose hashes are far apart, among images that look like nothing."""
    dice = np.random.default_rng(5)
    looks = dice.integers(-120, 120, (900, 48))
    looks[600:] = np.clip(looks[:300] + dice.integers(-4, 5, (300, 48)), -127, 127)
    hashes = dice.integers(0, 2**63, 900).tolist()
    images = [
        HashedImage(ids.image_id(str(n).encode()), hashes[n], 900 - n, look.tobytes())
        for n, look in enumerate(looks.astype(np.int8))
    ]
    planted = {images[600 + n].image_id: images[n].image_id for n in range(300)}
    config = NearDuplicatesConfig(**BY_HASH, feature_similarity=0.98)
    assert plain(images, config) == planted
    search = {"exact_up_to": 100, "sample": 400, "recall": 0.5}
    verdicts = []
    for number, part in enumerate((10_000, 250)):
        session, manifests = opened(tmp_path / str(number), [images[start::4] for start in range(4)], bool(number))
        verdicts.append(verdict(session, manifests, config, SearchConfig(**search, images_per_part=part)))
        assert session.worked["mine_pairs.near_train"] == 1
    assert verdicts[0] == verdicts[1]
    assert len(verdicts[0]) > 290
    assert verdicts[0].items() <= planted.items()


def test_without_images_there_is_nothing_to_do(tmp_path):
    assert verdict(*opened(tmp_path / "none", []), CONFIG) == {}
    assert verdict(*opened(tmp_path / "empty", [[], []]), CONFIG) == {}
    assert verdict(*opened(tmp_path / "one", [IMAGES[:1], []]), CONFIG) == {}
