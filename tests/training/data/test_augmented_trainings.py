"""Short trainings on varied pictures: the same weights each time, and scores of pictures as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawn_pictures import colour_task, write_dataset
from small_trainings import small_settings

from schemas.errors import ConfigurationError
from training.config import train_config
from training.data.sources import Sources
from training.run import train
from training.surroundings import Surroundings

QUIET = Surroundings(lambda _: None)
RUN = {"steps": 3, "batch": 16, "evaluate_steps": 2}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    images, rows = colour_task(np.random.default_rng(0))
    root = write_dataset(tmp_path_factory.mktemp("colours"), images, rows)
    return write_dataset(root, images, rows[:30], "validation")


def weights(dataset, clip, folder, augment, **run):
    config = train_config(small_settings(clip, data={"augment": augment}, run=RUN | run))
    return {name: one.detach().clone() for name, one in train(dataset, folder, config, QUIET).state_dict().items()}


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_varied_pictures_train_to_the_same_weights_each_time(dataset, tiny_clip, tmp_path):
    found = {name: weights(dataset, tiny_clip, tmp_path / name, name) for name in ("none", "crop", "strong")}
    assert same(found["crop"], weights(dataset, tiny_clip, tmp_path / "again", "crop"))
    assert not same(found["crop"], found["none"])
    assert not same(found["crop"], found["strong"])


def test_pictures_are_varied_in_training_alone(dataset, tiny_clip, tmp_path, monkeypatch):
    """Every picture that is shown without a generator is left as it is: the validation split's, and all that
    objectives embed in advance."""
    shown = []
    plain = Sources.pictures

    def listen(self, numbers, draw):
        shown.append((self.augment is not None and draw is not None, torch.is_grad_enabled(), len(numbers)))
        return plain(self, numbers, draw)

    monkeypatch.setattr(Sources, "pictures", listen)
    weights(dataset, tiny_clip, tmp_path / "m", "strong", steps=2)
    varied = [count for one, _, count in shown if one]
    left = [count for one, _, count in shown if not one]
    assert sum(1 for one, gradients, _ in shown if one and not gradients) == 0, "no scoring is varied"
    assert len(varied) >= 2
    assert sum(left) >= 36, "the validation split's pictures"


def test_a_frozen_tower_is_told_before_anything_is_made(dataset, tiny_clip, tmp_path):
    settings = small_settings(tiny_clip, model={"train_towers": "none"}, data={"augment": "crop"}, run=RUN)
    with pytest.raises(ConfigurationError, match=r"data\.augment is 'crop', but the image tower is frozen"):
        train(dataset, tmp_path / "m", train_config(settings), QUIET)
    assert not list(tmp_path.rglob("image-features-*"))
    stage = {"name": "later", "data": {"augment": "strong"}}
    settings = small_settings(tiny_clip, model={"train_towers": "none"}, run=RUN) | {"stages": [{"name": "one"}, stage]}
    with pytest.raises(ConfigurationError, match=r"data\.augment is 'strong'"):
        train(dataset, tmp_path / "n", train_config(settings), QUIET)
