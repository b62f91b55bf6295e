"""A language model as embedder of images with texts, after CoLLM (arXiv 2503.19910) and InstructCIR (arXiv 2412.05756):
a prompt with the image and the text in it, one vector of the last hidden states, LoRA.

A model of texts sees an image through a tower whose features an adapter (two linear layers) maps to embeddings of
words; a model that sees images by itself takes them through its own processor. Both prompts of a triplet differ: the
query's names the change, the target's asks for the picture itself. Both papers train in two stages, first on
image–caption pairs (`objectives.slerp_captions` makes CoLLM's triplets of them) and then on triplets.

Departures: the papers' adapters, prompts and sizes are not rebuilt. Queries and targets go the same way, so that they
share a space without an image tower that is trained for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from training.config import LlmConfig
from training.data.sources import Sources
from training.items import Item
from training.models.assets import Assets, described, is_kept
from training.models.interface import Retriever
from training.models.language_models import (
    LanguageModel,
    add_lora,
    backbone,
    is_lora,
    load_language_model,
    pooled,
)
from training.models.sequences import AdaptedSequences, ProcessedSequences, Sequences
from training.towers.interface import Features, ImageTower, TextTower
from training.towers.load_towers import load_image_tower
from training.towers.trained_part import set_trained, still_where_frozen

_IMAGE, _LANGUAGE = "image_tower", "language_model"


class Llm(Retriever):
    """Prompts of items through a language model. Trained are the adapter, the low-rank matrices and the projection."""

    kind = "llm"
    config: LlmConfig

    def __init__(self, config: LlmConfig, assets: Assets | None = None) -> None:
        super().__init__()
        self.config, kept = config, assets or Assets()
        model = load_language_model(config, kept.folder_of(_LANGUAGE))
        kept.name(_LANGUAGE, model)
        if config.lora is not None:
            add_lora(model.network, config.lora)
        self.language_model: Any = model.network
        embedding = model.network.get_input_embeddings().weight
        own = int(embedding.shape[1])
        self.image_tower: ImageTower | None = None
        self.adapter: Adapter | None = None
        self._sequences: Sequences
        if config.image_tower is None:
            self._sequences = ProcessedSequences(config, model)
        else:
            self.image_tower = load_image_tower(config.image_tower, config.tokens, kept.folder_of(_IMAGE))
            kept.name(_IMAGE, self.image_tower)
            set_trained(self.image_tower, config.train_towers, config.trained_layers)
            shape = self.image_tower.shape
            given, places = (shape.token_width, 1) if config.tokens else (shape.width, config.image_places)
            self.adapter = Adapter(given, own, places, float(embedding.float().std()), config.tokens)
            self._sequences = AdaptedSequences(config, model, self.image_tower)
        self.width = config.width or own
        self.projection: nn.Module = nn.Identity()
        if config.width is not None:
            self.projection = nn.Linear(own, config.width, bias=False)
            nn.init.orthogonal_(self.projection.weight)
        self._model = model
        # Features of a frozen tower are made before anybody has chosen a mode.
        self.train()

    def prepare(self, items: Sequence[Item], sources: Sources, draw: np.random.Generator | None = None) -> Any:
        """See `Retriever`."""
        return self._sequences.prepare(items, sources, draw)

    def forward(self, inputs: Any) -> Tensor:
        """See `Retriever`."""
        hidden, mask = self._sequences.hidden(self.language_model, self.adapter, self.image_tower, inputs)
        return nn.functional.normalize(self.projection(pooled(hidden, mask, self.config.pooling)).float(), dim=-1)

    def train(self, mode: bool = True) -> Llm:
        """What is frozen stays in evaluation mode."""
        super().train(mode)
        for part in (self.language_model, self.image_tower):
            if part is not None:
                still_where_frozen(part)
        return self

    @property
    def frozen(self) -> bool:
        """See `Retriever`."""
        return self.image_tower is not None and self.config.train_towers == "none"

    def feature_towers(self) -> tuple[ImageTower | None, TextTower | None]:
        """See `Retriever`."""
        return self.image_tower, None

    def checkpoint_activations(self) -> None:
        """See `Retriever`."""
        reader = backbone(self.language_model)
        reader.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
        reader.disable_input_require_grads()
        if self.image_tower is not None and self.config.train_towers != "none":
            self.image_tower.checkpoint_activations()

    def towers(self) -> dict[str, dict[str, str]]:
        """See `Retriever`."""
        return {role: described(part, self._keeps(role)) for role, part in self._roles().items()}

    def save_assets(self, folder: Path) -> None:
        """See `Retriever`."""
        for role, part in self._roles().items():
            if self._keeps(role):
                part.save_assets(folder / role)

    def kept_state(self) -> dict[str, Tensor]:
        """See `Retriever`."""
        return self._state({_IMAGE} if self.config.train_towers != "none" else set())

    def saved_state(self) -> dict[str, Tensor]:
        """See `Retriever`."""
        return self._state({role for role in self._roles() if self._keeps(role)})

    def _roles(self) -> dict[str, LanguageModel | ImageTower]:
        shown: dict[str, LanguageModel | ImageTower] = {_IMAGE: self.image_tower} if self.image_tower else {}
        return shown | {_LANGUAGE: self._model}

    def _keeps(self, role: str) -> bool:
        trained = role == _IMAGE and self.config.train_towers != "none"
        return trained or is_kept(self._roles()[role], self.config.keep_towers)

    def _state(self, roles: set[str]) -> dict[str, Tensor]:
        """Everything but the parts that are not in `roles`; low-rank matrices are never left out."""
        return {
            name: value
            for name, value in self.state_dict().items()
            if name.partition(".")[0] in roles or not name.startswith((f"{_IMAGE}.", f"{_LANGUAGE}.")) or is_lora(name)
        }


class Adapter(nn.Module):
    """Features of a tower to embeddings of words: of its one vector several, of each of its tokens one."""

    def __init__(self, given: int, width: int, places: int, spread: float, tokens: bool) -> None:
        """`spread` is the standard deviation of the model's own words, which the new ones have at first too."""
        super().__init__()
        self._tokens, self._places = tokens, places
        self.norm = nn.LayerNorm(given)
        self.first, self.last = nn.Linear(given, width), nn.Linear(width, places * width)
        nn.init.normal_(self.first.weight, std=given**-0.5)
        # GELU of a standard normal number has a mean square of 0.425.
        nn.init.normal_(self.last.weight, std=spread * (0.425 * width) ** -0.5)
        for layer in (self.first, self.last):
            nn.init.zeros_(layer.bias)

    def forward(self, features: Features) -> Tensor:
        """(n, places, width), or with tokens (n, t, width)."""
        seen = features["tokens"] if self._tokens else features["pooled"]
        words: Tensor = self.last(nn.functional.gelu(self.first(self.norm(seen))))
        return words if self._tokens else words.view(len(words), self._places, -1)
