"""Which of several captions of an image is best: the one that is nearest to the image, by the run's own encoders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from beam_jobs.tables import rows
from beam_jobs.workspace import Workspace
from mining.annotation import AnnotateConfig, load_models
from mining.sketches import sketches
from schemas.protocols import Float32Array, TextEncoder
from synthesis.alignment import AlignmentScorer, ImageFeatures, LabelScorer, SharedSpace
from synthesis.chain import Link, Question
from synthesis.json_answers import UnparsableError


class _SketchedTexts:
    """A text encoder whose embeddings are sketched as images' features are: the cosines of both are those of the
    vectors, nearly."""

    def __init__(self, encoder: TextEncoder, dimension: int) -> None:
        self.name, self.revision, self.dimension = encoder.name, encoder.revision, dimension
        self._encoder = encoder

    def encode(self, texts: Sequence[str]) -> Float32Array:
        """See `schemas.protocols.TextEncoder`; not of unit length."""
        return sketches(self._encoder.encode(texts)).astype(np.float32)


def chooses(link: Link) -> bool:
    """Whether a step asks for several samples of which the images are to choose."""
    return link.step.unit == "image" and link.config.samples > 1 and link.config.reward == "alignment"


def choices(
    link: Link,
    questions: Iterable[Question],
    answers: Mapping[str, str],
    models: AnnotateConfig,
    image_sketches: Mapping[str, bytes],
) -> Iterator[dict[str, Any]]:
    """Rows of `choices`: for each question of whose samples at least two can be read the one nearest to its image, ties
    to the first. `answers`: request id → text; `image_sketches`: image id → sketch. An image of which no encoder can
    tell has no row."""
    scorer: AlignmentScorer | None = None
    for question in questions:
        read = [
            (number, caption)
            for number, request in enumerate(question.requests)
            if (caption := _caption(link, question, answers.get(request.request_id))) is not None
        ]
        sketch = image_sketches.get(question.row["image_id"])
        if len(read) < 2 or sketch is None:
            continue
        features = np.frombuffer(sketch, np.int8).astype(np.float32)
        if scorer is None:
            scorer = _scorer(models, len(features))
        label = question.row.get("label")
        image = ImageFeatures(features, label, 1.0 if label else None)
        scores = scorer.similarities([image] * len(read), [caption for _, caption in read])
        known = [(score, -number) for score, (number, _) in zip(scores, read, strict=True) if score is not None]
        if known:
            yield {"request_id": question.requests[0].request_id, "sample": -max(known)[1]}


def sketches_of(workspace: Workspace, sources: Iterable[Mapping[str, Any]]) -> dict[str, bytes]:
    """Image id → sketch, of the images that shards of `mine_pairs` found eligible."""
    found: dict[str, bytes] = {}
    for source in sources:
        manifest = workspace.manifests(source["job"], [source["key"]])[0]
        for row in rows(workspace, manifest, "eligible", ["image_id", "sketch"]):
            found[row["image_id"]] = row["sketch"]
    return found


def _scorer(models: AnnotateConfig, dimension: int) -> AlignmentScorer:
    texts = load_models(models).texts
    if models.image_model == models.text_model:
        return SharedSpace(_SketchedTexts(texts, dimension))
    return LabelScorer(texts)


def _caption(link: Link, question: Question, text: str | None) -> str | None:
    if text is None:
        return None
    try:
        caption = link.step.format_output([text], question.row).facts.get("caption")
    except UnparsableError:
        return None
    return str(caption) if caption else None
