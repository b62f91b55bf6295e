"""Models of transformers by folder: tiny and random, but through the code that large ones take."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from made_images import encoded, picture
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import tiny_models

from mining.decoding import UndecodableError, square
from mining.models.hub import HubCaptioner, HubImageEncoder, HubTextEncoder
from schemas.errors import ConfigurationError
from schemas.protocols import Captioner, ImageEncoder, TextEncoder

MODELS = {"clip": (tiny_models.clip, 32, 24), "siglip": (tiny_models.siglip, 40, 32)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for name, (make, _, _) in MODELS.items():
        make(root / name)
    tiny_models.blip(root / "blip")
    tiny_models.clip(root / "half", half=True)
    return root


def crops(count: int, side: int) -> np.ndarray:
    return np.stack([square(picture(60, 50, seed), side, side) for seed in range(count)])


@pytest.mark.parametrize("name", MODELS)
def test_image_towers(folder: Path, name: str) -> None:
    encoder = HubImageEncoder(str(folder / name), batch=4)
    assert isinstance(encoder, ImageEncoder)
    _, side, dimension = MODELS[name]
    assert (encoder.name, encoder.revision, encoder.crop, encoder.dimension) == (name, "local", side, dimension)
    features, labels, scores = encoder.encode(crops(6, side))
    assert (features.shape, features.dtype, labels, scores.tolist()) == (
        (6, dimension),
        np.float32,
        [None] * 6,
        [0] * 6,
    )
    assert np.unique(features, axis=0).shape[0] == 6
    assert encoder.encode(np.zeros((0, side, side, 3), np.uint8))[0].shape == (0, dimension)


def test_image_features_are_those_of_the_models_own_processor(folder: Path) -> None:
    import torch
    from transformers import AutoImageProcessor, AutoModel

    image = picture(60, 50)
    inputs = AutoImageProcessor.from_pretrained(folder / "clip")(images=image, return_tensors="pt")
    with torch.no_grad():
        expected = AutoModel.from_pretrained(folder / "clip").get_image_features(**inputs).pooler_output[0].numpy()
    found = HubImageEncoder(str(folder / "clip")).encode(square(image, 32, 32)[None])[0][0]
    assert found @ expected / np.linalg.norm(found) / np.linalg.norm(expected) > 0.999


@pytest.mark.parametrize("name", MODELS)
def test_a_short_batch_gives_the_bits_of_a_full_one(folder: Path, name: str) -> None:
    encoder, side = HubImageEncoder(str(folder / name), batch=4), MODELS[name][1]
    images = crops(4, side)
    assert np.array_equal(encoder.encode(images[:2])[0], encoder.encode(images)[0][:2])
    texts = HubTextEncoder(str(folder / name), batch=4)
    assert np.array_equal(texts.encode(["a cat", "a dog"]), texts.encode(["a cat", "a dog", "red", "a"])[:2])


@pytest.mark.parametrize("name", MODELS)
def test_text_towers(folder: Path, name: str) -> None:
    encoder = HubTextEncoder(str(folder / name), batch=2)
    assert isinstance(encoder, TextEncoder)
    vectors = encoder.encode(["a red cat", "a dog", "x " * 500])
    assert vectors.shape == (3, MODELS[name][2])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert encoder.encode([]).shape == (0, MODELS[name][2])


def test_half_precision_checkpoints_run_in_single(folder: Path) -> None:
    single = HubImageEncoder(str(folder / "clip")).encode(crops(2, 32))[0]
    half = HubImageEncoder(str(folder / "half")).encode(crops(2, 32))[0]
    assert np.allclose(single, half, atol=0.02)


def test_captions_are_greedy_and_one_for_each_image(folder: Path) -> None:
    captioner = HubCaptioner(str(folder / "blip"))
    assert isinstance(captioner, Captioner)
    files = [encoded(picture(), "JPEG"), encoded(Image.new("CMYK", (40, 30), (0, 9, 90, 0)), "JPEG")]
    captions = captioner.caption(files)
    assert len(captions) == 2
    assert all(caption and caption == " ".join(caption.split()) for caption in captions)
    assert captioner.caption(files[1:]) == captions[1:]
    with pytest.raises(UndecodableError):
        captioner.caption([b"no image"])


def test_what_is_no_model_is_a_configuration_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot load"):
        HubImageEncoder(str(tmp_path))
    with pytest.raises(ConfigurationError, match="no image tower"):
        HubImageEncoder(str(tiny_models.bert(tmp_path / "bert")))
    with pytest.raises(ConfigurationError, match="no text tower"):
        HubTextEncoder(str(tmp_path / "bert"))
    with pytest.raises(ConfigurationError, match="device"):
        HubImageEncoder(str(folder / "clip"), device="no such device")
