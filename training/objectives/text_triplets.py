"""Text triplets train the text tower (RTD, Byun et al., ICCV 2025, arXiv 2406.09188).

Triplets (T_r, T_c, T_t) are a caption, an edit, and the caption as edited. The text tower ψ is trained, ψ₀ is a frozen
copy of it as it stands when the stage begins. Target-anchored (frozen-target) contrastive learning draws the trained
embedding of caption with edit, q_i = ψ(T_r ∘ T_c), to the frozen one of the target, a_i = ψ₀(T_t). Hard negative-based
refined batch sampling puts for each triplet its caption beside it as a pair of its own, ψ(T_r) with ψ₀(T_r): each
triplet then has in its batch the caption that it must leave. The loss over n pairs, as the authors' code has it, with
s(x, y) = exp(x·y / τ) of unit vectors, is the mean over i of
½ [log(Σ_j s(q_i, a_j) + Σ_{j≠i} s(q_i, q_j)) + log(Σ_j s(a_i, q_j) + Σ_{j≠i} s(a_i, a_j))] - log s(q_i, a_i).

Departures. The refined concatenation scheme puts the caption through a projection to pseudo-words, which models here do
not have: caption and edit are joined by a template. Several edits of one caption may stand in a batch too (`edits`):
they are each other's hard negatives. Pairs with one target text are no negatives of each other. Anchors take the map
that a model has behind its text tower, as it stands when the stage begins, with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from schemas.errors import ConfigurationError
from training.data.feature_store import FeatureStore
from training.data.made_once import made_once
from training.data.sources import Sources
from training.data.text_triplets import (
    TextTripletStore,
    Triplet,
    read_text_triplets,
    row_triplets,
    usable,
    write_text_triplets,
)
from training.items import DrawnRow, Item, ItemList, RowBatch
from training.objectives.config import TextTripletsConfig
from training.objectives.gathering import gathered, own_rows
from training.objectives.info_nce import NOBODY, Temperature
from training.objectives.interface import Objective, StageStart, Step
from training.objectives.static_embeddings import static_vectors
from training.objectives.weighted_mean import weighted_mean

Int64Array = npt.NDArray[np.int64]

#: A query text, and the number of the text that it is drawn to; `NOBODY` fills a row up.
Slot = tuple[str, int]


class TextTriplets(Objective):
    """Captions with edits against frozen embeddings of the edited captions."""

    def __init__(self, config: TextTripletsConfig) -> None:
        super().__init__()
        self.config = config
        self.scale = Temperature(config.temperature, config.learn_temperature)
        self._triplets: TextTripletStore | None = None
        #: Numbers of the texts that are anchors, ascending, and their frozen embeddings.
        self._anchored: Int64Array = np.zeros(0, np.int64)
        self._anchors: FeatureStore | None = None

    def begin(self, start: StageStart) -> None:
        """Collect the triplets and embed their targets. Raises ConfigurationError where there are none."""
        with made_once(start.folder / "texts") as folder:
            if folder is not None:
                write_text_triplets(folder, lambda: usable(self._given(start), self.config.words))
        self._triplets = TextTripletStore(start.folder / "texts")
        if not len(self._triplets):
            raise ConfigurationError(self._nothing())
        start.say(f"{len(self._triplets)} text triplets of {self._triplets.captions} captions")
        self._anchored = self._triplets.numbers("edited")
        if self.config.references:
            self._anchored = np.union1d(self._anchored, self._triplets.numbers("caption"))
        texts, numbers = self._triplets.texts, self._anchored

        def items(places: range) -> list[Item]:
            return [_said(texts[int(one)]) for one in numbers[places.start : places.stop]]

        self._anchors = static_vectors(start, start.folder / "anchors", len(numbers), items, "target captions")

    def _given(self, start: StageStart) -> Iterator[Triplet]:
        if self.config.folder is None:
            return row_triplets(start.rows())
        return read_text_triplets(Path(self.config.folder))

    def _nothing(self) -> str:
        if self.config.folder is None:
            return (
                "objectives.text_triplets has no triplets: no row of the dataset has both a query_text and a "
                "target_text. Set objectives.text_triplets.folder to the folder `text_triplets` of a run, or publish "
                "the dataset with texts of its images."
            )
        return (
            f"objectives.text_triplets.folder {self.config.folder} holds no triplet that changes its caption: give the "
            "folder `text_triplets` of another run."
        )

    def plan(self, batch: RowBatch, items: ItemList, sources: Sources) -> dict[str, Any]:
        """See `Objective`. Each row draws a caption: every process gets as many slots."""
        assert self._triplets is not None
        assert self._anchors is not None
        slots = [slot for drawn in batch.mine for slot in self._slots(self._triplets, drawn)]
        ids = np.array([number for _, number in slots], np.int64)
        places = np.searchsorted(self._anchored, np.where(ids == NOBODY, self._anchored[0], ids))
        return {
            "queries": items.places([_said(text) for text, _ in slots]),
            "anchors": self._anchors.pooled(places.tolist()),
            "ids": torch.from_numpy(ids),
        }

    def _slots(self, triplets: TextTripletStore, drawn: DrawnRow) -> list[Slot]:
        found = triplets.of_caption(int(drawn.draw.integers(triplets.captions)))
        chosen = drawn.draw.choice(len(found), min(self.config.edits, len(found)), replace=False)
        caption = triplets.texts[int(found[0, 0])]
        slots: list[Slot] = []
        for _, edit, edited in found[chosen].tolist():
            slots.append((self.config.template.format(caption=caption, edit=triplets.texts[edit]), edited))
        slots += [(slots[0][0], NOBODY)] * (self.config.edits - len(slots))
        if self.config.references:
            slots.append((caption, int(found[0, 0])))
        return slots

    def forward(self, embeddings: Tensor, plan: dict[str, Any], step: Step) -> Tensor:
        """See `Objective`."""
        queries, ids = embeddings[plan["queries"]], plan["ids"]
        anchors = plan["anchors"].to(queries)
        losses = anchored_losses(queries, anchors, ids, self.scale())
        return weighted_mean(losses, (ids != NOBODY).to(queries))


def anchored_losses(queries: Tensor, anchors: Tensor, ids: Tensor, scale: Tensor) -> Tensor:
    """The loss of each of this process's pairs, (n), of unit vectors (n, d) with ids int64 (n) of their anchors' texts;
    pairs of the other processes are gathered. Pairs of one id, and `NOBODY`, are no negatives."""
    all_queries, all_anchors, all_ids = gathered(queries), gathered(anchors), gathered(ids)
    no_negative = (ids[:, None] == all_ids[None]) | (all_ids == NOBODY)[None]
    own = torch.zeros_like(no_negative)
    own[torch.arange(len(ids)), own_rows(len(ids))] = True
    across, within = no_negative & ~own, no_negative | own
    positive = scale * (queries * anchors).sum(-1)

    def denominator(one: Tensor, others: Tensor, alike: Tensor) -> Tensor:
        logits = torch.cat(
            [
                (scale * one @ others.T).masked_fill(across, -torch.inf),
                (scale * one @ alike.T).masked_fill(within, -torch.inf),
            ],
            dim=1,
        )
        return torch.logsumexp(logits, dim=1)

    there, back = denominator(queries, all_anchors, all_queries), denominator(anchors, all_queries, all_anchors)
    return (there + back) / 2 - positive


def _said(text: str) -> Item:
    return Item(None, text, view="text_tower")
