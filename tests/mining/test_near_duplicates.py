"""One survivor by rule: the plain verdict on near duplicates, and the same in rounds whatever the shards."""

from __future__ import annotations

import random
from collections import defaultdict

import made_places as made
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.near_duplicate_bucket import meet
from mining.near_duplicate_rounds import Standing
from mining.near_duplicates import HashedImage, NearDuplicatesConfig, feature_duplicates_of, near_duplicates_of
from mining.similarity import cosines, sketch_matrix

LOOKS = [made.sketch(seed) for seed in range(3)]
#: Sketches between the first and the others: likeness is not transitive.
LOOKS += [made.sketch(5, like=0, share=share) for share in (0.4, 0.5, 0.6, 0.8)] + [bytes(64)]


def image(name: str, phash: int = 0, area: int = 100, look: int = 0) -> HashedImage:
    return HashedImage(made.image_id(name), phash, area, LOOKS[look])


@st.composite
def images(draw: st.DrawFn) -> list[HashedImage]:
    """Images with hashes and looks that often meet, in a power law of repeats."""
    count = draw(st.integers(0, 40))
    bits = st.integers(0, 5).map(lambda number: (1 << 11 * number) & (2**64 - 1))
    phash = st.one_of(st.just(0), st.tuples(bits, bits).map(lambda two: two[0] ^ two[1]), st.integers(0, 2**64 - 1))
    return [
        image(str(number), draw(phash), draw(st.integers(1, 4)), draw(st.integers(0, len(LOOKS) - 1)))
        for number in range(count)
    ]


configs = st.builds(
    NearDuplicatesConfig, distance=st.integers(0, 4), similarity=st.sampled_from([None, 0.0, 0.5, 0.7, 0.95, 1.0])
)


def near(one: HashedImage, other: HashedImage, config: NearDuplicatesConfig) -> bool:
    if (one.phash ^ other.phash).bit_count() > config.distance:
        return False
    alike = cosines(sketch_matrix([one.sketch]), sketch_matrix([other.sketch]))[0, 0]
    return config.similarity is None or bool(alike >= config.similarity)


def by_hand(
    some: list[HashedImage], config: NearDuplicatesConfig | None, linked: frozenset = frozenset()
) -> dict[str, str]:
    """The rule, by hashes or by pairs that are given."""
    survivors: list[HashedImage] = []
    rejected = {}
    for one in sorted(some, key=lambda one: one.rank):
        found = [
            other
            for other in survivors
            if (near(one, other, config) if config else frozenset((one.image_id, other.image_id)) in linked)
        ]
        if found:
            rejected[one.image_id] = found[0].image_id
        else:
            survivors.append(one)
    return rejected


def in_rounds(
    shards: list[list[HashedImage]], config: NearDuplicatesConfig, sent: int, rng: random.Random
) -> tuple[dict[str, str], int, int]:
    """The verdict, the rounds it took, and the most messages that one bucket saw."""
    standings = [Standing(number, some, config, sent) for number, some in enumerate(shards)]
    rounds = most = 0
    while True:
        buckets = defaultdict(list)
        for standing in standings:
            for key, value in standing.messages():
                buckets[key].append(value)
        answers = defaultdict(list)
        for values in buckets.values():
            rng.shuffle(values)
            most = max(most, len(values))
            assert max(map(len, values)) <= 512
            for asker, answer in meet(values, config):
                answers[asker].append(answer)
        for number, standing in enumerate(standings):
            rng.shuffle(answers[number])
            standing.advance(answers[number])
        rounds += 1
        if not any(answers.values()):
            break
    assert all(standing.settled for standing in standings)
    verdict: dict[str, str] = {}
    for standing in standings:
        for rejected, survivor in standing.rejected().items():
            assert verdict.setdefault(rejected, survivor) == survivor
    return verdict, rounds, most


@settings(deadline=None, max_examples=100)
@given(images(), configs, st.integers(0, 999).map(random.Random))
def test_the_plain_form_is_the_rule(some, config, rng):
    verdict = near_duplicates_of(rng.sample(some, len(some)), config)
    assert verdict == by_hand(some, config)
    survivors = [one for one in some if one.image_id not in verdict]
    assert not any(near(one, other, config) for one in survivors for other in survivors if one is not other)
    named = {one.image_id: one for one in some}
    for rejected, survivor in verdict.items():
        assert survivor not in verdict
        assert named[survivor].rank < named[rejected].rank
        assert near(named[rejected], named[survivor], config)


@settings(deadline=None, max_examples=80)
@given(images(), configs, st.integers(1, 5), st.sampled_from([1, 1, 2, 3, 64]), st.integers(0, 999).map(random.Random))
def test_rounds_give_the_same_in_any_order_of_shards(some, config, shards, sent, rng):
    parts: list[list[HashedImage]] = [[] for _ in range(shards)]
    for one in some:
        for number in rng.sample(range(shards), rng.choice([1, 1, 1, min(2, shards)])):
            parts[number].append(one)
    for part in parts:
        rng.shuffle(part)
    assert in_rounds(parts, config, sent, rng)[0] == by_hand(some, config)


def test_a_hot_hash_is_settled_in_few_rounds_with_few_messages_a_bucket():
    """40,000 images of one hash and six looks: what shards do not send they settle themselves."""
    some = [image(str(number), 7, 1 + number % 5, number % 6) for number in range(40_000)]
    config = NearDuplicatesConfig(distance=2, similarity=0.99)
    parts = [some[number::4] for number in range(4)]
    verdict, rounds, most = in_rounds(parts, config, 8, random.Random(0))
    assert verdict == near_duplicates_of(some, config)
    assert len(some) - len(verdict) == 6
    assert rounds <= 8
    assert most <= 4 * 8 + 4 + 6 * 4


def test_chains_end_where_the_rule_ends_them():
    """Each is near the next only: every second one survives."""
    chain = [image(str(number), (1 << number) - 1, 100 - number) for number in range(30)]
    config = NearDuplicatesConfig(distance=1, similarity=None)
    verdict = near_duplicates_of(chain, config)
    assert verdict == {chain[n].image_id: chain[n - 1].image_id for n in range(1, 30, 2)}
    assert in_rounds([chain[::3], chain[1::3], chain[2::3]], config, 1, random.Random(1))[0] == verdict


def test_more_pixels_survive_then_the_smaller_id():
    small, large = image("small", area=1), image("large", area=2)
    twins = sorted([image("a"), image("b")], key=lambda one: one.image_id)
    assert near_duplicates_of([small, large], NearDuplicatesConfig()) == {small.image_id: large.image_id}
    assert near_duplicates_of(twins[::-1], NearDuplicatesConfig()) == {twins[1].image_id: twins[0].image_id}


def test_other_colours_are_another_picture_and_one_id_is_one_image():
    config = NearDuplicatesConfig(distance=2, similarity=0.95)
    assert near_duplicates_of([image("red", look=0), image("blue", look=1)], config) == {}
    assert near_duplicates_of([image("same"), image("same")], config) == {}
    hash_alone = NearDuplicatesConfig(distance=2, similarity=None)
    assert len(near_duplicates_of([image("red", look=0), image("blue", look=1)], hash_alone)) == 1


@settings(deadline=None, max_examples=80)
@given(images(), configs, st.data())
def test_embedding_duplicates_are_judged_among_what_hashes_leave(some, config, data):
    names = [one.image_id for one in some] + [made.image_id("unknown")]
    score = st.sampled_from([0.5, 0.8999, 0.9, 0.99])
    name = st.sampled_from(names)
    rows = data.draw(st.lists(st.tuples(name, name, score), max_size=30))
    linked = frozenset(frozenset(row[:2]) for row in rows if row[2] >= 0.9)
    by_hash = by_hand(some, config)
    left = [one for one in some if one.image_id not in by_hash]
    by_features = by_hand(left, None, linked)
    assert near_duplicates_of(some, config, rows) == by_hash
    both = config.model_copy(update={"feature_similarity": 0.9})
    assert near_duplicates_of(some, both, rows) == by_hash | by_features
    assert feature_duplicates_of({one.image_id: one.area for one in left}, rows, 0.9) == by_features
    # What an image names by its hash may be named near another one by its features, and by nothing else.
    final = by_hash | by_features
    assert {survivor for survivor in final.values() if survivor in final} <= set(by_hash.values())


def test_sketches_of_two_models_are_refused():
    some = [image("a"), HashedImage(made.image_id("b"), 0, 1, bytes(3))]
    with pytest.raises(ValueError, match="lengths differ"):
        near_duplicates_of(some, NearDuplicatesConfig())
    assert len(near_duplicates_of(some, NearDuplicatesConfig(similarity=None))) == 1


def test_the_plain_form_is_fast_where_a_hash_is_everywhere():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 20_000, dtype=np.uint64)
    hashes[:12_000] = 5
    looks = [rng.integers(-99, 99, 64).astype(np.int8).tobytes() for _ in range(20)]
    some = [HashedImage(made.image_id(str(n)), int(h), 1, looks[n % 20]) for n, h in enumerate(hashes)]
    assert len(near_duplicates_of(some, NearDuplicatesConfig())) == 12_000 - 20
