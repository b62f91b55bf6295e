"""Tiny randomly initialised models of transformers, saved to folders: real code, no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def bert_tokenizer(folder: Path) -> None:
    """A WordPiece tokenizer of letters and a few words."""
    from transformers import BertTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "cat", "dog", *"bcdefghijklmnopqrstuvwxyz"]
    (folder / "vocab.txt").write_text("\n".join([*words, *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]))
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)


def _image_processor(folder: Path, kind: str, side: int) -> None:
    settings = {
        "image_processor_type": kind,
        "size": {"shortest_edge": side} if kind.startswith(("CLIP", "Bit")) else {"height": side, "width": side},
        "crop_size": {"height": side, "width": side},
        "do_normalize": True,
        "do_resize": True,
        "image_mean": [0.48, 0.46, 0.41],
        "image_std": [0.27, 0.26, 0.28],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def _vision(side: int) -> dict[str, Any]:
    return {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": side,
        "patch_size": 8,
    }


def _text(tokens: int) -> dict[str, Any]:
    return {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": tokens,
        "vocab_size": 70,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "pad_token_id": 0,
    }


def clip(folder: Path, half: bool = False) -> Path:
    import torch
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    bert_tokenizer(folder)
    model = CLIPModel(CLIPConfig(text_config=_text(77), vision_config=_vision(32), projection_dim=24))
    (model.half() if half else model).save_pretrained(folder)
    _image_processor(folder, "CLIPImageProcessor", 32)
    return folder


def siglip(folder: Path) -> Path:
    import torch
    from transformers import SiglipConfig, SiglipModel

    torch.manual_seed(0)
    bert_tokenizer(folder)
    SiglipModel(SiglipConfig(text_config=_text(64), vision_config=_vision(40))).save_pretrained(folder)
    _image_processor(folder, "SiglipImageProcessor", 40)
    return folder


def blip(folder: Path, large: bool = False) -> Path:
    """A captioner; one of `large` weights says of each image something else."""
    import torch
    from transformers import BlipConfig, BlipForConditionalGeneration

    torch.manual_seed(0)
    bert_tokenizer(folder)
    text = _text(64) | {"encoder_hidden_size": 32, "sep_token_id": 3}
    model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=_vision(32)))
    with torch.no_grad():
        for weights in model.parameters() if large else ():
            if weights.ndim > 1:
                weights.normal_(std=0.3)
    model.save_pretrained(folder)
    _image_processor(folder, "BlipImageProcessor", 32)
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": "BlipProcessor"}))
    return folder


def vit(folder: Path, labels: tuple[str, ...] = ("artificial", "human"), crop: bool = False) -> Path:
    """A classifier of images."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    names = dict(enumerate(labels))
    numbers = {name: number for number, name in names.items()}
    ViTForImageClassification(ViTConfig(**_vision(32), id2label=names, label2id=numbers)).save_pretrained(folder)
    _image_processor(folder, "CLIPImageProcessor" if crop else "ViTImageProcessor", 32)
    return folder


def dinov2(folder: Path) -> Path:
    """A vision model whose pooled output is its class token."""
    import torch
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    Dinov2Model(Dinov2Config(**_vision(32))).save_pretrained(folder)
    _image_processor(folder, "BitImageProcessor", 32)
    return folder


def resnet(folder: Path) -> Path:
    """A vision model of convolutions."""
    import torch
    from transformers import ResNetConfig, ResNetModel

    torch.manual_seed(0)
    ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])).save_pretrained(folder)
    _image_processor(folder, "ViTImageProcessor", 32)
    return folder


def bert(folder: Path) -> Path:
    """A model of texts that is no tower."""
    from transformers import BertConfig, BertModel

    bert_tokenizer(folder)
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=70, **small)).save_pretrained(folder)
    return folder


def tagger(folder: Path, tags: tuple[str, ...] = ("O", "B-X", "I-X")) -> Path:
    """A token classifier without layers of attention that tags "red" with the second tag, "cat" with the last, all
    else with the first."""
    import torch
    from transformers import BertConfig, BertForTokenClassification

    bert_tokenizer(folder)
    small = {"hidden_size": 8, "num_hidden_layers": 0, "num_attention_heads": 1, "intermediate_size": 8}
    config = BertConfig(
        vocab_size=70, id2label=dict(enumerate(tags)), label2id={tag: n for n, tag in enumerate(tags)}, **small
    )
    torch.manual_seed(0)
    model = BertForTokenClassification(config)
    with torch.no_grad():
        words = model.bert.embeddings.word_embeddings.weight
        model.bert.embeddings.position_embeddings.weight.zero_()
        model.bert.embeddings.token_type_embeddings.weight.zero_()
        # One direction for each tag, far apart after the layer's normalisation.
        directions = torch.eye(8)[: len(tags)]
        words[:] = directions[0]
        words[6], words[7] = directions[1], directions[-1]
        model.classifier.weight[:] = directions
        model.classifier.bias.zero_()
    model.save_pretrained(folder)
    return folder


def yolos(folder: Path) -> Path:
    """A detector of three labels with six boxes an image."""
    import torch
    from transformers import YolosConfig, YolosForObjectDetection

    torch.manual_seed(0)
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    labels = {"id2label": {0: "cat", 1: "dog", 2: "bird"}, "label2id": {"cat": 0, "dog": 1, "bird": 2}}
    config = YolosConfig(image_size=[64, 64], patch_size=16, num_detection_tokens=6, **small, **labels)
    YolosForObjectDetection(config).save_pretrained(folder)
    settings = {"image_processor_type": "YolosImageProcessor", "size": {"height": 64, "width": 64}}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder
