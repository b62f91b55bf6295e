"""What a model reads a dataset with: features where a tower is frozen, pictures and texts where it is trained."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from schemas.errors import ConfigurationError
from training.config import DataConfig
from training.data.image_store import ImageStore
from training.data.open_dataset import OpenDataset, open_dataset
from training.data.parquet_files import Location
from training.data.sources import Sources
from training.data.towers_features import frozen_sources
from training.data.triplet_table import TripletTable
from training.models.interface import Retriever
from training.scoring import ScoredSplit
from training.surroundings import Surroundings


def check_augmentation(model: Retriever, data: DataConfig) -> None:
    """Raise ConfigurationError for pictures that are to be varied where none is looked at again."""
    if data.augment != "none" and model.frozen and model.feature_towers()[0] is not None:
        raise ConfigurationError(
            f"data.augment is {data.augment!r}, but the image tower is frozen and sees each picture once: set "
            "model.train_towers, or data.augment to none."
        )


def training_sources(
    model: Retriever, opened: OpenDataset, table: TripletTable, work: Path, around: Surroundings
) -> Sources:
    """Sources of the rows that a stage trains on."""
    if model.frozen:
        texts = (text for row in table.all_rows() for text in (*row.texts, row.query_text, row.target_text))
        encoders = around.image_encoders, around.text_encoders
        return frozen_sources(model, opened.images, texts, work, opened.digest, around.say, *encoders)
    return Sources(opened.images)


def scored_split(
    dataset: Location, split: str, model: Retriever, work: Path, around: Surroundings, images: Path | None = None
) -> ScoredSplit:
    """A split with what a model needs to be scored on it; `images` as `open_dataset` has it."""
    opened = open_dataset(dataset, split, work, images)
    table = TripletTable(opened.files, DataConfig(split=split), opened.images.numbers)
    rows = list(table.all_rows())
    if not model.frozen:
        return ScoredSplit(rows, Sources(opened.images))
    return ScoredSplit(
        rows, still_sources(model, opened.images, [row.texts[0] for row in rows], work, opened.digest, around)
    )


def still_sources(
    model: Retriever, images: ImageStore, texts: Iterable[str], work: Path, key: str, around: Surroundings
) -> Sources:
    """Sources for a model that is not trained while they are used: each image goes through its tower once, however
    many items show it. `key` tells content and weights from others in the folder `work`."""
    encoders = around.image_encoders, around.text_encoders
    return frozen_sources(model, images, texts, work, key, around.say, *(encoders if model.frozen else ({}, {})))
