"""Images to rows of crops: what is looked at, what is left out, and what of an image never reaches a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from made_images import encoded, picture
from PIL import Image

from mining.crop_detection import CropModels, image_crops
from mining.object_crops import ObjectCropsConfig
from schemas.outcomes import CollectedOutcomes
from schemas.protocols import Detection, Float32Array, UInt8Array


class Detector:
    """Sees the same in every file, but nothing in grey ones."""

    name, revision = "made", "1"

    def __init__(self, *seen: Detection) -> None:
        self.seen = seen

    def detect(self, images: Sequence[bytes]) -> Sequence[Sequence[Detection]]:
        from mining.decoding import decode

        for one in images:
            if decode(one, 10**6).picture.getpixel((0, 0)) == (0, 0, 0):
                raise MemoryError
        return [self.seen] * len(images)


class Encoder:
    """The mean colour of a crop as three features; notes how many crops it is shown at once."""

    name, revision, dimension, resize, crop = "made", "1", 3, 32, 32

    def __init__(self) -> None:
        self.batches: list[int] = []

    def encode(self, images: UInt8Array) -> tuple[Float32Array, Sequence[str | None], Float32Array]:
        self.batches.append(len(images))
        features = images.reshape(len(images), -1, 3).mean(axis=1).astype(np.float32)
        return features, [None] * len(images), np.zeros(len(images), np.float32)


DOG = Detection("dog", 0.9, (0.0, 0.0, 0.5, 1.0))
CAT = Detection("cat", 0.8, (0.5, 0.0, 0.5, 1.0))


def two(left: tuple[int, int, int], right: tuple[int, int, int], size: tuple[int, int] = (200, 100)) -> bytes:
    """A picture with a colour on each side."""
    image = Image.new("RGB", size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return encoded(image, "PNG")


RED, BLUE, WHITE, BLACK = (200, 0, 0), (0, 0, 200), (255, 255, 255), (0, 0, 0)


def crops(
    *images: tuple[str, bytes], seen: Sequence[Detection] = (DOG, CAT), quarantine: dict[str, str] | None = None
) -> tuple[list[tuple[str, int, str]], CollectedOutcomes, Encoder]:
    outcomes, encoder = CollectedOutcomes(), Encoder()
    models = CropModels(Detector(*seen), encoder, 2, 10**6)
    marked: list[str] = []
    config = ObjectCropsConfig()
    rows = list(image_crops(images, models, config, outcomes, mark=marked.append, quarantine=quarantine or {}))
    assert not outcomes.counts.unbalanced()
    assert [one for one in marked if one] == [name for name, _ in images if name not in (quarantine or {})]
    for row in rows:
        sketch = np.frombuffer(row["sketch"], np.int8)
        assert len(sketch) == 3
        assert sketch.any()
    return [(row["image_id"], row["number"], row["label"]) for row in rows], outcomes, encoder


def test_crops_are_rows_numbered_in_their_image() -> None:
    found, outcomes, encoder = crops(("a", two(RED, BLUE)), ("b", two(BLUE, RED)), ("c", two(WHITE, RED)))
    assert found == [(image, number, label) for image in "abc" for number, label in enumerate(("dog", "cat"))]
    assert encoder.batches == [2, 2, 2]
    assert outcomes.counts.entry("image").kept == 3


def test_sketches_are_those_of_the_crops_alone() -> None:
    models = CropModels(Detector(DOG, CAT), Encoder(), 16, 10**6)
    rows = image_crops(
        [("a", two(RED, BLUE))],
        models,
        ObjectCropsConfig(),
        CollectedOutcomes(),
        mark=lambda _: None,
        quarantine={},
    )
    assert [np.frombuffer(row["sketch"], np.int8).tolist() for row in rows] == [[127, 0, 0], [0, 0, 127]]


def test_images_without_objects_or_with_small_ones_are_kept_and_have_no_rows() -> None:
    for image, seen in ((two(RED, BLUE), ()), (two(RED, BLUE, (100, 60)), (DOG, CAT))):
        found, outcomes, encoder = crops(("a", image), seen=seen)
        assert (found, encoder.batches, outcomes.counts.entry("image").kept) == ([], [], 1)
    assert crops()[0] == []


def test_crops_without_features_are_left_out() -> None:
    assert crops(("a", two((10, 0, 0), BLACK)))[0] == [("a", 0, "dog")]


def test_what_cannot_be_looked_at_says_why() -> None:
    images = [
        ("cut", encoded(picture(200, 100), "PNG")[:200]),
        ("text", b"no image"),
        ("huge", two(BLACK, RED)),
        ("deadly", b""),
        ("fine", two(RED, BLUE)),
    ]
    found, outcomes, _ = crops(*images, quarantine={"deadly": "crashed_sigsegv"})
    assert {name for name, _, _ in found} == {"fine"}
    entry = outcomes.counts.entry("image")
    assert (entry.entered, entry.kept) == (5, 1)
    assert entry.rejected == {"truncated": 1, "not_an_image": 1}
    assert entry.failed == {"out_of_memory": 1, "crashed_sigsegv": 1}


def test_a_real_detector_and_a_real_encoder(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    import sys

    sys.path.insert(0, str(Path(__file__).parent / "models"))
    import tiny_models

    from mining.models.hub import HubImageEncoder
    from mining.models.hub_detector import HubObjectDetector

    detector = HubObjectDetector(str(tiny_models.yolos(tmp_path / "yolos")))
    encoder = HubImageEncoder(str(tiny_models.clip(tmp_path / "clip")), batch=4)
    images = [(f"{number}", encoded(picture(200, 160, number), "JPEG")) for number in range(5)]
    config = ObjectCropsConfig(score_min=0.1, overlap_max=1.0, count=3)

    def rows(some: Sequence[tuple[str, bytes]]) -> list[dict[str, object]]:
        models = CropModels(detector, encoder, 4, 10**6)
        outcomes = CollectedOutcomes()
        return list(image_crops(some, models, config, outcomes, mark=lambda _: None, quarantine={}))

    found = rows(images)
    assert len(found) == 15
    assert [row["number"] for row in found] == [0, 1, 2] * 5
    # No order of images decides what a crop's sketch is.
    again = sorted(rows(images[::-1]), key=lambda row: (str(row["image_id"]), row["number"]))
    assert again == found
