import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.protocols import TextEncoder
from synthesis.alignment import (
    AlignmentScorer,
    ImageFeatures,
    LabelScorer,
    SharedSpace,
    best_first,
    cosines,
    level,
    quantile_edges,
)


class Plane:
    """Texts on a plane: one axis for dogs, one for boats."""

    name, revision, dimension = "plane", "1", 2

    def __init__(self):
        self.asked = []

    def encode(self, texts):
        self.asked.append(list(texts))
        rows = np.array([[text.count("dog"), text.count("boat")] for text in texts], np.float32)
        return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def image(x=0.0, y=0.0, label=None, score=None):
    return ImageFeatures(np.array([x, y], np.float32), label, score)


def test_protocols():
    assert isinstance(Plane(), TextEncoder)
    assert isinstance(SharedSpace(Plane()), AlignmentScorer)
    assert isinstance(LabelScorer(Plane()), AlignmentScorer)


def test_cosines_by_hand():
    left = np.array([[3, 4], [1, 0], [1, 0], [0, 0]], np.float32)
    right = np.array([[4, 3], [0, 2], [-5, 0], [1, 1]], np.float32)
    assert cosines(left, right).tolist() == pytest.approx([24 / 25, 0, -1, 0])
    assert cosines(left[:0], right[:0]).shape == (0,)


def test_shared_space_by_hand():
    scorer = SharedSpace(Plane())
    images = [image(3, 4), image(3, 4), image(3, 4), image(3, 4), image(0, 0)]
    # Features need no unit length: (3, 4) has 0.6 of dogs, 0.8 of boats; both 1.4 / √2.
    assert scorer.similarities(images, ["a dog", "boats", "a dog in a boat", None, "a dog"]) == [
        0.6,
        0.8,
        0.9899,
        None,
        None,
    ]
    assert scorer.similarities([], []) == []
    assert scorer.similarities([image(1, 0)], [" \u200b"]) == [None]


def test_features_of_another_model():
    with pytest.raises(ValueError, match="share no space"):
        SharedSpace(Plane()).similarities([ImageFeatures(np.ones(1280, np.float32))], ["a dog"])


def test_labels_by_hand():
    encoder = Plane()
    images = [
        image(label="dog", score=0.9),
        image(label="dog", score=0.5),
        image(label="boat", score=1.0),
        image(label="dog", score=0.29),
        image(label="dog"),
        image(),
        image(label="dog", score=0.3),
        image(label="dog", score=1.0),
    ]
    texts = ["my dog", "a dog in a boat", "my dog", "dog", "dog", "dog", "the dog", None]
    assert LabelScorer(encoder).similarities(images, texts) == [0.9, 0.3536, 0.0, None, None, None, 0.3, None]
    # Each label once, in one call.
    assert encoder.asked == [["a photo of boat", "a photo of dog"], ["my dog", "a dog in a boat", "my dog", "the dog"]]
    assert LabelScorer(encoder, 0.6).similarities(images[:2], texts[:2]) == [0.9, None]


def test_labels_with_the_model_of_the_package():
    from mining.models.minilm import MiniLM

    dog = image(label="golden retriever", score=0.8)
    texts = ["Our puppy on the lawn", "A dog swims after a ball", "Floor plan of the town hall", "Accuracy by epoch"]
    found = LabelScorer(MiniLM(1)).similarities([dog] * 4, texts)
    assert min(found[:2]) > 2 * max(found[2:])
    assert max(found) <= 0.8


def test_nothing_is_encoded_for_nothing():
    encoder = Plane()
    assert LabelScorer(encoder).similarities([image()], ["dog"]) == [None]
    assert SharedSpace(encoder).similarities([image()], ["dog"]) == [None]
    assert encoder.asked == []


@pytest.mark.parametrize("make", [SharedSpace, LabelScorer])
def test_as_many_texts_as_images(make):
    with pytest.raises(ValueError, match="1 images and 2 texts"):
        make(Plane()).similarities([image(1, 0)], ["a", "b"])


def test_edges_and_levels_by_hand():
    edges = quantile_edges([0.4, None, 0.1, 0.3, 0.2, 0.5], 4)
    assert edges == (0.2, 0.3, 0.4)
    assert [level(one, edges) for one in (-1.0, 0.1999, 0.2, 0.29, 0.3, 0.4, 1.0, None)] == [0, 0, 1, 1, 2, 3, 3, None]
    assert quantile_edges([0.0, 1.0], 2) == (0.5,)
    # Below the fourth decimal there is no difference.
    assert level(0.19999, edges) == level(0.2, edges) == 1


def test_equal_similarities_share_a_level():
    edges = quantile_edges([0.2] * 9 + [0.8], 3)
    assert edges == (0.2, 0.2)
    assert [level(one, edges) for one in (0.1, 0.2, 0.8)] == [0, 2, 2]


@pytest.mark.parametrize(("sample", "levels"), [([], 3), ([None], 3), ([0.1], 1)])
def test_no_edges(sample, levels):
    with pytest.raises(ValueError, match="are wanted at least"):
        quantile_edges(sample, levels)


_SAMPLES = st.lists(st.floats(-1, 1) | st.none(), min_size=1, max_size=40).filter(
    lambda sample: any(one is not None for one in sample)
)


@given(_SAMPLES, st.integers(2, 9), st.randoms(use_true_random=False))
def test_levels_rise_with_similarity_and_stay_in_their_range(sample, levels, shuffle):
    edges = quantile_edges(sample, levels)
    mixed = list(sample)
    shuffle.shuffle(mixed)
    assert quantile_edges(mixed, levels) == edges
    known = sorted(one for one in sample if one is not None)
    found = [level(one, edges) for one in known]
    assert found == sorted(found)
    assert 0 <= min(found) <= max(found) < levels


def test_levels_of_distinct_similarities_are_about_as_large():
    sample = [index / 1000 for index in range(1000)]
    random.Random(0).shuffle(sample)
    edges = quantile_edges(sample, 8)
    counts = np.bincount([level(one, edges) for one in sample])
    assert counts.tolist() == [125] * 8


def test_best_of_several_captions():
    assert best_first(["a", "b", "c", "d"], [0.1, None, 0.3, 0.1]) == ("c", "a", "d", "b")
    assert best_first(["a", "b"], [None, None]) == ("a", "b")
    # A difference below the fourth decimal is none.
    assert best_first(["a", "b"], [0.10001, 0.10002]) == ("a", "b")
    with pytest.raises(ValueError, match="zip"):
        best_first(["a"], [])
