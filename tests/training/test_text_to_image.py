import numpy as np
import pytest
import torch
from drawn_pictures import drawn, write_dataset

from training.data.open_dataset import open_dataset
from training.data.sources import Sources
from training.items import Row
from training.models.interface import Retriever
from training.surroundings import Surroundings
from training.text_to_image import TextSearch, first_texts, text_search


class Line(Retriever):
    """Images by number and texts by their length, on a quarter of a circle."""

    width = 2

    def prepare(self, items, sources, draw=None):
        return torch.tensor([float(len(one.text) if one.image is None else one.image) for one in items])

    def forward(self, inputs):
        return torch.stack([torch.cos(inputs / 10), torch.sin(inputs / 10)], dim=1)


def test_recalls_worked_by_hand():
    # Texts stand where images 1, 3, 3 and 9 stand. "aaa" is right for images 4 and 6 too: 4 is nearest to 3, before 6.
    texts = {1: "a", 4: "aaa", 6: "aaa", 9: "9" * 9}
    found = TextSearch(texts, Sources(range(10)))(Line())
    assert found == pytest.approx({"R@1": 100.0, "R@5": 100.0, "R@10": 100.0})
    # Now each text is nearest to the image of another: the 2nd, 2nd, 3rd of three.
    texts = {1: "aaaaa", 5: "aaaaaaaaa", 9: "a"}
    found = TextSearch(texts, Sources(range(10)))(Line())
    assert found == pytest.approx({"R@1": 0.0, "R@5": 100.0, "R@10": 100.0})


def test_ranks_below_five():
    # Texts of one length: their order is the images' distance from 0.
    texts = dict(zip(range(12), "abcdefghijkl", strict=True))
    found = TextSearch(texts, Sources(range(12)))(Line())
    # All texts stand at image 1; images 0 and 2 tie behind it, then 3, 4, …: image k is the (k + 1)th from 3 on.
    assert found["R@1"] == pytest.approx(100 / 12)
    assert found["R@5"] == pytest.approx(5 * 100 / 12)
    assert found["R@10"] == pytest.approx(10 * 100 / 12)


def test_the_first_text_of_an_image_is_taken():
    rows = [
        Row("a", 1, 2, ("it",), query_text="", target_text="two"),
        Row("b", 2, 1, ("it",), query_text="second", target_text="one  and more"),
        Row("c", -1, 3, ("it",), query_text="hidden", target_text="three"),
    ]
    assert first_texts(rows) == {2: "two", 1: "one and more", 3: "three"}
    assert first_texts(rows, 2) == {2: "two", 1: "one and more"}


@pytest.mark.parametrize(("texts", "found"), [(("a red circle", "a red bar"), 2), (("a red circle", ""), None)])
def test_a_split_with_texts(tmp_path, texts, found):
    images = {"x": drawn("circle", "red"), "y": drawn("bar", "red")}
    rows = [{"triplet_id": "t", "query": "x", "target": "y", "instruction": "it"}]
    rows[0] |= {"query_text": texts[0], "target_text": texts[1]}
    write_dataset(tmp_path / "d", images, rows, "validation")
    opened = open_dataset(tmp_path / "d", "validation", tmp_path)
    search = text_search(Line(), opened, "validation", tmp_path, Surroundings(lambda _: None))
    if found is None:
        assert search is None
    else:
        assert list(search.texts.values()) == list(texts)
        assert set(search(Line())) == {"R@1", "R@5", "R@10"}
        assert np.isfinite(list(search(Line()).values())).all()
