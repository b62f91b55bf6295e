"""Alignment of phrases with images."""

from __future__ import annotations

import made_corpus as made
import numpy as np
import pytest

from mining.alignment import JointAlignment, TextAlignment, make_alignment
from mining.sketches import sketches
from schemas.errors import ConfigurationError


def test_words_known_of_the_image_choose_the_phrase_that_says_them() -> None:
    image = made.image("a", label="red fox", text="a fox at home")
    scores = TextAlignment(made.BagOfWords()).scores(image, ["red fox", "lighthouse"])
    assert scores[0] > 0.8
    assert scores[1] == 0
    assert np.array_equal(scores, np.round(scores, 4))


def test_an_image_of_which_nothing_is_known_is_aligned_with_nothing() -> None:
    alignment = TextAlignment(made.BagOfWords())
    assert alignment.scores(made.image("a"), ["fox"]).tolist() == [0]
    assert alignment.scores(made.image("a", text="x"), []).shape == (0,)


def test_joint_alignment_compares_the_phrase_with_the_image() -> None:
    encoder = made.BagOfWords()
    image = made.image("a", sketch=sketches(encoder.encode(["red fox"]))[0].tobytes())
    scores = JointAlignment(encoder).scores(image, ["red fox", "lighthouse", "red fox"])
    assert scores.tolist() == [1, 0, 1]
    assert JointAlignment(encoder).scores(image, []).shape == (0,)


def test_towers_that_do_not_belong_together_are_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="text_model"):
        JointAlignment(made.BagOfWords()).scores(made.image("a"), ["fox"])


def test_each_phrase_is_encoded_once() -> None:
    asked: list[str] = []

    class Counting(made.BagOfWords):
        def encode(self, texts):
            asked.extend(texts)
            return super().encode(texts)

    alignment = TextAlignment(Counting())
    for name in "abc":
        alignment.scores(made.image(name, text="a fox"), ["fox", "fox", "snow"])
    assert sorted(asked) == ["a fox", "fox", "snow"]


def test_the_settings_choose_the_alignment() -> None:
    assert isinstance(make_alignment("text", made.BagOfWords()), TextAlignment)
    assert isinstance(make_alignment("joint", made.BagOfWords()), JointAlignment)
