"""Binary codes, their search and their cost."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.codes import hamming_search, itq_coder, loss_against_bits, sign_coder


def some(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def clusters(seed, count=12, size=20, dimensions=24):
    """Items around `count` centres, and their labels."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count, dimensions))
    labels = np.repeat(np.arange(count), size)
    return (centres[labels] + 0.3 * rng.normal(size=(len(labels), dimensions)) + 1.5).astype(np.float32), labels


def test_sign_codes_by_hand():
    coder = sign_coder(10)
    codes = coder.encode([[1, -1, 0, -2, 3, 3, -1, -1, 5, -5], [-1] * 10])
    # 1010 1100 and 10, zeros behind; a value of 0 is a 1.
    assert codes.tolist() == [[0b10101100, 0b10000000], [0, 0]]
    assert coder.bits == 10
    assert coder.signs([[1, -1, 0, -2, 3, 3, -1, -1, 5, -5]]).tolist() == [[1, -1, 1, -1, 1, 1, -1, -1, 1, -1]]


def test_fewer_sign_bits_are_random_directions_by_seed():
    x = some(1, 9, 16)
    coder = sign_coder(16, 5, seed=3)
    assert np.allclose(coder.projection.T @ coder.projection, np.eye(5))
    assert np.array_equal(coder.encode(x), sign_coder(16, 5, seed=3).encode(x))
    assert not np.array_equal(coder.projection, sign_coder(16, 5, seed=4).projection)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 7), st.integers(1, 45), st.integers(1, 16))
@settings(max_examples=60, deadline=None)
def test_search_counts_bits_and_breaks_ties_by_index(seed, gallery, queries, top, bits):
    coder = sign_coder(16, bits)
    q, g = some(seed, queries, 16), some(seed + 1, gallery, 16)
    distances, indices = hamming_search(coder.encode(q), coder.encode(g), top)
    a, b = coder.signs(q), coder.signs(g)
    for row in range(queries):
        counted = [sum(x != y for x, y in zip(a[row], other, strict=True)) for other in b]
        expected = sorted(range(gallery), key=lambda j: (counted[j], j))[:top]
        assert indices[row].tolist() == expected
        assert distances[row].tolist() == [counted[j] for j in expected]
    assert np.array_equal(a @ b.T, coder.bits - 2 * np.array([[np.sum(x != y) for y in b] for x in a]))
    assert (indices.dtype, distances.dtype) == (np.int64, np.int32)


def test_search_of_nothing_and_in_nothing():
    codes = sign_coder(8).encode(some(1, 3, 8))
    assert hamming_search(codes, codes[:0], 5)[1].shape == (3, 0)
    assert hamming_search(codes[:0], codes, 5)[1].shape == (0, 3)
    with pytest.raises(ValueError, match="gallery have shape"):
        hamming_search(codes, np.zeros((4, 2), np.uint8), 1)
    with pytest.raises(ValueError, match="uint8"):
        hamming_search(codes.astype(np.int64), codes, 1)
    with pytest.raises(ValueError, match="top is 0"):
        hamming_search(codes, codes, 0)


def test_itq_projects_on_orthonormal_directions_by_seed():
    x, _ = clusters(1)
    coder = itq_coder(x, 8, seed=5)
    assert np.allclose(coder.projection.T @ coder.projection, np.eye(8))
    again = itq_coder(x.copy(), 8, seed=5)
    assert np.array_equal(coder.encode(x), again.encode(x))
    assert np.array_equal(coder.projection, again.projection)
    units = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert np.allclose(coder.mean, units.mean(axis=0), atol=1e-6)
    # The span is that of the principal components.
    _, _, components = np.linalg.svd((units - units.mean(axis=0)).astype(np.float64), full_matrices=False)
    assert np.allclose(components[:8] @ coder.projection @ coder.projection.T @ components[:8].T, np.eye(8), atol=1e-4)


def test_every_turn_of_itq_brings_the_corners_nearer():
    x, _ = clusters(2)
    units = x / np.linalg.norm(x, axis=1, keepdims=True)

    def error(iterations):
        coder = itq_coder(x, 8, iterations=iterations)
        values = (units - coder.mean) @ coder.projection
        return float(np.sum((np.sign(values) - values) ** 2))

    errors = [error(count) for count in (0, 1, 2, 5, 20, 50)]
    assert all(later <= earlier + 1e-6 for earlier, later in itertools.pairwise(errors))
    assert errors[-1] < 0.98 * errors[0]


def test_lengths_do_not_matter_to_codes():
    x, _ = clusters(3)
    factors = np.random.default_rng(0).uniform(0.5, 2, (len(x), 1))
    coder = itq_coder(x, 16)
    assert np.array_equal(itq_coder(x * factors.astype(np.float64), 16).encode(x), coder.encode(x))
    assert np.array_equal(coder.encode(4 * x), coder.encode(x))


def test_codes_go_in_blocks(monkeypatch):
    x, _ = clusters(4)
    coder = itq_coder(x, 12)
    whole = coder.encode(x)
    monkeypatch.setattr("evaluation.codes._BLOCK", 7)
    assert np.array_equal(coder.encode(x), whole)


def test_the_loss_of_a_metric_falls_with_the_bits():
    gallery, labels = clusters(5)
    queries = gallery[::5] + 0.1 * some(6, len(gallery[::5]), gallery.shape[1])
    seen = []

    def precision(q, g):
        seen.append((q.shape, g.shape))
        nearest = np.argsort(-(q @ g.T), axis=1, kind="stable")[:, :10]
        return {"P@10": float(100 * (labels[nearest] == labels[::5, None]).mean())}

    rows = loss_against_bits(queries, gallery, [2, 8, 24], precision)
    assert [row.bits for row in rows] == [None, 2, 8, 24]
    assert [row.bytes_a_vector for row in rows] == [96, 1, 1, 3]
    assert seen == [((48, bits), (240, bits)) for bits in (24, 2, 8, 24)]
    assert rows[0].loss == {"P@10": 0.0}
    for row in rows:
        assert row.loss["P@10"] == rows[0].metrics["P@10"] - row.metrics["P@10"]
    assert rows[1].loss["P@10"] > rows[2].loss["P@10"] > rows[3].loss["P@10"] - 1
    assert rows[1].loss["P@10"] > 20, "two bits tell four places apart, not twelve"
    sign = loss_against_bits(queries, gallery, [8], precision, method="sign")
    assert sign[0].metrics == rows[0].metrics
    assert sign[1].loss["P@10"] > rows[2].loss["P@10"], "off-centre data cost plain signs more than learned ones"


def test_a_training_set_of_its_own_is_learned_from():
    gallery, _ = clusters(7)
    training, _ = clusters(8)
    kept = {}

    def keep(q, g):
        kept[len(kept)] = g
        return {}

    loss_against_bits(gallery[:3], gallery, [8], keep, training=training, seed=2)
    assert np.array_equal(kept[1], itq_coder(training, 8, seed=2).signs(gallery))


def test_what_cannot_be_coded_is_refused():
    for bits in (0, 9):
        with pytest.raises(ValueError, match="can be made"):
            sign_coder(8, bits)
        with pytest.raises(ValueError, match="can be made"):
            itq_coder(some(1, 20, 8), bits)
    with pytest.raises(ValueError, match="2 at least"):
        itq_coder(some(1, 1, 8), 4)
    with pytest.raises(ValueError, match="n × 8"):
        sign_coder(8).encode(some(1, 3, 7))
    x = some(1, 3, 8)
    x[2, 4] = np.inf
    with pytest.raises(ValueError, match="NaN or infinite"):
        sign_coder(8).encode(x)


def test_without_faiss_the_mend_is_said():
    code = (
        "import sys; sys.modules['faiss'] = None\n"
        "from evaluation.codes import hamming_search, sign_coder\n"
        "from schemas.errors import MissingPackageError\n"
        "codes = sign_coder(8).encode([[1.0] * 8])\n"
        "try:\n    hamming_search(codes, codes, 1)\n"
        "except MissingPackageError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "lensmith[evaluate]" in done.stdout
