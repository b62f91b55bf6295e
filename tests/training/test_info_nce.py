import math

import pytest
import torch

from training.info_nce import info_nce, same_candidates

# Unit vectors of the plane.
E1, E2 = [1.0, 0.0], [0.0, 1.0]


def tensor(*rows):
    return torch.tensor(rows)


def none_same(rows, candidates):
    same = torch.zeros(rows, candidates, dtype=torch.bool)
    same[torch.arange(rows), torch.arange(rows)] = True
    return same


def test_worked_by_hand():
    # Row 1: own target 0.6, other target 0, query images 1 and 0. Row 2: own target 1, other 0.8, images 0 and 1.
    targets = tensor([0.6, 0.8], E2)
    loss = info_nce(tensor(E1, E2), targets, tensor(E1, E2), none_same(2, 4), torch.tensor(2.0))
    first = -1.2 + math.log(math.exp(1.2) + 1 + math.exp(2) + 1)
    second = -2.0 + math.log(math.exp(1.6) + math.exp(2) + 1 + math.exp(2))
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-6)


def test_without_query_negatives():
    targets = tensor([0.6, 0.8], E2)
    loss = info_nce(tensor(E1, E2), targets, targets[:0], none_same(2, 2), torch.tensor(2.0))
    first = -1.2 + math.log(math.exp(1.2) + 1)
    second = -2.0 + math.log(math.exp(1.6) + math.exp(2))
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-6)


def test_the_query_negative_is_what_punishes_finding_the_query_itself():
    # Fused embeddings that stay at their query image, while the target lies a little off.
    queries, targets = tensor(E1, E2), tensor([0.8, 0.6], [0.6, 0.8])
    negatives = info_nce(queries, targets, queries, none_same(2, 4), torch.tensor(10.0))
    without = info_nce(queries, targets, targets[:0], none_same(2, 2), torch.tensor(10.0))
    assert negatives.item() > without.item() + 1.5


def test_candidates_that_show_the_target_are_no_negatives():
    same = same_candidates(["t", "t", "u"], ["q", "t", "r"])
    assert same.tolist() == [
        [True, True, False, False, True, False],
        [True, True, False, False, True, False],
        [False, False, True, False, False, False],
    ]
    queries, targets, images = tensor(E1, E1, E2), tensor(E1, E1, E2), tensor(E2, E1, E2)
    loss = info_nce(queries, targets, images, same, torch.tensor(1.0))
    # Rows 1 and 2: own 1; the third target 0, images 1 and 3 are 0. Row 3: own 1; targets 0, images 1, 0, 1.
    first = -1 + math.log(math.e + 3)
    third = -1 + math.log(math.e + 2 + math.e + 1 + math.e)
    assert loss.item() == pytest.approx((2 * first + third) / 3, abs=1e-6)
