"""The towers inside packages: what annotation's encoders say, and gradients."""

import io

import numpy as np
import pytest
import torch
from drawn_pictures import COLOURS, SHAPES, drawn
from PIL import Image

from training.towers.local_towers import EfficientNetTower, MiniLMTower

TEXTS = ["a red ring on a wall", "A photograph of two dogs.", "x", "the same in blue " * 60]


def pictures():
    """Drawn ones of several shapes, and noise."""
    noise = np.random.default_rng(0).integers(0, 256, (180, 260, 3), np.uint8)
    named = zip(SHAPES, COLOURS, strict=True)
    shown = [Image.open(io.BytesIO(drawn(shape, colour, side=90))) for shape, colour in named]
    sizes = [(90, 90), (300, 200), (200, 333), (640, 480), (256, 256), (91, 57)]
    return [*(one.convert("RGB").resize(size) for one, size in zip(shown, sizes, strict=True)), Image.fromarray(noise)]


def cosines(one, other):
    return (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def test_images_are_seen_as_annotation_sees_them():
    pytest.importorskip("onnxruntime")
    from mining.decoding import square
    from mining.models.efficientnet import EfficientNetLite0

    tower, encoder = EfficientNetTower().eval(), EfficientNetLite0()
    expected, _, _ = encoder.encode(np.stack([square(one, 256, 224) for one in pictures()]))
    with torch.no_grad():
        found = tower(tower.prepare(pictures()))["pooled"].numpy()
    assert cosines(found, expected).min() > 0.9999
    assert (tower.name, tower.revision, tower.shape.width) == (encoder.name, encoder.revision, encoder.dimension)


def test_texts_are_read_as_annotation_reads_them():
    pytest.importorskip("onnxruntime")
    from mining.models.minilm import MiniLM

    tower, encoder = MiniLMTower().eval(), MiniLM()
    with torch.no_grad():
        found = tower(tower.prepare(TEXTS))["pooled"].numpy()
    assert cosines(found, encoder.encode(TEXTS)).min() > 0.9999
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert (tower.name, tower.revision, tower.shape.width) == (encoder.name, encoder.revision, encoder.dimension)


def test_the_mean_of_the_grid_is_the_pooled_vector():
    tower = EfficientNetTower(tokens=True).eval()
    with torch.no_grad():
        found = tower(tower.prepare(pictures()[:3]))
    assert found["tokens"].shape == (3, 49, 1280)
    assert torch.allclose(found["tokens"].mean(1), found["pooled"], atol=1e-5)


def test_tokens_of_texts():
    tower = MiniLMTower(tokens=True).eval()
    with torch.no_grad():
        found = tower(tower.prepare(TEXTS))
    assert found["tokens"].shape == (4, 128, 384)
    assert found["mask"].sum(1).tolist()[2:] == [3, 128]
    mean = torch.nn.functional.normalize(found["tokens"][2, :3].mean(0), dim=-1)
    assert torch.allclose(mean, found["pooled"][2], atol=1e-5)
