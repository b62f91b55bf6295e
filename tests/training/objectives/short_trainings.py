"""Settings of short trainings with a tiny CLIP, and what they log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.config import TrainConfig, train_config
from training.models.interface import Retriever
from training.run import train
from training.surroundings import Surroundings
from training.trainer import StepTrainer

QUIET = Surroundings(lambda _: None)


def settings(clip: Path, kind: str = "fusion", **sections: Any) -> TrainConfig:
    """Both towers of the tiny CLIP, trained; `model` and `run` change their keys."""
    model = {"kind": kind, "image_tower": str(clip), "text_tower": None, "width": 48, "train_towers": "all"}
    if kind == "fusion":
        model |= {"layers": 1, "heads": 4}
    run = {"steps": 40, "batch": 32, "learning_rate": 1e-3, "threads": 1, "report_to": [], "log_steps": 5}
    model |= sections.pop("model", {})
    run |= sections.pop("run", {})
    return train_config({"model": model, "run": run, **sections})


def logged(folder: Path, key: str) -> list[float]:
    """What a training has logged under a name, in order."""
    history = json.loads((folder / "history.json").read_text())
    return [one[key] for one in history if key in one]


def falls(losses: Sequence[float], share: float) -> bool:
    """Whether the mean of the last three is below the share of the mean of the first two."""
    return bool(np.mean(losses[-3:]) < share * np.mean(losses[:2]))


def stopped_and_resumed(
    dataset: Path, folder: Path, config: TrainConfig, patch: pytest.MonkeyPatch, steps: int
) -> Retriever:
    """The model of a training that is stopped as step `steps`, counted over stages from 1, begins, and resumed."""
    step, made = StepTrainer.training_step, []

    def stopped(self: StepTrainer, model: Any, inputs: Any, *more: Any, **named: Any) -> Any:
        made.append(inputs["step"])
        if len(made) == steps:
            raise KeyboardInterrupt
        return step(self, model, inputs, *more, **named)

    with patch.context() as patched:
        patched.setattr(StepTrainer, "training_step", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(dataset, folder, config, QUIET)
    return train(dataset, folder, config, QUIET, resume=True)
