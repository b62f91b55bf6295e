"""Object detectors of `transformers` by name or folder, such as DETR, RT-DETR or YOLOS (preset `hub`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mining.decoding import decode
from mining.models.hub import Checkpoint
from schemas.errors import ConfigurationError
from schemas.protocols import Detection

#: Below this nothing is an object, whatever a configuration asks for later.
_SCORE = 0.05
_DECIMALS = 4


class HubObjectDetector:
    """A detector with a fixed list of labels, one image at a time: what it sees never depends on a batch."""

    def __init__(self, name: str, device: str = "cpu", threads: int = 1, max_pixels: int = 80_000_000) -> None:
        checkpoint = Checkpoint(name, device, threads)
        self._model = checkpoint.model("AutoModelForObjectDetection")
        self._processor = checkpoint.load("AutoImageProcessor")
        if not hasattr(self._processor, "post_process_object_detection"):
            raise ConfigurationError(f"{name!r} is no object detector: name a model such as DETR, RT-DETR or YOLOS.")
        self.name, self.revision = checkpoint.name, checkpoint.revision(self._model)
        self._device, self._max_pixels = device, max_pixels

    def detect(self, images: Sequence[bytes]) -> Sequence[Sequence[Detection]]:
        """See `schemas.protocols.ObjectDetector`; raises UndecodableError where a file is no image."""
        return [self._one(data) for data in images]

    def _one(self, data: bytes) -> Sequence[Detection]:
        import torch

        picture = decode(data, self._max_pixels).picture
        inputs = self._processor(images=picture, return_tensors="pt").to(self._device)
        with torch.inference_mode():
            output = self._model(**inputs)
        # Sides of one pixel give fractions.
        [seen] = self._processor.post_process_object_detection(output, threshold=_SCORE, target_sizes=[(1, 1)])
        found = [
            _detection(self._label(int(label)), float(score), box.tolist())
            for label, score, box in zip(seen["labels"], seen["scores"], seen["boxes"], strict=True)
        ]
        whole = [one for one in found if one.box[2] > 0 and one.box[3] > 0]
        return sorted(whole, key=lambda one: (-one.score, one.box, one.label))

    def _label(self, number: int) -> str:
        labels: dict[int, Any] = getattr(self._model.config, "id2label", None) or {}
        return str(labels.get(number, number))


def _detection(label: str, score: float, corners: Sequence[float]) -> Detection:
    left, top, right, bottom = (min(max(value, 0.0), 1.0) for value in corners)
    x, y, width, height = (round(value, _DECIMALS) for value in (left, top, right - left, bottom - top))
    return Detection(label, round(score, _DECIMALS), (x, y, width, height))
