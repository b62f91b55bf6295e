from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.composed_queries import COMPOSERS, Weights, compose, composition_words, published_weights, weights_of
from evaluation.composers import pdv, weighted_sum
from evaluation.embeddings import read_embeddings
from schemas.errors import ConfigurationError


def _vectors(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    return {
        "query_ids": np.array(["a", "b", "c"]),
        "query_image_embeddings": _vectors(0, 3, 8),
        "query_text_embeddings": _vectors(1, 3, 8),
        "query_reference_text_embeddings": _vectors(2, 3, 8),
        "gallery_ids": np.array(["x", "y", "z", "w"]),
        "gallery_embeddings": _vectors(3, 4, 8),
        "gallery_caption_embeddings": _vectors(4, 4, 2, 8),
    }


def _read(path: Path, arrays: dict[str, np.ndarray]):
    np.savez(path / "file.npz", **arrays)
    return read_embeddings(path / "file.npz", composed=True)


def test_each_composer_makes_its_formula(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    held = _read(tmp_path, arrays)
    image, text = arrays["query_image_embeddings"], arrays["query_text_embeddings"]
    made, similarity = compose(held, "pdv", Weights(1.3, 1.0, 0.55), None)
    expected = pdv(image, arrays["query_reference_text_embeddings"], text, alpha_text=1.3, alpha_image=1.0, beta=0.55)
    np.testing.assert_allclose(made.queries, expected, atol=1e-6)
    assert similarity is None
    made, _ = compose(held, "weighted-sum", Weights(0.3), "cosine")
    np.testing.assert_allclose(made.queries, weighted_sum(image, text, 0.3), atol=1e-6)
    np.testing.assert_array_equal(made.gallery, held.gallery)
    assert compose(held, "weimocir", Weights(alpha=0.8, beta=0.1), None)[1] == "dot"


def test_published_weights_and_what_is_asked_in_their_place() -> None:
    assert published_weights("slerp", "cirr") == Weights(0.9)
    assert published_weights("slerp", "fashioniq") == published_weights("slerp", "lensmith") == Weights(0.8)
    assert weights_of("pdv", "fashioniq", Weights(beta=0.7)) == Weights(1.3, 1.0, 0.7)
    assert composition_words("weimocir", weights_of("weimocir", "cirr", Weights())) == "weimocir alpha 0.8 beta 0.1"
    for composer, names in COMPOSERS.items():
        found = published_weights(composer, "circo")
        assert {name for name, value in vars(found).items() if value is not None} == set(names)


@pytest.mark.parametrize(
    ("composer", "lost"),
    [
        ("slerp", "query_image_embeddings"),
        ("text-only", "query_text_embeddings"),
        ("pdv", "query_reference_text_embeddings"),
        ("weimocir", "gallery_caption_embeddings"),
    ],
)
def test_missing_arrays_are_named(tmp_path: Path, arrays: dict[str, np.ndarray], composer: str, lost: str) -> None:
    del arrays[lost]
    with pytest.raises(ConfigurationError, match=f"needs the array {lost}"):
        compose(_read(tmp_path, arrays), composer, published_weights(composer, "cirr"), None)


def test_a_single_half_is_enough_for_its_composer(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    del arrays["query_text_embeddings"]
    made, _ = compose(_read(tmp_path, arrays), "image-only", Weights(), None)
    np.testing.assert_allclose(np.linalg.norm(made.queries, axis=1), 1, rtol=1e-6)


def test_arrays_of_other_shapes(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(ConfigurationError, match="images × captions × d"):
        _read(tmp_path, arrays | {"gallery_caption_embeddings": _vectors(0, 4, 8)})
    with pytest.raises(ConfigurationError, match="gallery_caption_embeddings"):
        _read(tmp_path, arrays | {"gallery_caption_embeddings": _vectors(0, 3, 2, 8)})
    bad = _vectors(0, 4, 2, 8)
    bad[2, 1, 3] = np.nan
    with pytest.raises(ConfigurationError, match="'z'"):
        _read(tmp_path, arrays | {"gallery_caption_embeddings": bad})
    held = _read(tmp_path, arrays | {"gallery_caption_embeddings": _vectors(0, 4, 2, 5)})
    with pytest.raises(ConfigurationError, match="images × captions × 8"):
        compose(held, "weimocir", Weights(alpha=0.8, beta=0.1), None)
    with pytest.raises(ConfigurationError, match="leave out --similarity"):
        compose(_read(tmp_path, arrays), "weimocir", Weights(alpha=0.8, beta=0.1), "cosine")
