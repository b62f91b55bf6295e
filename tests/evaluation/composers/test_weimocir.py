"""WeiMoCIR in both forms, against loops over the formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.composers import weighted_sum, weimocir
from evaluation.composers.weimocir import _BLOCK


def n(x):
    length = math.sqrt(float(np.dot(x, x)))
    return np.asarray(x) / length if length else np.asarray(x)


def plain(image, text, gallery, captions, alpha, beta, references=None):
    scores = np.zeros((len(image), len(gallery)))
    for i in range(len(image)):
        q = n((1 - alpha) * image[i] + alpha * text[i])
        for j in range(len(gallery)):
            parts = []
            for m in range(captions.shape[1]):
                own = q if references is None else n((1 - alpha) * captions[references[i], m] + alpha * text[i])
                parts.append(own @ n(captions[j, m]))
            scores[i, j] = (1 - beta) * (q @ n(gallery[j])) + beta * sum(parts) / len(parts)
    return scores


def some(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_both_forms_are_their_formulas(seed, sets, alpha, beta):
    image, text, gallery = some(seed, 3, 5), some(seed + 1, 3, 5), some(seed + 2, 6, 5)
    captions, references = 2 * some(seed + 3, 6, sets, 5), [4, 0, 4]
    paper = weimocir(image, text, gallery, captions, alpha=alpha, beta=beta, form="paper")
    assert np.allclose(paper, plain(image, text, gallery, captions, alpha, beta), rtol=0, atol=1e-9)
    code = weimocir(image, text, gallery, captions, alpha=alpha, beta=beta, form="code", reference_index=references)
    assert np.allclose(code, plain(image, text, gallery, captions, alpha, beta, references), rtol=0, atol=1e-9)
    assert paper.shape == code.shape == (3, 6)


def test_the_two_forms_differ_by_hand():
    image, text = [1.0, 0.0], [0.0, 1.0]
    gallery = [[1.0, 0.0], [0.0, 1.0]]
    captions = [[[0.0, 2.0], [0.0, 1.0]], [[5.0, 0.0], [0.0, 1.0]]]
    root = math.sqrt(0.5)
    # q = (1, 1) / sqrt 2. Image part: both 0.7071. Caption part: (0.7071 + 0.7071) / 2 for both.
    paper = weimocir(image, text, gallery, captions, alpha=0.5, beta=0.4, form="paper")
    assert np.allclose(paper, [root, root])
    # The reference (place 0) has captions (0, 2) and (0, 1): both recomposed queries are (0, 1).
    # Caption part: (1 + 1) / 2 = 1 and (0 + 1) / 2 = 0.5.
    code = weimocir(image, text, gallery, captions, alpha=0.5, beta=0.4, form="code", reference_index=0)
    assert np.allclose(code, [0.6 * root + 0.4, 0.6 * root + 0.2])
    assert paper.shape == code.shape == (2,)


def test_queries_combine_features_as_given_and_scores_are_cosines():
    image, text, gallery, captions = some(1, 2, 4), some(2, 2, 4), some(3, 5, 4), some(4, 5, 3, 4)
    settings_of = {"alpha": 0.8, "beta": 0.1}
    base = weimocir(image, text, gallery, captions, **settings_of)
    assert np.allclose(weimocir(image, text, 7 * gallery, 0.1 * captions, **settings_of), base)
    assert not np.allclose(weimocir(4 * image, text, gallery, captions, **settings_of), base)
    without = weimocir(image, text, gallery, captions, alpha=0.8, beta=0)
    units = image / np.linalg.norm(image, axis=1, keepdims=True), text / np.linalg.norm(text, axis=1, keepdims=True)
    cosines = weighted_sum(*units, 0.8) @ (gallery / np.linalg.norm(gallery, axis=1, keepdims=True)).T
    assert np.allclose(weimocir(*units, gallery, captions, alpha=0.8, beta=0), cosines)
    assert not np.allclose(without, cosines)


def test_zero_vectors():
    captions = np.zeros((2, 3, 2))
    captions[1, 0] = [0, 3]
    scores = weimocir([0.0, 0.0], [0.0, 2.0], [[0.0, 0.0], [0.0, 9.0]], captions, alpha=0.5, beta=0.5)
    assert np.allclose(scores, [0, 0.5 + 0.5 / 3]), "a caption that is zero counts among the M"
    opposite = weimocir([1.0, 0.0], [-1.0, 0.0], [[1.0, 0.0]], np.ones((1, 1, 2)), alpha=0.5, beta=0.5)
    assert np.array_equal(opposite, [0])


def test_large_galleries_go_in_blocks_and_float32_stays_near():
    gallery, captions = some(1, _BLOCK + 5, 3).astype(np.float32), some(2, _BLOCK + 5, 2, 3).astype(np.float32)
    image, text = some(3, 2, 3).astype(np.float32), some(4, 2, 3).astype(np.float32)
    whole = weimocir(image, text, gallery, captions, alpha=0.7, beta=0.3, form="code", reference_index=[_BLOCK + 4, 1])
    last = slice(_BLOCK - 3, _BLOCK + 5)
    expected = plain(
        image.astype(float),
        text.astype(float),
        gallery[last].astype(float),
        captions[last].astype(float),
        0.7,
        0.3,
        [7, 7],
    )
    assert whole.dtype == np.float32
    assert np.abs(whole[0, last] - expected[0]).max() < 1e-6


def test_what_does_not_fit_is_refused():
    image, gallery, captions = np.ones((2, 3)), np.ones((4, 3)), np.ones((4, 2, 3))
    fits = {"alpha": 0.5, "beta": 0.5}
    for wrong in ({"form": "code"}, {"form": "code", "reference_index": [0]}, {"form": "release"}):
        with pytest.raises(ValueError, match=r"reference_index|forms are"):
            weimocir(image, image, gallery, captions, **fits, **wrong)
    for index in ([0, 4], [-1, 0]):
        with pytest.raises(ValueError, match="outside the gallery of 4"):
            weimocir(image, image, gallery, captions, **fits, form="code", reference_index=index)
    with pytest.raises(ValueError, match="m × M × d"):
        weimocir(image, image, gallery, captions[:3], **fits)
    with pytest.raises(ValueError, match="equal dimensions"):
        weimocir(image, image, gallery[:, :2], captions[:, :, :2], **fits)
    captions[3, 1, 2] = np.nan
    with pytest.raises(ValueError, match="gallery_captions holds"):
        weimocir(image, image, gallery, captions, **fits)
