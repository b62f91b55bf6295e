"""Short trainings with a tiny CLIP on drawn pictures: each objective learns, and stays finite."""

import json

import numpy as np
import pytest
import torch
from drawn_pictures import colour_task, write_dataset
from short_trainings import QUIET, falls, settings, stopped_and_resumed

from schemas.errors import ConfigurationError
from training.config import train_config
from training.run import scored_split, train
from training.scoring import scores

ALONE = {"info_nce": None}
#: The text side of `sum`: targets stay where they are.
TEXT_SIDE = ["text_map", "text_tower"]
#: 48 dimensions share the length that 512 have in the paper, and get 3.3 times the noise each.
SLIGHT = {"noise": 0.3}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Triplets with captions."""
    images, rows = colour_task(np.random.default_rng(0))
    return write_dataset(tmp_path_factory.mktemp("colours"), images, rows[:120])


def trained(dataset, folder, config):
    """Logged losses of the last stage, and the model."""
    model = train(dataset, folder, config, QUIET)
    assert all(one.isfinite().all() for one in model.state_dict().values())
    history = [one for one in json.loads((folder / "history.json").read_text()) if "loss" in one]
    return [one["loss"] for one in history if one["stage"] == history[-1]["stage"]], model


@pytest.mark.parametrize("towers", ["all", "none"])
def test_captions_alone_are_learned(dataset, tiny_clip, tmp_path, towers):
    objectives = ALONE | {"slerp_captions": {}}
    losses, _ = trained(
        dataset, tmp_path / "m", settings(tiny_clip, model={"train_towers": towers}, objectives=objectives)
    )
    assert falls(losses, 0.9 if towers == "all" else 0.97), losses


def test_noisy_targets_alone_are_learned(dataset, tiny_clip, tmp_path):
    # Without decay the loss is of one kind all along.
    config = settings(tiny_clip, "sum", run={"steps": 60}, objectives=ALONE | {"uncertainty": SLIGHT | {"decay": 0}})
    losses, _ = trained(dataset, tmp_path / "m", config)
    assert falls(losses, 0.7), losses


def test_uncertainty_finds_targets(dataset, tiny_clip, tmp_path):
    config = settings(tiny_clip, "sum", run={"steps": 60}, objectives=ALONE | {"uncertainty": SLIGHT})
    _, model = trained(dataset, tmp_path / "m", config)
    found = scores(model, scored_split(dataset, "train", model, tmp_path, QUIET))
    assert found["R@1"] > 80, found


def test_a_stage_against_the_bank_leaves_targets_and_learns(dataset, tiny_clip, tmp_path):
    stages = [
        {"name": "batch", "run": {"steps": 30}},
        {"name": "bank", "objectives": ALONE | {"memory_bank": {}}, "train": TEXT_SIDE},
    ]
    losses, both = trained(dataset, tmp_path / "both", settings(tiny_clip, "sum", stages=stages))
    assert falls(losses, 0.9), losses
    _, first = trained(dataset, tmp_path / "first", settings(tiny_clip, "sum", stages=stages[:1]))
    moved = {name for name, one in first.state_dict().items() if not torch.equal(one, both.state_dict()[name])}
    assert "text_map.weight" in moved
    assert any(name.startswith("text_tower") for name in moved)
    assert all(name.startswith(tuple(TEXT_SIDE)) for name in moved)


def test_a_bank_in_a_stage_that_trains_everything(dataset, tiny_clip, tmp_path):
    config = settings(tiny_clip, objectives=ALONE | {"memory_bank": {}})
    with pytest.raises(ConfigurationError, match="give it a stage of its own whose `train` names the text side alone"):
        train(dataset, tmp_path / "m", config, QUIET)
    losses, _ = trained(
        dataset,
        tmp_path / "moving",
        settings(tiny_clip, objectives=ALONE | {"memory_bank": {"moving_targets": True}}),
    )
    assert falls(losses, 0.9), losses


def test_captions_that_a_dataset_does_not_have(tiny_clip, tmp_path):
    images, rows = colour_task(np.random.default_rng(0))
    bare = [{name: one for name, one in row.items() if not name.endswith("_text")} for row in rows[:40]]
    dataset = write_dataset(tmp_path / "bare", images, bare)
    config = settings(tiny_clip, objectives=ALONE | {"slerp_captions": {}})
    with pytest.raises(ConfigurationError, match="no row of the dataset has a query_text or target_text"):
        train(dataset, tmp_path / "m", config, QUIET)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"memory_bank": {"images": 1}}, "objectives.memory_bank.images"),
        ({"slerp_captions": {"templates": 1.5}}, "objectives.slerp_captions.templates"),
        ({"uncertainty": {"length": 0}}, "objectives.uncertainty.length"),
    ],
)
def test_settings_that_cannot_be(section, key):
    with pytest.raises(ConfigurationError, match=f"{key} in the training configuration"):
        train_config({"objectives": section})


def test_a_resumed_stage_gives_the_weights_of_an_undisturbed_one(dataset, tiny_clip, tmp_path, monkeypatch):
    together = {"memory_bank": {"images": 20, "moving_targets": True}, "slerp_captions": {}, "uncertainty": {}}
    stages = [{"name": "first", "run": {"steps": 4}}, {"name": "second", "objectives": together}]
    run = {"steps": 8, "chunk": 40, "checkpoint_steps": 3, "log_steps": 4}
    config = settings(tiny_clip, run=run, stages=stages)
    _, whole = trained(dataset, tmp_path / "whole", config)

    # Four steps of the first stage, and five of the second.
    resumed = stopped_and_resumed(dataset, tmp_path / "resumed", config, monkeypatch, 4 + 5)
    for name, one in whole.state_dict().items():
        assert torch.equal(one, resumed.state_dict()[name]), name
