import math
from dataclasses import replace

import pytest
import torch
from small_batches import batch_of, cross_entropy, loss_of, row, unit

from schemas.errors import ConfigurationError
from training.items import Item, ItemList
from training.objectives.config import InfoNceConfig
from training.objectives.info_nce import (
    NOBODY,
    InfoNce,
    Temperature,
    check_hard_negatives,
    masked_cross_entropy,
    masked_losses,
)

PLAIN = InfoNceConfig(temperature=0.5, learn_temperature=False)
#: Two rows: queries at 0 and 90 degrees, their images 10 and 11 there too, targets 20 at about 53 and 21 at 90.
ROWS = [row(10, 20), row(11, 21)]
PLACES = {10: (1.0, 0.0), 11: (0.0, 1.0), 20: (0.6, 0.8), 21: (0.0, 1.0)}


def vector(item):
    return PLACES[item.image]


def made(**changes):
    return InfoNce(PLAIN.model_copy(update=changes))


def test_worked_by_hand():
    loss = loss_of(made(), batch_of(ROWS), vector)
    # Row 1: own target 0.6, other target 0, query images 1 and 0. Row 2: own target 1, other 0.8, images 0 and 1.
    first = cross_entropy(1.2, [0, 2, 0])
    second = cross_entropy(2, [1.6, 0, 2])
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-6)


def test_without_query_negatives():
    loss = loss_of(made(query_negative=False), batch_of(ROWS), vector)
    assert loss.item() == pytest.approx((cross_entropy(1.2, [0]) + cross_entropy(2, [1.6])) / 2, abs=1e-6)


def test_the_query_negative_is_what_punishes_finding_the_query_itself():
    # Queries that stay at their image, while the target lies a little off.
    places = {10: (1.0, 0.0), 11: (0.0, 1.0), 20: (0.8, 0.6), 21: (0.6, 0.8)}
    punished = loss_of(made(temperature=0.1), batch_of(ROWS), lambda one: places[one.image])
    not_punished = loss_of(made(temperature=0.1, query_negative=False), batch_of(ROWS), lambda one: places[one.image])
    assert punished.item() == pytest.approx(cross_entropy(8, [6, 10, 0]), abs=1e-5)
    assert not_punished.item() == pytest.approx(cross_entropy(8, [6]), abs=1e-5)


def test_candidates_that_show_the_target_are_no_negatives():
    # The first two rows have one target, which is also the second one's query image.
    places = {1: (0.0, 1.0), 2: (1.0, 0.0), 3: (0.0, 1.0), 4: (0.0, 1.0)}
    batch = batch_of([row(1, 2), row(2, 2), row(3, 4)])
    queries = {1: (1.0, 0.0), 2: (1.0, 0.0), 3: (0.0, 1.0)}
    loss = loss_of(made(temperature=1.0), batch, lambda one: (queries if one.text else places)[one.image])
    # Rows 1 and 2: own 1; of the others only the third target and images 1 and 3 count, all 0.
    # Row 3: own 1; both other targets 0; images 1 at 1, 2 at 0, 3 at 1.
    rows = [cross_entropy(1, [0, 0, 0]), cross_entropy(1, [0, 0, 0]), cross_entropy(1, [0, 0, 1, 0, 1])]
    assert loss.item() == pytest.approx(sum(rows) / 3, abs=1e-6)


def test_masked_columns_are_left_out_for_every_row():
    logits = torch.tensor([[1.0, 5.0, 2.0, 3.0], [0.0, 1.0, 4.0, 0.5]])
    losses = masked_losses(logits, torch.tensor([0, 1]), torch.tensor([7, 8]), torch.tensor([7, 8, NOBODY, 7]))
    expected = [cross_entropy(1, [5]), cross_entropy(1, [0, 0.5])]
    assert losses.tolist() == pytest.approx(expected, abs=1e-6)
    mean = masked_cross_entropy(logits, torch.tensor([0, 1]), torch.tensor([7, 8]), torch.tensor([7, 8, NOBODY, 7]))
    assert mean.item() == pytest.approx(sum(expected) / 2, abs=1e-6)


def test_hard_negatives_count_for_all_rows_and_missing_ones_for_none():
    rows = [replace(ROWS[0], negatives=(30, 31)), replace(ROWS[1], negatives=(32,))]
    places = PLACES | {30: unit(120), 31: unit(180), 32: unit(-90)}
    loss = loss_of(
        made(hard_negatives=2, guard=None, query_negative=False), batch_of(rows), lambda one: places[one.image]
    )
    # Row 2 has one negative; its own target stands in for the other, which row 1 meets as a copy of target 21.
    first = cross_entropy(1.2, [0, 2 * math.cos(math.radians(120)), -2, 0, 0])
    second = cross_entropy(2, [1.6, 2 * math.sin(math.radians(120)), 0, -2])
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-6)


def test_no_more_hard_negatives_than_asked_for():
    rows = [replace(one, negatives=(30, 31)) for one in ROWS]
    # Image 31 would be the strongest negative of row 1.
    places = PLACES | {30: (-1.0, 0.0), 31: (1.0, 0.0)}
    objective = made(hard_negatives=1, guard=None, query_negative=False)
    loss = loss_of(objective, batch_of(rows), lambda one: places[one.image])
    first, second = cross_entropy(1.2, [0, -2, -2]), cross_entropy(2, [1.6, 0, 0])
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-6)


@pytest.mark.parametrize(("guard", "counts"), [(0.7, False), (0.75, True), (None, True)])
def test_the_guard_leaves_out_negatives_that_look_like_the_target(guard, counts):
    # Image 30 is 45 degrees off the target, a similarity of 0.707.
    rows = [row(10, 20, negatives=(30,))]
    places = {10: unit(0), 20: unit(0), 30: unit(45)}
    loss = loss_of(
        made(hard_negatives=1, guard=guard, query_negative=False), batch_of(rows), lambda one: places[one.image]
    )
    others = [2 * math.cos(math.radians(45))] if counts else []
    assert loss.item() == pytest.approx(cross_entropy(2, others), abs=1e-6)


def test_symmetric():
    loss = loss_of(made(symmetric=True, query_negative=False), batch_of(ROWS), vector)
    there = (cross_entropy(1.2, [0]) + cross_entropy(2, [1.6])) / 2
    # Back: target 20 against queries at 0.6 and 0.8, target 21 at 0 and 1.
    back = (cross_entropy(1.2, [1.6]) + cross_entropy(2, [0])) / 2
    assert loss.item() == pytest.approx((there + back) / 2, abs=1e-6)


def test_every_text_of_a_row_is_a_query():
    rows = [replace(ROWS[0], texts=("a", "b")), replace(ROWS[1], texts=("c", "d"))]
    places = {"a": unit(0), "b": unit(30), "c": unit(90), "d": unit(60)}
    loss = loss_of(
        made(query_negative=False), batch_of(rows), lambda one: places[one.text] if one.text else PLACES[one.image]
    )
    targets = [PLACES[20], PLACES[21]]
    expected = []
    for name, own in (("a", 0), ("b", 0), ("c", 1), ("d", 1)):
        similar = [2 * (places[name][0] * x + places[name][1] * y) for x, y in targets]
        # The other target stands twice among the candidates, once for each of its texts.
        expected.append(cross_entropy(similar[own], [similar[1 - own]] * 2))
    assert loss.item() == pytest.approx(sum(expected) / 4, abs=1e-6)


def test_a_query_of_one_half_has_no_query_negative():
    found = []
    for one in (row(10, 20, ""), row(-1, 20)):
        objective = made()
        found.append(loss_of(objective, batch_of([one, ROWS[1]]), lambda item: PLACES[item.image or 10]).item())
    assert found == pytest.approx([(cross_entropy(1.2, [0]) + cross_entropy(2, [1.6])) / 2] * 2, abs=1e-6)


def test_a_learned_temperature_moves_within_its_bound():
    learned = Temperature(0.05, learned=True)
    assert learned().item() == pytest.approx(20)
    learned().backward()
    assert learned.logarithm.grad.item() == pytest.approx(20)
    with torch.no_grad():
        learned.logarithm.fill_(math.log(1000))
    assert learned().item() == pytest.approx(100)


def test_a_fixed_temperature_is_no_parameter_and_has_no_bound():
    fixed = Temperature(0.002, learned=False)
    assert list(fixed.parameters()) == []
    assert fixed().item() == pytest.approx(500, rel=1e-5)
    assert "logarithm" in fixed.state_dict()


def test_hard_negatives_that_no_row_has():
    with pytest.raises(ConfigurationError, match="hard_negatives is set, and no row"):
        check_hard_negatives(InfoNceConfig(hard_negatives=3), has_any=False)
    check_hard_negatives(InfoNceConfig(hard_negatives=3), has_any=True)
    check_hard_negatives(InfoNceConfig(), has_any=False)
    check_hard_negatives(None, has_any=False)


def test_items_are_asked_for_once():
    items = ItemList()
    made().plan(batch_of([row(1, 2), row(2, 1)]), items, None)
    assert items.items == [Item(1, "it"), Item(2, "it"), Item(2), Item(1)]
