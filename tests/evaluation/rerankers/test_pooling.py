"""Pooling by hand, by loops, and against torch's own layers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.rerankers import descriptor, gem_plus, regional_gem, relup, scale_gem, whitened


def some(seed, *shape, dtype=np.float64):
    return np.random.default_rng(seed).random(shape).astype(dtype)


def test_relup_lifts_what_is_small():
    assert relup([-1.0, 0.0, 0.014, 0.5]).tolist() == [0.014, 0.014, 0.014, 0.5]
    assert relup(np.float32([[0.0]])).dtype == np.float32
    with pytest.raises(ValueError, match="NaN"):
        relup([math.nan])


def reflected(index, size):
    index = abs(index)
    return 2 * (size - 1) - index if index >= size else index


@given(st.integers(0, 2**32 - 1), st.integers(3, 7), st.integers(3, 7))
@settings(max_examples=20, deadline=None)
def test_regional_gem_is_a_local_power_mean_averaged_with_the_map(seed, height, width):
    x = some(seed, 2, height, width)
    expected = np.zeros_like(x)
    for c in range(2):
        for i in range(height):
            for j in range(width):
                window = [
                    x[c, reflected(i + a, height), reflected(j + b, width)] ** 2.5
                    for a in range(-2, 3)
                    for b in range(-2, 3)
                ]
                expected[c, i, j] = 0.5 * x[c, i, j] + 0.5 * (sum(window) / 25) ** (1 / 2.5)
    assert np.allclose(regional_gem(x), expected, rtol=0, atol=1e-12)


def test_pooling_agrees_with_torch_s_layers():
    torch = pytest.importorskip("torch")
    x = some(5, 8, 9, 7)
    tensor = torch.from_numpy(x)
    pool, pad = torch.nn.LPPool2d(2.5, 5, stride=1), torch.nn.ReflectionPad2d(2)
    regional = 0.5 * tensor + 0.5 * pool(pad(tensor / 25 ** (1 / 2.5)))
    assert np.allclose(regional_gem(x), regional.numpy(), rtol=0, atol=1e-9)
    pooled = regional.clamp(1e-8).pow(4.6).flatten(1).mean(1).pow(1 / 4.6)
    assert np.allclose(gem_plus(regional_gem(x)), pooled.numpy(), rtol=0, atol=1e-9)


def test_a_flat_map_stays_and_a_peak_spreads():
    assert np.allclose(regional_gem(np.full((1, 5, 5), 0.3)), 0.3)
    peak = np.zeros((1, 9, 9))
    peak[0, 4, 4] = 1
    result = regional_gem(peak)
    assert math.isclose(result[0, 4, 4], 0.5 + 0.5 * (1 / 25) ** 0.4)
    assert math.isclose(result[0, 2, 6], 0.5 * (1 / 25) ** 0.4)
    assert result[0, 1, 4] == 0


def test_gem_plus_by_hand():
    x = np.array([[[1.0, 2.0], [0.0, -5.0]], [[0.5, 0.5], [0.5, 0.5]]])
    expected = [((1 + 2**4.6 + 2 * 1e-8**4.6) / 4) ** (1 / 4.6), 0.5]
    assert np.allclose(gem_plus(x), expected)
    assert np.allclose(gem_plus(x, power=1, floor=0), [0.75, 0.5]), "power 1 is the mean"
    assert np.allclose(gem_plus(x, power=200)[0], 2, atol=0.02), "large powers are the maximum"
    assert np.allclose(gem_plus(np.zeros((3, 2, 2))), 1e-8), "an empty map is at the floor"


def test_scale_gem_by_hand():
    scales = [[3.0, 4.0], [8.0, 6.0], [0.0, 0.0]]
    assert np.allclose(scale_gem(scales), [0.8, 0.8]), "normalised, then the maximum"
    # The smallest value is 0: (mean of tenth powers) to the 1 / 10.
    expected = [((3**10 + 8**10) / 3) ** 0.1, ((4**10 + 6**10) / 3) ** 0.1]
    assert np.allclose(scale_gem(scales, infinite=False), expected)
    lowered = scale_gem(np.array(scales) - 2, infinite=False)
    assert np.allclose(lowered, np.array(expected) - 2), "the smallest value of all is taken out and put back"
    assert np.allclose(descriptor([np.array(one) for one in scales]), [math.sqrt(0.5)] * 2)
    assert np.allclose(descriptor([[3.0, 4.0]]), [0.6, 0.8])


def test_whitening_takes_the_normalised_vector():
    weight, bias = np.array([[1.0, 1.0], [0.0, 2.0], [5.0, 0.0]]), np.array([0.0, 1.0, 2.0])
    assert np.allclose(whitened([3.0, 4.0], weight, bias), [1.4, 2.6, 5.0])
    with pytest.raises(ValueError, match="C, D × C, D"):
        whitened([3.0, 4.0, 5.0], weight, bias)


def test_float32_stays_float32():
    x = some(1, 4, 6, 6, dtype=np.float32)
    pooled = gem_plus(regional_gem(x))
    assert pooled.dtype == scale_gem(np.stack([pooled, pooled])).dtype == descriptor([pooled]).dtype == np.float32
    assert np.abs(pooled - gem_plus(regional_gem(x.astype(np.float64)))).max() < 1e-6


def test_maps_that_cannot_be_pooled_are_refused():
    with pytest.raises(ValueError, match="negative"):
        regional_gem(np.full((1, 5, 5), -0.1))
    with pytest.raises(ValueError, match="over 2 × 2"):
        regional_gem(np.ones((1, 2, 5)))
    with pytest.raises(ValueError, match="odd size"):
        regional_gem(np.ones((1, 6, 6)), size=4)
    with pytest.raises(ValueError, match="no places"):
        gem_plus(np.ones((3, 0, 4)))
    with pytest.raises(ValueError, match="one scale"):
        scale_gem(np.ones((0, 4)))
    with pytest.raises(ValueError, match="axes"):
        gem_plus(np.ones((1, 3, 4, 4)))
