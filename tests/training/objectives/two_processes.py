"""Losses and gradients of objectives in one process and in several: `python two_processes.py FOLDER PROCESSES RANK`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
import torch.distributed as dist

from training.data.feature_store import FeatureStore, make_features
from training.data.sources import Sources
from training.items import DrawnRow, ItemList, Row, RowBatch
from training.models.interface import Retriever
from training.objectives.config import MemoryBankConfig, SlerpCaptionsConfig, UncertaintyConfig
from training.objectives.interface import Objective, StageStart, Step
from training.objectives.memory_bank import MemoryBank
from training.objectives.slerp_captions import SlerpCaptions
from training.objectives.uncertainty import Uncertainty
from training.processes import first_before_others
from training.towers.interface import TowerShape

ROOT = Path(__file__).parents[3]
IMAGES, WIDTH = 12, 5
#: Eight rows of which some have captions, most of them in the first half.
ROWS = [
    Row(
        f"row {number}",
        number,
        (number * 5 + 1) % IMAGES,
        (f"text {number}",),
        query_text=f"caption {number}" if number in (0, 1, 2, 5) else "",
        target_text=f"seen {number}" if number in (1, 3) else "",
    )
    for number in range(8)
]


class Table(Retriever):
    """A learned vector for each image, and for each text one that its length chooses."""

    width = WIDTH

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.images = torch.nn.Parameter(torch.randn(IMAGES, WIDTH))
        self.texts = torch.nn.Parameter(torch.randn(7, WIDTH))

    def prepare(self, items, sources, draw=None):
        none = -1
        places = [[one.image if one.image is not None else none, one.toward or 0, len(one.text) % 7] for one in items]
        has = [[one.image is not None, one.toward is not None, bool(one.text)] for one in items]
        return torch.tensor(places), torch.tensor(has, dtype=torch.float32)

    def forward(self, inputs):
        places, has = inputs
        parts = self.images[places[:, 0]], self.images[places[:, 1]], self.texts[places[:, 2]]
        total = sum(part * has[:, one : one + 1] for one, part in enumerate(parts))
        return torch.nn.functional.normalize(total, dim=-1)


def stored(folder: Path, vectors: torch.Tensor) -> FeatureStore:
    """A store of vectors."""
    shape = TowerShape(vectors.shape[1])
    return make_features(
        folder, len(vectors), shape, lambda some: {"pooled": vectors[some.start : some.stop]}, lambda *_: None
    )


def vectors(width: int) -> torch.Tensor:
    """A vector of chance for each image."""
    return torch.from_numpy(np.random.default_rng(1).normal(size=(IMAGES, width)).astype(np.float32))


def measured(
    objectives: Iterable[tuple[str, Objective, Sources]], rows: list[Row], folder: Path, processes: int, rank: int
) -> dict[str, torch.Tensor]:
    """Mean losses, and gradients as DistributedDataParallel averages them."""
    found: dict[str, torch.Tensor] = {}
    size = len(rows) // processes
    for name, objective, sources in objectives:
        model = Table()
        own = folder / f"{name}-{processes}"
        with first_before_others():
            objective.begin(StageStart(model, sources, lambda: iter(rows), own, 0, lambda _: None))
        drawn = [DrawnRow(one, np.random.default_rng([3, place])) for place, one in enumerate(rows)]
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


def result(folder: Path, processes: int, rank: int) -> dict[str, torch.Tensor]:
    """What is measured of this module's objectives."""
    features = Sources(range(IMAGES), stored(folder / f"features-{rank}", vectors(3)))
    objectives = (
        ("memory_bank", MemoryBank(MemoryBankConfig(moving_targets=True)), Sources(range(IMAGES))),
        ("slerp_captions", SlerpCaptions(SlerpCaptionsConfig()), Sources(range(IMAGES))),
        ("slerp_features", SlerpCaptions(SlerpCaptionsConfig()), features),
        ("uncertainty", Uncertainty(UncertaintyConfig()), Sources(range(IMAGES))),
    )
    return measured(objectives, ROWS, folder, processes, rank)


def main(result: Callable[[Path, int, int], dict[str, torch.Tensor]]) -> None:
    """Join the others, and write the result of the first; arguments of the command line: folder, processes, rank."""
    folder, processes, rank = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=processes)
    found = result(folder, processes, rank)
    if rank == 0:
        torch.save(found, folder / "found.pt")
    dist.destroy_process_group()


def alone_and_together(module: ModuleType, folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """What one process finds of a module's `result`, and what two find."""
    commands = [[sys.executable, str(module.__file__), str(folder), "2", str(rank)] for rank in range(2)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    started = [subprocess.Popen(one, env=environment, cwd=ROOT) for one in commands]
    alone = module.result(folder, 1, 0)
    assert [one.wait(timeout=120) for one in started] == [0, 0]
    return alone, torch.load(folder / "found.pt", weights_only=True)


if __name__ == "__main__":
    main(result)
