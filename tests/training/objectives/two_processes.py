"""Losses and gradients of objectives in one process and in several: `python two_processes.py FOLDER PROCESSES RANK`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from training.data.feature_store import make_features
from training.data.sources import Sources
from training.items import DrawnRow, ItemList, Row, RowBatch
from training.models.interface import Retriever
from training.objectives.config import MemoryBankConfig, SlerpCaptionsConfig, UncertaintyConfig
from training.objectives.interface import StageStart, Step
from training.objectives.memory_bank import MemoryBank
from training.objectives.slerp_captions import SlerpCaptions
from training.objectives.uncertainty import Uncertainty
from training.processes import first_before_others
from training.towers.interface import TowerShape

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


def result(folder: Path, processes: int, rank: int) -> dict[str, torch.Tensor]:
    """Mean losses, and gradients as DistributedDataParallel averages them."""
    features = torch.from_numpy(np.random.default_rng(1).normal(size=(IMAGES, 3)).astype(np.float32))
    store = make_features(
        folder / f"features-{rank}",
        IMAGES,
        TowerShape(3),
        lambda some: {"pooled": features[some.start : some.stop]},
        lambda *_: None,
    )
    found: dict[str, torch.Tensor] = {}
    size = len(ROWS) // processes
    for name, objective, sources in (
        ("memory_bank", MemoryBank(MemoryBankConfig(moving_targets=True)), Sources(range(IMAGES))),
        ("slerp_captions", SlerpCaptions(SlerpCaptionsConfig()), Sources(range(IMAGES))),
        ("slerp_features", SlerpCaptions(SlerpCaptionsConfig()), Sources(range(IMAGES), store)),
        ("uncertainty", Uncertainty(UncertaintyConfig()), Sources(range(IMAGES))),
    ):
        model = Table()
        own = folder / f"{name}-{processes}"
        with first_before_others():
            objective.begin(StageStart(model, sources, lambda: iter(ROWS), own, 0, lambda _: None))
        drawn = [DrawnRow(one, np.random.default_rng([3, place])) for place, one in enumerate(ROWS)]
        items = ItemList()
        plan = objective.plan(RowBatch(drawn, slice(rank * size, (rank + 1) * size)), items, sources)
        loss = objective(model(model.prepare(items.items, sources)), plan, Step(3, 10))
        loss.backward()
        values = {f"{name} loss": loss.detach()} | {
            f"{name} {part}": one.grad for part, one in (*model.named_parameters(), *objective.named_parameters())
        }
        for part, one in values.items():
            if processes > 1:
                dist.all_reduce(one)
            found[part] = one / processes
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
