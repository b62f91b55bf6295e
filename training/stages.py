"""The stages of a training, each with all of its settings, checked before the first begins."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ValidationError

from schemas.errors import ConfigurationError
from training.config import DataConfig, RunConfig, StageConfig, TrainConfig, mend
from training.models.interface import Retriever
from training.objectives.config import ObjectivesConfig

Section = TypeVar("Section", bound=BaseModel)


@dataclass(frozen=True)
class Stage:
    """One stage: what the training says, and over it what the stage changes."""

    number: int
    name: str
    data: DataConfig
    objectives: ObjectivesConfig
    run: RunConfig
    #: Beginnings of the names of the parameters that are trained; empty is all that may be.
    train: tuple[str, ...] = ()

    @property
    def log_name(self) -> str:
        """A name for its folder of logs."""
        return f"{self.number + 1}-{re.sub(r'[^A-Za-z0-9]+', '-', self.name).strip('-').lower() or 'stage'}"


def stages_of(config: TrainConfig) -> list[Stage]:
    """The stages of a configuration; without any a single one. Raises ConfigurationError for keys of a stage that the
    section does not have or that have a wrong value."""
    found = []
    for number, one in enumerate(config.stages or [StageConfig(name="training")]):
        data = _over(config.data, one.data, f"stages.{number}.data")
        run = _over(config.run, one.run, f"stages.{number}.run")
        found.append(Stage(number, one.name, data, one.objectives or config.objectives, run, tuple(one.train)))
    return found


def _over(section: Section, changes: Mapping[str, Any], name: str) -> Section:
    try:
        return type(section)(**{**section.model_dump(), **changes})
    except ValidationError as error:
        raise ConfigurationError(f"{name}: {mend(error)}") from error


def check(stage: Stage, processes: int) -> None:
    """Raise ConfigurationError for settings of a stage that do not go together, or not with this machine."""
    run = stage.run
    if run.batch % processes:
        near = max(processes, run.batch // processes * processes)
        raise ConfigurationError(
            f"run.batch is {run.batch}, which {processes} processes cannot share evenly: set it to {near} or "
            f"{near + processes}."
        )
    if run.patience is not None and run.evaluate_steps is None:
        raise ConfigurationError("run.patience counts evaluations: set run.evaluate_steps too.")
    if run.bf16 and torch.cuda.is_available() and not torch.cuda.is_bf16_supported():
        raise ConfigurationError("this GPU does not compute in bfloat16: set run.bf16 to false.")


def check_trained(model: Retriever, stage: Stage) -> None:
    """Raise ConfigurationError for a beginning of a name that no parameter has."""
    names = [name for name, _ in model.named_parameters()]
    for beginning in stage.train:
        if not any(name.startswith(beginning) for name in names):
            known = ", ".join(dict.fromkeys(name.split(".")[0] for name in names))
            raise ConfigurationError(
                f"no parameter's name begins with {beginning!r} (train of the stage {stage.name!r}): the model has "
                f"{known}."
            )


@contextmanager
def trained_only(model: Retriever, beginnings: Sequence[str]) -> Iterator[None]:
    """Within, parameters are trained only where their names begin as asked; empty is all that may be trained.

    Raises ConfigurationError where nothing is left to train.
    """
    before = {name: one.requires_grad for name, one in model.named_parameters()}
    chosen = tuple(beginnings) or ("",)
    kept = {name: trained and name.startswith(chosen) for name, trained in before.items()}
    if beginnings and not any(kept.values()):
        raise ConfigurationError(
            f"every parameter whose name begins with {' or '.join(map(repr, beginnings))} is frozen: set "
            "model.train_towers, or name other ones."
        )
    for name, one in model.named_parameters():
        one.requires_grad_(kept[name])
    try:
        yield
    finally:
        for name, one in model.named_parameters():
            one.requires_grad_(before[name])
