"""Tiny backbones of transformers with random weights, in folders: real code, no network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from word_tokenizer import save_word_tokenizer

_HALF = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4}
_SHOWN = {"image_size": 32, "patch_size": 8}


def _texts(folder: Path) -> dict[str, Any]:
    marks = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
    return _HALF | marks | {"vocab_size": save_word_tokenizer(folder), "max_position_embeddings": 16}


def _processor(folder: Path, kind: str, **more: Any) -> None:
    import transformers

    getattr(transformers, f"{kind}ImageProcessorPil")(**more).save_pretrained(folder)


def clip(folder: Path) -> Path:
    """Projections behind both halves."""
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    CLIPModel(CLIPConfig(text_config=_texts(folder), vision_config=_HALF | _SHOWN, projection_dim=32)).save_pretrained(
        folder
    )
    _processor(folder, "CLIP", size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    return folder


def metaclip2(folder: Path) -> Path:
    """A CLIP of many languages."""
    from transformers import MetaClip2Config, MetaClip2Model

    torch.manual_seed(0)
    MetaClip2Model(
        MetaClip2Config(text_config=_texts(folder), vision_config=_HALF | _SHOWN, projection_dim=32)
    ).save_pretrained(folder)
    _processor(folder, "CLIP", size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    return folder


def siglip(folder: Path) -> Path:
    """Texts of one length, attention pooling of images."""
    from transformers import SiglipConfig, SiglipModel

    torch.manual_seed(0)
    texts = _texts(folder) | {"projection_size": 48}
    SiglipModel(SiglipConfig(text_config=texts, vision_config=_HALF | _SHOWN)).save_pretrained(folder)
    _processor(folder, "Siglip", size={"height": 32, "width": 32})
    return folder


def siglip2(folder: Path) -> Path:
    """Images of any aspect ratio, as patches with a mask."""
    from transformers import Siglip2Config, Siglip2Model

    torch.manual_seed(0)
    texts = _texts(folder) | {"projection_size": 48}
    shown = _HALF | {"patch_size": 8, "num_patches": 16}
    Siglip2Model(Siglip2Config(text_config=texts, vision_config=shown)).save_pretrained(folder)
    _processor(folder, "Siglip2", patch_size=8, max_num_patches=20)
    return folder


def chinese_clip(folder: Path) -> Path:
    """A BERT as the text half, whose first token is projected."""
    from transformers import ChineseCLIPConfig, ChineseCLIPModel

    torch.manual_seed(0)
    ChineseCLIPModel(
        ChineseCLIPConfig(text_config=_texts(folder), vision_config=_HALF | _SHOWN, projection_dim=32)
    ).save_pretrained(folder)
    _processor(folder, "ChineseCLIP", size={"height": 32, "width": 32}, crop_size={"height": 32, "width": 32})
    return folder


def bert(folder: Path) -> Path:
    """A plain text encoder."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    BertModel(BertConfig(**_texts(folder))).save_pretrained(folder)
    return folder


DUAL: dict[str, Callable[[Path], Path]] = {
    "clip": clip,
    "metaclip2": metaclip2,
    "siglip": siglip,
    "siglip2": siglip2,
    "chinese_clip": chinese_clip,
}
