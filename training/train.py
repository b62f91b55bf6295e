"""Trains the fusion model on features of frozen towers, computed once."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from schemas.errors import ConfigurationError
from schemas.protocols import Float32Array
from training.dataset import Triplet
from training.fusion_model import FusionModel
from training.info_nce import info_nce, same_candidates

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"


@dataclass(frozen=True)
class TrainConfig:
    """Steps, batch size (triplets), peak learning rate, inverse temperature at the start, seed, torch threads."""

    steps: int = 300
    batch: int = 64
    learning_rate: float = 3e-4
    scale: float = 20.0
    weight_decay: float = 0.05
    seed: int = 0
    threads: int = 2


@dataclass(frozen=True)
class Features:
    """Features of a dataset's images by id and of its instructions by text, from frozen towers."""

    images: Mapping[str, Float32Array]
    texts: Mapping[str, Float32Array]

    def of_images(self, ids: Sequence[str]) -> torch.Tensor:
        """float32 (n, image_width)."""
        return torch.from_numpy(np.stack([self.images[one] for one in ids]))

    def of_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """float32 (n, text_width)."""
        return torch.from_numpy(np.stack([self.texts[one] for one in texts]))


def train(
    triplets: Sequence[Triplet], features: Features, config: TrainConfig, say: Callable[[str], None]
) -> FusionModel:
    """Train on triplets; the model comes back in evaluation mode. Raises ConfigurationError without triplets."""
    if not triplets:
        raise ConfigurationError("the dataset has no training triplets: give the run more input, or other splits.")
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    image_width = len(next(iter(features.images.values())))
    text_width = len(next(iter(features.texts.values())))
    model = FusionModel(image_width, text_width)
    scale = torch.nn.Parameter(torch.tensor(math.log(config.scale)))
    optimizer = torch.optim.AdamW(
        [*model.parameters(), scale], lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, config.steps, pct_start=0.1)
    generator = np.random.Generator(np.random.PCG64(config.seed))
    model.train()
    for step in range(config.steps):
        chosen = generator.permutation(len(triplets))[: config.batch]
        loss = _loss(model, [triplets[index] for index in chosen], features, scale)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == config.steps - 1:
            say(f"step {step + 1} of {config.steps}: loss {loss.item():.3f}")
    return model.eval()


def _loss(model: FusionModel, batch: Sequence[Triplet], features: Features, scale: torch.Tensor) -> torch.Tensor:
    query_ids = [one.query_image_id for one in batch]
    target_ids = [one.target_image_id for one in batch]
    queries = features.of_images(query_ids)
    fused = model(queries, features.of_texts([one.instruction for one in batch]))
    targets = model(features.of_images(target_ids), None)
    negatives = model(queries, None)
    return info_nce(fused, targets, negatives, same_candidates(target_ids, query_ids), scale.clamp(max=4.6).exp())


def save(model: FusionModel, folder: Path, config: TrainConfig, towers: Mapping[str, Any]) -> None:
    """Write weights and a description; `towers` says which models made the features."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), str(folder / WEIGHTS))
    about = {"kind": "lensmith-fusion", "model": model.settings, "training": asdict(config), "towers": dict(towers)}
    (folder / DESCRIPTION).write_text(json.dumps(about, indent=1))


def load(folder: Path) -> tuple[FusionModel, dict[str, Any]]:
    """Read what `save` wrote. Raises ConfigurationError for a folder that holds no model of ours."""
    from safetensors.torch import load_file

    try:
        about = json.loads((folder / DESCRIPTION).read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{folder} holds no model of Lensmith: give the --output of `lensmith train`."
        ) from error
    model = FusionModel(**about["model"])
    model.load_state_dict(load_file(str(folder / WEIGHTS)))
    return model.eval(), about
