"""A detector of transformers by folder: tiny and random, but through the code that large ones take."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from made_images import encoded, picture

pytest.importorskip("torch")
pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import tiny_models

from mining.decoding import UndecodableError
from mining.models.hub_detector import HubObjectDetector
from schemas.errors import ConfigurationError
from schemas.protocols import ObjectDetector


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> HubObjectDetector:
    return HubObjectDetector(str(tiny_models.yolos(tmp_path_factory.mktemp("models") / "yolos")))


def test_objects_lie_within_the_image_best_first(detector: HubObjectDetector) -> None:
    assert isinstance(detector, ObjectDetector)
    assert (detector.name, detector.revision) == ("yolos", "local")
    files = [encoded(picture(120, 60), "PNG"), encoded(picture(64, 90, 3), "JPEG")]
    seen = detector.detect(files)
    assert len(seen) == 2
    assert 0 < len(seen[0]) <= 6
    for objects in seen:
        assert [one.score for one in objects] == sorted((one.score for one in objects), reverse=True)
        for one in objects:
            x, y, width, height = one.box
            assert one.label in ("cat", "dog", "bird")
            assert 0 < one.score <= 1
            assert min(x, y) >= 0
            assert min(width, height) > 0
            assert max(x + width, y + height) <= 1.0001
    assert detector.detect(files[1:]) == seen[1:]
    assert detector.detect([]) == []


def test_what_is_no_image_or_no_detector(detector: HubObjectDetector, tmp_path: Path) -> None:
    with pytest.raises(UndecodableError):
        detector.detect([b"no image"])
    with pytest.raises(ConfigurationError, match="cannot load"):
        HubObjectDetector(str(tmp_path))
    with pytest.raises(ConfigurationError, match="cannot load AutoModelForObjectDetection"):
        HubObjectDetector(str(tiny_models.clip(tmp_path / "clip")))
