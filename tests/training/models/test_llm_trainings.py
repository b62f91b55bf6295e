"""Short trainings of a tiny language model on drawn pictures, in one stage and in CoLLM's two."""

import json

import numpy as np
import pytest
import tiny_language_models as tiny
import torch
from drawn_pictures import colour_task, write_dataset
from embedded import vectors

from schemas.errors import ConfigurationError, MissingPackageError
from training.config import train_config
from training.data.sources import Sources
from training.items import Item
from training.models import dequantised
from training.models.make import from_pretrained
from training.run import Surroundings, scored_split, train
from training.scoring import scores

QUIET = Surroundings(lambda _: None)
RUN = {"steps": 40, "batch": 24, "learning_rate": 3e-3, "threads": 1, "report_to": [], "log_steps": 5}
LORA = {"rank": 8, "alpha": 16}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Triplets with captions."""
    images, rows = colour_task(np.random.default_rng(0))
    return write_dataset(tmp_path_factory.mktemp("colours"), images, rows[:120])


def settings(language_model, image_tower, **sections):
    model = {"kind": "llm", "language_model": str(language_model), "image_tower": image_tower, "lora": LORA}
    prompts = {"query": "{image}{text}", "target": "{image}", "text": "{text}", "chat": False}
    run = RUN | sections.pop("run", {})
    return train_config({"model": model | prompts | sections.pop("model", {}), "run": run, **sections})


def losses(folder, stage):
    history = json.loads((folder / "history.json").read_text())
    return [one["loss"] for one in history if "loss" in one and one["stage"] == stage]


def falls(found, share):
    return np.mean(found[-3:]) < share * np.mean(found[:2])


def test_two_stages_with_stored_features(dataset, tiny_clip, tmp_path):
    """Adapter and matrices on captions, then triplets; what is frozen stays as it was."""
    stages = [
        {"name": "captions", "objectives": {"info_nce": None, "slerp_captions": {}}, "train": ["adapter", "language"]},
        {"name": "triplets"},
    ]
    config = settings(tiny.llama(tmp_path / "lm"), str(tiny_clip), model={"width": 24}, stages=stages)
    model = train(dataset, tmp_path / "model", config, QUIET)
    assert falls(losses(tmp_path / "model", "captions"), 0.95), losses(tmp_path / "model", "captions")
    assert falls(losses(tmp_path / "model", "triplets"), 0.8), losses(tmp_path / "model", "triplets")
    found = scores(model, scored_split(dataset, "train", model, tmp_path, QUIET))
    assert found["R@5"] > 50, found
    # It is the same model again, and its language model is the one that it began with.
    again = from_pretrained(tmp_path / "model")
    split = scored_split(dataset, "train", again, tmp_path, QUIET)
    assert scores(again, split) == found
    weights = dict(again.language_model.named_parameters())
    from transformers import AutoModel

    for name, one in AutoModel.from_pretrained(tmp_path / "lm").named_parameters():
        same = weights[name] if name in weights else weights[name.replace(".weight", ".base_layer.weight")]
        assert torch.equal(same, one), name


@pytest.mark.parametrize("bf16", [False, True])
def test_a_model_that_sees_learns_too(dataset, tmp_path, bf16):
    run = {"bf16": bf16, "steps": 12, "batch": 12, "activation_checkpointing": True, "chunk": 12, "log_steps": 2}
    config = settings(tiny.llava(tmp_path / "lm"), None, run=run)
    train(dataset, tmp_path / "model", config, QUIET)
    assert falls(losses(tmp_path / "model", "training"), 0.95), losses(tmp_path / "model", "training")


def test_captions_need_a_tower_of_their_own(dataset, tmp_path):
    objectives = {"info_nce": None, "slerp_captions": {}}
    config = settings(tiny.llava(tmp_path / "lm"), None, objectives=objectives)
    with pytest.raises(ConfigurationError, match=r"takes pictures, not points between two of them"):
        train(dataset, tmp_path / "model", config, QUIET)


def test_the_package_that_unpacks_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("LENSMITH_CACHE", str(tmp_path))
    monkeypatch.setattr(dequantised, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="gguf"):
        dequantised.local_language_model()


@pytest.mark.timeout(600)
def test_the_unpacked_model_knows_what_it_knew():
    pytest.importorskip("gguf")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = dequantised.local_language_model()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    asked = tokenizer("The capital of France is", return_tensors="pt")
    with torch.no_grad():
        said = model(**asked).logits[0, -1].argmax()
    assert tokenizer.decode(said) == " Paris"
    assert "<|im_start|>" in tokenizer.chat_template


@pytest.mark.timeout(600)
def test_smollm2_and_efficientnet(tmp_path):
    """The local models, on a handful of rows that stand in every step."""
    pytest.importorskip("gguf")
    from training.data.open_dataset import open_dataset

    images, rows = colour_task(np.random.default_rng(0))
    dataset = write_dataset(tmp_path / "few", images, rows[:5])
    model = {"kind": "llm", "width": 64, "lora": {"rank": 4, "dropout": 0}}
    run = RUN | {"steps": 4, "batch": 5, "learning_rate": 1e-3, "warmup": 0, "log_steps": 1}
    config = train_config({"model": model, "run": run})
    trained = train(dataset, tmp_path / "model", config, QUIET)
    found = losses(tmp_path / "model", "training")
    assert found[-1] < 0.9 * found[0], found
    images = Sources(open_dataset(dataset, "train", tmp_path).images)
    items = [Item(0, "the same in red"), Item(7), Item(None, "a ring of the colour of the sky")]
    expected = vectors(trained, *items, given=images)
    again = from_pretrained(tmp_path / "model")
    assert np.allclose(vectors(again, *items, given=images), expected, atol=1e-5)
    for item, row in zip(items, expected, strict=True):
        assert np.allclose(vectors(again, item, given=images)[0], row, atol=1e-5)
    size = (tmp_path / "model" / "model.safetensors").stat().st_size
    assert size < 30e6
