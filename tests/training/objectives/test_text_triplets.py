import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from drawn_pictures import colour_task, write_dataset
from short_trainings import QUIET, falls, logged, settings
from small_batches import batch_of, row, unit

from schemas.errors import ConfigurationError
from training.config import train_config
from training.data.sources import Sources
from training.data.text_triplets import usable
from training.items import Item, ItemList
from training.models.interface import Retriever
from training.objectives.config import TextTripletsConfig
from training.objectives.info_nce import NOBODY
from training.objectives.interface import StageStart, Step
from training.objectives.text_triplets import TextTriplets, anchored_losses
from training.run import train

FIXED = TextTripletsConfig(temperature=0.5)
#: Where texts stand in the plane, in degrees, when the stage begins.
DEGREES = {"a cat": 0, "a dog": 50, "a red cat": 20, "a big cat": 80, "a red dog": 130}
ROWS = [
    row(0, 1, "in red", query_text="a cat", target_text="a red cat"),
    row(2, 3, "larger", query_text="a cat", target_text="a big cat"),
    row(4, 5, "in red", query_text="a dog", target_text="a red dog"),
    row(6, 7, "nothing", query_text="a dog", target_text="a dog"),
    row(8, 9, "no captions"),
]


class Plane(Retriever):
    """Texts as they stand in the plane."""

    width = 2

    def prepare(self, items, sources, draw=None):
        assert all(one.image is None and one.view == "text_tower" for one in items)
        return torch.tensor([unit(DEGREES[one.text]) for one in items])

    def forward(self, inputs):
        return inputs


def begun(folder, config=FIXED, rows=ROWS):
    objective = TextTriplets(config)
    objective.begin(StageStart(Plane(), Sources(range(10)), lambda: iter(rows), folder, 0, lambda _: None))
    return objective


def planned(objective, count=1, own=None):
    items = ItemList()
    rows = [row(20 + one, 40 + one) for one in range(count)]
    return items, objective.plan(batch_of(rows, own), items, Sources(range(10)))


def similarity(one, other):
    """exp of a cosine at temperature 0.5, of angles in degrees."""
    return math.exp(math.cos(math.radians(one - other)) / 0.5)


def by_hand(queries, anchors, ids):
    """The loss of pairs that stand at these angles."""
    losses = []
    places = range(len(ids))
    for i in places:
        others = [j for j in places if ids[j] != ids[i]]
        own = similarity(queries[i], anchors[i])
        there = own + sum(similarity(queries[i], anchors[j]) + similarity(queries[i], queries[j]) for j in others)
        back = own + sum(similarity(anchors[i], queries[j]) + similarity(anchors[i], anchors[j]) for j in others)
        losses.append(math.log(there) / 2 + math.log(back) / 2 - math.log(own))
    return losses


def test_worked_by_hand():
    queries, anchors, ids = [10, 70, 200], [20, 80, 130], [1, 2, 3]
    vectors = [torch.tensor([unit(one) for one in angles]) for angles in (queries, anchors)]
    found = anchored_losses(*vectors, torch.tensor(ids), torch.tensor(2.0))
    assert found.tolist() == pytest.approx(by_hand(queries, anchors, ids), abs=1e-5)


def test_pairs_of_one_target_are_no_negatives_and_filled_ones_are_none():
    queries, anchors = [10, 70, 200], [20, 20, 130]
    vectors = [torch.tensor([unit(one) for one in angles]) for angles in (queries, anchors)]
    found = anchored_losses(*vectors, torch.tensor([1, 1, 3]), torch.tensor(2.0))
    assert found.tolist() == pytest.approx(by_hand(queries, anchors, [1, 1, 3]), abs=1e-5)
    found = anchored_losses(*vectors, torch.tensor([1, NOBODY, 3]), torch.tensor(2.0))
    left = by_hand([10, 200], [20, 130], [1, 3])
    assert found[[0, 2]].tolist() == pytest.approx(left, abs=1e-5)


def test_a_row_draws_a_caption_with_its_edits_and_the_caption_itself(tmp_path):
    objective = begun(tmp_path)
    seen = set()
    for count in range(1, 9):
        items, plan = planned(objective, count)
        texts = [items.items[one].text for one in plan["queries"]]
        for start in range(0, 3 * count, 3):
            *edits, caption = texts[start : start + 3]
            seen.add(caption)
            assert all(one.startswith(f"{caption}, ") for one in edits)
            # "a cat" has two edits, "a dog" one and a filled place.
            assert len(set(edits)) == (2 if caption == "a cat" else 1)
            assert (plan["ids"][start : start + 3] == NOBODY).tolist() == [False, caption == "a dog", False]
    assert seen == {"a cat", "a dog"}


def test_the_whole_loss_with_anchors_as_they_stood(tmp_path):
    objective = begun(tmp_path)
    items, plan = planned(objective, 2)
    # What was trained since has moved every text by 30 degrees.
    said = {text: angle + 30 for text, angle in DEGREES.items()}
    said |= {"a cat, in red": 60, "a cat, larger": 75, "a dog, in red": 170}
    targets = {"a cat, in red": "a red cat", "a cat, larger": "a big cat", "a dog, in red": "a red dog"}
    embeddings = torch.tensor([unit(said[one.text]) for one in items.items], requires_grad=True)
    loss = objective(embeddings, plan, Step())
    texts = [
        items.items[one].text
        for one, number in zip(plan["queries"], plan["ids"].tolist(), strict=True)
        if number != NOBODY
    ]
    queries = [said[one] for one in texts]
    anchors = [DEGREES[targets.get(one, one)] for one in texts]
    expected = by_hand(queries, anchors, [targets.get(one, one) for one in texts])
    assert loss.item() == pytest.approx(sum(expected) / len(expected), abs=1e-5)
    loss.backward()
    assert embeddings.grad.abs().sum() > 0


def test_without_captions_as_pairs_and_with_a_template(tmp_path):
    config = TextTripletsConfig(references=False, edits=1, template="{edit}: {caption}", words=1)
    objective = begun(tmp_path, config)
    items, plan = planned(objective, 6)
    assert {items.items[one].text for one in plan["queries"]} <= {"in red: a", "larger: a"}
    assert len(plan["queries"]) == 6


def test_what_is_trained_with():
    triplets = [("a  b c", " x\n y", "d"), ("a", "", "d"), ("", "x", "d"), ("a", "x", ""), ("a b", "x", "a  b")]
    assert list(usable(triplets, 2)) == [("a b", "x y", "d")]


def test_processes_have_as_many_and_draw_what_one_draws(tmp_path):
    objective = begun(tmp_path)
    items, whole = planned(objective, 4)
    every = [items.items[one].text for one in whole["queries"]]
    halves = []
    for own in (slice(0, 2), slice(2, 4)):
        items, plan = planned(objective, 4, own)
        assert len(plan["queries"]) == 6
        halves += [items.items[one].text for one in plan["queries"]]
    assert halves == every


def write_table(folder, rows, names=("caption", "edit", "edited")):
    folder.mkdir(parents=True, exist_ok=True)
    columns = {name: [one[place] for one in rows] for place, name in enumerate(names)}
    pq.write_table(pa.table(columns), folder / "part.parquet")
    return str(folder)


def test_a_run_s_table_is_read(tmp_path):
    rows = [("a cat", "in red", "a red cat"), ("a cat", "in red", "a red cat"), ("a cat", "larger", "a big cat")]
    config = replace_folder(write_table(tmp_path / "table", rows))
    objective = begun(tmp_path / "work", config, rows=[])
    assert len(objective._triplets) == 2
    items, _ = planned(objective)
    assert {one.text for one in items.items} == {"a cat, in red", "a cat, larger", "a cat"}


def replace_folder(folder):
    return FIXED.model_copy(update={"folder": folder})


def test_data_without_text_triplets(tmp_path):
    with pytest.raises(ConfigurationError, match="no row of the dataset has both a query_text and a target_text"):
        begun(tmp_path / "a", rows=[replace(ROWS[0], target_text="")])
    with pytest.raises(ConfigurationError, match="holds no text triplets: give objectives"):
        begun(tmp_path / "b", replace_folder(str(tmp_path / "nowhere")))
    with pytest.raises(ConfigurationError, match="has no column edit, edited"):
        begun(tmp_path / "c", replace_folder(write_table(tmp_path / "d", [("a",)], ("caption",))))
    with pytest.raises(ConfigurationError, match="holds no triplet that changes its caption"):
        begun(tmp_path / "e", replace_folder(write_table(tmp_path / "f", [("a cat", "in red", "a cat")])))


@pytest.mark.parametrize("template", ["{caption}", "{edit} {capt}", "{caption} {edit} {}", "{"])
def test_templates_that_cannot_be(template):
    with pytest.raises(ConfigurationError, match=r"objectives\.text_triplets\.template in the training configuration"):
        train_config({"objectives": {"text_triplets": {"template": template}}})


def test_a_short_training_moves_the_text_side_alone(tiny_clip, tmp_path):
    images, rows = colour_task(np.random.default_rng(0))
    dataset = write_dataset(tmp_path / "dataset", images, rows[:60])
    config = settings(tiny_clip, "sum", objectives={"info_nce": None, "text_triplets": {}})
    model = train(dataset, tmp_path / "m", config, QUIET)
    losses = logged(tmp_path / "m", "loss")
    assert falls(losses, 0.7), losses
    untouched = train(
        dataset, tmp_path / "one", settings(tiny_clip, "sum", run={"steps": 1, "learning_rate": 1e-12}), QUIET
    )
    moved = {
        name
        for name, one in untouched.state_dict().items()
        if not torch.allclose(one, model.state_dict()[name], atol=1e-7)
    }
    assert moved
    assert all(name.startswith("text_") for name in moved), moved


def test_item_of_a_text_is_the_tower_s_own():
    assert Item(None, "a", view="text_tower") != Item(None, "a")
