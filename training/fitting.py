"""One stage of a training from its data to its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from schemas.errors import ConfigurationError
from training.arguments import training_arguments
from training.checkpoints import last_complete
from training.data.step_batches import StepBatches
from training.faults import IN_A_STEP, memory_told
from training.learner import Learner
from training.loggers import loggers
from training.models.interface import Retriever
from training.processes import first_before_others, is_first
from training.progress import Told
from training.scoring import ScoredSplit, check_metric, scores
from training.stages import Stage
from training.surroundings import Surroundings
from training.trainer import StepTrainer

Validate = Callable[[], dict[str, float]]


def fit(
    stage: Stage,
    learner: Learner,
    batches: StepBatches,
    validate: Validate | None,
    folder: Path,
    logs: Path,
    around: Surroundings,
    resume: bool,
) -> list[dict[str, Any]]:
    """Train a learner on its batches, with checkpoints in `folder`; what was logged, in order.

    Raises RunFailedError for a loss that is no number and for memory that runs out.
    """
    arguments = training_arguments(folder, stage.run, stage.data.workers)
    told = Told(stage.name, stage.run.metric, around.say, around.console)
    callbacks = [*(loggers(stage.run.report_to, logs) if is_first() else []), told]
    try:
        with threads(stage.run.threads), memory_told(IN_A_STEP):
            trainer = StepTrainer(learner, batches, stage.run, arguments, validate, callbacks)
            trainer.fit(last_complete(folder) if resume else None)
    finally:
        told.stop()
    history: list[dict[str, Any]] = trainer.state.log_history
    return history


def validation(model: Retriever, stage: Stage, opened: Callable[[], ScoredSplit]) -> Validate | None:
    """What scores a model while a stage trains it; None where the stage asks for no scores. The first process alone
    opens the split.

    Raises ConfigurationError for a split that is missing or empty, and for a metric that the evaluator does not have.
    """
    if stage.run.evaluate_steps is None:
        return None
    split: ScoredSplit | None = None
    with first_before_others():
        if is_first():
            try:
                split = opened()
            except ConfigurationError as error:
                raise ConfigurationError(f"run.evaluate_steps needs the split `validation`: {error}") from error
            if not split.rows:
                raise ConfigurationError("run.evaluate_steps needs the split `validation`, which has no triplets.")
            check_metric("run.metric", stage.run.metric, split)

    def validate() -> dict[str, float]:
        assert split is not None
        return scores(model, split)

    return validate


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """torch with so many threads."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
