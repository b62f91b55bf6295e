"""A training from a dataset's folder to a model's: stages, checkpoints, history, report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from training.card import model_card
from training.config import TrainConfig
from training.data.parquet_files import Location
from training.data.sources import Sources
from training.data.step_batches import BatchMaker, StepBatches
from training.faults import BEFORE, memory_told
from training.fitting import fit, threads, validation
from training.ground import Ground, Prepared
from training.learner import Learner
from training.loggers import loggers
from training.model_folder import CARD, HISTORY, LOGS, REPORT, WORK, begin, is_trained, prepare, stages_folder
from training.model_sources import check_augmentation, scored_split, still_sources
from training.models.interface import Retriever
from training.models.make import from_pretrained, make_retriever, save_pretrained
from training.objectives.interface import Objective, StageStart
from training.objectives.make import make_objectives
from training.own_files import save_whole, write_whole
from training.processes import first_before_others, is_first, join, processes, rank, wait
from training.report.page import write_report
from training.stages import Stage, check, check_trained, stages_of, trained_only
from training.surroundings import Surroundings
from training.teachers import check_teachers
from training.text_to_image import NAME

__all__ = ["HISTORY", "Surroundings", "prepare", "scored_split", "still_sources", "train"]

_DONE = "trained.pt"


def train(
    dataset: Location, output: Path, config: TrainConfig, around: Surroundings | None = None, resume: bool = False
) -> Retriever:
    """Train on a dataset and keep the model in `output`; with `resume` from its last checkpoint, to the weights that
    an undisturbed run gives. Processes that torchrun or `accelerate launch` started train together.

    Raises ConfigurationError for a dataset, folder or setting that does not fit, RunFailedError for a loss that is no
    number and for memory that runs out.
    """
    join()
    around = around or Surroundings()
    around = around if is_first() else around.silent()
    stages = stages_of(config)
    for stage in stages:
        check(stage, processes())
        loggers(stage.run.report_to, output)
    with first_before_others():
        prepare(output)
    if resume and is_trained(output, config):
        around.say(f"{output} is trained already")
        return from_pretrained(output)
    ground = Ground(dataset, around.work or output / WORK / "features", around, config.data.images)
    with threads(config.run.threads), memory_told(BEFORE):
        return _Training(ground, output, config, resume).run(stages)


class _Training:
    """One training: what its stages share."""

    def __init__(self, ground: Ground, output: Path, config: TrainConfig, resume: bool) -> None:
        self._ground, self._output, self._config, self._resume = ground, output, config, resume
        self._say = ground.around.say
        self._history: list[dict[str, Any]] = []

    def run(self, stages: list[Stage]) -> Retriever:
        """All stages, then the model's folder."""
        with first_before_others():
            key = self._ground.open(self._config.data.split).digest
            if is_first():
                begin(self._output, self._config, key, self._resume, self._say)
            torch.manual_seed(self._config.run.seed)
            self._model = make_retriever(self._config.model)
            for stage in stages:
                check_trained(self._model, stage)
                check_augmentation(self._model, stage.data)
            check_teachers([one.objectives for one in stages], self._model.width)
            prepared = self._ground.prepared(stages)
        self._search = self._ground.text_search(self._model, stages)
        for one in prepared:
            self._stage(one)
        if is_first():
            self._finish(self._model.eval(), key, prepared)
        wait()
        return self._model.eval()

    def _finish(self, model: Retriever, dataset: str, prepared: list[Prepared]) -> None:
        write_whole(self._output / HISTORY, json.dumps(self._history, indent=1))
        save_pretrained(model, self._output, {"training": self._config.model_dump(mode="json"), "dataset": dataset})
        facts = {one.stage.name: {"triplets": one.rows(), "images": len(one.opened.images)} for one in prepared}
        write_report(self._output / REPORT, self._history, self._config, model, facts)
        card = model_card(self._config, model, facts, self._history, str(self._ground.dataset))
        write_whole(self._output / CARD, card)
        shutil.rmtree(self._output / WORK, ignore_errors=True)

    def _stage(self, prepared: Prepared) -> None:
        """Train a stage, or take its weights where it is trained already."""
        stage = prepared.stage
        folder = stages_folder(self._output) / str(stage.number)
        if (folder / _DONE).exists():
            self._model.load_state_dict(torch.load(folder / _DONE, weights_only=True), strict=False)
            self._history = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
            return
        before = self._searched(f"before {stage.name}", 0) if stage.number == 0 else []
        with trained_only(self._model, stage.train):
            logged = self._fit(prepared, folder)
        found = [*before, *logged, *self._searched(f"after {stage.name}", stage.run.steps)]
        self._history += [one | {"stage": stage.name} for one in found]
        if is_first():
            write_whole(folder / HISTORY, json.dumps(self._history))
            save_whole(self._model.kept_state(), folder / _DONE)
        wait()

    def _fit(self, prepared: Prepared, folder: Path) -> list[dict[str, Any]]:
        stage, ground, model = prepared.stage, self._ground, self._model
        # Objectives with weights of their own begin with the same ones after a resume.
        torch.manual_seed(stage.run.seed + stage.number)
        objectives, weights = make_objectives(stage.objectives)
        learner = Learner(model, objectives, weights)
        sources = ground.sources(model, prepared, objectives)
        validate = validation(model, stage, lambda: ground.scored(model, stage, objectives))
        make = BatchMaker(model, objectives, sources, stage.data, stage.run.chunk, stage.run.seed)
        batches = StepBatches(prepared.table, ground.plan(prepared), make, rank(), processes())
        for name, one in objectives.items():
            with first_before_others():
                self._begin_objective(name, one, prepared, sources, folder)
        logs = self._output / LOGS / stage.log_name
        return fit(stage, learner, batches, validate, folder, logs, ground.around, self._resume)

    def _begin_objective(self, name: str, one: Objective, prepared: Prepared, sources: Sources, folder: Path) -> None:
        rows, seed = prepared.table.all_rows, prepared.stage.run.seed
        one.begin(StageStart(self._model, sources, rows, folder / name, seed, self._say))

    def _searched(self, when: str, step: int) -> list[dict[str, Any]]:
        """What the search by texts finds now, as an entry of the history."""
        found: list[dict[str, Any]] = []
        with first_before_others():
            if is_first() and self._search is not None:
                metrics = self._search(self._model)
                said = ", ".join(f"{name} {value:.1f}" for name, value in metrics.items())
                self._say(f"texts find images {when}: {said}")
                found = [{"step": step} | {f"{NAME}{name}": value for name, value in metrics.items()}]
        return found
