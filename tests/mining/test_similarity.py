"""Similarities of sketches and of texts."""

from __future__ import annotations

import made_places as made
import numpy as np
import pytest

from mining.similarity import cosines, sketch_matrix, text_similarities


def test_cosines_are_exact_to_four_decimals_whatever_the_batch() -> None:
    sketches = [made.sketch(seed, like=3, share=0.4, length=480) for seed in range(40)]
    whole = cosines(sketch_matrix(sketches), sketch_matrix(sketches))
    rows = np.stack([np.frombuffer(sketch, np.int8) for sketch in sketches]).astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert np.abs(whole - rows @ rows.T).max() <= 0.5001e-4
    for index in (0, 7, 39):
        assert (cosines(sketch_matrix([sketches[index]]), sketch_matrix(sketches)) == whole[index]).all()
    assert (np.diag(whole) == 1).all()


def test_blank_sketches_resemble_nothing_and_no_images_give_no_similarities() -> None:
    blank = sketch_matrix([bytes(64), made.sketch(1)])
    assert cosines(blank, blank)[0].tolist() == [0.0, 0.0]
    assert cosines(sketch_matrix([]), blank).shape == (0, 2)


def test_sketches_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        sketch_matrix([bytes(64), bytes(65)])


def test_missing_texts_give_nan() -> None:
    result = text_similarities([made.embedding(1), None, made.embedding(1), made.embedding(2)])
    assert np.isnan(result[1]).all()
    assert np.isnan(result[:, 1]).all()
    assert result[0, 2] == 1
    assert result[0, 3] == result[3, 0] < 1
