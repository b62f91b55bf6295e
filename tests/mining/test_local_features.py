"""Local features: bounded, whole numbers, the same whenever and in whichever order they are made."""

from __future__ import annotations

import numpy as np
import pytest
from made_images import encoded
from made_scenes import scene, screen, texture
from PIL import Image
from pydantic import ValidationError

from mining.decoding import UndecodableError
from mining.local_features import Features, LocalFeaturesConfig, file_features, local_features

pytest.importorskip("cv2")

CONFIG = LocalFeaturesConfig()


def equal(first: Features, second: Features) -> bool:
    return first.to_bytes() == second.to_bytes()


def test_they_are_bounded_and_compact() -> None:
    features = local_features(texture(1400, 900, 1), CONFIG)
    assert (features.width, features.height) == (480, 309)
    assert len(features.points) == len(features.descriptors) == CONFIG.points
    assert len(features.to_bytes()) == 63_626
    places = features.places
    assert places.min() >= 0
    assert (places <= [480, 309]).all()
    lengths = np.linalg.norm(features.descriptors.astype(float), axis=1)
    assert np.allclose(lengths, 255, atol=4)


def test_they_survive_a_table() -> None:
    features = local_features(scene(1, 2), CONFIG)
    read = Features.from_bytes(features.to_bytes())
    assert equal(read, features)
    assert np.array_equal(read.plain, features.plain)
    for broken in (b"", b"LSF1", b"nonsense" * 10, features.to_bytes()[:-1]):
        with pytest.raises(ValueError, match="local features"):
            Features.from_bytes(broken)


def test_order_and_repetition_change_nothing() -> None:
    pictures = [scene(1, 1), screen(1), texture(200, 300, 5), scene(2, 3)]
    first = [local_features(one, CONFIG).to_bytes() for one in pictures]
    again = [local_features(one, CONFIG).to_bytes() for one in reversed(pictures)]
    assert first == again[::-1]
    assert first == [local_features(one, CONFIG).to_bytes() for one in pictures]


def test_fewer_points_are_the_strongest_ones() -> None:
    many = local_features(scene(1, 1), CONFIG)
    few = local_features(scene(1, 1), LocalFeaturesConfig(points=50))
    assert len(few.points) == 50
    assert {tuple(one) for one in few.points.tolist()} <= {tuple(one) for one in many.points.tolist()}


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (100, 100)])
def test_blank_and_tiny_pictures_have_no_points(size: tuple[int, int]) -> None:
    features = local_features(Image.new("RGB", size, (9, 9, 9)), CONFIG)
    assert (features.points.shape, features.descriptors.shape) == ((0, 4), (0, 128))
    assert equal(Features.from_bytes(features.to_bytes()), features)


def test_screens_are_plain_and_photographs_are_not() -> None:
    assert local_features(screen(1), CONFIG).plain.mean() > 150
    assert local_features(texture(480, 360, 1), CONFIG).plain.mean() < 80


def test_files_are_decoded_within_limits() -> None:
    data = encoded(scene(1, 1), "PNG")
    assert equal(file_features(data, CONFIG), local_features(scene(1, 1), CONFIG))
    with pytest.raises(UndecodableError, match="1000 pixels"):
        file_features(data, LocalFeaturesConfig(max_pixels=1000))
    with pytest.raises(UndecodableError):
        file_features(b"no image", CONFIG)


def test_more_points_than_a_table_holds_are_refused() -> None:
    with pytest.raises(ValidationError):
        LocalFeaturesConfig(points=401)
