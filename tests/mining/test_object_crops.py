"""Crops of detected objects: which boxes are chosen, and what of the picture they hold."""

from __future__ import annotations

import numpy as np
import pytest
from made_images import picture
from PIL import Image
from pydantic import ValidationError

from mining.instances_config import InstancesConfig
from mining.object_crops import ObjectCropsConfig, chosen_boxes, crop, crop_vectors, overlap
from schemas.protocols import Detection

CONFIG = ObjectCropsConfig()
DOG = Detection("dog", 0.9, (0.1, 0.1, 0.4, 0.4))


def chosen(
    *detections: Detection, config: ObjectCropsConfig = CONFIG, width: int = 800, height: int = 600
) -> list[str]:
    return [f"{one.label} {one.score}" for one in chosen_boxes(detections, width, height, config)]


def test_unsure_small_and_whole_boxes_are_left_out() -> None:
    others = [
        Detection("cat", 0.6, (0.6, 0.6, 0.3, 0.3)),
        Detection("ant", 0.99, (0.6, 0.6, 0.1, 0.1)),
        Detection("room", 0.99, (0.0, 0.0, 1.0, 0.9)),
    ]
    assert chosen(DOG, *others) == ["dog 0.9"]
    assert chosen(DOG, width=100, height=100) == []
    assert chosen() == []


def test_boxes_are_apart_spread_over_labels_and_capped() -> None:
    others = [
        Detection("puppy", 0.8, (0.12, 0.1, 0.4, 0.4)),
        Detection("dog", 0.85, (0.55, 0.1, 0.3, 0.3)),
        Detection("cat", 0.75, (0.1, 0.6, 0.3, 0.3)),
        Detection("bird", 0.72, (0.6, 0.6, 0.3, 0.3)),
    ]
    assert chosen(DOG, *others) == ["dog 0.9", "cat 0.75", "bird 0.72"]
    assert chosen(*reversed([DOG, *others])) == ["dog 0.9", "cat 0.75", "bird 0.72"]
    four = CONFIG.model_copy(update={"count": 4})
    assert chosen(DOG, *others, config=four) == ["dog 0.9", "dog 0.85", "cat 0.75", "bird 0.72"]


def test_overlap() -> None:
    assert overlap((0, 0, 0.5, 0.5), (0, 0, 0.5, 0.5)) == 1.0
    assert overlap((0, 0, 0.5, 0.5), (0.5, 0, 0.5, 0.5)) == 0.0
    assert overlap((0, 0, 0.5, 0.5), (0.25, 0, 0.5, 0.5)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 0, 0), (0, 0, 0, 0)) == 0.0


def test_crops_hold_the_box() -> None:
    image = Image.new("RGB", (200, 100))
    image.paste((255, 0, 0), (20, 10, 60, 60))
    red = crop(image, (0.1, 0.1, 0.2, 0.5))
    assert red.size == (40, 50)
    assert np.asarray(red).min(axis=(0, 1)).tolist() == [255, 0, 0]
    assert crop(image, (0.999, 0.999, 0.001, 0.001)).size == (1, 1)
    assert crop(image, (0.0, 0.0, 1.0, 1.0)).size == (200, 100)


def test_a_crop_is_embedded_as_its_own_picture() -> None:
    pytest.importorskip("onnxruntime")
    from mining.models.efficientnet import EfficientNetLite0

    encoder = EfficientNetLite0(1)
    whole = Image.new("RGB", (400, 200), (240, 240, 240))
    whole.paste(picture(200, 200, 1), (0, 0))
    vectors = crop_vectors(whole, [(0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0)], encoder)
    alone = crop_vectors(picture(200, 200, 1), [(0.0, 0.0, 1.0, 1.0)], encoder)
    assert np.allclose(vectors[0], alone[0], atol=1e-4)
    assert not np.allclose(vectors[1], alone[0], atol=1e-2)
    assert crop_vectors(whole, [], encoder).shape == (0, encoder.dimension)


def test_settings_that_keep_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="area_min must lie below area_max"):
        ObjectCropsConfig(area_min=0.5, area_max=0.4)
    with pytest.raises(ValidationError, match="similarity_min must lie below similarity_max"):
        ObjectCropsConfig(similarity_min=0.5, similarity_max=0.4)


@pytest.mark.parametrize("window", [{}, {"similarity_min": 0.5}, {"similarity_max": 0.9}])
def test_where_nothing_is_verified_the_whole_window_is_given(window: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="needs similarity_min and similarity_max"):
        ObjectCropsConfig(verify="none", **window)  # type: ignore[arg-type]
    both = ObjectCropsConfig(verify="none", **{"similarity_min": 0.4, "similarity_max": 0.95, **window})  # type: ignore[arg-type]
    assert both.window.low < both.window.high
    assert (CONFIG.window.low, CONFIG.window.high) == (-1.0, 1.0)


def test_what_is_made_of_crops_does_not_ask_the_detector_anew() -> None:
    own = ObjectCropsConfig(detector="a")
    taken = {"verify": "none", "similarity_min": 0.4, "similarity_max": 0.9}
    assert own.model_copy(update=taken).detection == own.detection
    for change in ({"detector": "b"}, {"count": 2}, {"score_min": 0.1}, {"side_min": 10}):
        assert own.model_copy(update=change).detection != own.detection
    plain = InstancesConfig()
    assert InstancesConfig(crops=own).comparing == plain.comparing
    assert InstancesConfig(neighbours=3).comparing != plain.comparing
