import numpy as np
import pytest
import torch

from schemas.errors import ConfigurationError
from training.fusion_model import FusionModel, encode
from training.model_folder import load, prepare, save
from training.train import TrainConfig


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return FusionModel(20, 12, width=24, layers=2, heads=3).eval()


def features(rows, width, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def test_embeddings_have_unit_length(model):
    for images, texts in ((features(7, 20), features(7, 12)), (features(7, 20), None), (None, features(7, 12))):
        found = encode(model, images, texts)
        assert found.shape == (7, 24)
        assert found.dtype == np.float32
        assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert encode(model, features(0, 20), None).shape == (0, 24)


def test_a_row_is_encoded_for_itself(model):
    images, texts = features(300, 20), features(300, 12)
    whole = encode(model, images, texts)
    assert np.allclose(encode(model, images[255:258], texts[255:258]), whole[255:258], atol=1e-5)


def test_the_text_moves_the_image(model):
    images = features(1, 20).repeat(2, axis=0)
    one, other = encode(model, images, features(2, 12))
    assert one @ other < 0.999
    assert not np.allclose(encode(model, images, None)[0], one, atol=1e-3)


def test_an_untrained_model_finds_what_the_image_tower_finds():
    torch.manual_seed(0)
    wide = FusionModel(20, 12, width=60, layers=1, heads=3).eval()
    images = features(30, 20)
    unit = images / np.linalg.norm(images, axis=1, keepdims=True)
    seen = encode(wide, images, None)
    by_tower, by_model = (rows @ rows.T - 2 * np.eye(30) for rows in (unit, seen))
    assert (by_tower.argmax(1) == by_model.argmax(1)).mean() > 0.7


def test_a_saved_model_is_the_same_model(model, tmp_path):
    save(model, tmp_path / "deep" / "model", TrainConfig(steps=7), {"images": "x", "texts": "y"})
    again, about = load(tmp_path / "deep" / "model")
    assert (about["training"]["steps"], about["towers"]) == (7, {"images": "x", "texts": "y"})
    images, texts = features(5, 20), features(5, 12)
    assert np.array_equal(encode(again, images, texts), encode(model, images, texts))
    assert sorted(one.name for one in (tmp_path / "deep" / "model").iterdir()) == ["model.json", "model.safetensors"]


def test_folders_that_hold_no_model(model, tmp_path):
    with pytest.raises(ConfigurationError, match="no model of Lensmith"):
        load(tmp_path)
    save(model, tmp_path / "model", TrainConfig(), {})
    (tmp_path / "model" / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(ConfigurationError, match="no model of Lensmith"):
        load(tmp_path / "model")
    (tmp_path / "model" / "model.json").write_text('["other"]')
    with pytest.raises(ConfigurationError, match="no model of Lensmith"):
        load(tmp_path / "model")


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"thesis\.txt"):
        prepare(tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be"):
        prepare(tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "mine"
