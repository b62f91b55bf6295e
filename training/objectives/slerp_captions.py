"""Triplets made on the fly from images with captions (CoLLM, arXiv 2503.19910, triplet synthesis).

For an image v_i of a batch and its nearest neighbour v_j in it, the reference is on the arc between them,
Slerp(v_i, v_j; α) = sin((1-α)θ)/sin θ · v_i + sin(αθ)/sin θ · v_j with θ the angle between both and α = 0.5, and the
text names both captions ("not {j} but {i}") or, for a quarter of the samples, is the caption of i alone. The loss is
the mean of three contrastive losses over the batch with the image i as target: of the reference alone, of the text
alone, and of both together.

Departures: rows are triplets, so that the pairs of a batch are the captioned queries and targets of its rows, every
image once; images with one caption are neither neighbours nor negatives of each other. Neighbours are looked for when
a batch is planned: by the features of a frozen image tower, or, where towers are trained, by the embeddings that the
model gave the images when the stage began (the paper takes those of the moment).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from schemas.errors import ConfigurationError
from training.data.feature_store import FeatureStore
from training.data.sources import Sources
from training.items import DrawnRow, Item, ItemList, Row, RowBatch
from training.objectives.config import SlerpCaptionsConfig
from training.objectives.gathering import gathered, own_rows
from training.objectives.info_nce import NOBODY, Temperature, masked_losses
from training.objectives.interface import Objective, StageStart, Step
from training.objectives.static_embeddings import static_embeddings

Int64Array = npt.NDArray[np.int64]

#: What is asked of a reference: the target's caption, and in most the neighbour's.
TEMPLATES = (
    "not {reference} but {target}",
    "{target}, no longer {reference}",
    "{target} instead of {reference}",
    "{target} in place of {reference}",
    "make it {target} rather than {reference}",
    "turn {reference} into {target}",
    "swap {reference} for {target}",
    "take {reference} away and show {target}",
    "this has {reference}; look for {target}",
    "it is {reference} now and should be {target}",
    "more of {target}, less of {reference}",
    "go from {reference} to {target}",
    "much like this, only with {target}",
    "the same with {target} where {reference} was",
    "I have {reference} and want {target}",
)

#: The three queries of a sample.
QUERIES = ("image", "text", "both")


@dataclass(frozen=True)
class Pair:
    """An image with its caption, and the row that showed it first."""

    image: int
    caption: str
    row: DrawnRow


class SlerpCaptions(Objective):
    """Contrastive losses of references and texts that are made of the captioned images of a batch."""

    def __init__(self, config: SlerpCaptionsConfig) -> None:
        super().__init__()
        self.config = config
        self.scale = Temperature(config.temperature, config.learn_temperature)
        #: Where towers are trained: captioned images, ascending, and their embeddings at the stage's beginning.
        self._numbers: Int64Array = np.zeros(0, np.int64)
        self._store: FeatureStore | None = None

    def begin(self, start: StageStart) -> None:
        """Look for captions, and embed their images where no features of them are there. Raises ConfigurationError
        where no row has a caption."""
        shown = (image for row in start.rows() for image, _ in captions(row, self.config.words))
        if start.sources.image_features is None:
            self._numbers = np.unique(np.fromiter(shown, np.int64))
            found = len(self._numbers) > 0
        else:
            found = next(shown, None) is not None
        if not found:
            raise ConfigurationError(
                "objectives.slerp_captions needs captions, and no row of the dataset has a query_text or target_text: "
                "set it to null, or publish the dataset with texts of its images."
            )
        if start.sources.image_features is None:
            self._store = static_embeddings(start, self._numbers)

    def plan(self, batch: RowBatch, items: ItemList, sources: Sources) -> dict[str, Any]:
        """See `Objective`. Every process has as many samples: those that lack are filled with masked ones."""
        parts = distinct_images([captioned(rows, self.config.words) for rows in _of_processes(batch)])
        pairs = [one for part in parts for one in part]
        numbers = {caption: number for number, caption in enumerate(dict.fromkeys(one.caption for one in pairs))}
        ids = [numbers[one.caption] for one in pairs]
        size, own = 1, slice(0)
        # A single caption has nothing that it could be told from.
        if len(numbers) > 1:
            rank = batch.own.start // len(batch.mine)
            begin = sum(len(part) for part in parts[:rank])
            size, own = max(len(part) for part in parts), slice(begin, begin + len(parts[rank]))
        near = self._neighbours(pairs, ids, own, sources)
        queries: dict[str, list[Item]] = {name: [] for name in (*QUERIES, "targets")}
        for one, other in zip(pairs[own], near, strict=True):
            text, reference = self._text(one, pairs[other].caption), pairs[other].image
            queries["image"].append(Item(one.image, toward=reference, share=self.config.toward))
            queries["text"].append(Item(None, text))
            queries["both"].append(Item(one.image, text, toward=reference, share=self.config.toward))
            queries["targets"].append(Item(one.image))
        missing = size - len(near)
        filling = [Item(batch.mine[0].row.target)] * missing
        return {name: items.places([*found, *filling]) for name, found in queries.items()} | {
            "ids": torch.tensor(ids[own] + [NOBODY] * missing),
            "shares": torch.tensor([len(parts) / max(1, len(pairs))] * len(near) + [0.0] * missing),
        }

    def _neighbours(self, pairs: Sequence[Pair], ids: Sequence[int], own: slice, sources: Sources) -> list[int]:
        """For each of the own pairs the place of the most similar image with another caption."""
        if not pairs[own]:
            return []
        vectors, numbers = self._vectors([one.image for one in pairs], sources), torch.tensor(ids)
        similar = vectors[own] @ vectors.T
        similar[numbers[own, None] == numbers[None]] = -torch.inf
        found: list[int] = similar.argmax(dim=1).tolist()
        return found

    def _vectors(self, images: list[int], sources: Sources) -> Tensor:
        if sources.image_features is not None:
            found = sources.image_features.pooled(images)
        elif self._store is not None:
            found = self._store.pooled(np.searchsorted(self._numbers, images).tolist())
        else:
            raise RuntimeError("without features of images their embeddings are made by `begin`")
        return nn.functional.normalize(found, dim=-1)

    def _text(self, pair: Pair, neighbour: str) -> str:
        draw = pair.row.draw
        if draw.random() >= self.config.templates:
            return pair.caption
        return TEMPLATES[int(draw.integers(len(TEMPLATES)))].format(target=pair.caption, reference=neighbour)

    def forward(self, embeddings: Tensor, plan: dict[str, Any], step: Step) -> Tensor:
        """See `Objective`; the mean is over the samples of all processes, 0 where there are none."""
        own_ids = plan["ids"]
        targets, ids = gathered(embeddings[plan["targets"]]), gathered(own_ids)
        own, scale = own_rows(len(own_ids)).to(own_ids.device), self.scale()
        logits = [scale * embeddings[plan[name]] @ targets.T for name in QUERIES]
        losses = torch.stack([masked_losses(one, own, own_ids, ids) for one in logits]).mean(dim=0)
        return (plan["shares"] * losses).sum()


def captions(row: Row, words: int) -> list[tuple[int, str]]:
    """Images of a row that have a caption, with its first words."""
    found = ((row.query, row.query_text), (row.target, row.target_text))
    return [(image, " ".join(text.split()[:words])) for image, text in found if image >= 0 and text.strip()]


def captioned(rows: Sequence[DrawnRow], words: int) -> list[Pair]:
    """The captioned images of rows, in order."""
    return [Pair(image, caption, one) for one in rows for image, caption in captions(one.row, words)]


def _of_processes(batch: RowBatch) -> list[Sequence[DrawnRow]]:
    """The rows of each process."""
    size = max(1, len(batch.mine))
    return [batch.rows[start : start + size] for start in range(0, len(batch.rows), size)]


def distinct_images(parts: Sequence[Sequence[Pair]]) -> list[list[Pair]]:
    """Pairs of which no image has come before."""
    seen: set[int] = set()
    kept: list[list[Pair]] = []
    for part in parts:
        kept.append([])
        for one in part:
            if one.image not in seen:
                seen.add(one.image)
                kept[-1].append(one)
    return kept
