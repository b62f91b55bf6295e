"""What a training is given beside dataset and configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from training.data.towers_features import ImageEncoders, TextEncoders


@dataclass(frozen=True)
class Surroundings:
    """How a training speaks, and what it need not make itself."""

    say: Callable[[str], None] = print
    image_encoders: ImageEncoders = field(default_factory=dict)
    text_encoders: TextEncoders = field(default_factory=dict)
    #: Where features and indexes are kept; beside the model where it is not said, and removed when it is trained.
    work: Path | None = None
    #: A terminal on which progress is drawn in place of lines.
    console: Console | None = None

    def silent(self) -> Surroundings:
        """The same for a process that is not the first: one speaks for all."""
        return replace(self, say=lambda _: None, console=None)
