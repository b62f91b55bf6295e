"""Language models of transformers as embedders: loaded without their heads, with low-rank matrices to train."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from schemas.errors import ConfigurationError, MissingPackageError
from training.config import LlmConfig, LoraSettings
from training.models.dequantised import LOCAL_LANGUAGE_MODEL, local_language_model, local_revision
from training.models.grid_processor import GRID_MODELS, GridProcessor
from training.towers.hub_checkpoints import (
    load_checkpoint,
    plain_name,
    revision_of,
    transformers_module,
    weights_of,
)

_WHY = "a language model"


@dataclass
class LanguageModel:
    """A network with what prepares its inputs; `processor` is there where it sees images. For `name`, `revision` and
    `weights` see `training.towers.interface.Tower`."""

    network: Any
    tokenizer: Any
    processor: Any
    name: str
    revision: str
    weights: str

    @property
    def template(self) -> str | None:
        """Its chat template, if it has one."""
        for one in (self.processor, self.tokenizer):
            found = getattr(one, "chat_template", None)
            found = found.get("default") if isinstance(found, dict) else found
            if found:
                return str(found)
        return None

    def save_assets(self, folder: Path) -> None:
        """Write its configuration, tokenizer and processor."""
        self.network.config.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        if self.processor is not None:
            self.processor.save_pretrained(folder)


def load_language_model(config: LlmConfig, assets: Path | None) -> LanguageModel:
    """The model of a configuration, frozen; from assets its architecture alone, whose weights come with the whole
    model's. Raises ConfigurationError, MissingPackageError."""
    name = config.language_model
    local = name == LOCAL_LANGUAGE_MODEL and assets is None
    source = str(assets or (local_language_model() if local else name))
    module = transformers_module(_WHY)
    settings = load_checkpoint("AutoConfig", source)
    sees = type(settings) in module.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    if not sees and type(settings) not in module.MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ConfigurationError(
            f"{name!r} ({settings.model_type}) is no language model: model.language_model takes causal ones."
        )
    if sees and config.image_tower is not None:
        raise ConfigurationError(f"the language model {name!r} sees images by itself: set model.image_tower to null.")
    if not sees and config.image_tower is None:
        raise ConfigurationError(f"the language model {name!r} reads texts only: set model.image_tower.")
    precision = getattr(torch, config.precision)
    if assets is None:
        network = _loaded(module, name, source, precision)
    else:
        network = module.AutoModel.from_config(settings, dtype=precision)
    network.requires_grad_(False)
    processor = _processor(source, settings) if sees else None
    tokenizer = processor.tokenizer if processor is not None else load_checkpoint("AutoTokenizer", source)
    if local:
        return LanguageModel(network, tokenizer, processor, name, local_revision(), "package")
    revision = "" if assets else revision_of(source, network.config)
    return LanguageModel(
        network, tokenizer, processor, plain_name(name), revision, "model" if assets else weights_of(source)
    )


def _loaded(module: Any, name: str, source: str, precision: torch.dtype) -> Any:
    """The network, without the head that writes: that its weights are left over is not worth a warning."""
    said = module.utils.logging
    before = said.get_verbosity()
    said.set_verbosity_error()
    try:
        network, found = load_checkpoint("AutoModel", source, dtype=precision, output_loading_info=True)
    finally:
        said.set_verbosity(before)
    if found["missing_keys"]:
        raise ConfigurationError(
            f"the language model {name!r} lacks weights, such as {min(found['missing_keys'])}: name a complete one."
        )
    return network


def _processor(source: str, settings: Any) -> Any:
    if settings.model_type in GRID_MODELS:
        images = load_checkpoint("AutoImageProcessor", source, backend="pil")
        return GridProcessor(images, load_checkpoint("AutoTokenizer", source), int(settings.image_token_id))
    return load_checkpoint("AutoProcessor", source)


def backbone(network: Any) -> Any:
    """The part of a network that reads the sequence: a model that sees images has other parts too."""
    return getattr(network, "language_model", network)


def add_lora(network: nn.Module, settings: LoraSettings) -> None:
    """Put low-rank matrices beside the linear layers of the text part, and train them alone, in float32.

    Raises MissingPackageError, ConfigurationError for names that no layer has."""
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise MissingPackageError("peft", "train", "model.lora") from error
    lora = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=settings.targets or "all-linear",
    )
    try:
        inject_adapter_in_model(lora, backbone(network))
    except ValueError as error:
        raise ConfigurationError(
            f"model.lora.targets names no linear layer of the language model ({' '.join(str(error).split())[:150]})."
        ) from error
    for name, one in network.named_parameters():
        trained = is_lora(name)
        one.requires_grad_(trained)
        if trained:
            one.data = one.data.float()


def is_lora(name: str) -> bool:
    """Whether a parameter of this name is one of the matrices."""
    return ".lora_" in name


def pooled(hidden: Tensor, mask: Tensor, how: str) -> Tensor:
    """One vector of each sequence, float32 (n, d), of hidden states (n, t, d) filled up on the right, with bool (n, t)
    true where there is a token: the `last` token's, or the `mean` of all."""
    if how == "mean":
        weights = mask[..., None].float()
        return (hidden.float() * weights).sum(1) / weights.sum(1)
    places = torch.arange(mask.shape[1], device=mask.device)
    last = torch.where(mask, places, 0).amax(dim=1)
    return hidden[torch.arange(len(hidden), device=mask.device), last].float()
