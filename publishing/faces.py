"""Faces made unrecognisable in the images that a dataset publishes.

Faces are found by a detector of OpenCV: Haar cascades, which lie inside its package (Viola and Jones, CVPR 2001), or
YuNet by the path of its file (`face_detection_yunet_*.onnx` of OpenCV's model zoo). No detector finds every face:
turned, small and covered ones are missed most. A face is brought to a few cells and blurred, which cannot be undone.
Equal files give equal bytes with equal versions of OpenCV and Pillow.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageSequence

from publishing.dataset_writer import Fetch
from schemas.errors import ConfigurationError, MissingPackageError
from schemas.image_files import BrokenImageError, opened
from schemas.protocols import UInt8Array
from schemas.upright_pictures import upright

#: A face: left, top, right, bottom in pixels.
Box = tuple[int, int, int, int]

#: Long side of the picture that a detector sees, the smallest face in it, in pixels, and YuNet's least score.
_SEEN_SIDE, _SMALLEST, _SCORE = 768, 24, 0.6
_CASCADES = ("haarcascade_frontalface_alt2.xml", "haarcascade_profileface.xml")
_STEP, _NEIGHBOURS = 1.1, 4
#: What is added to each side of a face, cells across it, and frames of an animation that are searched.
_MARGIN, _CELLS, _FRAMES = 0.25, 6, 32
_QUALITY = 92
#: Images whose faces are remembered: boxes alone.
_REMEMBERED = 20_000


class FaceFinder(Protocol):
    """A detector of faces."""

    def find(self, pixels: UInt8Array) -> list[Box]:
        """RGB pixels uint8 (height, width, 3) → boxes of faces, sorted."""


@lru_cache(maxsize=2)
def load_face_finder(setting: str) -> FaceFinder:
    """The detector that `publish_dataset.blur_faces` names: `haar`, or the path of YuNet's file; loaded once a process.

    Raises MissingPackageError without OpenCV, ConfigurationError where the path holds no such model."""
    try:
        import cv2
    except ImportError as error:
        mend = "uv pip install opencv-python-headless"
        raise MissingPackageError("opencv-python-headless", "fetch", "blurring faces", mend) from error
    # In several threads the order of what is found is that of the threads.
    cv2.setNumThreads(1)
    return _Haar(cv2) if setting == "haar" else _YuNet(cv2, setting)


class _Haar:
    def __init__(self, cv2: Any) -> None:
        self._cv2 = cv2
        folder = Path(cv2.__file__).parent / "data"
        self._frontal, self._profile = (cv2.CascadeClassifier(str(folder / name)) for name in _CASCADES)
        if self._frontal.empty() or self._profile.empty():
            raise MissingPackageError(
                "opencv-python-headless", "fetch", "blur_faces: haar", "uv pip install opencv-python-headless"
            )

    def find(self, pixels: UInt8Array) -> list[Box]:
        """Faces from the front, and from both sides: the profile's cascade knows one."""
        # Not equalised: over a plain background that costs four faces of five.
        grey = self._cv2.cvtColor(pixels, self._cv2.COLOR_RGB2GRAY)
        width = grey.shape[1]
        found = self._boxes(self._frontal, grey) + self._boxes(self._profile, grey)
        mirrored = self._boxes(self._profile, np.ascontiguousarray(grey[:, ::-1]))
        found += [(width - right, top, width - left, bottom) for left, top, right, bottom in mirrored]
        return sorted(set(found))

    def _boxes(self, cascade: Any, grey: UInt8Array) -> list[Box]:
        found = cascade.detectMultiScale(grey, _STEP, _NEIGHBOURS, minSize=(_SMALLEST, _SMALLEST))
        return [(int(x), int(y), int(x + w), int(y + h)) for x, y, w, h in found]


class _YuNet:
    def __init__(self, cv2: Any, path: str) -> None:
        self._cv2 = cv2
        try:
            if not Path(path).is_file():
                raise ConfigurationError(
                    f"publish_dataset.blur_faces is {path!r}, where no file is: write none, haar or the path of YuNet."
                )
            self._model = cv2.FaceDetectorYN.create(path, "", (320, 320), score_threshold=_SCORE)
            self.find(np.zeros((320, 320, 3), np.uint8))
        except cv2.error as error:
            raise ConfigurationError(
                f"publish_dataset.blur_faces is {path!r}, which OpenCV cannot read as YuNet: name haar, or the path of "
                "face_detection_yunet_2023mar.onnx."
            ) from error

    def find(self, pixels: UInt8Array) -> list[Box]:
        """Faces above the least score, cut to the picture."""
        height, width = pixels.shape[:2]
        self._model.setInputSize((width, height))
        _, found = self._model.detect(np.ascontiguousarray(pixels[:, :, ::-1]))
        boxes = []
        for x, y, w, h in (row[:4] for row in (found if found is not None else ())):
            box = (max(0, int(x)), max(0, int(y)), min(width, int(x + w + 1)), min(height, int(y + h + 1)))
            if box[0] < box[2] and box[1] < box[3]:
                boxes.append(box)
        return sorted(set(boxes))


def faces_in(picture: Image.Image, finder: FaceFinder) -> list[Box]:
    """Faces of an RGB picture in its pixels; it is searched at a long side of at most 768."""
    scale = min(1.0, _SEEN_SIDE / max(picture.size))
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    seen = picture if scale == 1.0 else picture.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    if min(seen.size) < _SMALLEST:
        return []
    x, y = picture.width / seen.width, picture.height / seen.height
    return [
        (int(left * x), int(top * y), round(right * x), round(bottom * y))
        for left, top, right, bottom in finder.find(np.asarray(seen))
    ]


def blurred(picture: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """The picture with an ellipse over each box, larger by a quarter on each side, brought to six cells and blurred."""
    result = picture.copy()
    for left, top, right, bottom in boxes:
        more = (round((right - left) * _MARGIN), round((bottom - top) * _MARGIN))
        box = (
            max(0, left - more[0]),
            max(0, top - more[1]),
            min(picture.width, right + more[0]),
            min(picture.height, bottom + more[1]),
        )
        part = result.crop(box)
        cells = part.resize((_CELLS, _CELLS), Image.Resampling.BOX)
        cover = cells.resize(part.size, Image.Resampling.BILINEAR).filter(
            ImageFilter.GaussianBlur(max(part.size) / _CELLS / 2)
        )
        mask = Image.new("L", part.size, 0)
        ImageDraw.Draw(mask).ellipse((0, 0, part.width - 1, part.height - 1), fill=255)
        result.paste(cover, box[:2], mask)
    return result


def blur_file(data: bytes, finder: FaceFinder) -> bytes | None:
    """The image file with its faces blurred, None where none was found: then the file is published as it is.

    JPEG and WebP stay what they are, AVIF and JPEG 2000 become JPEG, the rest PNG; upright, over white, without
    metadata. Of an animation with a face in any frame, or with more frames than are searched, the first frame is left.
    Raises BrokenImageError for what is no image.
    """
    with opened(data) as image:
        kind = image.format or ""
        frames = getattr(image, "n_frames", 1) if kind in ("GIF", "WEBP", "PNG", "AVIF") else 1
        picture = upright(image)
        boxes = faces_in(picture, finder)
        still = frames > _FRAMES
        if frames > 1 and not boxes and not still:
            still = any(faces_in(upright(frame), finder) for frame in ImageSequence.Iterator(image))
    return _encoded(blurred(picture, boxes), kind) if boxes or still else None


def _encoded(picture: Image.Image, kind: str) -> bytes:
    sink = io.BytesIO()
    if kind in ("JPEG", "MPO", "AVIF", "JPEG2000"):
        picture.save(sink, "JPEG", quality=_QUALITY, subsampling=0)
    elif kind == "WEBP":
        picture.save(sink, "WEBP", quality=_QUALITY, method=4)
    else:
        picture.save(sink, "PNG", compress_level=6)
    return sink.getvalue()


class BlurringFetch:
    """A `Fetch` that hands out files with their faces blurred; files that cannot be opened pass as they are."""

    def __init__(self, fetch: Fetch, finder: FaceFinder) -> None:
        self._fetch, self._finder = fetch, finder
        self._clean: OrderedDict[str, None] = OrderedDict()

    def __call__(self, image_ids: Sequence[str]) -> Mapping[str, bytes]:
        """Image ids → their files as they are published."""
        return {image_id: self._published(image_id, data) for image_id, data in self._fetch(image_ids).items()}

    def _published(self, image_id: str, data: bytes) -> bytes:
        # An image is asked for in every row group that shows it: that it has no face need be found once.
        if image_id in self._clean:
            return data
        try:
            changed = blur_file(data, self._finder)
        except BrokenImageError:
            changed = None
        if changed is not None:
            return changed
        self._clean[image_id] = None
        if len(self._clean) > _REMEMBERED:
            self._clean.popitem(last=False)
        return data


def publishing_fetch(fetch: Fetch, setting: str) -> Fetch:
    """`fetch` as the setting `publish_dataset.blur_faces` wants it."""
    return fetch if setting == "none" else BlurringFetch(fetch, load_face_finder(setting))
