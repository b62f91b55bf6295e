"""Whole trainings with a tiny CLIP on drawn pictures."""

import numpy as np
import pytest
from drawn_pictures import colour_task, write_dataset

from training.config import train_config
from training.run import Surroundings, scored_split, train
from training.scoring import compare

QUIET = Surroundings(lambda _: None)
RUN = {"threads": 1, "report_to": [], "log_steps": 20}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Triplets of which 100 are trained on and the others, with pictures of their own, asked for."""
    root = tmp_path_factory.mktemp("colours")
    images, rows = colour_task(np.random.default_rng(0))
    write_dataset(root, images, rows[:120])
    write_dataset(root, images, rows[120:], "test")
    write_dataset(root, images, rows[120:], "validation")
    return root


def settings(tiny_clip, **sections):
    model = {"image_tower": str(tiny_clip), "text_tower": None, "width": 48, "layers": 2, "heads": 4}
    run = RUN | sections.pop("run", {})
    return train_config({"model": model | sections.pop("model", {}), "run": run, **sections})


TOY = {"steps": 150, "batch": 64, "learning_rate": 1e-3}


def test_a_task_that_needs_both_halves_is_learned(dataset, tiny_clip, tmp_path):
    config = settings(tiny_clip, model={"train_towers": "all"}, run=TOY)
    model = train(dataset, tmp_path / "m", config, QUIET)
    found = compare(model, scored_split(dataset, "test", model, tmp_path, QUIET))
    assert found["image and text"]["R@1"] > 95
    # Half of a query leaves as many images as there are colours or shapes.
    assert found["image only"]["R@1"] < 35
    assert found["text only"]["R@1"] < 35
