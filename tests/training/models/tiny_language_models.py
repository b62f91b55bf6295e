"""Tiny language models of transformers with random weights, in folders: real code, no network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for part in m['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
IMAGE = 3


def tokenizer(folder: Path, image: str = "<image>", shown: str = "<image>", chat: str | None = CHAT) -> int:
    """A tokenizer of bytes with control tokens; gives the size of its vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<|pad|>", "<|im_start|>", "<|im_end|>", image, "<|vision_start|>", "<|vision_end|>"]
    vocabulary = {one: number for number, one in enumerate([*special, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(special)
    whole = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|pad|>")
    whole.chat_template = chat.replace("IMAGE", shown) if chat else None
    whole.save_pretrained(folder)
    return len(vocabulary)


def _text(vocabulary: int, **more: Any) -> dict[str, Any]:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    marks = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    return sizes | marks | {"vocab_size": vocabulary, "num_key_value_heads": 2, "initializer_range": 0.2} | more


def llama(folder: Path, chat: str | None = CHAT) -> Path:
    """A model of texts."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**_text(tokenizer(folder, chat=chat)))).save_pretrained(folder)
    return folder


def qwen2(folder: Path) -> Path:
    """A model of texts without a chat template."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    Qwen2ForCausalLM(Qwen2Config(**_text(tokenizer(folder, chat=None)))).save_pretrained(folder)
    return folder


def llava(folder: Path) -> Path:
    """A model that sees an image as a row of its tower's patches."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    torch.manual_seed(0)
    text = LlamaConfig(**_text(tokenizer(folder)))
    half = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = CLIPVisionConfig(**half, image_size=32, patch_size=8)
    LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=text, image_token_index=IMAGE, image_seq_length=16)
    ).save_pretrained(folder)
    side = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    _write(folder, "preprocessor_config.json", {"image_processor_type": "CLIPImageProcessor", **side})
    settings = {"processor_class": "LlavaProcessor", "patch_size": 8, "vision_feature_select_strategy": "default"}
    _write(folder, "processor_config.json", settings | {"num_additional_image_tokens": 1})
    return folder


def qwen2_vl(folder: Path) -> Path:
    """A model that sees an image as a grid of any shape."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    torch.manual_seed(0)
    vocabulary = tokenizer(folder, "<|image_pad|>", "<|vision_start|><|image_pad|><|vision_end|>")
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "patch_size": 14, "mlp_ratio": 2}
    config = Qwen2VLConfig(
        vision_config=vision,
        text_config=_text(vocabulary, rope_parameters=rope, head_dim=16),
        image_token_id=IMAGE,
        video_token_id=vocabulary - 1,
        vision_start_token_id=4,
        vision_end_token_id=5,
    )
    Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    size = {"shortest_edge": 28**2, "longest_edge": 9 * 28**2}
    settings = {"image_processor_type": "Qwen2VLImageProcessor", "size": size, "patch_size": 14}
    _write(folder, "preprocessor_config.json", settings | {"temporal_patch_size": 2, "merge_size": 2})
    return folder


def _write(folder: Path, name: str, settings: dict[str, Any]) -> None:
    (folder / name).write_text(json.dumps(settings))


TEXTS: dict[str, Callable[[Path], Path]] = {"llama": llama, "qwen2": qwen2}
SEEING: dict[str, Callable[[Path], Path]] = {"llava": llava, "qwen2_vl": qwen2_vl}
