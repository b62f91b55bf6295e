"""Trains the fusion model on features of frozen towers, computed once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.errors import ConfigurationError, RunFailedError
from schemas.ids import canonical_json, digest
from schemas.protocols import Float32Array
from training.dataset import Triplet
from training.fusion_model import FusionModel
from training.info_nce import info_nce, same_candidates
from training.model_folder import load, read_checkpoint, save, write_checkpoint

__all__ = ["Features", "TrainConfig", "load", "save", "train"]

#: The inverse temperature is learned up to this (CLIP's bound).
_MAX_SCALE = 100.0


class TrainConfig(BaseModel):
    """Settings of a training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=300, ge=1, description="optimizer steps")
    batch: int = Field(default=64, ge=1, description="triplets of a step")
    learning_rate: float = Field(default=3e-4, gt=0, description="peak learning rate: warm-up, then half a cosine down")
    scale: float = Field(default=20.0, gt=0, le=_MAX_SCALE, description="inverse temperature at the start")
    weight_decay: float = Field(default=0.05, ge=0, description="weight decay of AdamW")
    query_negative: bool = Field(default=True, description="the query images of a batch are negatives")
    width: int = Field(default=384, ge=1, description="width of the transformer and of the embeddings")
    layers: int = Field(default=4, ge=1, description="layers of the transformer")
    heads: int = Field(default=6, ge=1, description="attention heads; they must divide the width")
    seed: int = Field(default=0, ge=0, description="decides weights, batches and dropout")
    threads: int = Field(default=2, ge=1, description="threads of torch; another number may move the last bits")
    checkpoint_steps: int = Field(default=100, ge=1, description="steps after which --resume can go on")

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> TrainConfig:
        if self.width % self.heads:
            raise ValueError("heads must divide width")
        return self


@dataclass(frozen=True)
class Features:
    """Features of a dataset's images by id and of its instructions by text, from frozen towers."""

    images: Mapping[str, Float32Array]
    texts: Mapping[str, Float32Array]

    def of_images(self, ids: Sequence[str]) -> Float32Array:
        """float32 (n, image_width)."""
        return np.stack([self.images[one] for one in ids])

    def of_texts(self, texts: Sequence[str]) -> Float32Array:
        """float32 (n, text_width)."""
        return np.stack([self.texts[one] for one in texts])


def train(
    triplets: Sequence[Triplet],
    features: Features,
    config: TrainConfig,
    say: Callable[[str], None],
    folder: Path | None = None,
    resume: bool = False,
) -> FusionModel:
    """Train on triplets; the model comes back in evaluation mode. With a folder, its state is kept there every
    `checkpoint_steps`, and `resume` goes on from there to the weights of an undisturbed run.

    Raises ConfigurationError without triplets or for a checkpoint of another training, RunFailedError for a loss that
    is no number.
    """
    if not triplets:
        raise ConfigurationError("the dataset has no training triplets: give the run more input, or other splits.")
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    image_width = len(next(iter(features.images.values())))
    text_width = len(next(iter(features.texts.values())))
    model = FusionModel(image_width, text_width, config.width, config.layers, config.heads)
    scale = torch.nn.Parameter(torch.tensor(math.log(config.scale)))
    optimizer = torch.optim.AdamW(
        [*model.parameters(), scale], lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _pace(step, config.steps))
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    about = _about(triplets, config)
    begin = read_checkpoint(folder, about, parts, scale) if resume and folder is not None else 0
    if begin:
        say(f"goes on at step {begin + 1} of {config.steps}")
    model.train()
    for step in range(begin, config.steps):
        # Batches and dropout follow from seed and step alone: a run that goes on meets the same ones.
        torch.manual_seed(config.seed + 1_000_003 * (step + 1))
        generator = np.random.Generator(np.random.PCG64([config.seed, step]))
        chosen = generator.permutation(len(triplets))[: config.batch]
        loss = _loss(model, [triplets[index] for index in chosen], features, scale, config.query_negative)
        if not torch.isfinite(loss):
            raise RunFailedError(f"the loss is {loss.item()} at step {step + 1}: lower learning_rate and train again.")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == config.steps - 1:
            say(f"step {step + 1} of {config.steps}: loss {loss.item():.3f}")
        if folder is not None and (step + 1) % config.checkpoint_steps == 0 and step + 1 < config.steps:
            write_checkpoint(folder, step + 1, about, parts, scale)
    return model.eval()


def _pace(step: int, steps: int) -> float:
    """Share of the peak learning rate: a tenth of the steps to get there, then half a cosine down."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.5 + 0.5 * math.cos(math.pi * (step - warm) / max(1, steps - warm))


def _loss(
    model: FusionModel, batch: Sequence[Triplet], features: Features, scale: torch.Tensor, query_negative: bool
) -> torch.Tensor:
    query_ids = [one.query_image_id for one in batch]
    target_ids = [one.target_image_id for one in batch]
    queries = torch.from_numpy(features.of_images(query_ids))
    fused = model(queries, torch.from_numpy(features.of_texts([one.instruction for one in batch])))
    targets = model(torch.from_numpy(features.of_images(target_ids)), None)
    negatives = model(queries, None) if query_negative else targets[:0]
    same = same_candidates(target_ids, query_ids if query_negative else [])
    return info_nce(fused, targets, negatives, same, scale.clamp(max=math.log(_MAX_SCALE)).exp())


def _about(triplets: Sequence[Triplet], config: TrainConfig) -> str:
    """What a training is: a checkpoint of another one is refused."""
    settings = config.model_dump(mode="json", exclude={"checkpoint_steps"})
    return digest("training", canonical_json(settings), *(one.triplet_id for one in triplets))
