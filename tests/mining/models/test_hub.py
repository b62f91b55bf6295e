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

from mining.decoding import UndecodableError, square, stretched
from mining.models.hub import HubCaptioner, HubGeneratedScorer, HubImageEncoder, HubPatternEncoder, HubTextEncoder
from schemas.errors import ConfigurationError
from schemas.protocols import Captioner, GeneratedScorer, ImageEncoder, PatternEncoder, TextEncoder

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


@pytest.mark.parametrize("crop", [False, True])
def test_detectors_give_the_probability_of_their_own_processor(tmp_path: Path, crop: bool) -> None:
    import torch
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    path = tiny_models.vit(tmp_path / "vit", crop=crop)
    scorer = HubGeneratedScorer(str(path), batch=4)
    assert isinstance(scorer, GeneratedScorer)
    assert (scorer.name, scorer.revision, scorer.crop, scorer.resize) == ("vit", "local", 32, 32 if crop else None)
    image = picture(60, 50)
    inputs = AutoImageProcessor.from_pretrained(path)(images=image, return_tensors="pt")
    with torch.no_grad():
        expected = AutoModelForImageClassification.from_pretrained(path)(**inputs).logits.softmax(-1)[0, 0].item()
    view = square(image, 32, 32) if crop else stretched(image, 32)
    assert scorer.score(view[None])[0] == pytest.approx(expected, abs=0.01)
    images = np.stack([stretched(picture(60, 50, seed), 32) for seed in range(6)])
    scores = scorer.score(images)
    assert (scores.shape, scores.dtype) == ((6,), np.float32)
    assert ((scores > 0) & (scores < 1)).all()
    assert np.array_equal(scorer.score(images[4:]), scores[4:]), "a short batch gives the bits of a full one"
    assert scorer.score(images[:0]).shape == (0,)


def test_patterns_are_what_a_vision_model_pools_from_its_own_processor(tmp_path: Path) -> None:
    import torch
    from transformers import AutoImageProcessor, AutoModel

    path, image = str(tiny_models.dinov2(tmp_path / "dinov2")), picture(60, 50)
    encoder = HubPatternEncoder(path, batch=4)
    assert isinstance(encoder, PatternEncoder)
    assert (encoder.name, encoder.revision, encoder.crop, encoder.resize) == ("dinov2", "local", 32, 32)
    inputs = AutoImageProcessor.from_pretrained(path)(images=image, return_tensors="pt")
    with torch.no_grad():
        expected = AutoModel.from_pretrained(path)(**inputs).pooler_output[0].numpy()
    found = encoder.encode(square(image, 32, 32)[None])[0]
    assert found @ expected / np.linalg.norm(found) / np.linalg.norm(expected) > 0.999
    features = encoder.encode(crops(6, 32))
    assert (features.shape, features.dtype, np.unique(features, axis=0).shape[0]) == ((6, 32), np.float32, 6)
    assert np.array_equal(encoder.encode(crops(6, 32)[4:]), features[4:]), "a short batch gives the bits of a full one"
    assert encoder.encode(crops(1, 32)[:0]).shape == (0, 32)
    assert HubPatternEncoder(str(tiny_models.resnet(tmp_path / "resnet"))).encode(crops(3, 32)).shape == (3, 16)


def test_a_pooling_that_was_never_trained_is_not_used(tmp_path: Path) -> None:
    import torch

    path, images = str(tiny_models.vit(tmp_path / "vit")), crops(3, 32)
    torch.manual_seed(1)
    first = HubPatternEncoder(path).encode(images)
    torch.manual_seed(2)
    assert np.array_equal(HubPatternEncoder(path).encode(images), first)


def test_the_class_of_generated_images_is_found_by_its_name_or_named(tmp_path: Path) -> None:
    image = stretched(picture(60, 50), 32)[None]
    named = {("Real", "Fake"): 1, ("AiArtData", "RealArt"): 0, ("not_ai", "ai"): 1, ("human", "AI-generated"): 1}
    for number, (labels, column) in enumerate(named.items()):
        path = str(tiny_models.vit(tmp_path / str(number), labels))
        both = [HubGeneratedScorer(path, label).score(image)[0] for label in labels]
        assert HubGeneratedScorer(path).score(image)[0] == both[column]
        assert sum(both) == pytest.approx(1)
    path = str(tiny_models.vit(tmp_path / "three", ("photo", "sdxl", "gan")))
    assert HubGeneratedScorer(path, "SDXL, gan").score(image)[0] == pytest.approx(
        1 - HubGeneratedScorer(path, "photo").score(image)[0]
    )
    unnamed = str(tiny_models.vit(tmp_path / "unnamed", ("LABEL_0", "LABEL_1")))
    for label in (None, "LABEL_7", "LABEL_0,LABEL_1"):
        with pytest.raises(ConfigurationError, match=r"generated_label must name .* one of 'LABEL_0', 'LABEL_1'"):
            HubGeneratedScorer(unnamed, label)
    with pytest.raises(ConfigurationError, match="cannot load"):
        HubGeneratedScorer(str(tmp_path))


def test_what_is_no_model_is_a_configuration_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot load"):
        HubImageEncoder(str(tmp_path))
    with pytest.raises(ConfigurationError, match="no image tower"):
        HubImageEncoder(str(tiny_models.bert(tmp_path / "bert")))
    with pytest.raises(ConfigurationError, match="no text tower"):
        HubTextEncoder(str(tmp_path / "bert"))
    for name in (tmp_path / "bert", folder / "clip", folder / "blip"):
        with pytest.raises(ConfigurationError, match="does not look at images alone"):
            HubPatternEncoder(str(name))
    with pytest.raises(ConfigurationError, match="cannot load AutoModel of the model"):
        HubPatternEncoder(str(tmp_path))
    with pytest.raises(ConfigurationError, match="device"):
        HubImageEncoder(str(folder / "clip"), device="no such device")
