"""Probes: what a score does not say of a model or of a benchmark."""

from __future__ import annotations

from evaluation.probes.controls import ControlRow, Controls, ControlWarning, compare_controls, control_table
from evaluation.probes.fooling_images import FoolingImage, fooling_images
from evaluation.probes.generated_images import GeneratedBias, generated_bias

__all__ = [
    "ControlRow",
    "ControlWarning",
    "Controls",
    "FoolingImage",
    "GeneratedBias",
    "compare_controls",
    "control_table",
    "fooling_images",
    "generated_bias",
]
