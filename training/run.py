"""A training from a dataset's folder to a model's: sources, stages, checkpoints, history."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from schemas.errors import ConfigurationError
from schemas.ids import canonical_json, digest
from training.config import DataConfig, RunConfig, StageConfig, TrainConfig
from training.data.batches import BatchPlan
from training.data.image_store import ImageStore
from training.data.open_dataset import OpenDataset, open_dataset
from training.data.sources import Sources
from training.data.step_batches import BatchMaker, StepBatches
from training.data.towers_features import ImageEncoders, TextEncoders, frozen_sources
from training.data.triplet_table import TripletTable
from training.learner import Learner
from training.models.interface import Retriever
from training.models.make import DESCRIPTION, WEIGHTS, from_pretrained, make_retriever, save_pretrained
from training.models.two_towers import TwoTowers
from training.objectives.info_nce import check_hard_negatives
from training.objectives.interface import Objective
from training.objectives.make import make_objectives
from training.scoring import ScoredSplit, scores
from training.trainer import StepTrainer, threads

HISTORY = "history.json"
_WORK, _LOGS = "_work", "logs"
_STATE = "training.json"
_OWN = frozenset({WEIGHTS, DESCRIPTION, HISTORY, _WORK, _LOGS, "README.md", "report.html", "image_tower", "text_tower"})
VALIDATION = "validation"


@dataclass(frozen=True)
class Surroundings:
    """What a training is given beside dataset and configuration."""

    say: Callable[[str], None] = print
    image_encoders: ImageEncoders = field(default_factory=dict)
    text_encoders: TextEncoders = field(default_factory=dict)
    #: Where features and indexes are kept; beside the model where it is not said, and removed when it is trained.
    work: Path | None = None


def train(
    dataset: Path, output: Path, config: TrainConfig, around: Surroundings | None = None, resume: bool = False
) -> Retriever:
    """Train on a dataset and keep the model in `output`; with `resume` from its last checkpoint, to the weights that
    an undisturbed run gives.

    Raises ConfigurationError for a dataset, folder or setting that does not fit, RunFailedError for a loss that is no
    number and for memory that runs out.
    """
    around = around or Surroundings()
    prepare(output)
    if resume and (output / DESCRIPTION).exists():
        around.say(f"{output} is trained already")
        return from_pretrained(output)
    with threads(config.run.threads):
        return _Training(dataset, output, config, around, resume).run()


def prepare(folder: Path) -> None:
    """Make the folder. Raises ConfigurationError for one that holds anything but a model of ours."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = sorted(one.name for one in folder.iterdir() if one.name.removesuffix(".part") not in _OWN)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be the model's folder: {error.strerror}.") from error
    if foreign:
        raise ConfigurationError(f"{folder} holds {foreign[0]!r}: give --output an empty folder or one of a model.")


class _Training:
    """One training: what its stages share."""

    def __init__(self, dataset: Path, output: Path, config: TrainConfig, around: Surroundings, resume: bool) -> None:
        self._dataset, self._output, self._config, self._around = dataset, output, config, around
        self._stages_folder = output / _WORK
        self._work = around.work or output / _WORK / "features"
        opened = open_dataset(dataset, config.data.split, self._work)
        self._key = digest("training", canonical_json(_deciding(config)), opened.digest)
        if not resume:
            shutil.rmtree(self._stages_folder / "stages", ignore_errors=True)
        self._check_state()
        torch.manual_seed(config.run.seed)
        self._model = make_retriever(config.model)
        self._opened = {config.data.split: opened}
        self._resume = resume
        self._history: list[dict[str, Any]] = []

    def run(self) -> Retriever:
        """All stages, then the model's folder."""
        for number, stage in enumerate(self._config.stages or [StageConfig(name="training")]):
            self._stage(number, stage)
        trained_on = self._opened[self._config.data.split].digest
        about = {"training": self._config.model_dump(mode="json"), "dataset": trained_on}
        model = self._model.eval()
        (self._output / HISTORY).write_text(json.dumps(self._history, indent=1))
        save_pretrained(model, self._output, about)
        shutil.rmtree(self._output / _WORK, ignore_errors=True)
        return model

    def _check_state(self) -> None:
        """A checkpoint of another training is refused; without one this training's key is noted."""
        path = self._stages_folder / "stages" / _STATE
        if path.exists() and json.loads(path.read_text())["key"] != self._key:
            raise ConfigurationError(
                f"{self._output} holds checkpoints of another dataset or other settings: train without --resume, or "
                "give another --output."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"key": self._key}))

    def _stage(self, number: int, stage: StageConfig) -> None:
        data = DataConfig(**{**self._config.data.model_dump(), **stage.data})
        run = RunConfig(**{**self._config.run.model_dump(), **stage.run})
        objectives, weights = make_objectives(stage.objectives or self._config.objectives)
        opened = self._open(data.split)
        table = TripletTable(opened.files, data, opened.images.numbers)
        sources = self._sources(opened, table, data)
        check_hard_negatives(
            (stage.objectives or self._config.objectives).info_nce, any(row.negatives for row in table.all_rows())
        )
        learner = Learner(self._model, objectives, weights)
        with _trained_only(self._model, stage.train):
            folder = self._stages_folder / "stages" / str(number)
            done = folder / "learner.pt"
            if not done.exists():
                self._fit(folder, stage, learner, objectives, table, sources, data, run)
                torch.save(self._model.kept_state(), f"{done}.part")
                os.replace(f"{done}.part", done)
            else:
                self._model.load_state_dict(torch.load(done, weights_only=True), strict=False)
                self._history = json.loads((folder / HISTORY).read_text())

    def _fit(
        self,
        folder: Path,
        stage: StageConfig,
        learner: Learner,
        objectives: Mapping[str, Objective],
        table: TripletTable,
        sources: Sources,
        data: DataConfig,
        run: RunConfig,
    ) -> None:
        arguments = training_arguments(folder, self._output / _LOGS / stage.name, run)
        world, rank = arguments.world_size, arguments.process_index
        counts = [table.page_counts(one) for one in range(len(table))]
        plan = BatchPlan(counts, run.batch, data.pages, world, run.seed)
        if max(plan.sizes) < run.batch // world * world:
            what = "pages" if data.pages == "distinct" else "triplets"
            self._say(f"batches hold {max(plan.sizes)} triplets: the dataset has no more {what} for one")
        make = BatchMaker(self._model, objectives, sources, data, run.chunk, run.seed)
        batches = StepBatches(table, plan, make, rank, world)
        validate = self._validation(data) if run.evaluate_steps else None
        callbacks = [EarlyStoppingCallback(run.patience)] if run.patience and validate else []
        trainer = StepTrainer(learner, batches, run, arguments, validate, [*callbacks])
        self._say(f"{stage.name}: {int(sum(one.sum() for one in counts))} triplets, {len(sources.images)} images")
        trainer.train(resume_from_checkpoint=get_last_checkpoint(str(folder)) if self._resume else None)
        self._history += [one | {"stage": stage.name} for one in trainer.state.log_history]
        (folder / HISTORY).write_text(json.dumps(self._history))

    def _say(self, text: str) -> None:
        self._around.say(text)

    def _open(self, split: str) -> OpenDataset:
        if split not in self._opened:
            self._opened[split] = open_dataset(self._dataset, split, self._work)
        return self._opened[split]

    def _sources(self, opened: OpenDataset, table: TripletTable, data: DataConfig) -> Sources:
        model = self._model
        if isinstance(model, TwoTowers) and model.frozen:
            texts = {text for row in table.all_rows() for text in (*row.texts, row.query_text, row.target_text) if text}
            encoders = self._around.image_encoders, self._around.text_encoders
            return frozen_sources(model, opened.images, texts, self._work, opened.digest, self._say, *encoders)
        return Sources(opened.images)

    def _validation(self, data: DataConfig) -> Callable[[], dict[str, float]]:
        split = scored_split(self._dataset, VALIDATION, self._model, self._work, self._around)
        return lambda: scores(self._model, split)


def scored_split(dataset: Path, split: str, model: Retriever, work: Path, around: Surroundings) -> ScoredSplit:
    """A split with what a model needs to be scored on it."""
    opened = open_dataset(dataset, split, work)
    table = TripletTable(opened.files, DataConfig(split=split), opened.images.numbers)
    rows = list(table.all_rows())
    if not isinstance(model, TwoTowers) or not model.frozen:
        return ScoredSplit(rows, Sources(opened.images))
    return ScoredSplit(
        rows, still_sources(model, opened.images, [row.texts[0] for row in rows], work, opened.digest, around)
    )


def still_sources(
    model: Retriever, images: ImageStore, texts: Iterable[str], work: Path, key: str, around: Surroundings
) -> Sources:
    """Sources for a model that is not trained while they are used: each image goes through its tower once, however
    many items show it. `key` tells content and weights from others in the folder `work`."""
    if not isinstance(model, TwoTowers):
        return Sources(images)
    distinct = {one for one in texts if one}
    encoders = around.image_encoders, around.text_encoders
    return frozen_sources(model, images, distinct, work, key, around.say, *(encoders if model.frozen else ({}, {})))


def training_arguments(folder: Path, logs: Path, run: RunConfig) -> TrainingArguments:
    """The Trainer's arguments of a stage."""
    scored = run.evaluate_steps is not None
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(logs)
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=run.steps,
        per_device_train_batch_size=run.batch,
        gradient_accumulation_steps=run.accumulate,
        learning_rate=run.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=int(run.steps * run.warmup),
        weight_decay=run.weight_decay,
        max_grad_norm=run.max_gradient,
        bf16=run.bf16,
        activation_checkpointing=run.activation_checkpointing,
        save_steps=run.evaluate_steps or run.checkpoint_steps,
        save_total_limit=2,
        eval_strategy="steps" if scored else "no",
        eval_steps=run.evaluate_steps,
        metric_for_best_model=run.metric if scored else None,
        greater_is_better=True if scored else None,
        load_best_model_at_end=scored,
        logging_steps=run.log_steps,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        report_to=run.report_to or "none",
        seed=run.seed,
        disable_tqdm=True,
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,
    )


def _deciding(config: TrainConfig) -> dict[str, Any]:
    """The settings that decide the weights."""
    idle = {"checkpoint_steps", "log_steps", "report_to"}
    return config.model_dump(mode="json", exclude={"run": idle, "data": {"workers"}})


@contextmanager
def _trained_only(model: Retriever, beginnings: Sequence[str]) -> Iterator[None]:
    """Within, parameters are trained only where their names begin as asked; empty is all that may be trained."""
    before = {name: one.requires_grad for name, one in model.named_parameters()}
    chosen = tuple(beginnings) or ("",)
    if not any(name.startswith(chosen) for name in before):
        raise ConfigurationError(f"no parameter's name begins with {beginnings[0]!r} (stages.train).")
    for name, one in model.named_parameters():
        one.requires_grad_(before[name] and name.startswith(chosen))
    try:
        yield
    finally:
        for name, one in model.named_parameters():
            one.requires_grad_(before[name])
