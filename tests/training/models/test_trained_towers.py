"""Which parts of towers are trained, and that the others stand still."""

import numpy as np
import pytest
import tiny_backbones as tiny
import torch
from embedded import gradients, made, sources, vectors

from schemas.errors import ConfigurationError
from training.config import TrainConfig
from training.data.towers_features import frozen_sources
from training.items import Item
from training.learner import Learner
from training.models.make import make_retriever

ITEMS = [Item(0, "the same in red"), Item(7, "a blue ring"), Item(14), Item(None, "one square")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("backbones")
    return {name: str(make(root / name)) for name, make in (tiny.DUAL | {"bert": tiny.bert}).items()}


def settings(source, **more):
    return {"image_tower": source, "text_tower": None, "width": 48, "layers": 2, "heads": 4} | more


def trained_names(model, role):
    return {name for name, one in model.named_parameters() if one.requires_grad and name.startswith(role)}


@pytest.mark.parametrize("kind", list(tiny.DUAL))
def test_all_or_none_of_a_tower(folders, kind):
    whole = made(**settings(folders[kind], train_towers="all"))
    found = gradients(whole, ITEMS)
    reached = {name for name, one in found.items() if one.abs().max() > 0}
    # Scales of similarities have no part in a tower, and softmax does not see the bias of keys.
    idle = ("logit_scale", "logit_bias", "k_proj.bias", "key.bias")
    towers = [name for name in dict(whole.named_parameters()) if "tower" in name and not name.endswith(idle)]
    assert not [name for name in towers if name not in reached and "pooler" not in name]
    none = made(**settings(folders[kind]))
    assert none.frozen
    assert not trained_names(none, "image_tower") | trained_names(none, "text_tower")
    assert all(name.split(".")[0] not in ("image_tower", "text_tower") for name in gradients(none, ITEMS))


@pytest.mark.parametrize("kind", list(tiny.DUAL))
def test_the_last_layers_alone(folders, kind):
    model = made(**settings(folders[kind], train_towers="last", trained_layers=2))
    for role, half in (("image_tower", "vision_model"), ("text_tower", "text_model")):
        names = trained_names(model, role)
        assert any(f"{role}.network.{half}.encoder." in name and ".2." in name for name in names), names
        assert not any("embeddings" in name or ".0." in name.split("encoder.")[-1][:9] for name in names), names
    found = gradients(model, ITEMS)
    assert {name for name in found if "tower" in name} <= {
        name for name, one in model.named_parameters() if one.requires_grad
    }


def test_the_last_layers_of_a_plain_text_encoder(folders):
    model = made(**settings(folders["clip"], text_tower=folders["bert"], train_towers="last", trained_layers=1))
    names = trained_names(model, "text_tower")
    assert names
    assert all(".encoder.layer.2." in name for name in names)


@pytest.mark.parametrize("which", ["last", "none"])
def test_what_is_frozen_is_bit_equal_after_training(which):
    """EfficientNet's batch norms would move without any gradient."""
    given = {"text_tower": "all-MiniLM-L6-v2", "width": 12, "layers": 1, "heads": 2, "train_towers": which}
    model = made(**given, trained_layers=2)
    before = {name: one.clone() for name, one in model.state_dict().items()}
    trained = {name for name, one in model.named_parameters() if one.requires_grad}
    steps = torch.optim.SGD(model.trained_parameters(), 0.5)
    for seed in range(2):
        gradients(model, ITEMS, seed)
        steps.step()
    moved = {name for name, one in model.state_dict().items() if not torch.equal(one, before[name])}
    towers = {name for name in moved if "tower" in name}
    if which == "none":
        assert not towers
        return
    assert any("image_tower" in name for name in towers)
    assert any("text_tower" in name for name in towers)
    # The statistics of the batch norms that are trained move too.
    trained_places = {name.rpartition(".")[0] for name in trained}
    assert {name.rpartition(".")[0] for name in towers} <= trained_places
    assert any("running_mean" in name for name in towers)


def test_modes_of_frozen_and_trained_parts(folders):
    model = made(**settings(folders["clip"], train_towers="last", trained_layers=2)).train()
    stack = model.image_tower.network.vision_model.encoder.layers
    assert [one.training for one in stack] == [False, False, True]
    assert model.encoder.training
    assert not made(**settings(folders["clip"])).train().image_tower.training
    assert not model.eval().encoder.training


def test_features_of_a_new_model_do_not_depend_on_their_batch(tmp_path):
    """Frozen towers of a model that nobody has put into a mode: batch norms must not see the batch."""
    torch.manual_seed(0)
    model = make_retriever(TrainConfig(model={"width": 12, "layers": 1, "heads": 2, "tokens": True}).model)
    stored = frozen_sources(model, sources().images, [], tmp_path, "key", lambda _: None).image_features
    with torch.no_grad():
        alone = model.eval().image_tower(model.image_tower.prepare(sources().pictures([5], None)))
    assert torch.allclose(stored.of([5])["pooled"], alone["pooled"], atol=1e-4)


def test_a_tower_whose_layers_are_not_known(folders, monkeypatch):
    from training.towers.hub_towers import HubImageTower

    # A half without an encoder of layers, as convolutional ones are.
    monkeypatch.setattr(HubImageTower, "_half", lambda self: self.network.visual_projection)
    with pytest.raises(ConfigurationError, match=r"set model.train_towers to all or none"):
        made(**settings(folders["clip"], train_towers="last"))


@pytest.mark.parametrize("kind", ["clip", "siglip"])
@pytest.mark.parametrize("tokens", [False, True])
def test_checkpointed_activations_give_equal_gradients(folders, kind, tokens):
    given = settings(folders[kind], train_towers="all", dropout=0.2, tokens=tokens)
    plain, saving = made(**given), made(**given)
    learner = Learner(saving, {}, {})
    learner.activation_checkpointing_enable(activation_checkpointing_kwargs=None, every_n_layers=1, offload=False)
    counted = []
    for layer in (saving.encoder.layers[1], saving.image_tower.network.vision_model.encoder.layers[0]):
        layer.self_attn.register_forward_pre_hook(lambda *_: counted.append(1))
    one, other = gradients(plain, ITEMS), gradients(saving, ITEMS)
    # Each of the two was computed twice.
    assert len(counted) == 4
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.allclose(value, other[name], atol=1e-6), name
    # Embedding is as before.
    counted.clear()
    assert np.allclose(vectors(plain, *ITEMS), vectors(saving, *ITEMS), atol=1e-6)
    assert len(counted) == 2


def test_checkpointed_activations_of_partly_trained_local_towers():
    given = {"width": 12, "layers": 1, "heads": 2, "train_towers": "last", "dropout": 0.0}
    plain, saving = made(**given), made(**given)
    saving.checkpoint_activations()
    one, other = gradients(plain, ITEMS[:2]), gradients(saving, ITEMS[:2])
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.allclose(value, other[name], atol=1e-5), name
    running = "image_tower.network._bn1.running_mean"
    assert torch.equal(plain.state_dict()[running], saving.state_dict()[running])


def test_the_trainer_turns_checkpointing_on(tmp_path):
    from training.arguments import training_arguments
    from training.config import RunConfig

    assert training_arguments(tmp_path, RunConfig(activation_checkpointing=True)).activation_checkpointing
    assert not training_arguments(tmp_path, RunConfig()).activation_checkpointing
    assert TrainConfig().run.activation_checkpointing is False
