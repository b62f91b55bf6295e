"""The commands `train` and `embed` on a small dataset, with the real towers."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from .called import lensmith

SETTINGS = """
model: {width: 24, layers: 1, heads: 3}
run: {steps: 6, batch: 4, threads: 1, checkpoint_steps: 2, report_to: []}
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, make_picture):
    root = tmp_path_factory.mktemp("dataset")
    pictures = {f"{number:064x}": make_picture(number * 7) for number in range(5)}
    names = list(pictures)
    ids = {
        "triplet_id": ["a", "b", "c", "d"],
        "query_image_id": names[:4],
        "target_image_id": names[1:],
        "instruction": ["in winter", "with snow", "at night", "from above"],
        "hard_negatives": [[one] for one in names[:4]],
    }
    for folder, columns in (
        ("ids", ids),
        ("images", {"image_id": names, "image": [{"bytes": one, "path": None} for one in pictures.values()]}),
    ):
        (root / folder).mkdir()
        pq.write_table(pa.table(columns), root / folder / "train-00000-of-00001.parquet")
    (root / "small.yaml").write_text(SETTINGS)
    (root / "pictures").mkdir()
    for number, data in enumerate(pictures.values()):
        (root / "pictures" / f"{number}.png").write_bytes(data)
    return root


@pytest.fixture(scope="module")
def model(dataset):
    folder = dataset / "model"
    code, said = lensmith("train", "--dataset", dataset, "--output", folder, "--config", dataset / "small.yaml")
    assert code == 0, said
    return folder


def test_training_keeps_a_model_that_says_how_it_was_made(model):
    about = json.loads((model / "model.json").read_text())
    assert about["training"]["run"]["steps"] == 6
    assert about["model"]["kind"] == "fusion"
    names = {role: one["name"] for role, one in about["towers"].items()}
    assert names == {"image_tower": "efficientnet-lite0", "text_tower": "all-MiniLM-L6-v2"}
    # No checkpoints, features or indexes are left, and no weights of frozen towers.
    assert {"model.json", "model.safetensors", "history.json", "report.html"} <= {one.name for one in model.iterdir()}
    assert not (model / "_work").exists()
    assert (model / "model.safetensors").stat().st_size < 1 << 20


def test_the_same_command_gives_the_same_model_and_resume_knows_it(dataset, model, tmp_path):
    again = ["train", "--dataset", dataset, "--output", tmp_path / "m", "--config", dataset / "small.yaml"]
    assert lensmith(*again)[0] == 0
    weights = (tmp_path / "m" / "model.safetensors").read_bytes()
    assert weights == (model / "model.safetensors").read_bytes()
    code, said = lensmith(*again, "--resume")
    assert code == 0
    assert "trained already" in said


def embed(model, queries, gallery, output):
    return lensmith("embed", "--model", model, "--queries", queries, "--gallery", gallery, "--output", output)


def test_queries_and_gallery_of_ones_own(dataset, model, tmp_path):
    pictures = [str(dataset / "pictures" / f"{number}.png") for number in range(5)]
    queries, gallery = tmp_path / "queries.csv", tmp_path / "gallery.csv"
    rows = ["id,image,text", f"both,{pictures[0]},in winter", f"picture,{pictures[0]},", "words,,in winter"]
    queries.write_text("\n".join(rows), encoding="utf-8-sig")
    gallery.write_text("id,image\n" + "\n".join(f"g{number},{path}" for number, path in enumerate(pictures)))
    code, said = embed(model, queries, gallery, tmp_path / "new" / "out.npz")
    assert code == 0, said
    found = np.load(tmp_path / "new" / "out.npz")
    assert found["query_ids"].tolist() == ["both", "picture", "words"]
    assert found["gallery_ids"].tolist() == [f"g{number}" for number in range(5)]
    for name, count in (("query_embeddings", 3), ("gallery_embeddings", 5)):
        assert found[name].shape == (count, 24)
        assert found[name].dtype == np.float32
        assert np.allclose(np.linalg.norm(found[name], axis=1), 1, atol=1e-5)
    # An image alone is where the gallery has it; the text moves it.
    both, picture, _ = found["query_embeddings"]
    assert np.allclose(picture, found["gallery_embeddings"][0], atol=1e-6)
    assert not np.allclose(both, picture, atol=1e-3)
    # Parquet says the same, numbers may be ids, a file of any name is written.
    table = {"id": [7, 8, 9], "image": [pictures[0], pictures[0], None], "text": ["in winter", None, "in winter"]}
    pq.write_table(pa.table(table), tmp_path / "queries.parquet")
    pq.write_table(pa.table({"id": list("abcde"), "image": pictures}), tmp_path / "gallery.parquet")
    code, said = embed(model, tmp_path / "queries.parquet", tmp_path / "gallery.parquet", tmp_path / "plain")
    assert code == 0, said
    again = np.load(tmp_path / "plain")
    assert again["query_ids"].tolist() == ["7", "8", "9"]
    assert np.array_equal(again["query_embeddings"], found["query_embeddings"])
    assert np.array_equal(again["gallery_embeddings"], found["gallery_embeddings"])


@pytest.mark.parametrize(
    ("queries", "words"),
    [
        ("name,image\na,b\n", "no column 'id'"),
        ("id,image,text\na,,\n", "neither image nor text"),
        ("id,image,text\na,/nowhere/a.png,x\n", "cannot read the image"),
        ("id,image,text\na,{here},x\n", "cannot be decoded"),
        (b"\xff\xfe\x00id", "cannot read"),
    ],
)
def test_wrong_tables_are_said_in_a_sentence(dataset, model, tmp_path, queries, words):
    path = tmp_path / "queries.csv"
    path.write_bytes(queries if isinstance(queries, bytes) else queries.format(here=path).encode())
    gallery = tmp_path / "gallery.csv"
    gallery.write_text(f"id,image\na,{dataset / 'pictures' / '0.png'}\n")
    code, said = embed(model, path, gallery, tmp_path / "out.npz")
    assert code == 2
    assert words in said
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{tempo: 3}", "unknown key 'tempo'"),
        ("{run: {tempo: 3}}", "unknown key 'run.tempo'"),
        ("{run: {steps: fast}}", "run.steps in the training configuration"),
        ("{model: {kind: fusion, heads: 5}}", "heads must divide width"),
        ("{objectives: {info_nce: null}}", "name at least one objective"),
        ("[1, 2]", "must hold a mapping"),
        ("{steps: [", "cannot read the configuration"),
    ],
)
def test_wrong_settings_are_said_in_a_sentence(dataset, tmp_path, text, words):
    (tmp_path / "own.yaml").write_text(text)
    given = ["--dataset", dataset, "--output", tmp_path / "m", "--config", tmp_path / "own.yaml"]
    code, said = lensmith("train", *given)
    assert code == 2
    assert words in said


def test_no_dataset_no_model_and_a_foreign_folder(dataset, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    code, said = lensmith("train", "--dataset", dataset, "--output", tmp_path)
    assert (code, "thesis.txt" in said) == (2, True)
    code, said = lensmith("train", "--dataset", tmp_path, "--output", tmp_path / "m")
    assert (code, "no dataset that training reads" in said) == (2, True)
    code, said = embed(tmp_path, tmp_path / "q.csv", tmp_path / "g.csv", tmp_path / "o.npz")
    assert (code, "no model of Lensmith" in said) == (2, True)
