"""Towers by name: those inside packages, and any CLIP- or SigLIP-like model of transformers by name or folder."""

from __future__ import annotations

from pathlib import Path

from training.towers.interface import ImageTower, TextTower

#: Towers that need no download.
LOCAL_IMAGES, LOCAL_TEXTS = "efficientnet-lite0", "all-MiniLM-L6-v2"


def load_image_tower(name: str, tokens: bool = False, assets: Path | None = None) -> ImageTower:
    """The image tower `name`: a local one, a model of the hub (`NAME` or `NAME@REVISION`) or a folder; with `assets`,
    the folder that `save_assets` wrote, its architecture without weights. Raises ConfigurationError."""
    if name == LOCAL_IMAGES:
        from training.towers.local_towers import EfficientNetTower

        return EfficientNetTower(tokens)
    from training.towers.hub_towers import HubImageTower

    return HubImageTower(name, tokens, assets)


def load_text_tower(name: str, tokens: bool = False, assets: Path | None = None) -> TextTower:
    """The text tower `name`; see `load_image_tower`."""
    if name == LOCAL_TEXTS:
        from training.towers.local_towers import MiniLMTower

        return MiniLMTower(tokens)
    from training.towers.hub_towers import HubTextTower

    return HubTextTower(name, tokens, assets)
