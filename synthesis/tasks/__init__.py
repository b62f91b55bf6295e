"""Tasks: one file each, what is asked about a row and what is read from the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from schemas.errors import ConfigurationError
from synthesis.config import TaskConfig
from synthesis.tasks.caption import Caption
from synthesis.tasks.caption_detailed import CaptionDetailed
from synthesis.tasks.instruction_magiclens import InstructionMagicLens
from synthesis.tasks.interface import Task
from synthesis.tasks.modification_fine import ModificationFine
from synthesis.tasks.modification_megapairs import ModificationMegaPairs
from synthesis.tasks.modification_mtcir import ModificationMtcir
from synthesis.tasks.rewrite import Rewrite
from synthesis.tasks.span_copy import SpanCopy
from synthesis.tasks.target_caption import TargetCaption
from synthesis.tasks.templates import Templates
from synthesis.tasks.text_triplets import TextTriplets
from synthesis.tasks.verify_image import VerifyImage
from synthesis.tasks.verify_rewritten import VerifyRewritten
from synthesis.tasks.verify_text import VerifyText

#: Name in the configuration → how the task is made from its settings. A new task is a file, its prompt and a line here.
TASKS: Mapping[str, Callable[[TaskConfig], Task]] = {
    Caption.name: Caption,
    CaptionDetailed.name: CaptionDetailed,
    InstructionMagicLens.name: InstructionMagicLens,
    ModificationFine.name: ModificationFine,
    ModificationMegaPairs.name: ModificationMegaPairs,
    ModificationMtcir.name: ModificationMtcir,
    Rewrite.name: Rewrite,
    SpanCopy.name: SpanCopy,
    TargetCaption.name: TargetCaption,
    Templates.name: Templates,
    TextTriplets.name: TextTriplets,
    VerifyImage.name: VerifyImage,
    VerifyRewritten.name: VerifyRewritten,
    VerifyText.name: VerifyText,
}


def make_task(name: str, config: TaskConfig) -> Task:
    """A task by name. Raises ConfigurationError for one that is not there."""
    if name not in TASKS:
        raise ConfigurationError(f"there is no task {name!r}: the tasks are {', '.join(sorted(TASKS))}.")
    return TASKS[name](config)
