"""The command `evaluate`, from files to its result, its messages and its exit statuses."""

from __future__ import annotations

import io
import json
import re
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from evaluation.task import Box
from lensmith.cli import main
from lensmith.evaluate_model import cut_out

NAMES = [f"i{number}" for number in range(60)]


@pytest.fixture
def lensmith(monkeypatch, capsys):
    """Run the command line in this process: exit status and what it printed."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["lensmith", "evaluate", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "160")
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code, printed.out + printed.err

    return call


def _cirr(root, split="val"):
    entry = {"pairid": 7, "reference": "i0", "caption": "two", "img_set": {"id": 0, "members": NAMES[:6]}}
    if split == "val":
        entry |= {"target_hard": "i1", "target_soft": {"i1": 1.0}}
    for name, content in (
        (f"captions/cap.rc2.{split}.json", [entry]),
        (f"image_splits/split.rc2.{split}.json", {one: f"./dev/{one}.png" for one in NAMES}),
    ):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(json.dumps(content))


def _saved(path, score=1.0, **more):
    queries = np.zeros((1, 60), np.float32)
    queries[0, 1] = score
    arrays = {"query_ids": np.array(["7"]), "query_embeddings": queries, "gallery_ids": np.array(NAMES)}
    np.savez(path, gallery_embeddings=np.eye(60, dtype=np.float32), **arrays, **more)
    return path


def test_the_result_is_the_contract_s(tmp_path, lensmith):
    _cirr(tmp_path)
    file, output = _saved(tmp_path / "e.npz"), tmp_path / "out" / "result.json"
    options = ("--benchmark", "cirr", "--annotations", tmp_path, "--embeddings", file, "--output", output)
    code, printed = lensmith(*options)
    assert code == 0, printed
    found = json.loads(output.read_text())
    assert list(found)[:5] == ["benchmark", "protocol", "metrics", "bounds", "counts"]
    assert (found["benchmark"], found["protocol"]) == ("cirr", "hard")
    assert found["metrics"]["Rsubset@1"] == 100.0
    assert found["bounds"]["R@1"] == [100.0, 100.0]
    for said in ("cirr, hard, val", "Rsubset@1", "100.00", "the published files have 4181", "explains Rsubset@K"):
        assert said in printed
    beside = json.loads((output.parent / "result.queries.json").read_text())
    assert beside["queries"][0]["ids"] == ["7"]
    code, _ = lensmith(*options, "--protocol", "soft")
    assert (code, json.loads(output.read_text())["protocol"]) == (0, "soft")


def test_controls_stand_beside_it_with_a_warning(tmp_path, lensmith):
    _cirr(tmp_path)
    text = np.zeros((1, 60), np.float32)
    text[0, [1, 2]] = 1, 0.5
    image = np.zeros((1, 60), np.float32)
    image[0, 2:9] = 1
    file = _saved(tmp_path / "e.npz", query_text_embeddings=text, query_image_embeddings=image)
    code, printed = lensmith(
        "--benchmark", "cirr", "--annotations", tmp_path, "--embeddings", file, "--output", tmp_path / "r.json"
    )
    assert code == 0
    row = next(line for line in printed.splitlines() if "Rsubset@1" in line)
    assert re.findall(r"│ +(\d+\.\d\d) +(?=│)", row) == ["100.00", "100.00", "0.00"], "both, text alone, image alone"
    assert "Rsubset@1 is explained by the text alone" in printed


def test_files_for_the_server(tmp_path, lensmith):
    _cirr(tmp_path, "test1")
    options = ("--benchmark", "cirr", "--annotations", tmp_path, "--split", "test1")
    options += ("--embeddings", _saved(tmp_path / "e.npz"))
    code, printed = lensmith(*options, "--output", tmp_path / "r.json")
    assert code == 2
    assert "not published" in printed
    assert not (tmp_path / "r.json").exists()
    code, printed = lensmith(*options, "--submission", tmp_path / "files")
    assert code == 0, printed
    found = json.loads((tmp_path / "files" / "cirr_test1_recall.json").read_text())
    assert found["7"][0] == "i1"
    assert len(found["7"]) == 50


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--benchmark", "flickr"], "there is no benchmark 'flickr'"),
        (["--benchmark", "cirr", "--protocol", "easy"], "there are hard, soft"),
        (["--benchmark", "cirr", "--split", "test"], "there are val, test1, train"),
        (["--benchmark", "cirr", "--similarity", "l2"], "cosine and dot"),
        (["--benchmark", "cirr"], "either --embeddings or --model"),
        (["--benchmark", "cirr", "--embeddings", "absent.npz"], "cannot read the embeddings absent.npz"),
        (["--benchmark", "cirr", "--model", "absent"], "--images"),
        (["--benchmark", "circo", "--columns", "image=x"], "belongs to the benchmark mtcir"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_sentence(tmp_path, lensmith, options, message):
    _cirr(tmp_path)
    code, printed = lensmith(*options, "--annotations", tmp_path, "--output", tmp_path / "r.json")
    assert code == 2
    assert message in printed
    assert "Traceback" not in printed


def test_no_output_no_work(tmp_path, lensmith):
    code, printed = lensmith("--benchmark", "cirr", "--annotations", tmp_path, "--embeddings", "x.npz")
    assert code == 2
    assert "--output" in printed


@pytest.fixture
def model(tmp_path):
    """An untrained model, as `lensmith train` writes one."""
    from training.config import FusionConfig
    from training.models.make import make_retriever, save_pretrained

    folder = tmp_path / "model"
    save_pretrained(make_retriever(FusionConfig()), folder)
    return folder


def test_a_model_on_a_dataset_of_lensmith(tmp_path, lensmith, model, make_picture):
    pictures = {f"{number:064x}": make_picture(number) for number in range(4)}
    names = list(pictures)
    for folder, columns in (
        ("ids", {"triplet_id": ["t0"], "query_image_id": names[:1], "target_image_id": names[1:2],
                 "instruction": ["in winter"], "hard_negatives": [names[:1]]}),
        ("images", {"image_id": names, "image": [{"bytes": one, "path": None} for one in pictures.values()]}),
    ):  # fmt: skip
        (tmp_path / folder).mkdir()
        pq.write_table(pa.table(columns), tmp_path / folder / "test-00000-of-00001.parquet")
    output = tmp_path / "r.json"
    code, printed = lensmith("--benchmark", "lensmith", "--annotations", tmp_path, "--model", model, "--output", output)
    assert code == 0, printed
    found = json.loads(output.read_text())
    assert found["counts"]["gallery"] == 4
    assert found["metrics"]["R@5"] == 100.0
    assert "text only" in printed


def test_a_model_on_chains_joined_and_turn_by_turn(tmp_path, lensmith, model, make_picture):
    pictures = {f"{number:064x}": make_picture(number) for number in range(4)}
    names = list(pictures)
    chains = {"chain_id": ["c"], "images": [names[:3]], "instructions": [["in winter", "by night"]]}
    images = {"image_id": names, "image": [{"bytes": one, "path": None} for one in pictures.values()]}
    for folder, columns in (("chains", chains), ("images", images)):
        (tmp_path / folder).mkdir()
        pq.write_table(pa.table(columns), tmp_path / folder / "test-00000-of-00001.parquet")
    output = tmp_path / "r.json"
    asked = ("--benchmark", "lensmith-chains", "--annotations", tmp_path, "--model", model, "--output", output)
    for more in ((), ("--composer", "slerp", "--turn-by-turn", "--html", tmp_path / "r.html")):
        code, printed = lensmith(*asked, *more)
        assert code == 0, printed
        found = json.loads(output.read_text())
        assert (found["counts"]["queries"], found["metrics"]["final/R@5"]) == (2, 100.0)
    assert found["about"]["Composer"] == "slerp alpha 0.8, turn by turn"
    for more in (("--turn-by-turn",), ("--composer", "pdv", "--turn-by-turn")):
        code, printed = lensmith(*asked, *more)
        assert code == 2
        assert "turn-by-turn" in printed


def test_a_model_on_a_benchmark_s_own_images(tmp_path, lensmith, model, make_picture):
    """FashionIQ with SEARLE's two texts a query."""
    for category in ("dress", "shirt", "toptee"):
        entry = {"candidate": "A", "target": "B", "captions": ["is red", "is long"]}
        for name, content in (
            (f"captions/cap.{category}.val.json", [entry]),
            (f"image_splits/split.{category}.val.json", ["A", "B"]),
        ):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "A.png").write_bytes(make_picture(1))
    options = ("--benchmark", "fashioniq", "--annotations", tmp_path, "--model", model, "--template", "searle")
    options += ("--images", tmp_path / "pictures", "--output", tmp_path / "r.json")
    code, printed = lensmith(*options)
    assert code == 2
    assert "has no image B.jpg" in printed
    (tmp_path / "pictures" / "B.png").write_bytes(make_picture(2))
    code, printed = lensmith(*options)
    assert code == 0, printed
    assert json.loads((tmp_path / "r.json").read_text())["metrics"]["average/R@10"] == 100.0


def _picture(width, height):
    """Red grows to the right, green downwards."""
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([across, down, np.full_like(across, 255)], axis=2).astype(np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, "PNG")
    return sink.getvalue()


def _pixels(data):
    return np.array(Image.open(io.BytesIO(data)))


def test_a_query_is_cut_to_its_box():
    found = _pixels(cut_out(_picture(100, 80), Box(10.4, 20.0, 50.0, 30.0)))
    assert found.shape == (10, 40, 3)
    assert found[0, 0].tolist() == [10, 20, 255]


def test_a_box_grows_is_clipped_and_padded_as_in_genecis():
    """Width 20, height 40 at (30, 10): left 30 - 14, top max(0, 10 - 28), right 16 + 34, bottom 0 + 68; 34 by 68,
    padded to 68 with 17 black columns on both sides."""
    found = _pixels(cut_out(_picture(100, 80), Box(30, 10, 50, 50, 0.7)))
    assert found.shape == (68, 68, 3)
    assert not found[:, :17].any()
    assert not found[:, 51:].any()
    assert found[0, 17].tolist() == [16, 0, 255]
    assert found[67, 50].tolist() == [49, 67, 255]
    clipped = _pixels(cut_out(_picture(100, 80), Box(90, 70, 100, 80, 0.7)))
    assert clipped.shape == (17, 17, 3)
    assert clipped[0, 0].tolist() == [83, 63, 255]
