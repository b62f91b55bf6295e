"""Models as folders: where their towers come from, and that they are the same models again."""

import json
import shutil

import pytest
import tiny_backbones as tiny
import torch
from embedded import made, vectors
from safetensors.torch import load_file

from schemas.errors import ConfigurationError
from training.items import Item
from training.models.make import from_pretrained, read_description, save_pretrained

ITEMS = [Item(3, "the same in red"), Item(20), Item(None, "a blue bar")]


@pytest.fixture
def clip(tmp_path):
    return tiny.clip(tmp_path / "clips" / "my-clip")


def settings(source, **more):
    return {"image_tower": str(source), "text_tower": None, "width": 24, "layers": 1, "heads": 2} | more


def saved(folder, **given):
    model = made(**given)
    save_pretrained(model, folder, {"note": 7})
    return model


def tower_weights(folder):
    return [name for name in load_file(str(folder / "model.safetensors")) if "tower" in name]


@pytest.mark.parametrize("kind", ["fusion", "sum"])
def test_a_saved_model_is_the_same_model(tmp_path, kind):
    more = {"kind": "sum", "width": 24} if kind == "sum" else {"width": 24, "layers": 1, "heads": 2}
    model = saved(tmp_path / "deep" / "model", **more)
    assert sorted(one.name for one in (tmp_path / "deep" / "model").iterdir()) == ["model.json", "model.safetensors"]
    about = read_description(tmp_path / "deep" / "model")
    assert about["note"] == 7
    assert about["towers"]["image_tower"]["weights"] == "package"
    again = from_pretrained(tmp_path / "deep" / "model")
    assert not again.training
    assert (vectors(again, *ITEMS) == vectors(model, *ITEMS)).all()
    assert not tower_weights(tmp_path / "deep" / "model")


@pytest.mark.parametrize("which", ["last", "all"])
def test_a_trained_tower_needs_its_source_no_more(clip, tmp_path, which):
    model = made(**settings(clip, train_towers=which))
    with torch.no_grad():
        for one in model.trained_parameters():
            one.add_(0.01)
    save_pretrained(model, tmp_path / "model")
    expected, before = vectors(model, *ITEMS), model.towers()
    shutil.rmtree(clip)
    again = from_pretrained(tmp_path / "model")
    assert (vectors(again, *ITEMS) == expected).all()
    assert again.towers() == before
    assert before["image_tower"]["name"] == "my-clip"
    assert before["image_tower"]["revision"].startswith("local ")
    # And it can be saved, moved and trained further.
    save_pretrained(again, tmp_path / "copy")
    shutil.rmtree(tmp_path / "model")
    third = from_pretrained(tmp_path / "copy")
    assert (vectors(third, *ITEMS) == expected).all()
    assert {name for name, one in third.named_parameters() if one.requires_grad} == {
        name for name, one in model.named_parameters() if one.requires_grad
    }


def test_a_frozen_tower_of_a_folder_is_saved_with_the_model(clip, tmp_path):
    model = saved(tmp_path / "model", **settings(clip))
    # Checkpoints leave it out.
    assert not any("tower" in name for name in model.kept_state())
    assert read_description(tmp_path / "model")["towers"]["text_tower"]["weights"] == "model"
    shutil.rmtree(clip)
    again = from_pretrained(tmp_path / "model")
    assert again.frozen
    assert (vectors(again, *ITEMS) == vectors(model, *ITEMS)).all()
    save_pretrained(again, tmp_path / "model")
    assert (vectors(from_pretrained(tmp_path / "model"), *ITEMS) == vectors(model, *ITEMS)).all()


def test_a_frozen_tower_that_stays_in_its_folder(clip, tmp_path):
    model = saved(tmp_path / "model", **settings(clip, keep_towers="none"))
    assert not tower_weights(tmp_path / "model")
    assert read_description(tmp_path / "model")["towers"]["image_tower"]["weights"] == "folder"
    assert (vectors(from_pretrained(tmp_path / "model"), *ITEMS) == vectors(model, *ITEMS)).all()
    shutil.move(clip, tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match=r"image_tower of the model .* has gone: put it back, or train with"):
        from_pretrained(tmp_path / "model")
    tiny.siglip(clip)
    with pytest.raises(ConfigurationError, match=r"as its image_tower, and finds 'local .*put the first one back"):
        from_pretrained(tmp_path / "model")


def test_models_of_the_hub_are_asked_for_at_their_revision(clip, tmp_path, monkeypatch):
    saved(tmp_path / "model", **settings(clip, keep_towers="none"))
    about = json.loads((tmp_path / "model" / "model.json").read_text())
    about["model"]["image_tower"] = "somebody/clip"
    for tower in about["towers"].values():
        tower |= {"weights": "hub", "revision": "0123abc"}
    (tmp_path / "model" / "model.json").write_text(json.dumps(about))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigurationError, match="the backbone 'somebody/clip@0123abc'"):
        from_pretrained(tmp_path / "model")


def test_towers_of_packages_are_never_copied(tmp_path):
    model = made(width=24, layers=1, heads=2, keep_towers="all")
    save_pretrained(model, tmp_path / "model")
    assert not tower_weights(tmp_path / "model")


def test_assets_of_an_older_model_go(clip, tmp_path):
    saved(tmp_path / "model", **settings(clip))
    assert (tmp_path / "model" / "image_tower" / "config.json").exists()
    saved(tmp_path / "model", kind="sum", width=24)
    assert not (tmp_path / "model" / "image_tower").exists()
    assert from_pretrained(tmp_path / "model").kind == "sum"


def test_folders_that_hold_no_model(tmp_path):
    with pytest.raises(ConfigurationError, match="no model of Lensmith"):
        from_pretrained(tmp_path)
    saved(tmp_path / "model", kind="sum", width=24)
    weights, description = tmp_path / "model" / "model.safetensors", tmp_path / "model" / "model.json"
    whole = weights.read_bytes()
    weights.write_bytes(b"cut off")
    with pytest.raises(ConfigurationError, match="no model of Lensmith"):
        from_pretrained(tmp_path / "model")
    weights.write_bytes(whole)
    about = json.loads(description.read_text())
    description.write_text(json.dumps(about | {"model": about["model"] | {"width": 25}}))
    with pytest.raises(ConfigurationError, match="no model of Lensmith"):
        from_pretrained(tmp_path / "model")
    description.write_text('["other"]')
    with pytest.raises(ConfigurationError, match="no model of Lensmith"):
        from_pretrained(tmp_path / "model")
