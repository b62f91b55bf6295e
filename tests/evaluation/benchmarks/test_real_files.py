"""Real annotation files load whole, with the published counts; scoring runs on all of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from evaluation.benchmarks import BENCHMARKS
from evaluation.score import evaluate


@pytest.fixture
def annotations(corpora) -> Path:
    found = corpora.parent / "annotations"
    if not found.is_dir():
        pytest.skip("there are no annotation files beside the crawls")
    return found


@pytest.mark.parametrize("protocol", ["original", "val", "cosmo-full", "cosmo-val"])
def test_fashioniq(annotations, protocol):
    task = BENCHMARKS["fashioniq"].load(annotations / "fashioniq", protocol, "val", None)
    assert task.notes == ()
    full = protocol in ("original", "cosmo-full")
    assert [len(part.gallery) for part in task.parts] == ([3817, 6346, 5373] if full else [2628, 3089, 2902])
    times = 2 if "cosmo" in protocol else 1
    assert [len(part.queries) for part in task.parts] == [times * count for count in (2017, 2038, 1961)]
    assert all((part.excluded is None) == (protocol == "original") for part in task.parts)


def test_cirr(annotations, random_embeddings):
    benchmark, folder = BENCHMARKS["cirr"], annotations / "cirr"
    task = benchmark.load(folder, "hard", "val", None)
    assert task.notes == ()
    whole, subset = task.parts
    assert (len(whole.queries), len(whole.gallery)) == (4181, 2297)
    assert {len(one) for one in subset.candidates} == {5}
    assert {len(one) for one in subset.relevant} == {1}, "every target is in its set"
    soft = benchmark.load(folder, "soft", "val", None).parts[0]
    hard_targets = [one[0] for one in whole.relevant]
    assert sum(target not in graded for target, graded in zip(hard_targets, soft.relevant, strict=True)) >= 37
    references = [one[0] for one in whole.excluded]
    assert sum(one in graded for one, graded in zip(references, soft.relevant, strict=True)) == 37
    test = benchmark.load(folder, "hard", "test1", None)
    assert test.notes == ()
    assert not test.scorable
    found = evaluate(task, random_embeddings(task))
    assert found.metrics["Rsubset@1"] == pytest.approx(20, abs=3), "chance is one in five"
    assert found.metrics["R@50"] == pytest.approx(100 * 50 / 2296, abs=1)


def test_dtin(annotations):
    task = BENCHMARKS["dtin"].load(annotations / "dtin", "pic2word", "all", None)
    assert task.notes == ()
    (part,) = task.parts
    assert (len(part.queries), len(part.gallery)) == (40_000, 16_983)
    empty = Counter(
        name.partition("/")[0] for name, one in zip(part.queries, part.relevant, strict=True) if not len(one)
    )
    assert empty == {"cartoon": 2350, "origami": 4700, "toy": 2800, "sculpture": 2900}
    ceilings = {"cartoon": (41.4, 75.5), "origami": (50.1, 53.0), "toy": (60.5, 72.0), "sculpture": (63.8, 71.0)}
    for number, (domain, expected) in enumerate(ceilings.items()):
        sizes = [len(one) for one in part.relevant[10_000 * number : 10_000 * (number + 1)]]
        for k, ceiling in zip((10, 50), expected, strict=True):
            share = sum(min(k, size) / (size + 1e-5) for size in sizes) / 10_000
            assert 100 * share == pytest.approx(ceiling, abs=0.06), domain
    photos = set(part.queries[:10_000])
    assert {f"cartoon/{one}" for one in part.gallery} >= photos, "every photo is in the gallery"


def test_tuberlin(annotations):
    task = BENCHMARKS["tuberlin"].load(annotations / "tuberlin", "voc", "zero", None)
    assert task.notes == ()
    (part,) = task.parts
    assert (len(part.queries), len(part.gallery)) == (2400, 27_989)
    assert len({one.tobytes() for one in part.relevant}) == 30
    assert sum(len(one) for one in part.relevant) == 80 * 27_989
