"""Vectors of images in the views in which they are compared."""

from __future__ import annotations

from dataclasses import replace

import made_places as made
import numpy as np
import pytest

from mining.search.vectors import VIEWS, ImageColumns, ViewVectors, hash_bits, view_vectors, whole
from mining.similarity import cosines, sketch_matrix, text_similarities


def columns(count: int = 40, first: int = 0) -> ImageColumns:
    ids = [f"{number:064x}" for number in range(first, first + count)]
    sketches = [made.sketch(number, like=number % 5, share=0.6) for number in range(first, first + count)]
    texts = np.stack([made.embedding(number) for number in range(first, first + count)][::2])
    hashes = np.array([int(made.image_id(one)[:16], 16) for one in ids], np.uint64)
    looks = np.stack([np.frombuffer(one, np.int8) for one in sketches])
    return ImageColumns(ids, looks, hashes, ids[::2], texts, captions=looks[:, ::-1][:, :48])


def all_scores(vectors: ViewVectors) -> np.ndarray:
    rows = np.arange(len(vectors.ids))
    return vectors.scores(rows, vectors, np.tile(rows, (len(rows), 1)))


def test_scores_are_the_numbers_that_rows_of_pairs_have() -> None:
    known = columns()
    looks = sketch_matrix([row.tobytes() for row in known.sketches])
    assert (all_scores(view_vectors("image", known)) == cosines(looks, looks)).all()
    assert (all_scores(view_vectors("text", known)) == text_similarities(list(known.texts))).all()
    distances = np.bitwise_count(known.hashes[:, None] ^ known.hashes[None, :])
    assert (all_scores(view_vectors("pattern", known)) == np.round(1 - distances / 32.0, 4)).all()


@pytest.mark.parametrize("view", VIEWS)
def test_search_vectors_are_of_unit_length(view: str) -> None:
    vectors = view_vectors(view, columns()).search
    assert vectors.dtype == np.float32
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6


def test_images_that_resemble_nothing_are_left_out() -> None:
    known = columns(4)
    known.sketches[1] = 0
    assert list(view_vectors("image", known).ids) == [known.ids[0], *known.ids[2:]]
    assert list(view_vectors("text", known).ids) == known.ids[::2]
    assert list(view_vectors("caption", known).ids) == [known.ids[0], *known.ids[2:]]
    assert not len(view_vectors("caption", replace(known, captions=np.zeros((4, 0), np.int8))).ids)


def test_the_pattern_is_that_of_a_model_where_there_is_one() -> None:
    known = columns()
    seen = replace(known, patterns=np.ascontiguousarray(known.sketches[::-1, :32]))
    looks = sketch_matrix([row.tobytes() for row in seen.patterns])
    assert (all_scores(view_vectors("pattern", seen)) == cosines(looks, looks)).all()
    assert (all_scores(view_vectors("image", seen)) == all_scores(view_vectors("image", known))).all()


@pytest.mark.parametrize("view", VIEWS)
def test_parts_are_joined_by_id_and_empty_ones_add_nothing(view: str) -> None:
    whole_corpus = view_vectors(view, columns(40))
    empty = view_vectors(
        view, ImageColumns([], np.zeros((0, 0), np.int8), np.zeros(0, np.uint64), [], np.zeros((0, 0), np.float32))
    )
    late, early = view_vectors(view, columns(20, 20)), view_vectors(view, columns(20))
    joined = ViewVectors.joined([late, empty, early])
    assert list(joined.ids) == list(whole_corpus.ids)
    assert (joined.search == whole_corpus.search).all()
    assert (all_scores(joined) == all_scores(whole_corpus)).all()
    assert len(ViewVectors.joined([empty, empty]).ids) == 0


def test_whole_numbers_are_of_one_length_and_their_products_exact() -> None:
    vectors = np.random.default_rng(1).normal(size=(50, 448)).astype(np.float32)
    rows = whole(vectors)
    assert (rows == np.rint(rows)).all()
    assert np.abs(np.linalg.norm(rows, axis=1) - 4000).max() < 11
    assert ((rows @ rows.T) == (rows.astype(np.float64) @ rows.astype(np.float64).T)).all()
    assert (whole(np.zeros((1, 8), np.float32)) == 0).all()


def test_bits_of_hashes_go_from_the_highest() -> None:
    bits = hash_bits(np.array([1 << 63, 1], np.uint64))
    assert (bits[0][0], bits[0][-1], bits[1][0], bits[1][-1]) == (1, -1, -1, 1)
