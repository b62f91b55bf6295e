"""Composers against values worked by hand and against their formulas written out anew, one vector at a time."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evaluation.composers import (
    PDV_SETTINGS,
    SLERP_ALPHA,
    WEIMOCIR_SETTINGS,
    PdvSettings,
    image_only,
    pdv,
    pdv_image,
    pdv_text,
    slerp,
    text_only,
    weighted_sum,
)

ROOT_HALF = math.sqrt(0.5)
X, Y, ZERO = [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]


def n(x):
    length = math.sqrt(sum(value * value for value in x))
    return [value / length for value in x]


def plain_weighted_sum(v, w, a):
    v, w = n(v), n(w)
    return n([(1 - a) * p + a * q for p, q in zip(v, w, strict=True)])


def plain_slerp(v, w, a):
    v, w = n(v), n(w)
    dot = sum(p * q for p, q in zip(v, w, strict=True))
    if abs(dot) > 0.9995:
        return n([p + a * (q - p) for p, q in zip(v, w, strict=True)])
    theta = math.acos(dot)
    one, two = math.sin((1 - a) * theta) / math.sin(theta), math.sin(a * theta) / math.sin(theta)
    return n([one * p + two * q for p, q in zip(v, w, strict=True)])


def plain_pdv(v, t0, t1, at, ai, b):
    v, t0, t1 = n(v), n(t0), n(t1)
    d = [q - p for p, q in zip(t0, t1, strict=True)]
    text = [p + at * q for p, q in zip(t0, d, strict=True)]
    image = [p + ai * q for p, q in zip(v, d, strict=True)]
    return n([(1 - b) * p + b * q for p, q in zip(image, text, strict=True)])


def some(seed, shape, dtype=np.float64):
    return (np.random.default_rng(seed).normal(size=shape) * 3).astype(dtype)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 0.8, 1.0])
def test_each_row_is_the_formula_s_and_rows_do_not_meet(alpha):
    v, w, t = some(1, (7, 12)), some(2, (7, 12)), some(3, (7, 12))
    sums, arcs = weighted_sum(v, w, alpha), slerp(v, w, alpha)
    vectors = pdv(v, t, w, alpha_text=1.3, alpha_image=1.4, beta=alpha)
    for row in range(7):
        assert np.allclose(sums[row], plain_weighted_sum(v[row], w[row], alpha), rtol=0, atol=1e-12)
        assert np.allclose(arcs[row], plain_slerp(v[row], w[row], alpha), rtol=0, atol=1e-12)
        assert np.allclose(vectors[row], plain_pdv(v[row], t[row], w[row], 1.3, 1.4, alpha), rtol=0, atol=1e-12)
        assert np.array_equal(arcs[row], slerp(v[row], w[row], alpha)), "a vector alone gives the row"
    for result in (sums, arcs, vectors):
        assert result.dtype == np.float64
        assert np.allclose(np.linalg.norm(result, axis=1), 1)


def test_sums_by_hand():
    assert np.allclose(weighted_sum([3.0, 0.0], [0.0, 4.0], 0.5), [ROOT_HALF, ROOT_HALF]), "normalised first, not 3 : 4"
    assert np.allclose(weighted_sum(X, Y, 0.25), [3 / math.sqrt(10), 1 / math.sqrt(10)])
    assert np.allclose(image_only([[3.0, 4.0], [0.0, 2.0]]), [[0.6, 0.8], [0.0, 1.0]])
    assert np.allclose(text_only([6.0, -8.0]), [0.6, -0.8])


def test_slerp_by_hand():
    # A right angle: a third of it is 30 degrees from the image.
    assert np.allclose(slerp(X, Y, 1 / 3), [math.cos(math.pi / 6), 0.5])
    # 120 degrees, three quarters: 90 degrees from the image.
    assert np.allclose(slerp(X, [-0.5, math.sqrt(3) / 2], 0.75), Y)
    # An arc moves at one speed; the weighted sum of the same vectors does not.
    assert not np.allclose(slerp(X, [-0.5, math.sqrt(3) / 2], 0.75), weighted_sum(X, [-0.5, math.sqrt(3) / 2], 0.75))


def test_pdv_by_hand():
    # D = (-1, 1); PDV-T = (1, 0) + 2 D = (-1, 2); PDV-I = (0, 1) + 3 D = (-3, 4); half and half (-2, 3).
    result = pdv(Y, X, Y, alpha_text=2, alpha_image=3, beta=0.5)
    assert np.allclose(result, [-2 / math.sqrt(13), 3 / math.sqrt(13)])
    # Parts normalised before they are fused would give another direction.
    parts = np.array([-1, 2]) / math.sqrt(5) + np.array([-3, 4]) / 5
    assert not np.allclose(result, parts / np.linalg.norm(parts), atol=1e-3)
    # D normalised would give (1, 0) + 2 (-1, 1) / sqrt 2.
    assert np.allclose(pdv_text(X, Y, alpha=2), [-1 / math.sqrt(5), 2 / math.sqrt(5)])
    assert np.allclose(pdv_image(Y, X, Y, alpha=3), [-0.6, 0.8])


def test_pdv_without_extrapolation_is_the_composed_text():
    v, t0, t1 = some(1, (5, 8)), some(2, (5, 8)), some(3, (5, 8))
    assert np.allclose(pdv(v, t0, t1, alpha_text=1, alpha_image=1.4, beta=1), text_only(t1), atol=1e-12)
    assert np.allclose(pdv(v, t0, t0, alpha_text=9, alpha_image=9, beta=0.3), weighted_sum(v, t0, 0.3), atol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_parallel_vectors_give_their_direction(alpha):
    v = some(4, 16)
    for compose in (weighted_sum, slerp):
        assert np.allclose(compose(v, 5 * v, alpha), n(v), atol=1e-12)
        nearly = compose(v, v + 1e-9 * some(5, 16), alpha)
        assert np.allclose(nearly, n(v), atol=1e-8)
        assert np.isfinite(nearly).all()


def test_a_product_over_one_is_no_nan():
    found = 0
    for seed in range(200):
        v = some(seed, 33, np.float32)
        unit = (v / np.linalg.norm(v)).astype(np.float32)
        found += float(unit @ unit) > 1
        assert np.allclose(slerp(unit, unit, 0.8), unit, atol=1e-6)
        double = np.array(n(v.astype(np.float64)))
        found += float(double @ double) > 1
        assert np.allclose(slerp(double, double, 0.8), double, atol=1e-12)
    assert found > 0, "some of these products do round to more than 1"


def test_opposite_vectors_take_the_heavier_side_and_none_at_one_half():
    v = some(6, (3, 10))
    for compose in (weighted_sum, slerp):
        assert np.allclose(compose(v, -2 * v, 0.3), image_only(v))
        assert np.allclose(compose(v, -2 * v, 0.8), -image_only(v))
        assert np.array_equal(compose(v, -v, 0.5), np.zeros((3, 10)))
        assert np.array_equal(compose(v, -3 * v, 0.5), np.zeros((3, 10))), "what rounding leaves has no direction"
        small = v.astype(np.float32)
        assert np.array_equal(compose(small, -3 * small, 0.5), np.zeros((3, 10)))
    assert np.array_equal(pdv(X, [-1.0, 0.0], [-1.0, 0.0], alpha_text=1, alpha_image=1, beta=0.5), ZERO)


@pytest.mark.parametrize("compose", [weighted_sum, slerp])
def test_a_zero_vector_adds_nothing(compose):
    assert np.allclose(compose(ZERO, [0.0, 2.0], 0.3), Y)
    assert np.allclose(compose([0.0, 2.0], ZERO, 0.3), Y)
    assert np.array_equal(compose(ZERO, ZERO, 0.3), ZERO)
    assert np.array_equal(compose(ZERO, X, 0.0), ZERO), "the other has no weight"
    assert np.array_equal(compose([ZERO, X], [ZERO, X], 0.4), [ZERO, X]), "rows apart"


def test_zero_vectors_of_pdv_and_of_the_controls():
    assert np.allclose(pdv(ZERO, X, Y, alpha_text=1, alpha_image=1, beta=0.5), [-1 / math.sqrt(5), 2 / math.sqrt(5)])
    assert np.array_equal(pdv(ZERO, ZERO, ZERO, alpha_text=1, alpha_image=1, beta=0.5), ZERO)
    assert np.array_equal(image_only(ZERO), ZERO)
    assert np.array_equal(text_only([ZERO]), [ZERO])


def test_types_and_shapes():
    v, w = some(1, (4, 6), np.float32), some(2, (4, 6), np.float32)
    assert slerp(v, w, 0.5).dtype == weighted_sum(v, w, 0.5).dtype == image_only(v).dtype == np.float32
    assert slerp(v, w.astype(np.float64), 0.5).dtype == np.float64
    assert weighted_sum(v.astype(np.float16), w, 0.5).dtype == np.float32
    assert weighted_sum([1, 0], [0, 1], 0.5).dtype == np.float64
    assert pdv(v, w, w, alpha_text=1, alpha_image=1, beta=0.5).dtype == np.float32
    exact = slerp(v.astype(np.float64), w.astype(np.float64), 0.7)
    assert np.abs(slerp(v, w, 0.7) - exact).max() < 1e-6
    assert slerp(v[:0], w[:0], 0.5).shape == (0, 6)
    tiny, huge = 1e-200 * np.array([3.0, 4.0]), 1e200 * np.array([4.0, 3.0])
    assert np.allclose(weighted_sum(tiny, huge, 0.5), [ROOT_HALF, ROOT_HALF]), "squares neither vanish nor overflow"


def test_what_cannot_be_composed_is_refused():
    with pytest.raises(ValueError, match="shapes differ"):
        weighted_sum(np.ones((2, 3)), np.ones(3), 0.5)
    with pytest.raises(ValueError, match=r"text .*NaN or infinite, first at \(1, 2\)"):
        slerp(np.ones((2, 3)), [[1, 1, 1], [1, 1, math.nan]], 0.5)
    with pytest.raises(ValueError, match="text_composed"):
        pdv(X, X, [math.inf, 0], alpha_text=1, alpha_image=1, beta=1)
    with pytest.raises(ValueError, match="axes"):
        image_only(np.ones((2, 2, 2)))


vectors = arrays(np.float64, 5, elements=st.floats(-4, 4, allow_subnormal=False))
shares = st.floats(0, 1)


@given(vectors, vectors, shares, st.floats(0.1, 100), st.floats(0.1, 100))
@settings(max_examples=200, deadline=None)
def test_lengths_do_not_matter_and_results_are_unit_or_zero(v, w, alpha, one, two):
    for compose in (weighted_sum, slerp):
        result = compose(v, w, alpha)
        length = np.linalg.norm(result)
        assert length == 0 or abs(length - 1) < 1e-12
        again = compose(one * v, two * w, alpha)
        # Where the two nearly cancel, the direction is that of what rounding leaves.
        combined = (1 - alpha) * image_only(v) + alpha * text_only(w)
        if np.linalg.norm(combined) > 1e-3:
            assert np.allclose(result, again, atol=1e-9)


@given(vectors, vectors, shares)
@settings(max_examples=200, deadline=None)
def test_slerp_keeps_its_angles_and_its_symmetry(v, w, alpha):
    assume(np.linalg.norm(v) > 1e-3 and np.linalg.norm(w) > 1e-3)
    v, w = np.array(n(v)), np.array(n(w))
    assume(abs(v @ w) < 0.99)
    result = slerp(v, w, alpha)
    theta = math.acos(v @ w)
    assert math.isclose(math.acos(min(1, result @ v)), alpha * theta, abs_tol=1e-6)
    assert math.isclose(math.acos(min(1, result @ w)), (1 - alpha) * theta, abs_tol=1e-6)
    assert np.allclose(result, slerp(w, v, 1 - alpha), atol=1e-9)
    assert np.allclose(result, plain_slerp(v, w, alpha), rtol=0, atol=1e-9)


@given(vectors, vectors, vectors, st.floats(-2, 2), st.floats(-2, 2), shares)
@settings(max_examples=200, deadline=None)
def test_pdv_is_its_formula(v, t0, t1, alpha_text, alpha_image, beta):
    assume(min(np.linalg.norm(one) for one in (v, t0, t1)) > 1e-3)
    v, t0, t1 = (np.array(n(one)) for one in (v, t0, t1))
    fused = (1 - beta) * (v + alpha_image * (t1 - t0)) + beta * (t0 + alpha_text * (t1 - t0))
    assume(np.linalg.norm(fused) > 1e-6)
    result = pdv(v, t0, t1, alpha_text=alpha_text, alpha_image=alpha_image, beta=beta)
    assert np.allclose(result, plain_pdv(v, t0, t1, alpha_text, alpha_image, beta), rtol=0, atol=1e-8)


def test_published_settings():
    assert dict(SLERP_ALPHA) == {"cirr": 0.9, "circo": 0.8, "fashioniq": 0.8}
    assert PDV_SETTINGS["cirevl", "fashioniq", "L/14"] == PdvSettings(beta=0.55, alpha_image=1.0, alpha_text=1.3)
    assert PDV_SETTINGS["searle", "*", "B/32"] == PdvSettings(beta=0.9, alpha_image=1.4, alpha_text=1.2)
    assert {name: (one.alpha, one.beta) for name, one in WEIMOCIR_SETTINGS.items()} == {
        "clip": (0.8, 0.1),
        "blip": (0.95, 0.2),
    }


def test_importing_the_composers_loads_no_model_library():
    code = (
        "import sys, evaluation.composers, evaluation.rerankers; "
        "print(sorted({'torch', 'transformers', 'openai', 'faiss', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
