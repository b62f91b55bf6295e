"""Hit rates of fooling images, by hand and against a count one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evaluation.probes import FoolingImage, fooling_images


def test_by_hand():
    scores = [
        [0.5, 0.2, 0.9],  # image 0 is right: image 2 fools
        [0.3, 0.6, 0.9],  # image 1 is right: image 2 fools
        [0.8, 0.7, 0.9],  # images 0 and 1 are right: image 2 fools
        [0.1, 0.95, 0.9],  # image 2 is right: image 1 fools
    ]
    found = fooling_images(scores, [[0], [1], [0, 1], [2]])
    assert found == [FoolingImage(2, 100.0, 3, 3), FoolingImage(1, 50.0, 1, 2), FoolingImage(0, 0.0, 0, 2)]
    assert fooling_images(scores, [[0], [1], [0, 1], [2]], candidates=[1]) == [FoolingImage(1, 50.0, 1, 2)]


def test_a_tie_with_the_best_right_image_is_no_hit():
    assert fooling_images([[0.5, 0.5]], [[0]])[0].fooled == 0
    assert fooling_images([[0.1, 0.5, 0.4]], [[0, 1]])[-1].fooled == 0, "the best of the right ones counts"


def test_an_image_right_for_all_texts_fools_none():
    assert fooling_images([[1.0]], [[0]]) == [FoolingImage(0, 0.0, 0, 0)]


@given(arrays(np.float32, (5, 4), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])), st.data())
@settings(max_examples=80, deadline=None)
def test_each_image_counted_one_by_one(scores, data):
    relevant = data.draw(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=3), min_size=5, max_size=5))
    for one in fooling_images(scores, relevant):
        unrelated = [text for text in range(5) if one.image not in relevant[text]]
        fooled = [text for text in unrelated if all(scores[text, one.image] > scores[text, j] for j in relevant[text])]
        assert (one.texts, one.fooled) == (len(unrelated), len(fooled))
        assert one.hit_rate == (100 * len(fooled) / len(unrelated) if unrelated else 0)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="n × m and n"):
        fooling_images([[1.0]], [[0], [0]])
    for right in ([], [1], [-1]):
        with pytest.raises(ValueError, match="text 0 has the right images"):
            fooling_images([[1.0]], [right])
    with pytest.raises(ValueError, match="text 0 hold"):
        fooling_images([[math.nan]], [[0]])
