import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_batches import batch_of, cross_entropy, row, unit

from schemas.errors import ConfigurationError
from training.data.sources import Sources
from training.items import ItemList
from training.models.interface import Retriever
from training.objectives.config import MemoryBankConfig
from training.objectives.interface import StageStart, Step
from training.objectives.memory_bank import MemoryBank, bank_images, bank_loss, moving_parameters

FIXED = MemoryBankConfig(temperature=0.5, learn_temperature=False)


class Plane(Retriever):
    """Image n at 10n degrees; a text turns a query by a learned angle."""

    width = 2

    def __init__(self):
        super().__init__()
        self.image_turn = torch.nn.Parameter(torch.zeros(()))
        self.text_turn = torch.nn.Parameter(torch.tensor(math.radians(30)))

    def prepare(self, items, sources, draw=None):
        return torch.tensor([[math.radians(10.0 * one.image), float(bool(one.text))] for one in items])

    def forward(self, inputs):
        angles = inputs[:, 0] + self.image_turn + inputs[:, 1] * self.text_turn
        return torch.stack([torch.cos(angles), torch.sin(angles)], dim=1)


class Numbers:
    """A store of which only the size is asked."""

    def __init__(self, count):
        self._count = count

    def __len__(self):
        return self._count


@pytest.fixture
def plane():
    model = Plane()
    model.image_turn.requires_grad_(False)
    return model


def begun(model, folder, config=FIXED, images=6):
    objective = MemoryBank(config)
    objective.begin(StageStart(model, Sources(Numbers(images)), lambda: iter(()), folder, 0, lambda _: None))
    return objective


def loss_with(objective, model, rows):
    items = ItemList()
    plan = objective.plan(batch_of(rows), items, None)
    return objective(model(model.prepare(items.items, None)), plan, Step())


def similar(degrees):
    return 2 * math.cos(math.radians(degrees))


def test_worked_by_hand():
    queries, targets = torch.tensor([unit(0), unit(90)]), torch.tensor([unit(20), unit(60)])
    bank = torch.tensor([unit(20), unit(60), unit(180)])
    loss = bank_loss(queries, targets, torch.tensor([3, 4]), bank, torch.tensor([3, 4, 9]), torch.tensor(2.0))
    first = cross_entropy(similar(20), [similar(60), similar(180)])
    second = cross_entropy(similar(30), [similar(70), similar(90)])
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-6)


def test_a_target_that_the_bank_does_not_hold_is_the_positive_all_the_same():
    bank = torch.tensor([unit(60), unit(180)])
    loss = bank_loss(
        torch.tensor([unit(0)]),
        torch.tensor([unit(20)]),
        torch.tensor([3]),
        bank,
        torch.tensor([4, 9]),
        torch.tensor(2.0),
    )
    assert loss.item() == pytest.approx(cross_entropy(similar(20), [similar(60), similar(180)]), abs=1e-6)


def test_queries_meet_the_whole_bank(plane, tmp_path):
    # Images at 0, 10, … 50 degrees; the query of image 0 is turned to 30, its target is at 20.
    objective = begun(plane, tmp_path / "bank")
    loss = loss_with(objective, plane, [row(0, 2)])
    others = [similar(30 - one) for one in (0, 10, 30, 40, 50)]
    assert loss.item() == pytest.approx(cross_entropy(similar(10), others), abs=1e-6)


def test_the_bank_stays_when_the_model_moves(plane, tmp_path):
    objective = begun(plane, tmp_path / "bank", FIXED.model_copy(update={"moving_targets": True}))
    with torch.no_grad():
        plane.image_turn.fill_(math.radians(5))
    loss = loss_with(objective, plane, [row(0, 2)])
    # Query and target have moved by 5 degrees to 35 and 25, the bank has not.
    others = [similar(35 - one) for one in (0, 10, 30, 40, 50)]
    assert loss.item() == pytest.approx(cross_entropy(similar(10), others), abs=1e-6)


def test_a_resumed_stage_finds_its_bank(plane, tmp_path):
    config = FIXED.model_copy(update={"moving_targets": True})
    before = loss_with(begun(plane, tmp_path / "bank", config), plane, [row(0, 2)])
    with torch.no_grad():
        plane.image_turn.fill_(1.0)
    resumed = begun(plane, tmp_path / "bank", config)
    with torch.no_grad():
        plane.image_turn.fill_(0.0)
    assert loss_with(resumed, plane, [row(0, 2)]).item() == before.item()


def test_only_queries_get_a_gradient(plane, tmp_path):
    objective = begun(plane, tmp_path / "bank")
    loss_with(objective, plane, [row(0, 2), row(1, 5)]).backward()
    assert plane.text_turn.grad.abs() > 0
    assert plane.image_turn.grad is None


def test_a_capped_bank_is_the_same_every_time(plane, tmp_path):
    numbers = bank_images(1000, 20, seed=3)
    assert len(set(numbers.tolist())) == 20
    assert (np.diff(numbers) > 0).all()
    assert numbers.max() < 1000
    assert np.array_equal(numbers, bank_images(1000, 20, seed=3))
    assert not np.array_equal(numbers, bank_images(1000, 20, seed=4))
    assert bank_images(5, None, 0).tolist() == bank_images(5, 5, 0).tolist() == [0, 1, 2, 3, 4]
    objective = begun(plane, tmp_path / "bank", FIXED.model_copy(update={"images": 3}))
    kept = [int(one) for one in bank_images(6, 3, 0)]
    loss = loss_with(objective, plane, [row(0, 2)])
    others = [similar(30 - 10 * one) for one in kept if one != 2]
    assert loss.item() == pytest.approx(cross_entropy(similar(10), others), abs=1e-6)


def test_several_texts_of_a_row(plane, tmp_path):
    objective = begun(plane, tmp_path / "bank")
    one = loss_with(objective, plane, [row(0, 2)])
    several = loss_with(objective, plane, [replace(row(0, 2), texts=("a", "b"))])
    assert several.item() == pytest.approx(one.item(), abs=1e-6)


def test_a_stage_that_moves_targets_is_refused(plane, tmp_path):
    plane.image_turn.requires_grad_(True)
    with pytest.raises(ConfigurationError, match="its stage trains 'image_turn', which moves them"):
        begun(plane, tmp_path / "bank")
    assert not (tmp_path / "bank").exists()
    plane.eval()
    assert moving_parameters(plane, Sources(Numbers(6)), [0, 1]) == ["image_turn"]
    assert not plane.training
