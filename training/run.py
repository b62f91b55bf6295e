"""A training from a dataset's folder to a model's: stages, checkpoints, history, report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from schemas.errors import ConfigurationError
from schemas.ids import canonical_json, digest
from training.checkpoints import save_whole, write_whole
from training.config import TrainConfig
from training.data.batches import BatchPlan
from training.data.open_dataset import OpenDataset, open_dataset
from training.data.sources import Sources
from training.data.step_batches import BatchMaker, StepBatches
from training.data.triplet_table import TripletTable
from training.fitting import fit, threads, validation
from training.learner import Learner
from training.loggers import loggers
from training.model_sources import scored_split, still_sources, training_sources
from training.models.interface import Retriever
from training.models.make import (
    DESCRIPTION,
    WEIGHTS,
    from_pretrained,
    make_retriever,
    read_description,
    save_pretrained,
)
from training.objectives.info_nce import check_hard_negatives
from training.objectives.interface import Objective, StageStart
from training.objectives.make import make_objectives
from training.processes import first_before_others, is_first, join, processes, rank, wait
from training.report.page import write_report
from training.scoring import ScoredSplit
from training.stages import Stage, check, check_trained, stages_of, trained_only
from training.surroundings import Surroundings
from training.teachers import check_teachers, with_teachers
from training.text_to_image import NAME, TextSearch, text_search

__all__ = ["HISTORY", "Surroundings", "prepare", "scored_split", "still_sources", "train"]

HISTORY = "history.json"
REPORT = "report.html"
_WORK, _LOGS = "_work", "logs"
_STATE, _DONE = "training.json", "trained.pt"
_OWN = frozenset({WEIGHTS, DESCRIPTION, HISTORY, REPORT, _WORK, _LOGS, "README.md", "image_tower", "text_tower"})
VALIDATION = "validation"


def train(
    dataset: Path, output: Path, config: TrainConfig, around: Surroundings | None = None, resume: bool = False
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
    if resume and _is_trained(output, config):
        around.say(f"{output} is trained already")
        return from_pretrained(output)
    with threads(config.run.threads):
        return _Training(dataset, output, config, stages, around, resume).run()


def prepare(folder: Path) -> None:
    """Make the folder. Raises ConfigurationError for one that holds anything but a model of ours."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = sorted(one.name for one in folder.iterdir() if one.name.removesuffix(".part") not in _OWN)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be the model's folder: {error.strerror}.") from error
    if foreign:
        raise ConfigurationError(f"{folder} holds {foreign[0]!r}: give --output an empty folder or one of a model.")


def _is_trained(folder: Path, config: TrainConfig) -> bool:
    """Whether a folder holds a model and no training that was begun after it. Raises ConfigurationError for a model of
    other settings."""
    if not (folder / DESCRIPTION).exists() or (folder / _WORK / "stages" / _STATE).exists():
        return False
    before = read_description(folder).get("training")
    if not isinstance(before, Mapping) or _deciding(TrainConfig(**before)) != _deciding(config):
        raise ConfigurationError(
            f"{folder} holds a model of other settings: train without --resume to replace it, or give another --output."
        )
    return True


@dataclass(frozen=True)
class _Prepared:
    """A stage with the rows that it trains on."""

    stage: Stage
    opened: OpenDataset
    table: TripletTable


class _Training:
    """One training: what its stages share."""

    def __init__(
        self,
        dataset: Path,
        output: Path,
        config: TrainConfig,
        stages: list[Stage],
        around: Surroundings,
        resume: bool,
    ) -> None:
        self._dataset, self._output, self._config, self._around = dataset, output, config, around
        self._folder = output / _WORK / "stages"
        self._work = around.work or output / _WORK / "features"
        self._resume = resume
        self._history: list[dict[str, Any]] = []
        self._opened: dict[str, OpenDataset] = {}
        with first_before_others():
            opened = self._open(config.data.split)
            if is_first():
                self._begin(digest("training", canonical_json(_deciding(config)), opened.digest))
            torch.manual_seed(config.run.seed)
            self._model = make_retriever(config.model)
            for stage in stages:
                check_trained(self._model, stage)
            check_teachers([one.objectives for one in stages], self._model.width)
            self._stages = self._prepared(stages)

    def run(self) -> Retriever:
        """All stages, then the model's folder."""
        self._search = self._text_search()
        for prepared in self._stages:
            self._stage(prepared)
        model = self._model.eval()
        if is_first():
            self._finish(model)
        wait()
        return model

    def _finish(self, model: Retriever) -> None:
        first = self._opened[self._config.data.split]
        about = {"training": self._config.model_dump(mode="json"), "dataset": first.digest}
        write_whole(self._output / HISTORY, json.dumps(self._history, indent=1))
        save_pretrained(model, self._output, about)
        facts = {one.stage.name: {"triplets": _rows(one), "images": len(one.opened.images)} for one in self._stages}
        write_report(self._output / REPORT, self._history, self._config, model, facts)
        shutil.rmtree(self._output / _WORK, ignore_errors=True)

    def _begin(self, key: str) -> None:
        """A new training removes what an older one left; one that goes on is refused checkpoints of another."""
        path = self._folder / _STATE
        state = {"key": key, "processes": processes()}
        if not self._resume:
            shutil.rmtree(self._folder, ignore_errors=True)
            shutil.rmtree(self._output / _LOGS, ignore_errors=True)
        elif path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            if before["key"] != key:
                raise ConfigurationError(
                    f"{self._output} holds checkpoints of another dataset or other settings: train without --resume, "
                    "or give another --output."
                )
            if before["processes"] != processes():
                self._around.say(
                    f"the training was begun by {before['processes']} processes and goes on with {processes()}: its "
                    "weights may differ in their last bits, and its dropout does"
                )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(state))

    def _prepared(self, stages: list[Stage]) -> list[_Prepared]:
        """Every stage with its rows, so that none fails for its data when others are trained."""
        tables: dict[str, TripletTable] = {}
        found = []
        for stage in stages:
            opened, key = self._open(stage.data.split), canonical_json(stage.data.model_dump(mode="json"))
            if key not in tables:
                tables[key] = TripletTable(opened.files, stage.data, opened.images.numbers)
            asked = stage.objectives.info_nce
            if asked is not None and asked.hard_negatives:
                check_hard_negatives(asked, any(row.negatives for row in tables[key].all_rows()))
            found.append(_Prepared(stage, opened, tables[key]))
        return found

    def _stage(self, prepared: _Prepared) -> None:
        """Train a stage, or take its weights where it is trained already."""
        folder = self._folder / str(prepared.stage.number)
        if (folder / _DONE).exists():
            self._model.load_state_dict(torch.load(folder / _DONE, weights_only=True), strict=False)
            self._history = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
            return
        name, number, steps = prepared.stage.name, prepared.stage.number, prepared.stage.run.steps
        before = self._searched(f"before {name}", 0) if number == 0 else []
        with trained_only(self._model, prepared.stage.train):
            logged = self._fit(prepared, folder)
        found = [*before, *logged, *self._searched(f"after {name}", steps)]
        self._history += [one | {"stage": name} for one in found]
        if is_first():
            write_whole(folder / HISTORY, json.dumps(self._history))
            save_whole(self._model.kept_state(), folder / _DONE)
        wait()

    def _fit(self, prepared: _Prepared, folder: Path) -> list[dict[str, Any]]:
        stage, opened, table = prepared.stage, prepared.opened, prepared.table
        # Objectives with weights of their own begin with the same ones after a resume.
        torch.manual_seed(stage.run.seed + stage.number)
        objectives, weights = make_objectives(stage.objectives)
        learner = Learner(self._model, objectives, weights)
        with first_before_others():
            sources = training_sources(self._model, opened, table, self._work, self._around)
            sources = self._with_teachers(sources, objectives, opened)
        validate = validation(self._model, stage, lambda: self._scored(stage, objectives))
        plan = self._plan(stage, table, _rows(prepared), len(opened.images))
        make = BatchMaker(self._model, objectives, sources, stage.data, stage.run.chunk, stage.run.seed)
        batches = StepBatches(table, plan, make, rank(), processes())
        for name, one in objectives.items():
            with first_before_others():
                self._begin_objective(name, one, prepared, sources, folder)
        logs = self._output / _LOGS / stage.log_name
        return fit(stage, learner, batches, validate, folder, logs, self._around, self._resume)

    def _with_teachers(self, sources: Sources, objectives: Mapping[str, Objective], opened: OpenDataset) -> Sources:
        width = self._model.width
        return with_teachers(sources, objectives.values(), width, self._work, opened.digest, self._around)

    def _scored(self, stage: Stage, objectives: Mapping[str, Objective]) -> ScoredSplit:
        """The validation split; a model that is distilled is scored in its teacher's gallery."""
        split = scored_split(self._dataset, VALIDATION, self._model, self._work, self._around)
        if stage.objectives.distillation is None:
            return split
        sources = self._with_teachers(split.sources, objectives, self._open(VALIDATION))
        return replace(split, sources=sources, teacher=stage.objectives.distillation.teacher)

    def _text_search(self) -> TextSearch | None:
        """How well texts find images of the validation split, or of the training's where that has no texts; None where
        no stage asks for it. The first process alone looks."""
        asked = [one.stage.objectives.alignment for one in self._stages]
        with first_before_others():
            if not is_first() or not any(one is not None and one.check for one in asked):
                return None
            for split in (VALIDATION, self._config.data.split):
                try:
                    opened = self._open(split)
                except ConfigurationError:
                    # Not every dataset has a validation split.
                    continue
                search = text_search(self._model, opened, split, self._work, self._around)
                if search is not None:
                    self._around.say(f"texts find images: checked with {len(search.texts)} images of {split}")
                    return search
        return None

    def _searched(self, when: str, step: int) -> list[dict[str, Any]]:
        """What the search by texts finds now, as an entry of the history."""
        found: list[dict[str, Any]] = []
        with first_before_others():
            if is_first() and self._search is not None:
                metrics = self._search(self._model)
                said = ", ".join(f"{name} {value:.1f}" for name, value in metrics.items())
                self._around.say(f"texts find images {when}: {said}")
                found = [{"step": step} | {f"{NAME}{name}": value for name, value in metrics.items()}]
        return found

    def _begin_objective(self, name: str, one: Objective, prepared: _Prepared, sources: Sources, folder: Path) -> None:
        rows, seed = prepared.table.all_rows, prepared.stage.run.seed
        one.begin(StageStart(self._model, sources, rows, folder / name, seed, self._around.say))

    def _plan(self, stage: Stage, table: TripletTable, rows: int, images: int) -> BatchPlan:
        counts = [table.page_counts(one) for one in range(len(table))]
        plan = BatchPlan(counts, stage.run.batch, stage.data.pages, processes(), stage.run.seed)
        if max(plan.sizes) < stage.run.batch:
            what = "pages" if stage.data.pages == "distinct" else "triplets"
            self._around.say(f"batches hold {max(plan.sizes)} triplets: the dataset has no more {what} for one")
        self._around.say(f"{stage.name}: {rows} triplets, {images} images")
        return plan

    def _open(self, split: str) -> OpenDataset:
        if split not in self._opened:
            self._opened[split] = open_dataset(self._dataset, split, self._work)
        return self._opened[split]


def _rows(prepared: _Prepared) -> int:
    table = prepared.table
    return int(sum(table.page_counts(one).sum() for one in range(len(table))))


def _deciding(config: TrainConfig) -> dict[str, Any]:
    """The settings that decide the weights."""
    idle = {"checkpoint_steps", "log_steps", "report_to"}
    return config.model_dump(mode="json", exclude={"run": idle, "data": {"workers"}})
