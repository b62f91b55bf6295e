"""The interface of retrievers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from training.data.sources import Sources
from training.items import Item
from training.towers.interface import ImageTower, TextTower


class Retriever(nn.Module):
    """A model that embeds items.

    A query is an image with a text; a target is the image with the empty text. `prepare` runs in the loader's workers;
    `forward` gives unit vectors float32 (n, width). `config` holds what the constructor needs.
    """

    kind: ClassVar[str]
    config: Any
    width: int
    #: Texts that it embeds whatever the rows say.
    own_texts: tuple[str, ...] = ()

    def prepare(self, items: Sequence[Item], sources: Sources, draw: np.random.Generator | None = None) -> Any:
        """Inputs of `forward` for items: any nesting of tensors. With `draw`, pictures are varied as `sources` says.

        Raises ConfigurationError for what this kind of model cannot embed."""
        raise NotImplementedError

    def forward(self, inputs: Any) -> Tensor:
        """Unit vectors float32 (n, width) in the order of the items."""
        raise NotImplementedError

    def trained_parameters(self) -> list[nn.Parameter]:
        """The parameters that are trained."""
        return [one for one in self.parameters() if one.requires_grad]

    @property
    def frozen(self) -> bool:
        """Whether its towers stand still in training, so that features of them may be computed once."""
        return False

    def feature_towers(self) -> tuple[ImageTower | None, TextTower | None]:
        """The towers whose features of images and of texts it takes in place of these; None where it takes none."""
        return None, None

    def checkpoint_activations(self) -> None:
        """From now on compute activations twice in training instead of keeping them."""

    def towers(self) -> dict[str, dict[str, str]]:
        """Which models it was built of: for each role `name`, `revision`, and where their `weights` lie: in a
        `package`, on the `hub`, in a `folder` (its path stands in the configuration), or saved with this `model`."""
        raise NotImplementedError

    def save_assets(self, folder: Path) -> None:
        """Write what its constructor needs beside config and weights."""

    def kept_state(self) -> dict[str, Tensor]:
        """The weights of a checkpoint: all but those of frozen towers, which come from their source."""
        raise NotImplementedError

    def saved_state(self) -> dict[str, Tensor]:
        """The weights that `save_pretrained` writes: those of a checkpoint, and of the frozen towers that are kept."""
        raise NotImplementedError
