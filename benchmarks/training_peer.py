"""The same retriever trained by sentence-transformers: an input module of it, and the seconds of its steps."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.modules.input_module import InputModule
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from transformers import PrinterCallback, TrainerCallback

from training.config import DataConfig, train_config
from training.data.open_dataset import open_dataset
from training.data.sources import Sources
from training.data.triplet_table import TripletTable
from training.items import Item
from training.models.make import make_retriever


class StepTimes(TrainerCallback):
    """Seconds from the end of each step to the end of the next."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._before: float | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Look at the clock."""
        now = time.perf_counter()
        if self._before is not None:
            self.seconds.append(now - self._before)
        self._before = now


class Retrieving(InputModule):
    """A retriever of two trained towers. An input is the name of an item; its image and text are read, decoded and
    tokenized by the retriever's own towers."""

    def __init__(self, retriever: Any, sources: Sources, items: Mapping[str, Item]) -> None:
        super().__init__()
        self.retriever = retriever
        self._sources, self._items = sources, items

    def preprocess(self, inputs: Sequence[str], prompt: str | None = None, **more: Any) -> dict[str, Any]:
        """Tensors with a row for each input, as mini-batches are cut from them."""
        items = [self._items[one] for one in inputs]
        pictures = self._sources.pictures([one.image for one in items if one.image is not None], None)
        found = dict(self.retriever.image_tower.prepare(pictures))
        if any(one.text for one in items):
            found |= self.retriever.text_tower.prepare([one.text for one in items])
        return found

    def forward(self, features: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Adds `sentence_embedding`."""
        images = self.retriever.image_tower({"pixel_values": features["pixel_values"]})
        here = torch.ones(len(features["pixel_values"]), dtype=torch.bool)
        texts = None
        if "input_ids" in features:
            texts = self.retriever.text_tower({one: features[one] for one in ("input_ids", "attention_mask")})
        embedded = self.retriever.fuse(images, here, texts, here if texts is not None else ~here)
        return features | {"sentence_embedding": embedded}

    def save(self, output_path: str, *given: Any, **named: Any) -> None:
        """Nothing is kept of a benchmark."""


def peer_seconds(dataset: Path, settings: Mapping[str, Any], steps: int) -> list[float]:
    """Seconds of each step of SentenceTransformerTrainer on the dataset's triplets: queries, targets, and the query
    images alone as negatives."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    config = train_config(settings)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    opened = open_dataset(dataset, "train", dataset / "_work")
    table = TripletTable(opened.files, DataConfig(), opened.images.numbers)
    items, rows = {}, []
    for row in table.all_rows():
        named = {
            f"q{row.row_id}": row.query_item(row.texts[0]),
            f"i{row.target}": Item(row.target),
            f"i{row.query}": Item(row.query),
        }
        items |= named
        rows.append(dict(zip(("anchor", "positive", "negative"), named, strict=True)))
    module = Retrieving(make_retriever(config.model), Sources(opened.images), items)
    model = SentenceTransformer(modules=[module], device="cpu")
    run, scale = config.run, 20.0
    loss: Any = (
        MultipleNegativesRankingLoss(model, scale=scale)
        if run.chunk is None
        else CachedMultipleNegativesRankingLoss(model, scale=scale, mini_batch_size=run.chunk)
    )
    times = StepTimes()
    with tempfile.TemporaryDirectory() as scratch:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=scratch,
            max_steps=steps,
            per_device_train_batch_size=run.batch,
            learning_rate=run.learning_rate,
            dataloader_num_workers=config.data.workers,
            report_to="none",
            save_strategy="no",
            logging_steps=run.log_steps,
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = SentenceTransformerTrainer(
            model=model, args=arguments, train_dataset=Dataset.from_list(rows), loss=loss, callbacks=[times]
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return times.seconds
