import math

import numpy as np
import pytest
import torch
from small_batches import batch_of, loss_of, row

from training.items import ItemList
from training.objectives.config import UncertaintyConfig
from training.objectives.interface import Step
from training.objectives.uncertainty import Uncertainty, coarse_share, draw_normal, regularised, with_noise

FIXED = UncertaintyConfig(temperature=0.5, learn_temperature=False)
ROWS = [row(10, 20), row(11, 21), row(12, 21)]
#: Queries by their image, and targets: any unit vectors of four dimensions.
PLACES = {
    10: (1.0, 0.0, 0.0, 0.0),
    11: (0.0, 0.6, 0.8, 0.0),
    12: (0.0, 0.0, 0.6, -0.8),
    20: (0.8, 0.0, 0.6, 0.0),
    21: (0.0, 0.8, 0.0, 0.6),
}
#: Rows that are negatives of each other: the last two have one target.
OTHERS = {0: (1, 2), 1: (0,), 2: (0,)}


def vector(item):
    return PLACES[item.image]


def info_nce(queries, candidates):
    """InfoNCE at temperature 0.5 in numpy."""
    logits = 2 * queries @ candidates.T
    rows = [math.log(sum(math.exp(logits[i, j]) for j in (i, *OTHERS[i]))) - logits[i, i] for i in OTHERS]
    return sum(rows) / len(rows)


def matrices():
    queries, targets = ([PLACES[getattr(one, end)] for one in ROWS] for end in ("query", "target"))
    return np.array(queries), np.array(targets)


def test_noise_worked_by_hand():
    features = torch.tensor([[1.0, 2.0, 3.0, 6.0]])
    normal = torch.tensor([[[1.0, 0.0, -1.0, 2.0], [0.5, 0.0, 0.0, -1.0]]])
    # Mean 3; squared distances 4, 1, 0, 9: standard deviation √(14/3), and √(14/4) over the population.
    s, p = math.sqrt(14 / 3), math.sqrt(14 / 4)
    expected = [
        (1 + s) * -2 / p + 3 + 0.5 * s,
        -1 / p + 3,
        3,
        (1 + 2 * s) * 3 / p + 3 - s,
    ]
    assert with_noise(features, normal)[0].tolist() == pytest.approx(expected, abs=1e-4)


def test_no_gradient_goes_through_the_strength_of_the_noise():
    # What is left is the whitening's gradient, which is orthogonal to a shift of all dimensions.
    features = torch.tensor([[1.0, 2.0, 3.0, 6.0]], requires_grad=True)
    with_noise(features, torch.zeros(1, 2, 4))[0, 3].backward()
    assert features.grad.abs().max() > 0.05
    assert features.grad.sum().item() == pytest.approx(0, abs=1e-6)


def test_the_weight_of_a_noisy_loss():
    # exp(-0.5) · 3 + 0.5, halved.
    assert regularised(torch.tensor(3.0), torch.tensor(0.5)).item() == pytest.approx((0.6065307 * 3 + 0.5) / 2)


def test_the_coarse_share_falls_over_the_training():
    assert coarse_share(2.0, Step(0, 100)) == 1
    assert coarse_share(2.0, Step(50, 100)) == pytest.approx(math.exp(-1))
    assert coarse_share(0.0, Step(99, 100)) == 1


def test_worked_by_hand_at_the_end_of_a_long_training():
    # With a steep decay nothing is left but InfoNCE of the targets as they are.
    objective = Uncertainty(FIXED.model_copy(update={"decay": 200.0}))
    loss = loss_of(objective, batch_of(ROWS), vector, step=Step(99, 100))
    assert loss.item() == pytest.approx(info_nce(*matrices()), abs=1e-6)


@pytest.mark.parametrize(("length", "noise"), [(4.0, 1.0), (1.0, 0.5)])
def test_worked_by_hand_in_the_middle(length, noise):
    objective = Uncertainty(FIXED.model_copy(update={"length": length, "noise": noise}))
    items = ItemList()
    plan = objective.plan(batch_of(ROWS), items, None)
    embeddings = torch.tensor([vector(one) for one in items.items])
    loss = objective(embeddings, plan, Step(50, 100))

    queries, targets = matrices()
    normal = noise * draw_normal(plan["seeds"], 4).numpy().astype(np.float64)
    features = length * targets
    mean, deviation = features.mean(1, keepdims=True), features.std(1, ddof=1, keepdims=True)
    whitened = (features - mean) / np.sqrt(features.var(1, keepdims=True) + 1e-5)
    noisy = (1 + deviation * normal[:, 0]) * whitened + mean + deviation * normal[:, 1]
    cosines = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    sigma = noisy.std(ddof=1)
    coarse = (math.exp(-sigma) * info_nce(queries, cosines) + sigma) / 2
    share = math.exp(-0.5)
    assert loss.item() == pytest.approx(share * coarse + (1 - share) * info_nce(queries, targets), abs=1e-5)


def test_noise_follows_from_the_row_alone():
    objective = Uncertainty(FIXED)
    whole = objective.plan(batch_of(ROWS), ItemList(), None)["seeds"]
    second = objective.plan(batch_of(ROWS, slice(1, 2)), ItemList(), None)["seeds"]
    assert second.tolist() == whole[1:2].tolist()
    assert len(set(whole.tolist())) == len(ROWS)
    drawn = draw_normal(whole, 500)
    assert torch.equal(drawn, draw_normal(whole, 500))
    assert drawn.mean().abs() < 0.05
    assert abs(drawn.std() - 1) < 0.05


def test_gradients_reach_queries_and_targets():
    objective = Uncertainty(UncertaintyConfig())
    items = ItemList()
    plan = objective.plan(batch_of(ROWS), items, None)
    embeddings = torch.tensor([vector(one) for one in items.items], requires_grad=True)
    objective(embeddings, plan, Step(1, 10)).backward()
    assert embeddings.grad.isfinite().all()
    assert (embeddings.grad.abs().sum(1) > 0).all()
    assert objective.scale.logarithm.grad.abs() > 0
