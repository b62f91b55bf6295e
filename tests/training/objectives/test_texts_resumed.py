"""A stage that is stopped and resumed gives the weights of an undisturbed one: what it began with is found again."""

import numpy as np
import pytest
import torch
from drawn_pictures import colour_task, write_dataset
from short_trainings import QUIET, logged, settings, stopped_and_resumed

from training.run import train


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Triplets with captions."""
    images, rows = colour_task(np.random.default_rng(0))
    return write_dataset(tmp_path_factory.mktemp("colours"), images, rows[:80])


def test_stopped_in_the_second_stage(dataset, tiny_clip, tmp_path, monkeypatch):
    together = {"text_triplets": {}, "alignment": {}, "distillation": {"teacher": str(tiny_clip)}}
    stages = [
        {"name": "first", "run": {"steps": 4}},
        {"name": "second", "objectives": {"info_nce": None} | together},
    ]
    run = {"steps": 8, "checkpoint_steps": 3, "log_steps": 4}
    config = settings(tiny_clip, model={"width": 32}, run=run, stages=stages)
    whole = train(dataset, tmp_path / "whole", config, QUIET)

    # Four steps of the first stage, and five of the second.
    resumed = stopped_and_resumed(dataset, tmp_path / "half", config, monkeypatch, 4 + 5)
    for name, one in whole.state_dict().items():
        assert torch.equal(one, resumed.state_dict()[name]), name
    recalls = [logged(tmp_path / name, "text_to_image_R@1") for name in ("whole", "half")]
    assert recalls[0] == recalls[1]
    assert len(recalls[0]) == 3
