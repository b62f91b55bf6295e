"""Objectives by their configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from training.objectives.alignment import Alignment
from training.objectives.config import ObjectivesConfig
from training.objectives.distillation import Distillation
from training.objectives.info_nce import InfoNce
from training.objectives.interface import Objective
from training.objectives.memory_bank import MemoryBank
from training.objectives.slerp_captions import SlerpCaptions
from training.objectives.text_triplets import TextTriplets
from training.objectives.uncertainty import Uncertainty

#: The section of a configuration → what makes the objective of it.
_MADE: dict[str, Callable[[Any], Objective]] = {
    "info_nce": InfoNce,
    "memory_bank": MemoryBank,
    "slerp_captions": SlerpCaptions,
    "uncertainty": Uncertainty,
    "text_triplets": TextTriplets,
    "alignment": Alignment,
    "distillation": Distillation,
}


def make_objectives(config: ObjectivesConfig) -> tuple[dict[str, Objective], dict[str, float]]:
    """The objectives that a configuration names, and their weights."""
    named = {name: section for name in _MADE if (section := getattr(config, name)) is not None}
    return {name: _MADE[name](one) for name, one in named.items()}, {name: one.weight for name, one in named.items()}
