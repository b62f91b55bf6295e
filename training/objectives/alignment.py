"""Texts go on finding images while the images' metric is tuned (Schall et al., arXiv 2409.01936: MCIP and 2SFT).

Multi-caption image pairing (MCIP): each image stands in the batch with several texts, its own ones or, where it has
none, pseudo-captions: the nearest of many texts by the towers as they were published. Two-stage fine-tuning (2SFT): the
image tower is tuned first; in a second stage it is locked, and this objective alone trains the text side to the changed
image space (`train: [text_tower, text_map]` of the stage).

For image i with texts c of C_i, cosines s, ArcMargin's margin m on the own pair, s'_ic = cos(arccos(s_ic) + m), and a
temperature τ, the loss of the pair is the mean of both directions of InfoNCE (the paper's eq. for L_InfoNCE):
image → text: -log exp(s'_ic / τ) / (exp(s'_ic / τ) + Σ_{d not in C_i} exp(s_id / τ)),
text → image: -log exp(s'_ic / τ) / (exp(s'_ic / τ) + Σ_{j: c not in C_j} exp(s_jc / τ)).

Departures. The paper's image metric is ArcMargin over labelled classes, and its multi-caption ArcMargin compares an
image with captions of all classes; there are no classes here: any other objective tunes the images, and this one
compares within the global batch. An image's embedding is the target's (the model's of the image with the empty text), a
text's the model's of the text alone: what a search by text compares.
"""

from __future__ import annotations

import math
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from schemas.errors import ConfigurationError
from training.data.image_texts import (
    ImageTexts,
    fill_nearest,
    shown_texts,
    text_lines,
    without_texts,
    write_image_texts,
)
from training.data.made_once import made_once
from training.data.sources import Sources
from training.items import Item, ItemList, RowBatch
from training.models.interface import Retriever
from training.models.two_towers import TwoTowers
from training.objectives.config import AlignmentConfig
from training.objectives.gathering import gathered
from training.objectives.info_nce import NOBODY, Temperature
from training.objectives.interface import Objective, StageStart, Step
from training.objectives.published_towers import published_towers, published_vectors
from training.objectives.weighted_mean import weighted_mean

#: A similarity that takes part in no sum, and leaves gradients finite where nothing else does.
_NOTHING = -1e30


class Alignment(Objective):
    """The images of a batch against their texts, in both directions."""

    def __init__(self, config: AlignmentConfig) -> None:
        super().__init__()
        self.config = config
        self.scale = Temperature(config.temperature, config.learn_temperature)
        self._texts: ImageTexts | None = None

    def begin(self, start: StageStart) -> None:
        """Collect the texts of images, and look for those of images without any. Raises ConfigurationError where no
        image has a text or can get one."""
        more = text_lines(Path(self.config.texts)) if self.config.texts else iter(())
        with made_once(start.folder / "texts") as folder:
            if folder is not None:
                count = len(start.sources.images)
                found = write_image_texts(folder, count, self.config.captions, lambda: shown_texts(start.rows()), more)
                self._fill(folder, found, start)
        self._texts = ImageTexts(start.folder / "texts")
        if not (self._texts.table >= 0).any():
            raise ConfigurationError(
                "objectives.alignment needs texts of images, and no row of the dataset has a query_text or "
                "target_text: publish the dataset with texts of its images, or name a file with a text a line in "
                "objectives.alignment.texts for a model with both towers of one CLIP-like model."
            )

    def _fill(self, folder: Path, found: ImageTexts, start: StageStart) -> None:
        """Pseudo-captions, where they are wanted and the towers share a space."""
        lacking = without_texts(found)
        if not self.config.pseudo_captions or not len(lacking) or not len(found.texts):
            return
        if not _share_a_space(start.retriever):
            start.say(f"{len(lacking)} images have no text, and get none: the towers share no space")
            return
        assert isinstance(start.retriever, TwoTowers)
        towers = published_towers(start.retriever)
        image_vectors, text_vectors = published_vectors(towers, start, found.texts)
        fill_nearest(folder, lacking, image_vectors, text_vectors)
        start.say(f"{len(lacking)} images without a text got the nearest of {len(found.texts)} texts")

    def plan(self, batch: RowBatch, items: ItemList, sources: Sources) -> dict[str, Any]:
        """See `Objective`. Each row shows two images with as many texts; those that lack are masked."""
        assert self._texts is not None
        shown = [image for one in batch.mine for image in (one.row.query, one.row.target)]
        filling = batch.mine[0].row.target
        images = [image if image >= 0 else filling for image in shown]
        numbers, said = [], []
        for image in shown:
            found = self._texts.of(image) if image >= 0 else []
            texts = [Item(None, self._texts.texts[one]) for one in found]
            missing = self.config.captions - len(found)
            numbers.append(found + [NOBODY] * missing)
            said += texts + [Item(filling)] * missing
        return {
            "images": items.places([Item(image) for image in images]),
            "texts": items.places(said),
            "image_ids": torch.tensor(shown),
            "text_ids": torch.from_numpy(np.array(numbers, np.int64)),
        }

    def forward(self, embeddings: Tensor, plan: dict[str, Any], step: Step) -> Tensor:
        """See `Objective`; the mean is over the pairs of all processes, 0 where there are none."""
        ids = plan["text_ids"]
        images, texts = embeddings[plan["images"]], embeddings[plan["texts"]].reshape(*ids.shape, -1)
        losses = pair_losses(images, texts, plan["image_ids"], ids, self.scale(), self.config.margin)
        return weighted_mean(losses.flatten(), (ids != NOBODY).flatten().to(losses))


def pair_losses(
    images: Tensor, texts: Tensor, image_ids: Tensor, text_ids: Tensor, scale: Tensor, margin: float
) -> Tensor:
    """The loss of each image with each of its texts, (n, k), of unit vectors of this process's images (n, d) and texts
    (n, k, d), with ids int64 (n) and (n, k); those of the other processes are gathered. Texts `NOBODY` count for none,
    nor do the images without any as others' negatives."""
    all_images, all_texts = gathered(images), gathered(texts).flatten(0, 1)
    all_image_ids, all_text_ids = gathered(image_ids), gathered(text_ids)
    nothing = all_text_ids == NOBODY
    # An image is its texts' wherever it stands, and a text is of every image that has it.
    same_image = image_ids[:, None] == all_image_ids
    same_text = [one[:, None, None] == all_text_ids for one in text_ids.unbind(1)]
    not_texts = reduce(torch.logical_or, same_text, nothing | same_image[..., None]).flatten(1)
    not_images = torch.stack([one.any(-1) | same_image | nothing.all(-1) for one in same_text], dim=1)
    own = scale * with_margin((images[:, None] * texts).sum(-1), margin)
    others = (scale * images @ all_texts.T).masked_fill(not_texts, _NOTHING).logsumexp(-1)[:, None]
    others_of_texts = (scale * texts @ all_images.T).masked_fill(not_images, _NOTHING).logsumexp(-1)
    return (torch.logaddexp(own, others) + torch.logaddexp(own, others_of_texts)) / 2 - own


def with_margin(cosines: Tensor, margin: float) -> Tensor:
    """cos(angle + margin) of cosines, as ArcMargin has it."""
    if not margin:
        return cosines
    sines = (1 - cosines**2).clamp(min=1e-7).sqrt()
    return cosines * math.cos(margin) - sines * math.sin(margin)


def _share_a_space(model: Retriever) -> bool:
    """Whether the published towers are the two halves of one model."""
    if not isinstance(model, TwoTowers):
        return False
    config, widths = model.config, (model.image_tower.shape.width, model.text_tower.shape.width)
    return config.text_tower in (None, config.image_tower) and widths[0] == widths[1]
