"""Towers of CLIP- and SigLIP-like models of transformers, by name or folder; any other text encoder, mean pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor, nn

from schemas.errors import ConfigurationError, MissingPackageError
from training.towers.interface import Features, ImageTower, TextTower, TowerShape

_WHY = "a tower of transformers"
_LONGEST_TEXT = 512


def _transformers() -> Any:
    try:
        import transformers
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise MissingPackageError("transformers", "train", _WHY) from error
    disable_progress_bar()
    return transformers


def _load(kind: str, source: str, **options: Any) -> Any:
    """What a class of transformers makes of a checkpoint, or ConfigurationError that says what to do offline."""
    name, _, revision = (source, "", "") if Path(source).is_dir() else source.partition("@")
    try:
        return getattr(_transformers(), kind).from_pretrained(name, revision=revision or None, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigurationError(
            f"cannot load {kind} of the backbone {source!r}: give the folder of a downloaded model, or the name of one "
            f"while the Hugging Face hub can be reached ({reason})."
        ) from error


def _built(source: str, assets: Path | None) -> Any:
    """The model with its weights; from assets its architecture alone."""
    if assets is None:
        return _load("AutoModel", source).float()
    transformers = _transformers()
    return transformers.AutoModel.from_config(_load("AutoConfig", str(assets))).float()


def _plain_name(source: str) -> str:
    """A folder is named by its last part: models hold no paths of the machine that trained them."""
    return Path(source).resolve().name if Path(source).is_dir() else source.partition("@")[0]


def _drop(model: Any, names: Sequence[str]) -> None:
    """Take out the half of a dual model that is not used, so that it is neither moved nor saved."""
    for name in names:
        if hasattr(model, name):
            setattr(model, name, None)


class HubImageTower(ImageTower):
    """The image half of a model with `get_image_features`; its tokens are the vision model's last hidden states."""

    def __init__(self, source: str, tokens: bool = False, assets: Path | None = None) -> None:
        super().__init__()
        self.network = _built(source, assets)
        if not hasattr(self.network, "get_image_features"):
            raise ConfigurationError(f"{source!r} has no image tower: model.image_tower takes CLIP-like models.")
        self.name = _plain_name(source)
        self.revision = str(getattr(self.network.config, "_commit_hash", None) or "local")
        self._processor = _load("AutoImageProcessor", str(assets or source), backend="pil")
        vision = self.network.config.vision_config
        first = int(hasattr(self.network.vision_model.embeddings, "class_embedding"))
        count = (vision.image_size // vision.patch_size) ** 2 + first
        width = _width(self.network, vision)
        self.shape = TowerShape(width, vision.hidden_size, count) if tokens else TowerShape(width)
        _drop(self.network, ("text_model", "text_projection"))

    def prepare(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Pixels float32 (n, 3, h, w), as the model's processor makes them."""
        pixels: Tensor = self._processor(images=list(pictures), return_tensors="pt")["pixel_values"]
        return pixels

    def forward(self, prepared: Tensor) -> Features:
        """See `Tower`."""
        output = self.network.get_image_features(pixel_values=prepared)
        pooled = getattr(output, "pooler_output", output)
        return {"pooled": pooled, "tokens": output.last_hidden_state} if self.shape.tokens else {"pooled": pooled}

    def save_assets(self, folder: Path) -> None:
        """See `Tower`."""
        self.network.config.save_pretrained(folder)
        self._processor.save_pretrained(folder)

    def layers(self) -> Sequence[nn.Module]:
        """See `Tower`."""
        vision = self.network.vision_model
        return [vision.embeddings, *vision.encoder.layers, _rest(vision, self.network, "visual_projection")]


class HubTextTower(TextTower):
    """The text half of a model with `get_text_features`; of any other text encoder the mean of its last hidden states.
    Its tokens are the last hidden states."""

    def __init__(self, source: str, tokens: bool = False, assets: Path | None = None) -> None:
        super().__init__()
        self.network = _built(source, assets)
        self.name = _plain_name(source)
        self.revision = str(getattr(self.network.config, "_commit_hash", None) or "local")
        self._tokenizer = _load("AutoTokenizer", str(assets or source))
        config = getattr(self.network.config, "text_config", self.network.config)
        self._longest = min(int(config.max_position_embeddings), _LONGEST_TEXT)
        self._dual = hasattr(self.network, "get_text_features")
        # SigLIP was trained on texts filled up to one length, and pools its last token.
        self._fill: bool | str = "max_length" if "siglip" in self.network.config.model_type else True
        width = _width(self.network, config) if self._dual else int(config.hidden_size)
        self.shape = TowerShape(width, int(config.hidden_size), self._longest) if tokens else TowerShape(width)
        _drop(self.network, ("vision_model", "visual_projection", "pooler"))

    def prepare(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """`input_ids` and, where the model knows it, `attention_mask`, int64 (n, t)."""
        found = self._tokenizer(
            list(texts), padding=self._fill, truncation=True, max_length=self._longest, return_tensors="pt"
        )
        return {name: found[name] for name in ("input_ids", "attention_mask") if name in found}

    def forward(self, prepared: Mapping[str, Tensor]) -> Features:
        """See `Tower`."""
        mask = prepared.get("attention_mask")
        if self._dual:
            output = self.network.get_text_features(**prepared)
            pooled, hidden = getattr(output, "pooler_output", output), output.last_hidden_state
        else:
            hidden = self.network(**prepared).last_hidden_state
            weights = (mask if mask is not None else hidden.new_ones(hidden.shape[:2])).unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
        if not self.shape.tokens:
            return {"pooled": pooled}
        found: Features = {"pooled": pooled, "tokens": hidden}
        if mask is not None:
            found["mask"] = mask.bool()
        return found

    def save_assets(self, folder: Path) -> None:
        """See `Tower`."""
        self.network.config.save_pretrained(folder)
        self._tokenizer.save_pretrained(folder)

    def layers(self) -> Sequence[nn.Module]:
        """See `Tower`."""
        if self._dual:
            text = self.network.text_model
            return [text.embeddings, *text.encoder.layers, _rest(text, self.network, "text_projection")]
        encoder = self.network.encoder
        return [self.network.embeddings, *getattr(encoder, "layer", getattr(encoder, "layers", ()))]


def _width(network: Any, half: Any) -> int:
    projected = getattr(network.config, "projection_dim", None)
    has_projection = hasattr(network, "visual_projection") or hasattr(network, "text_projection")
    return int(projected if projected and has_projection else half.hidden_size)


def _rest(half: Any, network: Any, projection: str) -> nn.Module:
    """What stands behind the last layer: norms, heads, the projection."""
    names = ("post_layernorm", "final_layer_norm", "head")
    found = [getattr(half, name) for name in names if isinstance(getattr(half, name, None), nn.Module)]
    last = getattr(network, projection, None)
    return nn.ModuleList([*found, *([last] if isinstance(last, nn.Module) else [])])
