import math

import numpy as np
import pytest
import torch
from drawn_pictures import colour_task, write_dataset
from short_trainings import QUIET, falls, logged, settings
from small_batches import batch_of, cross_entropy, row, unit

from schemas.errors import ConfigurationError
from training.config import train_config
from training.data.open_dataset import open_dataset
from training.data.sources import Sources
from training.items import ItemList
from training.objectives.config import DistillationConfig
from training.objectives.distillation import Distillation
from training.objectives.info_nce import NOBODY
from training.objectives.interface import Step
from training.run import scored_split, train
from training.scoring import scores
from training.teachers import load_teacher, teacher_features, teacher_width

FIXED = DistillationConfig(teacher="large", temperature=0.5, learn_temperature=False)
#: Where the teacher has images, in degrees; its vectors are of any length.
TEACHER = {1: 0, 2: 40, 3: 100, 4: 150}
ROWS = [row(1, 2), row(3, 4)]
#: Where the small model has queries, and images alone.
QUERIES, IMAGES = {1: 30, 3: 160}, {1: 10, 2: 20, 3: 120, 4: 130}


class Store:
    """The teacher's vectors, as a feature store gives them."""

    def pooled(self, numbers):
        return torch.tensor([unit(TEACHER[one]) for one in numbers]) * 3


def loss_of(config, rows=ROWS, own=None):
    objective, items = Distillation(config), ItemList()
    plan = objective.plan(batch_of(rows, own), items, Sources(range(5), others={"large": Store()}))
    places = [unit(QUERIES[one.image] if one.text else IMAGES[one.image]) for one in items.items]
    return objective(torch.tensor(places), plan, Step()).item()


def scaled(one, other, temperature=0.5):
    return math.cos(math.radians(one - other)) / temperature


def queries_by_hand(negatives):
    found = []
    for query, target, other in ((1, 2, 4), (3, 4, 2)):
        at = QUERIES[query]
        found.append(
            cross_entropy(scaled(at, TEACHER[target]), [scaled(at, TEACHER[one]) for one in (other, *negatives)])
        )
    return sum(found) / 2


def test_queries_against_the_teacher_s_vectors():
    images = FIXED.model_copy(update={"images": 0.0})
    assert loss_of(images) == pytest.approx(queries_by_hand([1, 3]), abs=1e-5)
    assert loss_of(images.model_copy(update={"query_negative": False})) == pytest.approx(queries_by_hand([]), abs=1e-5)


def test_images_alone_are_drawn_to_their_own_vectors():
    alone = [
        cross_entropy(
            scaled(IMAGES[one], TEACHER[one]),
            [scaled(IMAGES[one], TEACHER[other]) for other in TEACHER if other != one],
        )
        for one in TEACHER
    ]
    expected = queries_by_hand([1, 3]) + 0.5 * sum(alone) / 4
    assert loss_of(FIXED.model_copy(update={"images": 0.5})) == pytest.approx(expected, abs=1e-5)


def test_the_teacher_s_own_similarities():
    expected = 0.0
    for one, place in TEACHER.items():
        weights = [math.exp(scaled(place, other, 0.25)) for other in TEACHER.values()]
        logits = [scaled(IMAGES[one], other) for other in TEACHER.values()]
        total = math.log(sum(math.exp(logit) for logit in logits))
        expected += sum(w * (total - logit) for w, logit in zip(weights, logits, strict=True)) / sum(weights) / 4
    found = loss_of(FIXED.model_copy(update={"teacher_temperature": 0.25}))
    assert found == pytest.approx(queries_by_hand([1, 3]) + expected, abs=1e-5)


def test_an_image_that_comes_twice_counts_once_as_a_negative():
    found = loss_of(FIXED, [row(1, 2), row(1, 2)])
    # Both rows have one target and one query image; two images are told apart.
    query = cross_entropy(scaled(30, 40), [scaled(30, 0)] * 2)
    alone = [
        cross_entropy(scaled(10, 0), [scaled(10, 40)]),
        cross_entropy(scaled(20, 40), [scaled(20, 0)]),
    ]
    assert found == pytest.approx(query + sum(alone) / 2, abs=1e-5)


def test_hidden_query_images():
    objective, items = Distillation(FIXED), ItemList()
    plan = objective.plan(batch_of([row(-1, 2)]), items, Sources(range(5), others={"large": Store()}))
    assert plan["image_ids"].tolist() == [NOBODY]
    assert plan["alone_weights"].tolist() == [1, 0]


@pytest.mark.parametrize("hidden", [row(-1, 2), row(1, 2, "")])
def test_a_query_of_one_half_has_no_query_negative(hidden, monkeypatch):
    monkeypatch.setitem(QUERIES, None, 30)
    monkeypatch.setitem(IMAGES, 1, 30)
    config = FIXED.model_copy(update={"images": 0.0})
    expected = [cross_entropy(scaled(30, 40), [scaled(30, 150), scaled(30, 100)])]
    expected.append(cross_entropy(scaled(160, 150), [scaled(160, 40), scaled(160, 100)]))
    assert loss_of(config, [hidden, ROWS[1]]) == pytest.approx(sum(expected) / 2, abs=1e-5)


def test_the_teacher_is_needed_and_must_be_named():
    assert list(Distillation(FIXED).needs) == ["large"]
    with pytest.raises(ConfigurationError, match=r"objectives\.distillation\.teacher in the training configuration"):
        train_config({"objectives": {"distillation": {}}})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Triplets to be trained on, and all of them to be asked for."""
    root = tmp_path_factory.mktemp("colours")
    images, rows = colour_task(np.random.default_rng(0))
    write_dataset(root, images, rows[:120])
    return write_dataset(root, images, rows, "validation")


def small(tiny_clip, teacher, width=32, **run):
    objectives = {"info_nce": None, "distillation": {"teacher": str(teacher)}}
    return settings(tiny_clip, "sum", model={"width": width}, run={"steps": 60} | run, objectives=objectives)


def test_a_small_model_asks_in_the_gallery_of_a_tower(dataset, tiny_clip, tmp_path):
    train(dataset, tmp_path / "m", small(tiny_clip, tiny_clip, evaluate_steps=60), QUIET)
    losses, found = logged(tmp_path / "m", "loss"), logged(tmp_path / "m", "eval_R@10")
    assert falls(losses, 0.9), losses
    # 35 pictures are searched: chance is 29%.
    assert found[-1] > 60, found


def test_a_model_of_lensmith_as_teacher(dataset, tiny_clip, tmp_path):
    first = settings(tiny_clip, "sum", model={"width": 24}, run={"steps": 60})
    teacher = train(dataset, tmp_path / "large", first, QUIET)
    model = train(dataset, tmp_path / "small", small(tiny_clip, tmp_path / "large", 24, seed=3), QUIET)
    assert falls(logged(tmp_path / "small", "loss"), 0.8)
    opened = open_dataset(dataset, "validation", tmp_path)
    store = teacher_features(load_teacher(str(tmp_path / "large")), opened.images, tmp_path, "key", QUIET)
    split = scored_split(dataset, "validation", model, tmp_path, QUIET)
    sources = Sources(opened.images, others={"large": store})
    asked = scores(model, type(split)(split.rows, sources, "large"))
    assert asked["R@10"] > 70, asked
    own = scores(teacher, scored_split(dataset, "validation", teacher, tmp_path, QUIET))
    as_its_own_teacher = scores(teacher, type(split)(split.rows, sources, "large"))
    assert as_its_own_teacher == pytest.approx(own)


def test_a_teacher_of_another_width_and_one_that_is_not_there(dataset, tiny_clip, tmp_path):
    with pytest.raises(
        ConfigurationError, match=r"gives vectors of 32 numbers and the model of 48: set model\.width to 32"
    ):
        train(dataset, tmp_path / "m", small(tiny_clip, tiny_clip, 48), QUIET)
    with pytest.raises(ConfigurationError, match="cannot load AutoModel of the backbone"):
        train(dataset, tmp_path / "n", small(tiny_clip, tmp_path / "nowhere"), QUIET)


def test_names_of_teachers(tiny_clip):
    assert teacher_width(load_teacher(str(tiny_clip))) == 32
