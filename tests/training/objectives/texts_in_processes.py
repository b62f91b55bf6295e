"""As `two_processes`, for objectives of texts and of a teacher; arguments: folder, processes, rank."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from two_processes import IMAGES, WIDTH, main, measured, stored, vectors

from training.data.sources import Sources
from training.items import Row
from training.objectives.alignment import Alignment
from training.objectives.config import AlignmentConfig, DistillationConfig, TextTripletsConfig
from training.objectives.distillation import Distillation
from training.objectives.text_triplets import TextTriplets

#: Eight rows of which some have captions, most of them in the first half; texts have many lengths.
ROWS = [
    Row(
        f"row {number}",
        number if number != 5 else -1,
        (number * 5 + 1) % IMAGES,
        ("text" + number * "x",),
        query_text="caption" + number * "y" if number in (0, 1, 2, 5) else "",
        target_text="seen" + number * "z" if number in (1, 2, 3) else "",
    )
    for number in range(8)
]
SOFT = {"teacher": "large", "teacher_temperature": 0.1}


def result(folder: Path, processes: int, rank: int) -> dict[str, torch.Tensor]:
    """What is measured of this module's objectives."""
    sources = Sources(range(IMAGES), others={"large": stored(folder / f"teacher-{rank}", vectors(WIDTH))})
    objectives = {
        "text_triplets": TextTriplets(TextTripletsConfig(learn_temperature=True)),
        "alignment": Alignment(AlignmentConfig(margin=0.1)),
        "distillation": Distillation(DistillationConfig(teacher="large")),
        "soft_distillation": Distillation(DistillationConfig(**SOFT)),
    }
    return measured(((name, one, sources) for name, one in objectives.items()), ROWS, folder, processes, rank)


if __name__ == "__main__":
    main(result)
