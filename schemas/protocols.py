"""The narrow interfaces behind which models stand: batches in, batches out, a name and a revision.

Implementations live in `mining.models` and `synthesis.writers`; `beam_jobs` loads them once a process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]


@runtime_checkable
class ImageEncoder(Protocol):
    """Images to feature vectors and, where the model has a classifier, to labels."""

    name: str
    revision: str
    dimension: int
    #: Side in pixels of the square uint8 RGB crop that `encode` takes, and how `mining.decoding` makes it:
    #: short side resized to `resize` (bicubic), then a centre crop of `crop`.
    resize: int
    crop: int

    def encode(self, images: UInt8Array) -> tuple[Float32Array, Sequence[str | None], Float32Array]:
        """`images` uint8 (n, crop, crop, 3) → features float32 (n, dimension), labels (n), label scores float32 (n).

        A model without a classifier gives None for labels and 0.0 for scores."""


@runtime_checkable
class TextEncoder(Protocol):
    """Texts to L2-normalised vectors."""

    name: str
    revision: str
    dimension: int

    def encode(self, texts: Sequence[str]) -> Float32Array:
        """Texts (n) → float32 (n, dimension), rows of unit length."""


@runtime_checkable
class SafetyScorer(Protocol):
    """Images to a not-safe-for-work probability."""

    name: str
    revision: str

    def score(self, images: UInt8Array) -> Float32Array:
        """`images` uint8 (n, 256, 256, 3) RGB, stretched → probabilities float32 (n)."""


@runtime_checkable
class GeneratedScorer(Protocol):
    """Images to the probability that a model made them."""

    name: str
    revision: str
    #: Side in pixels of what `score` takes: the middle of the picture whose short side was brought to `resize`
    #: (bicubic), the whole picture squeezed (bilinear) where that is None.
    resize: int | None
    crop: int

    def score(self, images: UInt8Array) -> Float32Array:
        """`images` uint8 (n, crop, crop, 3) RGB → probabilities float32 (n)."""


@runtime_checkable
class PatternEncoder(Protocol):
    """Images to feature vectors of what they are made of: shapes, textures, layout."""

    name: str
    revision: str
    #: As `GeneratedScorer` has them.
    resize: int | None
    crop: int

    def encode(self, images: UInt8Array) -> Float32Array:
        """`images` uint8 (n, crop, crop, 3) RGB → features float32 (n, d)."""


@runtime_checkable
class Captioner(Protocol):
    """Images to captions."""

    name: str
    revision: str

    def caption(self, images: Sequence[bytes]) -> Sequence[str | None]:
        """Encoded image files (n) → one caption each, None where the model gave none."""


@dataclass(frozen=True, slots=True)
class Detection:
    """An object that a detector saw. `box`: x, y, width, height as fractions of the image, within it; `score`: 0…1.
    Both are rounded to 4 decimals."""

    label: str
    score: float
    box: tuple[float, float, float, float]


@runtime_checkable
class ObjectDetector(Protocol):
    """Images to the objects in them."""

    name: str
    revision: str

    def detect(self, images: Sequence[bytes]) -> Sequence[Sequence[Detection]]:
        """Encoded image files (n) → the objects of each, best score first, ties by box and label."""


@runtime_checkable
class ComposedEncoder(Protocol):
    """A retriever: images, and images with texts, in one space."""

    name: str
    revision: str

    def encode(self, files: Mapping[str, bytes], items: Sequence[tuple[str, str]]) -> Float32Array:
        """Items (image id, text; "" is the image alone) → unit vectors float32 (n, d); `files`: image id → its encoded
        file, of every image that an item names."""


@runtime_checkable
class InstructionWriter(Protocol):
    """Chat requests to answers. One bad request never spoils another: its answer carries the error."""

    name: str
    revision: str

    def stream(
        self, requests: Iterable[Mapping[str, Any]]
    ) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]] | None]:
        """Requests with their answers, as they come and in any order; None now and then while none comes.

        A request has `request_id`, `messages` (content a text, or parts `{"type": "text", "text": …}` and
        `{"type": "image", "image": i}`), `parameters` (`temperature`, `max_tokens`, `seed`; where they matter `schema`,
        a JSON schema, and `grammar`, GBNF), `image_ids` and `images`, an encoded file (JPEG or PNG) for each of them in
        the same order. `requests` is drawn from as there is room for more, so that it may be long.

        An answer has `text` (str or None), `error` (str or None), `finish_reason` (str or None), `prompt_tokens`,
        `completion_tokens` (int or None) and `tries` (int, how many times the model was asked)."""


def answers_in_order(writer: InstructionWriter, requests: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The answers to a few requests, in their order; equal ones are asked once."""
    distinct = {request["request_id"]: request for request in requests}
    found = {came[0]["request_id"]: came[1] for came in writer.stream(distinct.values()) if came is not None}
    return [found[request["request_id"]] for request in requests]
