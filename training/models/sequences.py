"""Items as sequences for a language model: with places that an image tower's features fill, or as its own processor
makes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from schemas.errors import ConfigurationError
from training.config import LlmConfig
from training.data.sources import Sources
from training.items import Item
from training.models.item_features import features_of, image_inputs, mixed
from training.models.language_models import LanguageModel
from training.models.prompts import IMAGE, KINDS, TEXT, Kind, kind_of, make_prompts
from training.towers.interface import ImageTower

#: What sequences are filled up with; nobody reads it.
_FILLING = 0


class Sequences(Protocol):
    """How items reach a language model."""

    def prepare(self, items: Sequence[Item], sources: Sources, draw: np.random.Generator | None) -> Any:
        """Inputs of `hidden`, without gradients."""

    def hidden(self, network: Any, adapter: nn.Module | None, tower: ImageTower | None, inputs: Any) -> Any:
        """Last hidden states (n, t, d) and bool (n, t), true where there is a token; filled up on the right."""


class AdaptedSequences:
    """For a model of texts: an adapter's outputs stand in the places of the image."""

    def __init__(self, config: LlmConfig, model: LanguageModel, tower: ImageTower) -> None:
        self._prompts = make_prompts(config, model.tokenizer, model.template, structured=False)
        self._tokenizer, self._tower = model.tokenizer, tower
        self._places = tower.shape.tokens if config.tokens else config.image_places
        self._frames: dict[Kind, list[list[int]]] = {kind: self._frame(kind) for kind in KINDS}

    def _frame(self, kind: Kind) -> list[list[int]]:
        """Token ids of a prompt's pieces; a place of one negative id is for the image (-1) or the text (-2)."""
        marks = {IMAGE: [-1], TEXT: [-2]}
        pieces = [one for one in re.split(f"([{IMAGE}{TEXT}])", self._prompts.rendered[kind]) if one]
        return [marks[one] if one in marks else self._ids(one) for one in pieces]

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def _sequence(self, item: Item) -> list[int]:
        """Token ids, -1 for a place of the image."""
        found: list[int] = []
        for piece in self._frames[kind_of(item)]:
            if piece == [-2]:
                found += self._ids(self._prompts.text_of(item))
            else:
                found += piece * self._places if piece == [-1] else piece
        return found

    def prepare(self, items: Sequence[Item], sources: Sources, draw: np.random.Generator | None) -> Any:
        """See `Sequences`: `ids` int64 (n, t), `mask` and `places` (of images) bool (n, t), and the images of items."""
        rows = [self._sequence(item) for item in items]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [_FILLING] * (longest - len(row)) for row in rows])
        numbers: dict[int, int] = {}
        shown = [item for item in items if kind_of(item) != "text"]
        for item in shown:
            if item.image is None:
                raise ValueError("a view of the image tower is of an item with an image")
            for one in (item.image, item.toward):
                if one is not None:
                    numbers.setdefault(one, len(numbers))
        return {
            "ids": ids.clamp(min=0),
            "mask": torch.arange(longest)[None] < torch.tensor([len(row) for row in rows])[:, None],
            "places": ids == -1,
            "image": torch.tensor([numbers[item.image or 0] for item in shown], dtype=torch.int64),
            "toward": torch.tensor(
                [-1 if item.toward is None else numbers[item.toward] for item in shown], dtype=torch.int64
            ),
            "share": torch.tensor([item.share for item in shown], dtype=torch.float32),
            "images": image_inputs(self._tower, list(numbers), sources, draw),
        }

    def hidden(self, network: Any, adapter: nn.Module | None, tower: ImageTower | None, inputs: Any) -> Any:
        """See `Sequences`."""
        assert adapter is not None
        assert tower is not None
        mask, embedded = inputs["mask"], network.get_input_embeddings()(inputs["ids"])
        features = features_of(tower, inputs["images"])
        if features is not None:
            shown, places = mixed(features, inputs), inputs["places"]
            words = adapter(shown).to(embedded.dtype)
            seen = shown.get("mask", words.new_ones(words.shape[:2], dtype=torch.bool))
            missing = self._places - words.shape[1]
            words, seen = nn.functional.pad(words, (0, 0, 0, missing)), nn.functional.pad(seen, (0, missing))
            embedded, mask = embedded.clone(), mask.clone()
            embedded[places], mask[places] = words.flatten(0, 1), seen.flatten()
        output = network(inputs_embeds=embedded, attention_mask=mask.long(), use_cache=False)
        return output.last_hidden_state, mask


class ProcessedSequences:
    """For a model that sees images: its processor makes prompts and pixels."""

    def __init__(self, config: LlmConfig, model: LanguageModel) -> None:
        structured = bool(config.chat and model.template)
        self._prompts = make_prompts(config, model.tokenizer, model.template, structured)
        self._processor, self._begin = model.processor, model.tokenizer.bos_token
        self._try_an_image(config.language_model)

    def _inputs(self, item: Item, pictures: Mapping[int, Image.Image]) -> dict[str, Tensor]:
        kind = kind_of(item)
        text = self._prompts.rendered[kind].replace(IMAGE, self._processor.image_token)
        text = text.replace(TEXT, self._prompts.text_of(item))
        images = [pictures[item.image]] if item.image is not None and kind != "text" else None
        special = not (self._begin and text.startswith(self._begin))
        return dict(self._processor(images=images, text=text, return_tensors="pt", add_special_tokens=special))

    def prepare(self, items: Sequence[Item], sources: Sources, draw: np.random.Generator | None) -> Any:
        """See `Sequences`: `tokens`, int64 (n, t) by name, and `others`, such as pixels, joined in their first axis.

        Raises ConfigurationError for an item between two images."""
        if any(item.toward is not None for item in items):
            raise ConfigurationError(
                "a language model that sees images by itself takes pictures, not points between two of them, which "
                "objectives.slerp_captions asks for: take a model of texts with model.image_tower."
            )
        numbers = list(dict.fromkeys(item.image for item in items if item.image is not None))
        pictures = dict(zip(numbers, sources.pictures(numbers, draw), strict=True))
        rows = [self._inputs(item, pictures) for item in items]
        longest = max(row["input_ids"].shape[1] for row in rows)
        tokens: dict[str, Tensor] = {}
        for name, one in rows[0].items():
            if one.shape == rows[0]["input_ids"].shape:
                tokens[name] = torch.cat([nn.functional.pad(r[name], (0, longest - r[name].shape[1])) for r in rows])
        others = dict.fromkeys(name for row in rows for name in row if name not in tokens)
        return {"tokens": tokens, "others": {name: torch.cat([r[name] for r in rows if name in r]) for name in others}}

    def hidden(self, network: Any, adapter: nn.Module | None, tower: ImageTower | None, inputs: Any) -> Any:
        """See `Sequences`."""
        output = network(**inputs["tokens"], **inputs["others"], use_cache=False)
        return output.last_hidden_state, inputs["tokens"]["attention_mask"].bool()

    def _try_an_image(self, name: str) -> None:
        """What a processor lacks shows before the first step."""
        try:
            shown = self._inputs(Item(0), {0: Image.new("RGB", (64, 48))})
        except (ValueError, TypeError, AttributeError, KeyError, IndexError, ImportError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigurationError(f"the processor of {name!r} shows no image in a prompt: {reason}.") from error
        if "pixel_values" not in shown:
            raise ConfigurationError(f"the processor of {name!r} passes no image on: name a model that sees images.")
