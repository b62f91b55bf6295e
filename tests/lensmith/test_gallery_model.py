"""`lensmith embed --gallery-model`: queries of one model, a gallery of another."""

import numpy as np
import pytest
import torch

from training.config import train_config
from training.data.image_store import picture
from training.models.make import make_retriever, save_pretrained

from .called import lensmith

LOCAL = {"train_towers": "none", "image_tower": "efficientnet-lite0", "text_tower": "all-MiniLM-L6-v2"}


@pytest.fixture(scope="module")
def given(tmp_path_factory, make_picture):
    """Pictures, tables of them, and models of some widths."""
    root = tmp_path_factory.mktemp("given")
    for number in range(4):
        (root / f"{number}.png").write_bytes(make_picture(number * 7))
    (root / "queries.csv").write_text(f"id,image,text\nq,{root}/0.png,in winter\nw,,at night\n")
    (root / "gallery.csv").write_text("id,image\n" + "\n".join(f"g{n},{root}/{n}.png" for n in (2, 1, 3)))
    for name, width, seed in (("small", 1280, 0), ("large", 1280, 1), ("narrow", 24, 0)):
        torch.manual_seed(seed)
        config = train_config({"model": LOCAL | {"kind": "sum", "width": width}}).model
        save_pretrained(make_retriever(config), root / name)
    return root


def embed(given, output, *more):
    where = ["--queries", given / "queries.csv", "--gallery", given / "gallery.csv", "--output", output]
    return lensmith("embed", "--model", given / "small", *where, *more)


def test_the_gallery_is_another_model_s_and_the_queries_are_not(given, tmp_path):
    found = {}
    for name, more in (("own", []), ("large", [given / "large"]), ("tower", ["efficientnet-lite0"])):
        code, said = embed(given, tmp_path / f"{name}.npz", *(["--gallery-model", *more] if more else []))
        assert code == 0, said
        found[name] = np.load(tmp_path / f"{name}.npz")
    for name in ("large", "tower"):
        assert np.array_equal(found[name]["query_embeddings"], found["own"]["query_embeddings"])
        assert found[name]["gallery_ids"].tolist() == ["g2", "g1", "g3"]
        assert not np.allclose(found[name]["gallery_embeddings"], found["own"]["gallery_embeddings"], atol=1e-2)
        assert np.allclose(np.linalg.norm(found[name]["gallery_embeddings"], axis=1), 1, atol=1e-5)
    # A model as its own gallery model gives what it gives without one.
    assert embed(given, tmp_path / "same.npz", "--gallery-model", given / "small")[0] == 0
    same = np.load(tmp_path / "same.npz")["gallery_embeddings"]
    assert np.allclose(same, found["own"]["gallery_embeddings"], atol=1e-6)


def test_the_tower_s_vectors_are_the_gallery_s(given, tmp_path):
    from training.towers.load_towers import load_image_tower

    code, said = embed(given, tmp_path / "tower.npz", "--gallery-model", "efficientnet-lite0")
    assert code == 0, said
    tower = load_image_tower("efficientnet-lite0").eval()
    shown = [picture((given / f"{number}.png").read_bytes(), "it") for number in (2, 1, 3)]
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(tower(tower.prepare(shown))["pooled"], dim=-1).numpy()
    # The command runs the tower over onnxruntime, which scales images a little otherwise.
    assert (np.load(tmp_path / "tower.npz")["gallery_embeddings"] * expected).sum(1) == pytest.approx(1, abs=0.02)


def test_queries_of_texts_alone(given, tmp_path):
    (tmp_path / "words.csv").write_text("id,image,text\nw,,at night\n")
    where = ["--queries", tmp_path / "words.csv", "--gallery", given / "gallery.csv", "--output", tmp_path / "o.npz"]
    code, said = lensmith("embed", "--model", given / "small", "--gallery-model", given / "large", *where)
    assert code == 0, said
    assert np.load(tmp_path / "o.npz")["query_embeddings"].shape == (1, 1280)


def test_a_gallery_model_that_does_not_fit(given, tmp_path):
    code, said = embed(given, tmp_path / "out.npz", "--gallery-model", given / "narrow")
    assert code == 2
    assert "gives vectors of 24 numbers, and the queries have 1280" in said
    code, said = embed(given, tmp_path / "out.npz", "--gallery-model", tmp_path / "nowhere")
    assert code == 2
    assert "cannot load AutoModel of the backbone" in said
    assert not (tmp_path / "out.npz").exists()
