"""The interface of towers and the features that they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from PIL import Image
from torch import Tensor, nn


class Features(TypedDict):
    """What a tower says of n images or texts: one vector each, and where asked for their tokens."""

    #: float (n, width).
    pooled: Tensor
    #: float (n, t, token_width).
    tokens: NotRequired[Tensor]
    #: bool (n, t), true where there is a token; without it all are there.
    mask: NotRequired[Tensor]


@dataclass(frozen=True)
class TowerShape:
    """Sizes of a tower's features. `tokens` is the longest sequence, `token_width` their size; 0 without tokens."""

    width: int
    token_width: int = 0
    tokens: int = 0


class Tower(nn.Module):
    """A model of images or of texts.

    `prepare_*` run in the loader's workers and take no gradient; `forward` makes features of what they return, any
    nesting of tensors. `name` and `revision` say which weights it began from, whatever was trained since.
    """

    name: str
    revision: str
    #: Where those weights lie: in a `package`, on the `hub`, in a `folder`, or in the folder of the `model` itself.
    weights: str = "package"
    shape: TowerShape

    def forward(self, prepared: Any) -> Features:
        """Features of prepared inputs."""
        raise NotImplementedError

    def save_assets(self, folder: Path) -> None:
        """Write what `load_tower` needs beside the weights to build the tower again without its first source: its
        configuration, tokenizer or image processor. Towers that live in packages need nothing."""

    def checkpoint_activations(self) -> None:
        """From now on compute activations twice in training instead of keeping them, where the tower can."""

    def layers(self) -> Sequence[nn.Module]:
        """The tower's layers from input to output, by which it is trained in part. Raises NotImplementedError."""
        raise NotImplementedError


class ImageTower(Tower):
    """A tower of images."""

    def prepare(self, pictures: Sequence[Image.Image]) -> Any:
        """RGB pictures of any size → what `forward` takes."""
        raise NotImplementedError


class TextTower(Tower):
    """A tower of texts."""

    def prepare(self, texts: Sequence[str]) -> Any:
        """Texts → what `forward` takes."""
        raise NotImplementedError
