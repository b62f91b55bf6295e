"""The folder of a model: what lies in it, and whether a training in it is new, goes on or is done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from schemas.errors import ConfigurationError
from schemas.ids import canonical_json, digest
from training.config import TrainConfig, train_config
from training.data.triplet_ids import digest_of
from training.models.assets import ROLES
from training.models.make import DESCRIPTION, WEIGHTS, read_description
from training.own_files import make_folder, write_whole
from training.processes import processes

HISTORY, REPORT, CARD = "history.json", "report.html", "README.md"
WORK, LOGS = "_work", "logs"
_STATE = "training.json"
_OWN = frozenset({WEIGHTS, DESCRIPTION, HISTORY, REPORT, WORK, LOGS, CARD, *ROLES})


def prepare(folder: Path) -> None:
    """Make the folder. Raises ConfigurationError for one that holds anything but a model of ours."""
    make_folder(folder, _OWN, "model")


def stages_folder(folder: Path) -> Path:
    """Where the stages of a training keep checkpoints and what they have logged, until it is done."""
    return folder / WORK / "stages"


def is_trained(folder: Path, config: TrainConfig) -> bool:
    """Whether a folder holds a model and no training that was begun after it. Raises ConfigurationError for a model of
    other settings."""
    if not (folder / DESCRIPTION).exists() or (stages_folder(folder) / _STATE).exists():
        return False
    before = read_description(folder).get("training")
    if not isinstance(before, Mapping) or deciding(train_config(before)) != deciding(config):
        raise ConfigurationError(
            f"{folder} holds a model of other settings: train without --resume to replace it, or give another --output."
        )
    return True


def begin(folder: Path, config: TrainConfig, dataset: str, resume: bool, say: Callable[[str], None]) -> None:
    """Note which training goes on here; `dataset` is the digest of its rows. A new one removes what an older one left.

    Raises ConfigurationError where one that is resumed is not the one that was begun.
    """
    stages, key = stages_folder(folder), digest("training", canonical_json(deciding(config)), dataset)
    if not resume:
        shutil.rmtree(stages, ignore_errors=True)
        shutil.rmtree(folder / LOGS, ignore_errors=True)
    elif (stages / _STATE).exists():
        before = json.loads((stages / _STATE).read_text(encoding="utf-8"))
        if before["key"] != key:
            raise ConfigurationError(
                f"{folder} holds checkpoints of another dataset or other settings: train without --resume, or give "
                "another --output."
            )
        if before["processes"] != processes():
            say(
                f"the training was begun by {before['processes']} processes and goes on with {processes()}: its "
                "weights may differ in their last bits, and its dropout does"
            )
    stages.mkdir(parents=True, exist_ok=True)
    write_whole(stages / _STATE, json.dumps({"key": key, "processes": processes()}))


def deciding(config: TrainConfig) -> dict[str, Any]:
    """The settings that decide the weights; a file of triplet ids counts by what it holds."""
    idle = {"checkpoint_steps", "log_steps", "report_to"}
    found = config.model_dump(mode="json", exclude={"run": idle, "data": {"workers", "triplets"}})
    if config.data.triplets is not None:
        found["data"]["triplets"] = digest_of(config.data.triplets)
    return found
