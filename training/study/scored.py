"""One model of a study: trained where it is not there yet, scored, and kept as its scores."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from schemas.errors import ConfigurationError
from schemas.ids import canonical_json, digest
from training.config import DataConfig, TrainConfig
from training.data.open_dataset import open_dataset
from training.data.parquet_files import Location
from training.data.sources import Sources
from training.data.triplet_table import TripletTable
from training.fitting import threads
from training.model_folder import HISTORY, deciding
from training.model_sources import scored_split
from training.models.interface import Retriever
from training.models.make import make_retriever
from training.own_files import write_whole
from training.run import train
from training.scoring import ScoredSplit, scores
from training.study.result import SeedScores
from training.study.runs import StudyRun, with_seed
from training.surroundings import Surroundings

SCORES, MODEL = "scores.json", "model"


@dataclass
class Bench:
    """Where models of a study are trained and scored."""

    dataset: Location
    #: Folder of the runs' folders.
    runs: Path
    #: Features and indexes, made once for all runs.
    work: Path
    split: str
    keep_models: bool
    around: Surroundings
    #: Where images lie that are not in the dataset's own folder.
    images: Path | None = None

    def __post_init__(self) -> None:
        self._digests: dict[str, str] = {}
        self._splits: dict[str, ScoredSplit] = {}

    def key(self, run: StudyRun, number: int) -> str:
        """A digest of everything that decides the scores of a run's seed: equal ones are trained once, whatever their
        run is called."""
        config = with_seed(run, number)
        splits = {config.data.split, self.split, *(one.data.get("split", config.data.split) for one in config.stages)}
        return digest(
            "study",
            canonical_json(deciding(config)),
            canonical_json({one: self._digest(one) for one in sorted(splits)}),
            self.split,
            str(run.trained),
        )[:16]

    def found(self, run: StudyRun, number: int) -> SeedScores | None:
        """The scores that an earlier call left."""
        folder = self.runs / self.key(run, number)
        try:
            told = json.loads((folder / SCORES).read_text())
        except (OSError, ValueError):
            return None
        if self.keep_models and run.trained and not (folder / MODEL).exists():
            return None
        return SeedScores(told["seed"], told["metrics"], f"{self.runs.name}/{folder.name}", told["seconds"])

    def scored(self, run: StudyRun, number: int, around: Surroundings) -> SeedScores:
        """Train and score, from the last checkpoint where there is one. Raises LensmithError."""
        key, config = self.key(run, number), with_seed(run, number)
        folder = self.runs / key
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        if run.trained:
            model = train(self.dataset, folder / MODEL, config, around, resume=True)
        else:
            torch.manual_seed(config.run.seed)
            model = make_retriever(config.model).eval()
        with threads(config.run.threads):
            metrics = scores(model, self._split(model), config.data.hide)
        seconds = time.monotonic() - began
        told = {"run": run.name, "seed": config.run.seed, "metrics": metrics, "seconds": seconds}
        self._settle(folder, config, told)
        return SeedScores(config.run.seed, metrics, f"{self.runs.name}/{key}", seconds)

    def _settle(self, folder: Path, config: TrainConfig, told: dict[str, Any]) -> None:
        """Write the scores, last; the model goes unless it is asked for."""
        history = folder / MODEL / HISTORY
        if history.exists():
            shutil.copyfile(history, folder / HISTORY)
        settings = {"training": config.model_dump(mode="json")}
        write_whole(folder / SCORES, json.dumps(told | settings, indent=1))
        if not self.keep_models:
            shutil.rmtree(folder / MODEL, ignore_errors=True)

    def _digest(self, split: str) -> str:
        if split not in self._digests:
            self._digests[split] = open_dataset(self.dataset, split, self.work, self.images).digest
        return self._digests[split]

    def _split(self, model: Retriever) -> ScoredSplit:
        """The split with features of a model's towers; models of equal settings share them."""
        key = canonical_json(model.config.model_dump(mode="json"))
        if key not in self._splits:
            self._splits = {key: scored_split(self.dataset, self.split, model, self.work, self.around, self.images)}
        return self._splits[key]


def plain_split(dataset: Location, split: str, work: Path, images: Path | None = None) -> ScoredSplit:
    """The split without a model's features. Raises ConfigurationError for one that cannot be scored on."""
    try:
        opened = open_dataset(dataset, split, work, images)
        table = TripletTable(opened.files, DataConfig(split=split), opened.images.numbers)
        rows = list(table.all_rows())
    except ConfigurationError as error:
        raise ConfigurationError(f"cannot score on the split {split!r} (--split): {error}") from error
    if not rows:
        raise ConfigurationError(f"the split {split!r} has no triplets to score on: give --split another one.")
    return ScoredSplit(rows, Sources(opened.images))
