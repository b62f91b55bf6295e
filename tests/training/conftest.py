"""A tiny model of transformers; helper modules by name."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

for _name in ("drawn_pictures", "word_tokenizer", "small_trainings", "together", "command_server"):
    if _name not in sys.modules:
        _spec = importlib.util.spec_from_file_location(_name, Path(__file__).with_name(f"{_name}.py"))
        assert _spec is not None
        assert _spec.loader is not None
        sys.modules[_name] = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_name])

from word_tokenizer import save_word_tokenizer  # noqa: E402


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of two narrow layers with a word tokenizer, saved as any model of transformers is."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    folder = tmp_path_factory.mktemp("models") / "tiny-clip"
    size = save_word_tokenizer(folder)
    torch.manual_seed(0)
    half = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = CLIPConfig(
        text_config=half
        | {"vocab_size": size, "max_position_embeddings": 16, "bos_token_id": 2, "eos_token_id": 3}
        | {"pad_token_id": 0},
        vision_config=half | {"image_size": 32, "patch_size": 8},
        projection_dim=32,
    )
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder
