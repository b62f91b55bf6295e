"""Embeddings files: what is read, and what is refused by name."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluation import embeddings
from evaluation.embeddings import Embeddings, read_embeddings, shown
from schemas.errors import ConfigurationError


def _arrays(**changes):
    rng = np.random.default_rng(0)
    found = {
        "query_ids": np.array(["q0", "q1"]),
        "query_embeddings": rng.standard_normal((2, 3)).astype(np.float32),
        "gallery_ids": np.array(["a", "b", "c"]),
        "gallery_embeddings": rng.standard_normal((3, 3)).astype(np.float32),
    } | changes
    return {name: array for name, array in found.items() if array is not None}


def _saved(path, save=np.savez, **changes):
    save(path, **_arrays(**changes))
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    found = read_embeddings(_saved(tmp_path / "e.npz", save))
    assert found.query_ids == ("q0", "q1")
    assert found.gallery_ids == ("a", "b", "c")
    assert np.array_equal(found.gallery, _arrays()["gallery_embeddings"])
    assert found.queries.dtype == np.float32
    assert found.controls == {}


def test_large_arrays_are_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "_MAPPED_BYTES", 1)
    found = read_embeddings(_saved(tmp_path / "e.npz"))
    assert isinstance(found.gallery, np.memmap)
    assert np.array_equal(found.gallery, _arrays()["gallery_embeddings"])
    assert np.array_equal(found.queries, _arrays()["query_embeddings"])
    assert found.query_ids == ("q0", "q1")


def test_other_number_types_and_ids_that_are_numbers(tmp_path):
    path = _saved(
        tmp_path / "e.npz",
        query_ids=np.array([12060, 7]),
        gallery_ids=np.array([b"a", b"b", b"c"]),
        query_embeddings=_arrays()["query_embeddings"].astype(np.float16),
    )
    found = read_embeddings(path)
    assert found.query_ids == ("12060", "7")
    assert found.gallery_ids == ("a", "b", "c")
    assert found.queries.dtype == np.float32


@pytest.mark.parametrize("nested", [False, True])
def test_parquet(tmp_path, nested):
    """Columns padded with nulls at the end, or all of them as lists in one row."""
    arrays = {name: array.tolist() for name, array in _arrays().items()}
    if nested:
        columns = {name: [values] for name, values in arrays.items()}
    else:
        columns = {name: values + [None] * (3 - len(values)) for name, values in arrays.items()}
    pq.write_table(pa.table(columns), tmp_path / "e.parquet")
    found = read_embeddings(tmp_path / "e.parquet")
    assert found.query_ids == ("q0", "q1")
    assert np.array_equal(found.queries, _arrays()["query_embeddings"])
    assert np.array_equal(found.gallery, _arrays()["gallery_embeddings"])


def test_parquet_names_vectors_of_another_length(tmp_path):
    columns = {"gallery_ids": ["a", "b"], "gallery_embeddings": [[1.0, 2.0], [1.0]]}
    pq.write_table(pa.table(columns), tmp_path / "e.parquet")
    with pytest.raises(ConfigurationError, match="'b'"):
        read_embeddings(tmp_path / "e.parquet")


def test_queries_may_be_absent_or_empty(tmp_path):
    absent = read_embeddings(_saved(tmp_path / "a.npz", query_ids=None, query_embeddings=None))
    empty = read_embeddings(
        _saved(tmp_path / "b.npz", query_ids=np.zeros(0, "U1"), query_embeddings=np.zeros((0, 0), np.float32))
    )
    for found in (absent, empty):
        assert found.query_ids == ()
        assert found.queries.shape == (0, 3)


def test_controls(tmp_path):
    text = np.ones((2, 3), np.float32)
    found = read_embeddings(_saved(tmp_path / "e.npz", query_text_embeddings=text))
    assert list(found.controls) == ["text only"]
    text[1] = np.nan
    path = _saved(tmp_path / "f.npz", query_text_embeddings=text)
    with pytest.raises(ConfigurationError, match="text only query embeddings hold NaN or infinity: 'q1'"):
        read_embeddings(path)


NAN = np.array([[0, 0, 1], [np.nan, 0, 1], [np.inf, 0, 1]], np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gallery_embeddings": NAN}, "gallery embeddings hold NaN or infinity: 'b', 'c'"),
        ({"gallery_embeddings": np.full((3, 3), 1e300)}, "NaN or infinity: 'a', 'b', 'c'"),
        ({"gallery_ids": np.array(["a", "b", "b"])}, "more than once: 'b'"),
        ({"query_ids": np.array(["q0", "q1", "q2"])}, "ids without a vector: 'q2'"),
        ({"query_ids": np.array(["q0"])}, "1 query ids and 2 query embeddings"),
        ({"query_embeddings": np.ones((2, 4), np.float32)}, "4 dimensions, the gallery's 3"),
        ({"query_embeddings": np.ones(2, np.float32)}, r"query_embeddings has the shape \(2,\)"),
        ({"query_embeddings": np.ones((2, 3), complex)}, "must hold float32"),
        ({"gallery_ids": np.array([["a", "b", "c"]])}, "must have one dimension"),
        ({"gallery_ids": np.array([0.5, 1.5, 2.5])}, "must hold strings"),
        ({"gallery_ids": None}, "has no gallery_ids"),
        ({"gallery_ids": np.array(["a", "b", None], object)}, "without pickle"),
    ],
)
def test_refused_by_name(tmp_path, changes, message):
    with pytest.raises(ConfigurationError, match=message):
        read_embeddings(_saved(tmp_path / "e.npz", **changes))


def test_no_pickle_runs(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").write_text, ("x",))

    path = tmp_path / "e.npz"
    np.savez(path, gallery_ids=np.array([Evil()], object), gallery_embeddings=np.ones((1, 2), np.float32))
    with pytest.raises(ConfigurationError):
        read_embeddings(path)
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ConfigurationError, match=r"no \.npz file"):
        read_embeddings(path)
    assert not (tmp_path / "ran").exists()


def test_files_that_are_not_there_or_something_else(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_embeddings(tmp_path / "absent.npz")
    (tmp_path / "e.parquet").write_text("no")
    with pytest.raises(ConfigurationError, match="no parquet"):
        read_embeddings(tmp_path / "e.parquet")
    _saved(tmp_path / "whole.npz")
    cut = (tmp_path / "whole.npz").read_bytes()[:-200]
    (tmp_path / "cut.npz").write_bytes(cut)
    with pytest.raises(ConfigurationError):
        read_embeddings(tmp_path / "cut.npz")


def test_messages_name_a_few_ids():
    assert shown("abc") == "'a', 'b', 'c'"
    assert shown("abcdefg") == "'a', 'b', 'c', 'd', 'e' and 2 more"


def test_made_in_memory_they_are_checked_too():
    with pytest.raises(ConfigurationError, match="NaN"):
        Embeddings((), np.zeros((0, 3), np.float32), ("a", "b", "c"), NAN)
