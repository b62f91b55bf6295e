"""The made corpus and the engine of the benchmark of corpus mining."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beam_jobs.index_step import Message, find_answers, read_answers
from beam_jobs.session import Session
from beam_jobs.tables import rows
from beam_jobs.workspace import Workspace
from benchmarks.bounded_engine import BoundedEngine, exchange
from benchmarks.corpus_mining import config_of, measure
from benchmarks.made_corpus import features_of_run, made_features, mine_pages, write_corpus

_PAGES, _IMAGES = 40, 240


def mined(workspace: Workspace, table: str) -> list[dict[str, Any]]:
    manifests = workspace.manifests("mine_pairs", workspace.in_force("mine_pairs"))
    return [row for one in manifests for row in rows(workspace, one, table)]


def test_many_parts_give_the_pairs_of_one(tmp_path: Path) -> None:
    real = made_features(60)
    one = measure(tmp_path / "one", real, _PAGES, _IMAGES, config_of(None, None))
    many = measure(tmp_path / "many", real, _PAGES, _IMAGES, config_of(None, 50))
    assert many["mine_pairs.search"].shards > one["mine_pairs.search"].shards
    assert one["pairs"].shards > 100
    assert all(0 < found.megabytes < 8000 for label, found in one.items() if label != "pairs")
    # A page whose images lie in several parts names some of them twice.
    keys = {"pairs": ("pair_id",), "eligible": ("page_id", "image_id")}
    for table, names in keys.items():
        first, second = (
            {tuple(row[name] for name in names): row for row in mined(Workspace(str(tmp_path / folder / "out")), table)}
            for folder in ("one", "many")
        )
        assert first == second


def test_features_of_a_run_are_those_that_it_mined(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    keys = write_corpus(workspace, made_features(60), _PAGES, _IMAGES, 100)
    corpus = mine_pages(Session(workspace, BoundedEngine(tmp_path)), keys, config_of())
    ids = {row["image_id"] for one in corpus.pages for row in rows(workspace, one, "eligible")}
    assert len(ids) > 200
    real = features_of_run(str(tmp_path))
    assert len(real.looks) == len(real.hashes) == len(ids)
    np.testing.assert_allclose(np.linalg.norm(real.looks, axis=1), 1, atol=1e-5)
    with pytest.raises(ValueError, match="too few"):
        features_of_run(str(tmp_path / "nothing"))


@dataclass(frozen=True)
class Sums:
    """Sums of numbers by key, told to all who ask."""

    workspace: Workspace
    name: str = "sums"

    def messages(self, task: int) -> Iterator[Message]:
        for number in range(50):
            yield f"key {number % 7}", f"{task:06d}", bytes([task + 1, number])

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        assert list(values) == sorted(values)
        yield from ((one, sum(value[1] for value in values).to_bytes(4, "big")) for one in askers)


@pytest.mark.parametrize("buckets", [1, 3, 64])
def test_buckets_change_no_answer(tmp_path: Path, buckets: int) -> None:
    step = Sums(Workspace(str(tmp_path / "out")))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert exchange(step, [0, 1, 2], "key", scratch, buckets)[0] == 150
    found = find_answers(step.workspace, "sums", "key")
    assert sorted(found) == ["000000", "000001", "000002"]
    for one in found.values():
        answers = dict(read_answers(step.workspace, one.path))
        sums = {number: 3 * sum(range(number, 50, 7)) for number in range(7)}
        assert answers == {f"key {number}": total.to_bytes(4, "big") for number, total in sums.items()}


def test_a_job_that_fails_says_which(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> tuple[int, int, int]:
        raise ValueError("no such thing")

    with pytest.raises(RuntimeError, match="the job ended"):
        BoundedEngine(tmp_path).measured("the job", work)
    assert "no such thing" in capfd.readouterr().err


def test_a_runner_of_beam_gives_the_pairs_of_the_engine_of_benchmarks(tmp_path: Path) -> None:
    real, config = made_features(60), config_of(miners=("co_occurrence", "versions"))
    here = measure(tmp_path / "here", real, _PAGES, _IMAGES, config)
    there = measure(tmp_path / "there", real, _PAGES, _IMAGES, config, beam=["--runner=DirectRunner"])
    assert there["pairs"] == here["pairs"]
    assert there["mine_pairs"].wall > 0
    first, second = (
        {row["pair_id"]: row for row in mined(Workspace(str(tmp_path / folder / "out")), "pairs")}
        for folder in ("here", "there")
    )
    assert first == second
    assert {"co_occurrence", "versions"} <= {row["mining"] for row in first.values()}
