"""Trainings of a few steps, looked at from inside: losses, gradients and weights of a tiny CLIP on drawn pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from drawn_pictures import COLOURS, colour_task, write_dataset
from transformers import TrainerCallback

from training.arguments import training_arguments
from training.config import TrainConfig, train_config
from training.data.batches import BatchPlan
from training.data.open_dataset import open_dataset
from training.data.sources import Sources
from training.data.step_batches import BatchMaker, StepBatches
from training.data.triplet_table import TripletTable
from training.learner import Learner
from training.models.make import make_retriever
from training.objectives.make import make_objectives
from training.processes import processes, rank
from training.stages import Stage, stages_of
from training.trainer import StepTrainer

QUIET = {"threads": 1, "report_to": [], "log_steps": 100}


def write_colours(root: Path, splits: tuple[str, ...] = ("train",)) -> Path:
    """The colour task with one hard negative a row: the shape in a third colour."""
    images, rows = colour_task(np.random.default_rng(0))
    colours = list(COLOURS)
    for row in rows:
        shape, colour, copy = str(row["query"]).split("-")
        third = next(one for one in colours if one not in (colour, str(row["target"]).split("-")[1]))
        row["hard_negatives"] = [row["query"], f"{shape}-{third}-{copy}"]
    for split in splits:
        write_dataset(root, images, rows, split)
    return root


def small_settings(clip: Path, **sections: Any) -> dict[str, Any]:
    """Settings of a training with both towers of the tiny CLIP."""
    model = {"image_tower": str(clip), "text_tower": None, "width": 32, "layers": 1, "heads": 4, "dropout": 0.0}
    model |= {"train_towers": "all"} | sections.pop("model", {})
    return {"model": model, "run": QUIET | sections.pop("run", {}), **sections}


class Seen(TrainerCallback):  # type: ignore[misc]
    """Gradients before each step of the optimizer."""

    def __init__(self) -> None:
        self.gradients: list[dict[str, np.ndarray]] = []

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
        """Copy them."""
        named = model.named_parameters()
        self.gradients.append({name: one.grad.numpy().copy() for name, one in named if one.grad is not None})


def trained(dataset: Path, settings: dict[str, Any], folder: Path, pieces: int | None = None) -> dict[str, Any]:
    """Run the first stage: `loss` of each step, `gradients` before each, `weights` in the end. With `pieces` a plain
    loss embeds so many items at a time too: chance is then that of a cached loss with such chunks."""
    config: TrainConfig = train_config(settings)
    stage: Stage = stages_of(config)[0]
    torch.manual_seed(0)
    model = make_retriever(config.model)
    opened = open_dataset(dataset, "train", folder / f"index-{rank()}")
    table = TripletTable(opened.files, stage.data, opened.images.numbers)
    objectives, weights = make_objectives(stage.objectives)
    learner = Learner(model, objectives, weights)
    run = stage.run
    counts = [table.page_counts(one) for one in range(len(table))]
    plan = BatchPlan(counts, run.batch, stage.data.pages, processes(), run.seed)
    make = BatchMaker(model, objectives, Sources(opened.images), stage.data, pieces or run.chunk, run.seed)
    seen = Seen()
    trainer = StepTrainer(
        learner,
        StepBatches(table, plan, make, rank(), processes()),
        run,
        training_arguments(folder / "checkpoints", run),
        callbacks=[seen],
    )
    trainer.fit()
    losses = [one["loss"] for one in trainer.state.log_history if "loss" in one]
    state = {name: one.detach().numpy().copy() for name, one in learner.state_dict().items()}
    return {"loss": losses, "gradients": seen.gradients, "weights": state}


def farthest(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """The largest difference of two sets of arrays, which must have the same names."""
    assert one.keys() == other.keys(), one.keys() ^ other.keys()
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


def weights_apart(one: dict[str, Any], other: dict[str, Any], least: float = 1e-4) -> float:
    """The largest difference of two trainings' weights, where no step's gradient was nearly zero: Adam makes
    steps of full length even of what is rounding alone, as the gradients of the keys' biases are."""
    parts = []
    for name in one["gradients"][0]:
        moved = np.min([np.abs(step[name]) for step in one["gradients"]], axis=0) > least
        parts.append(np.abs(one["weights"][name] - other["weights"][name])[moved])
    found = np.concatenate(parts)
    assert found.size > 1000
    return float(found.max())
