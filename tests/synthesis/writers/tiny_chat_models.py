"""Tiny randomly initialised chat models of transformers, saved to folders: real code, no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for part in m['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PAD, END, IMAGE = 0, 2, 3


def tokenizer(folder: Path, image: str = "<image>", shown: str = "<image>", chat: str | None = CHAT) -> int:
    """A tokenizer of bytes with control tokens; gives the size of its vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<|pad|>", "<|im_start|>", "<|im_end|>", image, "<|vision_start|>", "<|vision_end|>"]
    vocabulary = {
        token: number for number, token in enumerate([*special, *sorted(pre_tokenizers.ByteLevel.alphabet())])
    }
    made = Tokenizer(models.BPE(vocabulary, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(special)
    whole = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|pad|>")
    whole.chat_template = chat.replace("IMAGE", shown) if chat else None
    whole.save_pretrained(folder)
    return len(vocabulary)


def _text(vocabulary: int, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "pad_token_id": PAD,
        "bos_token_id": 1,
        "eos_token_id": END,
        "initializer_range": 0.4,
        **more,
    }


def causal(folder: Path, chat: str | None = CHAT) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**_text(tokenizer(folder, chat=chat)))).save_pretrained(folder)
    return folder


def _write(folder: Path, name: str, settings: dict[str, Any]) -> None:
    (folder / name).write_text(json.dumps(settings))


def llava(folder: Path) -> Path:
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    torch.manual_seed(0)
    text = LlamaConfig(**_text(tokenizer(folder)))
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8
    )
    LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=text, image_token_index=IMAGE, image_seq_length=16)
    ).save_pretrained(folder)
    side = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    _write(folder, "preprocessor_config.json", {"image_processor_type": "CLIPImageProcessor", **side})
    _write(
        folder,
        "processor_config.json",
        {
            "processor_class": "LlavaProcessor",
            "patch_size": 8,
            "vision_feature_select_strategy": "default",
            "num_additional_image_tokens": 1,
        },
    )
    return folder


def _grid(folder: Path, kind: str, vision: dict[str, Any], patch: int) -> Path:
    import transformers

    transformers.set_seed(0)
    vocabulary = tokenizer(folder, "<|image_pad|>", "<|vision_start|><|image_pad|><|vision_end|>")
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    config = getattr(transformers, f"{kind}Config")(
        vision_config=vision,
        text_config=_text(vocabulary, rope_parameters=rope, head_dim=16),
        image_token_id=IMAGE,
        video_token_id=vocabulary - 1,
        vision_start_token_id=4,
        vision_end_token_id=5,
    )
    getattr(transformers, f"{kind}ForConditionalGeneration")(config).save_pretrained(folder)
    area = (2 * patch) ** 2
    _write(
        folder,
        "preprocessor_config.json",
        {
            "image_processor_type": "Qwen2VLImageProcessor",
            "size": {"shortest_edge": area, "longest_edge": 9 * area},
            "patch_size": patch,
            "temporal_patch_size": 2,
            "merge_size": 2,
        },
    )
    return folder


def qwen2_vl(folder: Path) -> Path:
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "patch_size": 14, "mlp_ratio": 2}
    return _grid(folder, "Qwen2VL", vision, 14)


def qwen2_5_vl(folder: Path) -> Path:
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "out_hidden_size": 32,
        "patch_size": 14,
        "window_size": 56,
        "fullatt_block_indexes": [1],
    }
    return _grid(folder, "Qwen2_5_VL", vision, 14)


def qwen3_vl(folder: Path) -> Path:
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "out_hidden_size": 32,
        "patch_size": 16,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0],
    }
    return _grid(folder, "Qwen3VL", vision, 16)


def bert(folder: Path) -> Path:
    """A model that does not write."""
    from transformers import BertConfig, BertModel

    vocabulary = tokenizer(folder)
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=vocabulary, **small)).save_pretrained(folder)
    return folder


def clip(folder: Path) -> Path:
    """A model of another kind altogether; its weights are not needed."""
    from transformers import CLIPConfig

    tokenizer(folder)
    CLIPConfig().save_pretrained(folder)
    return folder
