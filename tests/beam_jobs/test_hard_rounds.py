"""The jobs of a round on tables made by hand: a model's answers, and what rounds tell of a pair."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from beam_jobs.corpus.guided import EmbedJob, GuideModel, RankJob
from beam_jobs.corpus.mistakes import MistakeNegatives
from beam_jobs.corpus.rounds import stored_rounds, train_triplets
from beam_jobs.shard_job import Shard
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Workspace
from schemas.errors import ConfigurationError

IMAGES = sorted(hashlib.sha256(str(number).encode()).hexdigest() for number in range(40))
KEYS = ("a" * 32, "b" * 32)


def unit(rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(size=16)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.fixture
def embedded(tmp_path: Path) -> tuple[Workspace, dict[str, np.ndarray], dict[tuple[str, str, str], np.ndarray]]:
    """Two shards of images and queries; the last query's target has no vector."""
    workspace, rng = Workspace(str(tmp_path / "out")), np.random.default_rng(0)
    images = {image_id: unit(rng) for image_id in IMAGES}
    pairs = [(IMAGES[place], IMAGES[(7 * place + 3) % 40], f"text {place}") for place in range(20)]
    pairs.append((IMAGES[0], "f" * 64, "gone"))
    queries = {pair: unit(rng) for pair in pairs}
    for number, key in enumerate(KEYS):
        writer = ShardWriter(workspace, EmbedJob.stage, key)
        for image_id in IMAGES[number::2]:
            writer.row("model_vectors", {"image_id": image_id, "vector": images[image_id]})
        for pair in sorted(pairs)[number::2]:
            row = dict(zip(("image_id", "target_image_id", "text"), pair, strict=True))
            writer.row("model_vectors", row | {"vector": queries[pair]})
        writer.commit()
    return workspace, images, queries


def rankings(workspace: Workspace, key: str, parts: tuple[str, ...], depth: int) -> list[dict[str, object]]:
    writer = ShardWriter(workspace, RankJob.stage, hashlib.sha256(f"{key}{parts}".encode()).hexdigest()[:32])
    RankJob(workspace, depth).run(Shard("s", {"queries": key, "parts": parts}), writer)
    manifest = writer.commit()
    return [
        row for one in manifest.files["rankings"] for row in pq.read_table(workspace.folder.at(one.path)).to_pylist()
    ]


def test_answers_equal_those_of_comparing_everything(embedded) -> None:
    workspace, images, queries = embedded
    found = [row for key in KEYS for row in rankings(workspace, key, KEYS, 5)]
    assert len(found) == 20, "a target without a vector cannot be ranked"
    for row in found:
        vector = queries[row["query_image_id"], row["target_image_id"], row["text"]].astype(np.float64)
        scores = {name: round(float(vector @ one.astype(np.float64)), 4) for name, one in images.items()}
        assert row["target_score"] == pytest.approx(scores.pop(row["target_image_id"]), abs=2e-4)
        del scores[row["query_image_id"]]
        assert len(row["answers"]) == 5
        assert row["query_image_id"] not in row["answers"]
        best = sorted((-score, name) for name, score in scores.items())
        others = [name for name in row["answers"] if name != row["target_image_id"]]
        assert others == [name for _, name in best[: len(others)]]


def test_the_order_of_parts_changes_no_answer(embedded) -> None:
    workspace, *_ = embedded
    assert rankings(workspace, KEYS[0], KEYS, 5) == rankings(workspace, KEYS[0], KEYS[::-1], 5)


def test_the_latest_round_tells_first_and_each_image_once(tmp_path: Path) -> None:
    step, place = MistakeNegatives(Workspace(str(tmp_path)), 3), b"p" * 10

    def told(number: int, *images: int) -> bytes:
        return (0xFFFF - number).to_bytes(2, "big") + b"".join(bytes([one]) * 32 + place for one in images)

    values = sorted([told(1, 4, 5), told(2, 6, 4)])
    answers = dict(step.resolve("pair", ["000001", "000002"], values))
    assert set(answers) == {"000001", "000002"}
    found = answers["000001"]
    assert [found[start] for start in range(0, len(found), 42)] == [6, 4, 5]
    assert max(map(len, answers.values())) <= 512
    assert list(step.resolve("pair", ["000001"], [])) == []


def test_rounds_are_read_as_they_were_stored_and_none_is_none(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    assert stored_rounds(workspace) == []
    one = {"number": 1, "model": "ab" * 32, "name": "fusion", "dataset": "cd", "keys": ["k"]}
    workspace.folder.replace("_work/hard_rounds.json", json.dumps([one]).encode())
    (found,) = stored_rounds(workspace)
    assert (found.keys, found.title) == (("k",), "round 1, model abababababab")


def test_a_folder_without_a_dataset_or_without_train_triplets_cannot_be_guided(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    with pytest.raises(ConfigurationError, match="has published no dataset yet"):
        train_triplets(workspace)
    writer = ShardWriter(workspace, "publish_dataset", KEYS[0])
    writer.notes["totals"] = {"train": [0, 0], "validation": [0, 0], "test": [4, 100]}
    workspace.set_in_force("publish_dataset", [writer.commit().key], "basis")
    with pytest.raises(ConfigurationError, match="has no train triplets"):
        train_triplets(workspace)


def test_a_model_is_loaded_by_the_name_of_its_maker_once() -> None:
    model = GuideModel("test_hard_rounds:made_encoder", "somewhere", "abc", "made")
    assert model.load() is model.load()
    assert model.load().revision == "abc"


class Made:
    """An encoder that needs no model."""

    name = "made"

    def __init__(self, path: str, revision: str) -> None:
        self.path, self.revision = path, revision

    def encode(self, files, items):
        return np.stack([unit(np.random.default_rng(len(text))) for _, text in items])


def made_encoder(path: str, revision: str) -> Made:
    """The loader that a `GuideModel` names."""
    return Made(path, revision)
