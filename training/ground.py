"""What a training stands on: its dataset's splits, each opened once, and what a stage reads of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from schemas.errors import ConfigurationError
from schemas.ids import canonical_json
from training.data.augmentation import augmentation
from training.data.batches import BatchPlan
from training.data.open_dataset import OpenDataset, open_dataset
from training.data.parquet_files import Location
from training.data.sources import Sources
from training.data.triplet_table import TripletTable
from training.model_sources import scored_split, training_sources
from training.models.interface import Retriever
from training.objectives.info_nce import check_hard_negatives
from training.objectives.interface import Objective
from training.processes import first_before_others, is_first, processes
from training.scoring import ScoredSplit
from training.stages import Stage
from training.surroundings import Surroundings
from training.teachers import with_teachers
from training.text_to_image import TextSearch, text_search

VALIDATION = "validation"


@dataclass(frozen=True)
class Prepared:
    """A stage with the rows that it trains on."""

    stage: Stage
    opened: OpenDataset
    table: TripletTable

    def rows(self) -> int:
        """How many they are."""
        return self.table.counts().kept


@dataclass(frozen=True)
class Ground:
    """A dataset's folder, a folder for features and indexes, and the surroundings."""

    dataset: Location
    work: Path
    around: Surroundings
    #: Where the image files of a foreign dataset lie, if not in its folder.
    images: Path | None = None
    _opened: dict[str, OpenDataset] = field(default_factory=dict)

    def open(self, split: str) -> OpenDataset:
        """A split. Raises ConfigurationError for one that is not there."""
        if split not in self._opened:
            self._opened[split] = open_dataset(self.dataset, split, self.work, self.images, self.around.say)
        return self._opened[split]

    def prepared(self, stages: Sequence[Stage]) -> list[Prepared]:
        """Every stage with its rows, so that none fails for its data when others are trained.

        Raises ConfigurationError for rows that lack what a stage asks for.
        """
        tables: dict[str, TripletTable] = {}
        found = []
        for stage in stages:
            opened, key = self.open(stage.data.split), canonical_json(stage.data.model_dump(mode="json"))
            if key not in tables:
                tables[key] = TripletTable(opened.files, stage.data, opened.images.numbers)
                tables[key].check_images()
            asked = stage.objectives.info_nce
            if asked is not None and asked.hard_negatives:
                check_hard_negatives(asked, any(row.negatives for row in tables[key].all_rows()))
            found.append(Prepared(stage, opened, tables[key]))
        return found

    def sources(self, model: Retriever, prepared: Prepared, objectives: Mapping[str, Objective]) -> Sources:
        """What the stage's batches are made of; the first process makes what is made once."""
        with first_before_others():
            sources = training_sources(model, prepared.opened, prepared.table, self.work, self.around)
            varied = replace(sources, augment=augmentation(prepared.stage.data.augment))
            return self._taught(model, varied, objectives, prepared.opened)

    def plan(self, prepared: Prepared) -> BatchPlan:
        """Which rows each batch of a stage holds."""
        stage, table = prepared.stage, prepared.table
        counts = (table.page_counts(one) for one in range(len(table)))
        plan = BatchPlan(counts, stage.run.batch, stage.data.pages, processes(), stage.run.seed)
        if max(plan.sizes) < stage.run.batch:
            what = "pages" if stage.data.pages == "distinct" else "triplets"
            self.around.say(f"batches hold {max(plan.sizes)} triplets: the dataset has no more {what} for one")
        self.around.say(f"{stage.name}: {prepared.rows()} triplets, {len(prepared.opened.images)} images")
        left = table.counts()
        reasons = {"have an image that is not there": left.no_image, "have no text": left.no_text}
        for reason, count in reasons.items():
            if count:
                self.around.say(f"{count} of {left.rows} triplets {reason}, and are left out")
        return plan

    def scored(self, model: Retriever, stage: Stage, objectives: Mapping[str, Objective]) -> ScoredSplit:
        """The validation split; a model that is distilled is scored in its teacher's gallery."""
        split = scored_split(self.dataset, VALIDATION, model, self.work, self.around, self.images)
        if stage.objectives.distillation is None:
            return split
        sources = self._taught(model, split.sources, objectives, self.open(VALIDATION))
        return replace(split, sources=sources, teacher=stage.objectives.distillation.teacher)

    def text_search(self, model: Retriever, stages: Sequence[Stage]) -> TextSearch | None:
        """How well texts find images of the validation split, or of the training's where that has no texts; None where
        no stage asks for it. The first process alone looks."""
        asked = [one.objectives.alignment for one in stages]
        with first_before_others():
            if not is_first() or not any(one is not None and one.check for one in asked):
                return None
            for split in dict.fromkeys((VALIDATION, stages[0].data.split)):
                try:
                    opened = self.open(split)
                except ConfigurationError:
                    # Not every dataset has a validation split.
                    continue
                search = text_search(model, opened, split, self.work, self.around)
                if search is not None:
                    self.around.say(f"texts find images: checked with {len(search.texts)} images of {split}")
                    return search
        return None

    def _taught(
        self, model: Retriever, sources: Sources, objectives: Mapping[str, Objective], opened: OpenDataset
    ) -> Sources:
        return with_teachers(sources, objectives.values(), model.width, self.work, opened.digest, self.around)
