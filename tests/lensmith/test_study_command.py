"""The command `study` on a small dataset, with the real towers."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from .called import lensmith


def study(*arguments):
    """Exit status and what was said."""
    return lensmith("study", *arguments)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Twelve triplets of two miners on six pages, and the same for validation."""
    import io

    root = tmp_path_factory.mktemp("dataset")
    files = []
    for number in range(6):
        sink = io.BytesIO()
        Image.new("RGB", (48, 48), (40 * number, 250 - 40 * number, 90)).save(sink, "PNG")
        files.append({"bytes": sink.getvalue(), "path": None})
    names = [f"{number:064x}" for number in range(6)]
    ids = {
        "triplet_id": [f"t{number}" for number in range(12)],
        "query_image_id": [names[number % 6] for number in range(12)],
        "target_image_id": [names[(number + 1 + number // 6) % 6] for number in range(12)],
        "instruction": [f"the same thing, number {number}" for number in range(12)],
        "page_id": [f"page {number % 6}" for number in range(12)],
        "mining": ["near"] * 6 + ["far"] * 6,
    }
    for split in ("train", "validation"):
        for folder, columns in (("ids", ids), ("images", {"image_id": names, "image": files})):
            (root / folder).mkdir(exist_ok=True)
            pq.write_table(pa.table(columns), root / folder / f"{split}-00000-of-00001.parquet")
    model = "model: {width: 24, layers: 1, heads: 3}\n"
    (root / "own.yaml").write_text(f"{model}run: {{steps: 2, batch: 4, threads: 1, report_to: []}}\n")
    return root


@pytest.fixture
def given(dataset, tmp_path):
    return ["--dataset", dataset, "--output", tmp_path / "study", "--config", dataset / "own.yaml", "--seeds", 1]


def test_a_study_of_a_column_is_told_and_written(given, tmp_path):
    code, said = study(*given, "--by", "mining", "--equal", "--least", 4)
    assert code == 0, said
    told = json.loads((tmp_path / "study" / "study.json").read_text())
    assert [(one["name"], one["triplets"], one["status"]) for one in told["runs"]] == [
        ("far", 6, "scored"),
        ("near", 6, "scored"),
        ("all", 6, "scored"),
    ]
    for word in ("far", "near", "R@10", "mAP@10", "report.html"):
        assert word in said
    assert "far" in (tmp_path / "study" / "curve.svg").read_text()
    code, said = study(*given, "--by", "mining", "--equal", "--least", 4)
    assert code == 0
    assert said.count("trained already") == 3


def test_runs_of_ones_own_and_one_that_fails(given, tmp_path):
    (tmp_path / "runs.yaml").write_text(
        "runs:\n  near: {data: {where: {mining: [near]}}}\n  hard: {objectives: {info_nce: {hard_negatives: 3}}}\n"
    )
    code, said = study(*given, "--runs", tmp_path / "runs.yaml", "--least", 4)
    assert code == 1
    assert "1 of 2 runs failed, first 'hard'" in said
    told = json.loads((tmp_path / "study" / "study.json").read_text())
    assert [one["status"] for one in told["runs"]] == ["scored", "failed"]
    assert "hard negatives" in told["runs"][1]["why"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fractions", "half"], "write them as 1/8,1/4,1"),
        (["--fractions", "1/4", "--by", "mining"], "different studies"),
        (["--by", "moon"], "'moon', which is no column"),
        (["--metric", "R@7"], "there are R@1, R@5"),
        (["--split", "test"], "cannot score on the split 'test'"),
        (["--runs", "{here}/list.yaml"], "must hold runs by name"),
        (["--runs", "{here}/key.yaml"], "the run 'a': unknown key 'data.tempo'"),
        (["--equal"], "--equal cuts runs to one size"),
    ],
)
def test_wrong_settings_are_said_in_a_sentence(given, tmp_path, arguments, words):
    (tmp_path / "list.yaml").write_text("{data: {}}")
    (tmp_path / "key.yaml").write_text("{runs: {a: {data: {tempo: 3}}}}")
    code, said = study(*given, *(one.format(here=tmp_path) for one in arguments))
    assert code == 2
    assert words in said
