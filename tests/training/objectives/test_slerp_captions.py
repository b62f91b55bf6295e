import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_batches import batch_of, cross_entropy, loss_of, row, unit

from schemas.errors import ConfigurationError
from training.data.feature_store import make_features
from training.data.sources import Sources
from training.items import DrawnRow, Item, ItemList, RowBatch
from training.objectives.config import SlerpCaptionsConfig
from training.objectives.info_nce import NOBODY
from training.objectives.interface import StageStart, Step
from training.objectives.slerp_captions import TEMPLATES, SlerpCaptions, captions
from training.towers.interface import TowerShape

FIXED = SlerpCaptionsConfig(temperature=0.5, learn_temperature=False)
#: Features of images 0 to 5 by their angle; lengths do not count.
ANGLES = [0, 10, 80, 95, 200, 12]


@pytest.fixture
def sources(tmp_path):
    vectors = torch.tensor([unit(one) for one in ANGLES]) * torch.arange(1, 7)[:, None]
    store = make_features(
        tmp_path / "features",
        6,
        TowerShape(2),
        lambda some: {"pooled": vectors[some.start : some.stop]},
        lambda *_: None,
    )
    return Sources(range(6), store)


def captioned(query, target, query_text="", target_text="", text="it"):
    return row(query, target, text, query_text=query_text, target_text=target_text)


#: Images 0 to 3 with captions a to d.
ROWS = [captioned(0, 1, "a", "b"), captioned(2, 3, "c", "d")]


def planned(objective, batch, sources):
    items = ItemList()
    plan = objective.plan(batch, items, sources)
    return plan, {name: [items.items[one] for one in plan[name].tolist()] for name in plan if name not in _NUMBERS}


_NUMBERS = ("ids", "shares")


def test_the_reference_lies_half_way_to_the_nearest_neighbour(sources):
    plan, items = planned(SlerpCaptions(FIXED), batch_of(ROWS), sources)
    assert [one.image for one in items["targets"]] == [0, 1, 2, 3]
    assert [(one.image, one.toward, one.share, one.text) for one in items["image"]] == [
        (0, 1, 0.5, ""),
        (1, 0, 0.5, ""),
        (2, 3, 0.5, ""),
        (3, 2, 0.5, ""),
    ]
    assert [one.image for one in items["text"]] == [None] * 4
    assert items["both"] == [
        replace(one, text=said.text) for one, said in zip(items["image"], items["text"], strict=True)
    ]
    assert plan["shares"].tolist() == [0.25] * 4


def test_texts_name_both_captions_or_are_the_caption(sources):
    asked = {"one red ring": "two blue bars", "two blue bars": "one red ring"}
    made = {one.format(target=target, reference=other) for target, other in asked.items() for one in TEMPLATES}
    said = []
    for place in range(200):
        drawn = DrawnRow(captioned(0, 1, *asked), np.random.default_rng([9, place]))
        _, items = planned(SlerpCaptions(FIXED), RowBatch([drawn], slice(0, 1)), sources)
        said += [one.text for one in items["text"]]
    assert set(said) <= made | set(asked)
    # 100 of 400 are expected, with a standard deviation of 8.7.
    assert 70 < sum(one in asked for one in said) < 130
    assert len(set(said) - set(asked)) > 25


def test_an_image_counts_once(sources):
    rows = [captioned(0, 1, "a", "b"), captioned(1, 0, "b, said otherwise", "a"), captioned(0, 2, "a", "c")]
    _, items = planned(SlerpCaptions(FIXED.model_copy(update={"templates": 0.0})), batch_of(rows), sources)
    assert [(one.image, one.text) for one in items["both"]] == [(0, "a"), (1, "b"), (2, "c")]


def test_every_template_asks_for_the_target(sources):
    assert len(TEMPLATES) == len(set(TEMPLATES)) == 15
    assert all("{target}" in one for one in TEMPLATES)
    assert sum("{reference}" in one for one in TEMPLATES) == 14
    always = SlerpCaptions(FIXED.model_copy(update={"templates": 1.0}))
    never = SlerpCaptions(FIXED.model_copy(update={"templates": 0.0}))
    assert {one.text for one in planned(never, batch_of(ROWS), sources)[1]["text"]} == {"a", "b", "c", "d"}
    assert not {one.text for one in planned(always, batch_of(ROWS), sources)[1]["text"]} & {"a", "b", "c", "d"}


def test_worked_by_hand(sources):
    # Targets at their angles, references between them, texts exact.
    def vector(item):
        if item.toward is not None:
            angle = (ANGLES[item.image] + ANGLES[item.toward]) / 2
            return unit(angle + 5) if item.text else unit(angle)
        return unit(ANGLES["abcd".index(item.text)] + 1) if item.text else unit(ANGLES[item.image])

    objective = SlerpCaptions(FIXED.model_copy(update={"templates": 0.0}))
    loss = loss_of(objective, batch_of(ROWS), vector, sources)
    asked = {"image": [5, 5, 87.5, 87.5], "text": [1, 11, 81, 96], "both": [10, 10, 92.5, 92.5]}
    expected = []
    for angles in asked.values():
        for place, angle in enumerate(angles):
            similar = [2 * math.cos(math.radians(angle - other)) for other in ANGLES[:4]]
            expected.append(cross_entropy(similar[place], similar[:place] + similar[place + 1 :]))
    assert loss.item() == pytest.approx(sum(expected) / 12, abs=1e-6)


def test_one_caption_makes_images_neither_neighbours_nor_negatives(sources):
    # Image 1 is the nearest of image 0 and has its caption; image 2 is next.
    rows = [captioned(0, 1, "a", " a "), captioned(2, 4, "c")]
    plan, items = planned(SlerpCaptions(FIXED), batch_of(rows), sources)
    assert [(one.image, one.toward) for one in items["image"][:2]] == [(0, 2), (1, 2)]
    assert plan["ids"].tolist() == [0, 0, 1]
    places = {0: unit(0), 1: unit(10), 2: unit(80)}
    loss = loss_of(SlerpCaptions(FIXED), batch_of(rows), lambda one: places[one.image or 0], sources)
    similar = {one: 2 * math.cos(math.radians(one)) for one in (0, 10, 70, 80)}
    image = [
        cross_entropy(2, [similar[80]]),
        cross_entropy(2, [similar[70]]),
        cross_entropy(2, [similar[80], similar[70]]),
    ]
    # The text alone lies at image 0 whatever it says.
    text = [
        cross_entropy(2, [similar[80]]),
        cross_entropy(similar[10], [similar[80]]),
        cross_entropy(similar[80], [2, similar[10]]),
    ]
    assert loss.item() == pytest.approx((2 * sum(image) + sum(text)) / 9, abs=1e-6)


def test_captions_of_rows():
    assert captions(captioned(3, 4, " a  red\nring on it ", ""), 3) == [(3, "a red ring")]
    assert captions(captioned(-1, 4, "hidden", "seen"), 9) == [(4, "seen")]
    assert captions(captioned(3, 4), 9) == []


@pytest.mark.parametrize("rows", [[captioned(0, 1), captioned(2, 3)], [captioned(0, 1, "a"), captioned(2, 3, "a")]])
def test_a_batch_that_gives_nothing_still_has_a_gradient(rows, sources):
    objective = SlerpCaptions(SlerpCaptionsConfig())
    items = ItemList()
    plan = objective.plan(batch_of(rows), items, sources)
    assert items.items == [Item(rows[0].target)]
    embeddings = torch.tensor([unit(30)], requires_grad=True)
    loss = objective(embeddings, plan, Step())
    loss.backward()
    assert loss.item() == 0
    assert embeddings.grad.tolist() == [[0, 0]]
    assert objective.scale.logarithm.grad.item() == 0


def test_processes_share_the_samples_and_have_as_many(sources):
    # The first process has three samples, the second one: image 1 is the first one's already.
    rows = [captioned(0, 1, "a", "b"), captioned(2, 3, "c"), captioned(4, 1, "e", "b"), captioned(5, 3)]
    objective = SlerpCaptions(FIXED)
    whole = planned(objective, batch_of(rows), sources)
    parts = [planned(objective, batch_of(rows, slice(start, start + 2)), sources) for start in (0, 2)]
    assert [one[0]["ids"].tolist() for one in parts] == [[0, 1, 2], [3, NOBODY, NOBODY]]
    assert [one[0]["shares"].tolist() for one in parts] == [[0.5, 0.5, 0.5], [0.5, 0, 0]]
    for name in ("image", "text", "both", "targets"):
        assert whole[1][name] == parts[0][1][name] + parts[1][1][name][:1]


def start(tmp_path, sources, rows, model=None):
    return StageStart(model, sources, lambda: iter(rows), tmp_path / "slerp_captions", 0, lambda _: None)


def test_a_dataset_without_captions(tmp_path, sources):
    for given in (sources, Sources(range(6))):
        with pytest.raises(ConfigurationError, match="no row of the dataset has a query_text or target_text"):
            SlerpCaptions(FIXED).begin(start(tmp_path, given, [captioned(0, 1)]))
    SlerpCaptions(FIXED).begin(start(tmp_path, sources, ROWS))


def test_features_that_are_missing_and_were_not_made(tmp_path):
    with pytest.raises(RuntimeError, match="made by `begin`"):
        SlerpCaptions(FIXED).plan(batch_of(ROWS), ItemList(), Sources(range(6)))
