"""Texts with stored features and texts without meet in one batch."""

import pytest
import torch
from drawn_pictures import drawn, write_dataset

from training.config import TrainConfig
from training.data.open_dataset import open_dataset
from training.data.sources import Sources
from training.data.towers_features import frozen_sources
from training.items import Item
from training.models.item_features import joined
from training.models.make import make_retriever

KEPT = ["a red ring", "the blue bar in a circle"]
MADE = ["not a ring but the blue bar and one green square", "red"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Two pictures."""
    root = tmp_path_factory.mktemp("pictures")
    row = {"triplet_id": "1", "query": "a", "target": "b", "instruction": KEPT[0]}
    return write_dataset(root, {"a": drawn("ring", "red"), "b": drawn("bar", "blue")}, [row])


@pytest.mark.parametrize("tokens", [False, True])
def test_order_and_values_do_not_depend_on_what_is_stored(tiny_clip, dataset, tmp_path, tokens):
    torch.manual_seed(0)
    towers = {"image_tower": str(tiny_clip), "text_tower": None, "width": 48, "layers": 1, "heads": 4, "tokens": tokens}
    model = make_retriever(TrainConfig(model=towers).model).eval()
    images = open_dataset(dataset, "train", tmp_path).images
    sources = frozen_sources(model, images, KEPT, tmp_path, "key", lambda _: None)
    for texts in (KEPT, MADE, [MADE[0], KEPT[1], MADE[1], KEPT[0]]):
        items = [Item(number % 2, text) for number, text in enumerate(texts)]
        with torch.no_grad():
            found, plain = model(model.prepare(items, sources)), model(model.prepare(items, Sources(images)))
        # Tokens are stored in half precision.
        assert torch.allclose(found, plain, atol=1e-3 if tokens else 1e-6)
    assert (
        model(model.prepare([Item(0, KEPT[0])], sources)) - model(model.prepare([Item(0, MADE[1])], sources))
    ).norm() > 0.01


def test_sequences_become_equally_long():
    short = {"pooled": torch.ones(1, 2), "tokens": torch.ones(1, 1, 3)}
    mask = torch.tensor([[True, True], [True, False]])
    long = {"pooled": torch.zeros(2, 2), "tokens": torch.full((2, 2, 3), 2.0), "mask": mask}
    found = joined(short, long)
    assert found["pooled"].tolist() == [[1, 1], [0, 0], [0, 0]]
    assert found["tokens"][:, :, 0].tolist() == [[1, 0], [2, 2], [2, 2]]
    assert found["mask"].tolist() == [[True, False], [True, True], [True, False]]
