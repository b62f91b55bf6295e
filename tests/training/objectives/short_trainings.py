"""Settings of short trainings with a tiny CLIP, and what they log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.config import TrainConfig, train_config
from training.surroundings import Surroundings

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
