"""How well texts find images: each image of a split searched for by its own text, among the split's images.

Tuning the metric of images can cost what a CLIP-like model knows of texts (Schall et al., arXiv 2409.01936): the check
is done before the training and after each stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.embeddings import Embeddings
from evaluation.metrics import hit
from evaluation.ranking import Places
from evaluation.score import evaluate
from evaluation.task import Part, Task, Values
from training.config import DataConfig
from training.data.image_texts import shown_texts
from training.data.open_dataset import OpenDataset
from training.data.sources import Sources
from training.data.triplet_table import TripletTable
from training.embedding import embed
from training.items import Item, Row
from training.model_sources import still_sources
from training.models.interface import Retriever
from training.surroundings import Surroundings

#: Images that are searched for and among, at most.
LIMIT = 10_000
_RECALLS = (1, 5, 10)
#: How the recalls are named in the history.
NAME = "text_to_image_"


@dataclass(frozen=True)
class TextSearch:
    """Images of a split with a text each; the images alone are the gallery."""

    texts: Mapping[int, str]
    sources: Sources

    def __call__(self, model: Retriever) -> dict[str, float]:
        """R@1, R@5 and R@10 in percent; every image with the text of a query is right."""
        gallery = tuple(str(image) for image in self.texts)
        found = embed(model, [Item(image) for image in self.texts], self.sources)
        said = embed(model, [Item(None, text) for text in self.texts.values()], self.sources)
        return dict(evaluate(self.task(), Embeddings(gallery, said, gallery, found), None).metrics)

    def task(self) -> Task:
        """What the evaluator measures."""
        same: dict[str, list[int]] = {}
        for place, text in enumerate(self.texts.values()):
            same.setdefault(text, []).append(place)
        images = [str(image) for image in self.texts]
        relevant = [np.array(same[text], np.int64) for text in self.texts.values()]
        return Task(
            "lensmith", "text to image", "images with texts", (Part("all", images, images, relevant, _measure),)
        )


def _measure(_: int, places: Places) -> Values:
    return {f"R@{k}": hit(places.ranks, k) for k in _RECALLS}


def first_texts(rows: Iterable[Row], limit: int = LIMIT) -> dict[int, str]:
    """The first images that have a text, with the first of it."""
    found: dict[int, str] = {}
    for image, text in shown_texts(rows):
        if text:
            found.setdefault(image, text)
            if len(found) == limit:
                break
    return found


def text_search(
    model: Retriever, opened: OpenDataset, split: str, work: Path, around: Surroundings
) -> TextSearch | None:
    """The search of a split, None where fewer than two of its images have a text."""
    table = TripletTable(opened.files, DataConfig(split=split), opened.images.numbers)
    texts = first_texts(table.all_rows())
    if len(texts) <= 1:
        return None
    if model.frozen:
        return TextSearch(texts, still_sources(model, opened.images, texts.values(), work, opened.digest, around))
    return TextSearch(texts, Sources(opened.images))
