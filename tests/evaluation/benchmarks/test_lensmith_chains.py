"""Chains of a dataset as queries of several turns."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluation.benchmarks import benchmark
from evaluation.templates import template
from schemas.errors import ConfigurationError

IMAGES = [f"{number:064x}" for number in range(12)]


def _write(root, folder, name, columns):
    (root / folder).mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), root / folder / name)


@pytest.fixture
def dataset(tmp_path):
    """A chain of three turns over images 0 to 3 and one of two over 4 to 6, among twelve images."""
    texts = [["Make it red.", "seen from above", "at night"], ["smaller", "in winter"]]
    chains = {"chain_id": ["c", "d"], "images": [IMAGES[:4], IMAGES[4:7]], "instructions": texts}
    _write(tmp_path, "chains", "test-00000-of-00001.parquet", chains)
    _write(tmp_path, "images", "test-00000-of-00001.parquet", {"image_id": IMAGES})
    return tmp_path


def _ranked(*numbers):
    return {IMAGES[number]: 1 - place / 100 for place, number in enumerate(numbers)}


#: Places of the targets: 1, 2 and 1 without what was shown, 1, 4 and 3 with it; of the other chain 6 and 1 (6 and 2).
SCORES = {
    "c/1": _ranked(1, 0),
    "c/2": _ranked(0, 1, 9, 2),
    "c/3": _ranked(0, 1, 3),
    "d/1": _ranked(7, 8, 9, 10, 11, 5),
    "d/2": _ranked(4, 6),
}


def test_recall_of_turns_and_of_the_last_ones(dataset, by_scores, score):
    found = score("lensmith-chains", dataset, by_scores(SCORES, IMAGES))
    expected = {
        "R@1": 60, "R@5": 80, "R@8": 100,
        "turn1/R@1": 50, "turn1/R@5": 50, "turn1/R@8": 100,
        "turn2/R@1": 50, "turn2/R@5": 100, "turn3/R@1": 100,
        "final/R@1": 100, "final/R@5": 100, "final/R@50": 100,
    }  # fmt: skip
    assert {name: found.metrics[name] for name in expected} == pytest.approx(expected)
    assert (found.counts["queries"], found.counts["gallery"]) == (5, 12)


def test_the_whole_gallery(dataset, by_scores, score):
    found = score("lensmith-chains", dataset, by_scores(SCORES, IMAGES), protocol="all")
    expected = {"R@1": 20, "final/R@1": 0, "final/R@5": 100, "turn1/R@1": 50, "turn2/R@1": 0, "turn3/R@1": 0}
    assert {name: found.metrics[name] for name in expected} == pytest.approx(expected)


def test_what_a_model_gets_to_see(dataset):
    part = benchmark("lensmith-chains").load(dataset, "unseen", "test", None).parts[0]
    asked = part.query_input(list(part.queries).index("c/3"))
    assert asked.image.paths == (IMAGES[0],)
    plain, last = (template("lensmith-chains", name) for name in (None, "last"))
    assert plain.render(asked.fields) == ["Make it red, then seen from above, then at night"]
    assert last.render(asked.fields) == ["at night"]


def test_what_cannot_be_scored_says_why(dataset, tmp_path_factory):
    load = benchmark("lensmith-chains").load
    with pytest.raises(ConfigurationError, match="no chains in the split validation"):
        load(dataset, "unseen", "validation", None)
    empty = tmp_path_factory.mktemp("none")
    with pytest.raises(ConfigurationError, match="no dataset of Lensmith"):
        load(empty, "unseen", "test", None)
    (empty / "images").mkdir()
    with pytest.raises(ConfigurationError, match="has no chains: publish it with"):
        load(empty, "unseen", "test", None)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES[:2], "2 images and 2 instructions"),
        ([IMAGES[0], IMAGES[1], IMAGES[0]], "each of them once"),
        ([IMAGES[0], IMAGES[1], "x"], "does not hold"),
    ],
)
def test_broken_rows_are_refused(dataset, images, message):
    chains = {"chain_id": ["c"], "images": [images], "instructions": [["one", "two"]]}
    _write(dataset, "chains", "test-00000-of-00001.parquet", chains)
    with pytest.raises(ConfigurationError, match=message):
        benchmark("lensmith-chains").load(dataset, "unseen", "test", None)
