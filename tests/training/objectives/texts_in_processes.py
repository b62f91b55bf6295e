"""As `two_processes`, for objectives of texts and of a teacher; arguments: folder, processes, rank."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).parent))

from two_processes import IMAGES, WIDTH, Table

from training.data.feature_store import make_features
from training.data.sources import Sources
from training.items import DrawnRow, ItemList, Row, RowBatch
from training.objectives.alignment import Alignment
from training.objectives.config import AlignmentConfig, DistillationConfig, TextTripletsConfig
from training.objectives.distillation import Distillation
from training.objectives.interface import StageStart, Step
from training.objectives.text_triplets import TextTriplets
from training.towers.interface import TowerShape

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
    """Mean losses, and gradients as DistributedDataParallel averages them."""
    vectors = torch.from_numpy(np.random.default_rng(1).normal(size=(IMAGES, WIDTH)).astype(np.float32))
    store = make_features(
        folder / f"teacher-{rank}",
        IMAGES,
        TowerShape(WIDTH),
        lambda some: {"pooled": vectors[some.start : some.stop]},
        lambda *_: None,
    )
    sources = Sources(range(IMAGES), others={"large": store})
    found: dict[str, torch.Tensor] = {}
    size = len(ROWS) // processes
    for name, objective in (
        ("text_triplets", TextTriplets(TextTripletsConfig(learn_temperature=True))),
        ("alignment", Alignment(AlignmentConfig(margin=0.1))),
        ("distillation", Distillation(DistillationConfig(teacher="large"))),
        ("soft_distillation", Distillation(DistillationConfig(**SOFT))),
    ):
        model = Table()
        start = StageStart(model, sources, lambda: iter(ROWS), folder / f"{name}-{processes}-{rank}", 0, lambda _: None)
        objective.begin(start)
        drawn = [DrawnRow(one, np.random.default_rng([3, place])) for place, one in enumerate(ROWS)]
        items = ItemList()
        plan = objective.plan(RowBatch(drawn, slice(rank * size, (rank + 1) * size)), items, sources)
        loss = objective(model(model.prepare(items.items, sources)), plan, Step(3, 10))
        loss.backward()
        for part, one in (*model.named_parameters(), *objective.named_parameters(), ("loss", loss)):
            value = one.detach() if part == "loss" else one.grad if one.grad is not None else torch.zeros_like(one)
            if processes > 1:
                dist.all_reduce(value)
            found[f"{name} {part}"] = value / processes
    return found


def main(folder: Path, processes: int, rank: int) -> None:
    """Join the others and write the result of the first."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=processes)
    found = result(folder, processes, rank)
    if rank == 0:
        torch.save(found, folder / "found.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
