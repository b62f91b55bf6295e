"""Towers of transformers: what they give is what the library gives for one image or text."""

import io
import shutil

import numpy as np
import pytest
import tiny_backbones as tiny
import torch
from drawn_pictures import COLOURS, SHAPES, drawn
from PIL import Image

from schemas.errors import ConfigurationError
from training.towers.load_towers import load_image_tower, load_text_tower

TEXTS = ["red", "the same in blue", "a green circle and not this yellow bar instead of it", "a black ring"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("backbones")
    return {name: make(root / name) for name, make in (tiny.DUAL | {"bert": tiny.bert}).items()}


def pictures(count=4):
    sizes = [(32, 32), (40, 24), (24, 48), (64, 64)]
    found = []
    for number in range(count):
        data = drawn(SHAPES[number], list(COLOURS)[number])
        found.append(Image.open(io.BytesIO(data)).convert("RGB").resize(sizes[number % 4]))
    return found


def of(tower, given):
    with torch.no_grad():
        return tower(tower.prepare(given))


@pytest.mark.parametrize("kind", list(tiny.DUAL))
def test_an_image_tower_gives_the_model_s_image_features(folders, kind):
    from transformers import AutoImageProcessor, AutoModel

    tower = load_image_tower(str(folders[kind]))
    found = of(tower, pictures())
    assert set(found) == {"pooled"}
    assert found["pooled"].shape == (4, tower.shape.width)
    model = AutoModel.from_pretrained(folders[kind]).eval()
    processor = AutoImageProcessor.from_pretrained(folders[kind], backend="pil")
    for row, picture in zip(found["pooled"], pictures(), strict=True):
        with torch.no_grad():
            alone = model.get_image_features(**processor(images=[picture], return_tensors="pt")).pooler_output[0]
        assert torch.allclose(row, alone, atol=1e-5)
    # Four pictures have four vectors.
    assert torch.pdist(found["pooled"]).min() > 1e-3


@pytest.mark.parametrize("kind", list(tiny.DUAL))
def test_a_text_tower_gives_the_model_s_text_features(folders, kind):
    from transformers import AutoModel, AutoTokenizer

    tower = load_text_tower(str(folders[kind]))
    found = of(tower, TEXTS)["pooled"]
    assert found.shape == (4, tower.shape.width)
    model, tokenizer = (one.from_pretrained(folders[kind]) for one in (AutoModel, AutoTokenizer))
    # SigLIP was trained on texts of one length.
    fill = {"padding": "max_length", "max_length": 16} if "siglip" in kind else {}
    for row, text in zip(found, TEXTS, strict=True):
        given = tokenizer([text], return_tensors="pt", **fill)
        with torch.no_grad():
            features = model.eval().get_text_features(given["input_ids"], attention_mask=given["attention_mask"])
        assert torch.allclose(row, features.pooler_output[0], atol=1e-5)
    assert torch.pdist(found).min() > 1e-3


@pytest.mark.parametrize("kind", list(tiny.DUAL))
def test_halves_of_one_model_share_a_width_and_hold_one_half(folders, kind):
    shown, said = load_image_tower(str(folders[kind])), load_text_tower(str(folders[kind]))
    assert shown.shape.width == said.shape.width
    assert not any("text" in name for name in shown.state_dict())
    assert not any("vision" in name or "visual" in name for name in said.state_dict())


def test_tokens_of_images(folders):
    clip = load_image_tower(str(folders["clip"]), tokens=True)
    found = of(clip, pictures())
    # Sixteen patches and the token of the whole.
    assert found["tokens"].shape == (4, 17, 48)
    assert (clip.shape.width, clip.shape.token_width, clip.shape.tokens) == (32, 48, 17)
    siglip = load_image_tower(str(folders["siglip"]), tokens=True)
    assert of(siglip, pictures())["tokens"].shape == (4, 16, 48)
    # Patches of pictures of any shape: what is filled up is masked.
    any_shape = load_image_tower(str(folders["siglip2"]), tokens=True)
    found = of(any_shape, pictures())
    assert found["tokens"].shape == (4, 20, 48)
    assert found["mask"].dtype == torch.bool
    assert 8 <= found["mask"].sum(1).min() < 20
    alone = of(any_shape, pictures()[1:2])
    seen = alone["mask"][0]
    assert torch.allclose(found["tokens"][1][found["mask"][1]], alone["tokens"][0][seen], atol=1e-5)


@pytest.mark.parametrize("kind", ["clip", "bert", "siglip"])
def test_tokens_of_texts_and_their_masks(folders, kind):
    tower = load_text_tower(str(folders[kind]), tokens=True)
    found = of(tower, TEXTS)
    longest = 16 if kind == "siglip" else 13
    assert found["tokens"].shape == (4, longest, 48)
    assert tower.shape.tokens == 16
    assert found["mask"].sum(1).tolist() == [len(text.split()) + 2 for text in TEXTS]
    if kind == "bert":
        alone = of(tower, TEXTS[:1])["tokens"]
        assert torch.allclose(found["tokens"][0, :3], alone[0], atol=1e-5)


def test_a_plain_text_encoder_is_the_mean_of_its_tokens(folders):
    tower = load_text_tower(str(folders["bert"]), tokens=True)
    found = of(tower, TEXTS)
    for number, length in enumerate(found["mask"].sum(1).tolist()):
        mean = found["tokens"][number, :length].mean(0)
        assert torch.allclose(found["pooled"][number], mean, atol=1e-5)
    assert tower.shape.width == 48


def test_texts_that_are_too_long_are_cut(folders):
    tower = load_text_tower(str(folders["clip"]))
    long = ["red " * 40, "red " * 50]
    assert tower.prepare(long)["input_ids"].shape == (2, 16)
    one, other = of(tower, long)["pooled"]
    assert torch.equal(one, other)


def test_pixels_are_those_of_the_processor_for_grey_and_large_pictures(folders):
    tower = load_image_tower(str(folders["clip"]))
    large = Image.fromarray(np.full((300, 200, 3), 90, np.uint8))
    assert of(tower, [large])["pooled"].isfinite().all()


@pytest.mark.parametrize(("load", "kind"), [(load_image_tower, "AutoModel"), (load_text_tower, "AutoModel")])
def test_a_name_that_cannot_be_found(load, kind, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigurationError, match=rf"cannot load {kind} of the backbone .*give the folder"):
        load("nobody/no-such-model@main")
    with pytest.raises(ConfigurationError, match="cannot load AutoModel of the backbone"):
        load(str(tmp_path))


def test_models_that_are_no_towers(folders):
    with pytest.raises(ConfigurationError, match=r"has no image tower: model.image_tower takes CLIP-like models"):
        load_image_tower(str(folders["bert"]))


def test_names_and_revisions_say_which_weights(folders, tmp_path):
    from transformers import CLIPModel

    one = load_image_tower(str(folders["clip"]))
    again = shutil.copytree(folders["clip"], tmp_path / "clip")
    other = load_text_tower(str(again))
    assert (one.name, one.weights) == ("clip", "folder")
    assert (one.name, one.revision) == (other.name, other.revision)
    model = CLIPModel.from_pretrained(again)
    model.logit_scale.data += 1
    model.save_pretrained(again)
    changed = load_image_tower(str(again))
    assert changed.name == one.name
    assert changed.revision != one.revision
    assert changed.revision.startswith("local ")
