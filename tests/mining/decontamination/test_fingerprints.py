import json

import numpy as np
import pytest
from made_fingerprints import by_brute_force, flipped, made_numbers, write

from mining.decontamination.config import DecontaminationConfig
from mining.decontamination.file_format import GROUP_IMAGES
from mining.decontamination.fingerprints import Fingerprints, decontamination_facts
from mining.decontamination.ngrams import ngram_hashes
from schemas.errors import ConfigurationError


def opened(*paths, **settings):
    return Fingerprints.open(DecontaminationConfig(files=tuple(map(str, paths)), **settings))


def asked(hashes, sketches, count, seed=1):
    """Images near the benchmark's, some and some, and far from them."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(hashes), count)
    # Every fourth image with 0, 5, 10, 15 bits changed, of any variant.
    order = np.concatenate([rows[part::4] for part in range(4)])
    numbers = hashes[order, rng.integers(0, hashes.shape[1], count)]
    bounds = np.cumsum([0, *(len(rows[part::4]) for part in range(4))])
    for part in range(4):
        piece = slice(bounds[part], bounds[part + 1])
        numbers[piece] = flipped(numbers[piece], 5 * part, rng)
    noise = rng.normal(size=(count, sketches.shape[1])) * rng.choice([0, 10, 30], (count, 1))
    return numbers, np.clip(sketches[order] + noise, -127, 127).astype(np.int8)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"hash_distance": 0},
        {"hash_distance": 15, "hash_similarity": -1},
        {"feature_similarity": 0.7, "feature_distance": 22, "feature_alone": 0.99},
    ],
)
def test_matches_are_those_of_brute_force(tmp_path, settings):
    hashes, sketches = made_numbers(300)
    hashes[40:60] = hashes[40]
    sketches[70:80] = sketches[70]
    write(tmp_path / "b.parquet", hashes, sketches)
    fingerprints = opened(tmp_path / "b.parquet", **settings)
    numbers, rows = asked(hashes, sketches, 400)
    numbers[:30] = numbers[0]
    expected = by_brute_force(hashes, sketches, numbers, rows, fingerprints.config)
    found = fingerprints.match_images(numbers, rows)
    assert sum(one is None for one in expected) not in (0, len(expected))
    assert {one[0] for one in expected if one} == {"hash", "features"}
    assert [one and (one.how, one.distance, one.similarity) for one in found] == expected
    assert fingerprints.match_images(numbers, [row.tobytes() for row in rows]) == found


def test_many_cells_and_row_groups_lose_no_hash_and_few_features(tmp_path):
    hashes, sketches = made_numbers(GROUP_IMAGES + 500)
    write(tmp_path / "b.parquet", hashes, sketches, cell_images=100)
    fingerprints = opened(tmp_path / "b.parquet")
    assert fingerprints.files[0].info.cells == 86
    assert len(list(fingerprints.files[0].image_groups())) == 2
    numbers, rows = asked(hashes, sketches, 300)
    expected = by_brute_force(hashes, sketches, numbers, rows, fingerprints.config)
    found = [one and (one.how, one.distance, one.similarity) for one in fingerprints.match_images(numbers, rows)]
    by_hash = [(one, other) for one, other in zip(found, expected, strict=True) if other and other[0] == "hash"]
    assert by_hash
    assert all(one == other for one, other in by_hash)
    wanted = [one for one in expected if one]
    assert sum(one == other for one, other in zip(found, expected, strict=True) if other) >= 0.98 * len(wanted)


def test_a_batch_changes_no_match(tmp_path):
    hashes, sketches = made_numbers(100)
    write(tmp_path / "b.parquet", hashes, sketches)
    fingerprints = opened(tmp_path / "b.parquet")
    numbers, rows = asked(hashes, sketches, 60)
    whole = fingerprints.match_images(numbers, rows)
    assert whole == [fingerprints.match_images(numbers[at : at + 1], rows[at : at + 1])[0] for at in range(60)]


def test_features_gainsay_a_near_hash_and_a_hash_gainsays_near_features(tmp_path):
    hashes, sketches = made_numbers(20)
    write(tmp_path / "b.parquet", hashes, sketches)
    fingerprints = opened(tmp_path / "b.parquet")
    rng = np.random.default_rng(5)
    far = np.random.default_rng(6).integers(0, 1 << 64, 1, np.uint64, endpoint=False)
    like = np.clip(sketches[:1] + rng.normal(size=sketches[:1].shape) * 14, -127, 127).astype(np.int8)
    similarity = fingerprints.match_images(hashes[0, :1], like)[0].similarity
    assert 0.85 <= similarity < 0.92
    assert fingerprints.match_images(hashes[0, :1], -sketches[:1]) == [None]
    assert fingerprints.match_images(far, like) == [None]
    # A cut variant's hash speaks for the features, and finds nothing alone.
    (by_features,) = fingerprints.match_images(hashes[0, 5:6], like)
    assert (by_features.how, by_features.distance, by_features.image) == ("features", 0, "000000.jpg")
    assert fingerprints.match_images(hashes[0, 5:6], np.zeros_like(like)) == [None]
    (equal,) = fingerprints.match_images(far, sketches[:1])
    assert (equal.how, equal.similarity) == ("features", 1.0)


def test_several_files_are_searched_as_one_and_the_first_names_the_match(tmp_path):
    hashes, sketches = made_numbers(30)
    other_hashes, other_sketches = made_numbers(30, seed=9)
    write(tmp_path / "a.parquet", hashes, sketches, "one")
    write(tmp_path / "b.parquet", other_hashes, other_sketches, "two")
    write(tmp_path / "c.parquet", hashes, sketches, "three")
    fingerprints = opened(*(tmp_path / f"{name}.parquet" for name in "abc"))
    numbers = np.concatenate([hashes[:3, 0], other_hashes[:3, 1], np.array([1, 2], np.uint64)])
    rows = np.concatenate([sketches[:3], other_sketches[:3], np.zeros((2, 64), np.int8)])
    found = fingerprints.match_images(numbers, rows)
    assert [one and one.benchmark for one in found] == ["one"] * 3 + ["two"] * 3 + [None] * 2
    assert found[0].detail == "one: 000000.jpg, 0 bits differ, visual similarity 1.0000"


def test_nothing_is_asked_or_known(tmp_path):
    hashes, sketches = made_numbers(5)
    write(tmp_path / "b.parquet", hashes, sketches)
    write(tmp_path / "texts.parquet", hashes[:0], sketches[:0], grams=[1])
    none = np.zeros(0, np.uint64)
    assert opened(tmp_path / "b.parquet").match_images(none, []) == []
    assert opened().match_images(hashes[:, 0], sketches) == [None] * 5
    assert opened(tmp_path / "texts.parquet").match_images(hashes[:, 0], sketches) == [None] * 5
    assert opened().match_text("a b c d e f g h i j") is None


def test_sketches_of_another_length_are_refused(tmp_path):
    hashes, sketches = made_numbers(5)
    write(tmp_path / "b.parquet", hashes, sketches)
    with pytest.raises(ConfigurationError, match="sketches of 64 numbers, the crawl's have 32: make it again"):
        opened(tmp_path / "b.parquet").match_images(hashes[:, 0], sketches[:, :32])


def test_texts_are_known_by_their_ngrams(tmp_path):
    text = "shows two small dogs that sit on a green bench in the rain"
    hashes, sketches = made_numbers(0)
    write(tmp_path / "a.parquet", hashes, sketches, "eight", ngram_hashes(text).tolist())
    write(tmp_path / "b.parquet", hashes, sketches, "three", ngram_hashes("on a green lawn", 3).tolist(), words=3)
    fingerprints = opened(tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert fingerprints.match_text("We see: SMALL DOGS that sit on a green bench.") == "eight"
    assert fingerprints.match_text("small dogs sit on a green bench in rain") == "three"
    assert fingerprints.match_text("nothing of it") is None
    assert fingerprints.match_text("") is None
    strict = opened(tmp_path / "a.parquet", text_ngrams=3)
    assert strict.match_text(text) == "eight"
    assert strict.match_text("small dogs that sit on a green bench") is None
    assert opened(tmp_path / "a.parquet", text_ngrams=0).match_text(text) is None


def test_the_cards_facts_name_benchmarks_and_thresholds_and_no_paths(tmp_path):
    hashes, sketches = made_numbers(5)
    write(tmp_path / "b.parquet", hashes, sketches, "one", grams=[1, 2])
    fingerprints = opened(tmp_path / "b.parquet", hash_distance=4)
    facts = decontamination_facts(fingerprints.config, fingerprints)
    assert facts["benchmarks"][0] | {"variants": 0} == {
        "name": "one",
        "images": 5,
        "images_left_out": {},
        "texts": 2,
        "ngrams": 2,
        "ngram_words": 8,
        "image_model": "a-model@1",
        "variants": 0,
    }
    assert facts["thresholds"]["hash_distance"] == 4
    assert str(tmp_path) not in json.dumps(facts)


def test_the_hash_of_a_plain_gradient_takes_no_blank_picture_for_a_copy(tmp_path):
    hashes, sketches = made_numbers(3)
    hashes[0] = 0x80000A0020002000
    write(tmp_path / "b.parquet", hashes, sketches)
    fingerprints = opened(tmp_path / "b.parquet", hash_similarity=-1)
    blank = np.array([0x8000000000000000], np.uint64)
    assert fingerprints.match_images(blank, np.zeros((1, 64), np.int8)) == [None]
    # Copies of it are found by features.
    (copy,) = fingerprints.match_images(hashes[0, :1], sketches[:1])
    assert (copy.how, copy.distance, copy.image) == ("features", 0, "000000.jpg")
