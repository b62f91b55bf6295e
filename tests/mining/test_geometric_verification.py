"""Agreement of local features: the right transform is found, and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from made_scenes import marks, scene, texture
from PIL import Image, ImageOps

from mining.geometric_verification import VerificationConfig, agreement, matches, moved
from mining.local_features import Features, LocalFeaturesConfig, local_features

pytest.importorskip("cv2")

CONFIG = VerificationConfig()


def features(picture: Image.Image) -> Features:
    return local_features(picture, LocalFeaturesConfig())


@pytest.mark.parametrize(("side", "turn"), [(220, 0.0), (150, 0.0), (220, 40.0), (260, -120.0)])
def test_the_transform_of_a_planted_thing_is_found(side: int, turn: float) -> None:
    first, second = features(scene(1, 1, side=220)), features(scene(1, 2, (0.6, 0.45), side, turn))
    found = agreement(first, second, CONFIG)
    assert found is not None
    assert found.scale == pytest.approx(side / 220, rel=0.06)
    # The thing's centre goes to its centre.
    assert np.allclose(moved(found.transform, np.array([[240.0, 180.0]])), [[288.0, 162.0]], atol=6)
    # Pillow turns anticlockwise, angles here are clockwise.
    angle = np.degrees(np.arctan2(found.transform[1, 0], found.transform[0, 0]))
    assert (angle + turn + 180) % 360 - 180 == pytest.approx(0, abs=4)
    assert len(found.first) == len(found.second) >= found.places >= CONFIG.inliers


def test_unrelated_pictures_never_agree() -> None:
    pictures = [features(scene(10 + number, 20 + number)) for number in range(12)]
    pairs = [(first, second) for first in range(12) for second in range(first)]
    assert [pair for pair in pairs if agreement(pictures[pair[0]], pictures[pair[1]], CONFIG)] == []


def test_a_mirrored_picture_does_not_agree() -> None:
    picture = texture(300, 300, 4)
    assert agreement(features(picture), features(picture), CONFIG) is not None
    assert agreement(features(picture), features(ImageOps.mirror(picture)), CONFIG) is None


def test_limits_of_scale_and_stretch() -> None:
    large, small = features(texture(400, 400, 3)), features(texture(400, 400, 3).resize((130, 130)))
    assert agreement(large, small, CONFIG) is not None
    assert agreement(large, small, VerificationConfig(scale_max=2.0)) is None
    squeezed = features(texture(400, 400, 3).resize((400, 270)))
    assert agreement(large, squeezed, CONFIG) is not None
    assert agreement(large, squeezed, VerificationConfig(stretch_max=1.2)) is None


def test_matches_in_one_line_are_refused() -> None:
    strip = marks(440, 20, 70, 8, (250, 250, 250))
    pictures = []
    for wall in (1, 2):
        picture = texture(480, 360, 50 + wall)
        picture.paste(strip, (20, 160 + 20 * wall))
        pictures.append(features(picture))
    assert agreement(*pictures, VerificationConfig(roundness=0.0)) is not None
    assert agreement(*pictures, VerificationConfig(roundness=0.15)) is None


def test_matches_are_mutual_and_symmetric() -> None:
    first, second = features(scene(1, 1)), features(scene(1, 2))
    left, right = matches(first, second, 0.85)
    assert len(set(left.tolist())) == len(set(right.tolist())) == len(left) > 8
    back = matches(second, first, 0.85)
    assert set(zip(left.tolist(), right.tolist(), strict=True)) == set(
        zip(back[1].tolist(), back[0].tolist(), strict=True)
    )
    assert len(matches(first, second, 0.6)[0]) < len(left)


def test_repetition_changes_nothing() -> None:
    first, second = features(scene(1, 1)), features(scene(1, 2, (0.4, 0.5), 120, 15.0))
    runs = [agreement(first, second, CONFIG) for _ in range(3)]
    assert all(run is not None for run in runs)
    assert len({run.transform.tobytes() + run.first.tobytes() for run in runs if run is not None}) == 1


def test_pictures_without_points_do_not_agree() -> None:
    blank = features(Image.new("RGB", (100, 100)))
    assert agreement(blank, features(scene(1, 1)), CONFIG) is None
    assert agreement(blank, blank, CONFIG) is None
