"""Batches by step: the same after a resume, in several processes, from workers; features and memory behind them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_pictures import colour_task, write_dataset
from torch.utils.data import DataLoader

from schemas.errors import ConfigurationError
from training.config import train_config
from training.data.augmentation import augmentation
from training.data.batches import BatchPlan
from training.data.open_dataset import open_dataset
from training.data.sources import Sources
from training.data.step_batches import BatchMaker, StepBatches, Steps, only
from training.data.triplet_table import TripletTable
from training.model_sources import check_augmentation, training_sources
from training.models.make import make_retriever
from training.objectives.make import make_objectives
from training.surroundings import Surroundings

QUIET = Surroundings(lambda _: None)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """The colour task with three texts a row and pages of five rows."""
    images, rows = colour_task(np.random.default_rng(0))
    for number, row in enumerate(rows):
        row["page_id"] = f"page {number // 5}"
        row["instructions"] = [{"text": f"{row['instruction']} {more}"} for more in ("and this", "in a", "show it")]
    return write_dataset(tmp_path_factory.mktemp("colours"), images, rows, group=32)


@pytest.fixture
def batches(dataset, tiny_clip, tmp_path):
    """Makes the batches of settings, as a process of several."""

    def make(rank=0, processes=1, trained="all", chunk=None, batch=8, **data):
        model = {"image_tower": str(tiny_clip), "text_tower": None, "width": 32, "layers": 1, "heads": 4}
        settings = train_config({"model": model | {"train_towers": trained}, "data": {"window": 50, **data}})
        opened = open_dataset(dataset, "train", tmp_path)
        table = TripletTable(opened.files, settings.data, opened.images.numbers)
        torch.manual_seed(0)
        retriever = make_retriever(settings.model)
        sources = Sources(opened.images, augment=augmentation(settings.data.augment))
        if trained == "none":
            sources = training_sources(retriever, opened, table, tmp_path, QUIET)
        objectives, _ = make_objectives(settings.objectives)
        plan = BatchPlan(map(table.page_counts, range(len(table))), batch, settings.data.pages, processes, 3)
        maker = BatchMaker(retriever, objectives, sources, settings.data, chunk, 3)
        return StepBatches(table, plan, maker, rank, processes)

    return make


def equal(one, other) -> bool:
    """Whether two nestings of tensors are the same to the bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def test_any_step_alone_is_what_a_run_through_gives(batches):
    """What a run that was killed and goes on in mid-epoch meets."""
    settings = {"texts": {"choose": "sampled"}, "augment": "crop"}
    through = [batches(**settings)[step] for step in range(40)]
    asked = batches(**settings)
    for step in (39, 7, 22, 0):
        assert equal(asked[step], through[step])
    assert not equal(through[0]["chunks"], through[1]["chunks"])


def test_steps_meet_rows_again_in_other_company(batches):
    found = batches()
    epochs = [[tuple(one.row_id for one in found.rows(step)) for step in range(start, start + 20)] for start in (0, 20)]
    assert set(epochs[0]).isdisjoint(epochs[1])
    for step in range(20):
        rows = found.rows(step)
        assert len(rows) == len({one.page for one in rows}) == 8


def test_processes_together_have_the_rows_and_texts_of_one(batches):
    settings = {"texts": {"choose": "sampled"}}
    for step in (0, 5):
        alone = batches(**settings)[step]["rows"]
        parts = [batches(rank, 2, **settings)[step]["rows"] for rank in range(2)]
        assert parts[0] + parts[1] == alone


def _texts(found, step):
    maker = found._make
    return [maker._drawn(row, step, place).row.texts for place, row in enumerate(found.rows(step))]


def test_texts_of_a_row_in_a_step(batches):
    best = _texts(batches(), 0)
    assert all(len(one) == 1 and one[0].split()[-1] not in ("this", "a", "it") for one in best)
    sampled = batches(texts={"choose": "sampled"})
    met = {}
    for step in range(60):
        for row, texts in zip(sampled.rows(step), _texts(sampled, step), strict=True):
            assert len(texts) == 1
            met.setdefault(row.row_id, set()).update(texts)
    assert sum(len(one) > 1 for one in met.values()) > len(met) / 2
    three = _texts(batches(texts={"per_row": 3}), 0)
    assert all(len(set(one)) == 3 for one in three)
    six = _texts(batches(texts={"per_row": 6}), 0)
    assert all(len(one) == 6 and len(set(one)) == 4 for one in six), "fewer texts come again"


def test_halves_that_are_hidden(batches):
    texts = [item for item in _items(batches(hide="text")) if item.text]
    assert not texts
    shown = [item for item in _items(batches(hide="image")) if item.text]
    assert {item.text for item in shown} == {row.texts[0] for row in batches().rows(0)}
    assert all(item.image is None for item in shown)


def _items(found):
    seen = []
    maker = found._make
    original = type(maker.retriever).prepare

    def listen(self, items, sources, draw=None):
        seen.extend(items)
        return original(self, items, sources, draw)

    type(maker.retriever).prepare = listen
    try:
        found[0]
    finally:
        type(maker.retriever).prepare = original
    return seen


@pytest.mark.parametrize(
    ("trained", "how", "workers"),
    [("all", "fork", 2), ("none", "fork", 2), ("none", "spawn", 1)],
    ids=["pictures forked", "features forked", "features spawned"],
)
def test_workers_give_the_batches_of_none(batches, trained, how, workers):
    settings = {"trained": trained, "texts": {"choose": "sampled"}} | ({"augment": "crop"} if trained == "all" else {})
    found = batches(**settings)
    loader = DataLoader(
        found,
        batch_sampler=Steps(6),
        num_workers=workers,
        collate_fn=only,
        multiprocessing_context=how,
        prefetch_factor=2,
    )
    plain = batches(**settings)
    for step, one in enumerate(loader):
        assert equal(one, plain[step])


def test_chunks_hold_the_pictures_of_the_whole(batches):
    whole, parts = batches(augment="strong")[0], batches(augment="strong", chunk=5)[0]
    every = _pixels(whole["chunks"][0])
    assert len(parts["chunks"]) > 3
    assert set().union(*map(_pixels, parts["chunks"])) == every
    assert every != _pixels(batches()[0]["chunks"][0])


def _pixels(chunk):
    """The pictures that a chunk shows."""
    prepared = chunk["images"]["prepared"] if chunk["images"] else {}
    pictures = prepared["pixel_values"] if isinstance(prepared, dict) and prepared else prepared
    return {one.numpy().tobytes() for one in pictures}


def test_a_frozen_tower_and_an_augmentation_do_not_go_together(tiny_clip):
    model = {"image_tower": str(tiny_clip), "text_tower": None, "width": 32, "heads": 4}
    settings = train_config({"model": model, "data": {"augment": "crop"}})
    with pytest.raises(ConfigurationError, match=r"data\.augment is 'crop', but the image tower is frozen"):
        check_augmentation(make_retriever(settings.model), settings.data)


def test_memory_does_not_grow_with_the_dataset(tmp_path):
    """Peak of Python's, numpy's and Arrow's memory over opening, planning, a look at all rows and 30 steps."""
    peaks = []
    for rows in (1500, 12_000):
        root = tmp_path / str(rows)
        _run(root, rows)
        peaks.append(json.loads(_run(root)))
    assert [one.pop("rows") for one in peaks] == [1500, 12_000]
    for name in peaks[0]:
        assert peaks[1][name] / peaks[0][name] <= 1.2, (name, peaks)


def _run(*arguments) -> str:
    """What the script beside this file says in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("peak_of_a_dataset.py")), *map(str, arguments)]
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=quiet)
    assert done.returncode == 0, done.stderr
    return done.stdout
