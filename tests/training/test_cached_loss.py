"""A cached loss has the gradients of the plain one."""

import numpy as np
import pytest
from small_trainings import farthest, small_settings, trained, weights_apart, write_colours

OBJECTIVE = {"info_nce": {"symmetric": True, "hard_negatives": 1, "guard": None}}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_colours(tmp_path_factory.mktemp("colours"))


def both(dataset, tiny_clip, folder, model=None, steps=1, **run):
    """The same steps with a plain and with a cached loss, and the same chance."""
    pieces = 9
    found = []
    for name, chunk in (("plain", None), ("cached", pieces)):
        # No gradient is cut: a norm would hide a wrong scale.
        run |= {"steps": steps, "batch": 16, "chunk": chunk, "max_gradient": 1e9, "log_steps": 1, "warmup": 0}
        settings = small_settings(tiny_clip, model={"dropout": 0.3} | (model or {}), objectives=OBJECTIVE, run=run)
        found.append(trained(dataset, settings, folder / name, pieces))
    return found


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_gradients_are_those_of_the_plain_loss(dataset, tiny_clip, tmp_path, accumulate):
    plain, cached = both(dataset, tiny_clip, tmp_path, accumulate=accumulate)
    assert cached["loss"] == pytest.approx(plain["loss"], abs=1e-5)
    (one,), (other,) = plain["gradients"], cached["gradients"]
    assert farthest(one, other) < 1e-5
    # All take part: the temperature, the layers with dropout, both towers.
    for name in ("objectives.info_nce.scale.logarithm", "retriever.encoder.layers.0.linear1.weight"):
        assert np.abs(one[name]).max() > 1e-3
    towers = [name for name in one if "tower" in name and np.abs(one[name]).max() > 1e-4]
    assert len(towers) > 40


def test_several_steps_give_the_same_weights(dataset, tiny_clip, tmp_path):
    plain, cached = both(dataset, tiny_clip, tmp_path, steps=4, accumulate=2)
    assert cached["loss"] == pytest.approx(plain["loss"], abs=1e-5)
    assert weights_apart(plain, cached) < 1e-5


def test_dropout_matters_and_is_met_again(dataset, tiny_clip, tmp_path):
    """Without the chance of the first pass the second would see another model: the test above would notice."""
    (one, _), (other, _) = (
        both(dataset, tiny_clip, tmp_path / str(dropout), model={"dropout": dropout}) for dropout in (0.3, 0.0)
    )
    assert farthest(one["gradients"][0], other["gradients"][0]) > 1e-2


def test_bfloat16_gradients_agree_roughly(dataset, tiny_clip, tmp_path):
    plain, cached = both(dataset, tiny_clip, tmp_path, bf16=True)
    exact, _ = both(dataset, tiny_clip, tmp_path / "exact")
    one, other, full = plain["gradients"][0], cached["gradients"][0], exact["gradients"][0]
    size = max(float(np.abs(value).max()) for value in full.values())
    # Both are computed in bfloat16 (8 bits of fraction), and neither is far from float32.
    assert 1e-6 < farthest(one, full) / size < 0.1
    assert farthest(one, other) / size < 0.02
    assert cached["loss"] == pytest.approx(plain["loss"], abs=1e-3)
