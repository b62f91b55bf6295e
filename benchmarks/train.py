"""The trainer against the bare forward and backward pass of the same batches, its wait for data, its memory on eight
times the data, and beside sentence-transformers with the same model, towers and batch.

    python -m benchmarks.train [--steps 24] [--rows 4000]

After each step of `lensmith train` the same batch goes, from memory, through a copy of the same model: both are timed
in turns, in seconds of this process's cores, which a busy machine blurs less than the clock. A ratio is the bare
seconds by the trainer's, whose steps hold data (where no worker makes it), clipping, AdamW and logs; medians over
steps. sentence-transformers runs in turns with ours too, by the clock. One thread computes; `workers` are further
processes that load data.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.training_data import SIDE, write_clip, write_dataset

#: Steps that are not counted: kernels are chosen and caches filled.
_WARM = 4
_CACHED, _LARGE = "cached features, batch 64", "cached features, batch 256"
_TRAINED, _CHUNKS = f"trained towers at {SIDE} px, batch 32", "the same, chunk 32"
_MEMORY_WINDOW = 2000


def settings(task: str, clip: Path, steps: int, workers: int) -> dict[str, Any]:
    """The configuration of a task."""
    run: dict[str, Any] = {"steps": steps, "threads": 1, "report_to": [], "checkpoint_steps": 10**6}
    data = {"workers": workers, "window": _MEMORY_WINDOW}
    if task in (_CACHED, _LARGE):
        return {"run": run | {"batch": 64 if task == _CACHED else 256}, "data": data}
    towers = {"image_tower": str(clip), "text_tower": None, "train_towers": "all"}
    chunk = {"chunk": 32} if task == _CHUNKS else {}
    return {
        "model": towers | {"width": 192, "layers": 2, "heads": 6},
        "run": run | {"batch": 32} | chunk,
        "data": data,
    }


def trained(dataset: Path, given: dict[str, Any], watch: Callable[[Any], None] = lambda trainer: None) -> None:
    """`training.run.train` with vectors of chance in place of the local towers' features, on which no step's time
    depends; `watch` sees the trainer before it begins."""
    import torch

    import training.fitting
    from training.config import train_config
    from training.run import train
    from training.surroundings import Surroundings
    from training.towers.load_towers import LOCAL_IMAGES, LOCAL_TEXTS
    from training.trainer import StepTrainer

    class Watched(StepTrainer):
        """Keeps the inputs of its last step."""

        inputs: Any = None

        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            watch(self)

        def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
            self.inputs = inputs
            return super().training_step(model, inputs, num_items_in_batch)

    images = {LOCAL_IMAGES: lambda files: torch.randn(len(files), 1280)}
    texts = {LOCAL_TEXTS: lambda found: torch.randn(len(found), 384)}
    training.fitting.StepTrainer = Watched  # type: ignore[misc]
    try:
        with tempfile.TemporaryDirectory() as scratch:
            around = Surroundings(lambda _: None, images, texts, dataset / "_work")
            train(dataset, Path(scratch) / "model", train_config(given), around)
    finally:
        training.fitting.StepTrainer = StepTrainer  # type: ignore[misc]


def compare_steps(dataset: Path, given: dict[str, Any]) -> dict[str, float]:
    """Medians over steps: seconds of this process's cores for the trainer's and for the bare passes, their ratio, that
    of the bare passes with AdamW, and the share of the trainer's time on the clock in which it waited for data."""
    import torch
    from transformers import TrainerCallback

    from training.trainer import parameter_groups

    steps: list[tuple[float, float, float, float]] = []

    class Paired(TrainerCallback):
        """Times each step from the end of this callback to its next begin, and then the bare passes."""

        def __init__(self, trainer: Any) -> None:
            self.trainer = trainer
            self.learner: Any = None
            self.began, self.busy, self.waited = 0.0, 0.0, 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            wall, busy, trainer = time.perf_counter() - self.began, time.process_time() - self.busy, self.trainer
            if self.learner is None:
                self.learner = copy.deepcopy(trainer.model)
                self.optimizer = torch.optim.AdamW(parameter_groups(self.learner, trainer._config), fused=True)
            bare, full = _bare(self.learner, self.optimizer, trainer)
            if state.global_step > _WARM:
                steps.append((busy, bare, full, (trainer.meter.waited - self.waited) / wall))
            self.began, self.busy, self.waited = time.perf_counter(), time.process_time(), trainer.meter.waited

    trained(dataset, given, lambda trainer: trainer.add_callback(Paired(trainer)))
    return {
        "ours": statistics.median(one[0] for one in steps),
        "bare": statistics.median(one[1] for one in steps),
        "ratio": statistics.median(bare / ours for ours, bare, _, _ in steps),
        "with AdamW": statistics.median(full / ours for ours, _, full, _ in steps),
        "wait": statistics.median(wait for _, _, _, wait in steps),
    }


def _bare(learner: Any, optimizer: Any, trainer: Any) -> tuple[float, float]:
    """Seconds of one forward and backward pass over a batch in memory, and of it with AdamW's step."""
    from training.cached_loss import cached_loss
    from training.objectives.interface import Step

    inputs = trainer.inputs
    chunks, plans = inputs["chunks"], inputs["plans"]
    learner.train()
    began = time.process_time()
    if trainer._config.chunk is None:
        learner(chunks=chunks, plans=plans, step=Step()).backward()
    else:
        from contextlib import nullcontext

        cached_loss(learner, learner, chunks, plans, Step(), lambda loss: loss.backward(), nullcontext).backward()
    passed = time.process_time()
    optimizer.step()
    ended = time.process_time()
    optimizer.zero_grad()
    return passed - began, ended - began


def compare_peer(dataset: Path, given: dict[str, Any], steps: int, turns: int = 2) -> tuple[float, float]:
    """Triplets a second of ours and of sentence-transformers, in turns; medians over steps of the better turn."""
    from benchmarks.training_peer import StepTimes, peer_seconds

    batch, ours, peer = given["run"]["batch"], [], []
    for _ in range(turns):
        times = StepTimes()
        trained(dataset, given, lambda trainer, times=times: trainer.add_callback(times))
        ours.append(statistics.median(times.seconds[_WARM:]))
        peer.append(statistics.median(peer_seconds(dataset, given, steps)[_WARM:]))
    return batch / min(ours), batch / min(peer)


def peak_memory(dataset: Path) -> float:
    """Peak of the anonymous memory in MB of a fresh process that trains a few steps on a dataset."""
    command = [sys.executable, "-m", "benchmarks.train", "--memory-of", str(dataset)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(said.splitlines()[-1])


def _print_peak(dataset: Path) -> None:
    """Mapped files are not counted: the system takes their pages back when it needs them."""
    peak, done = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            for line in Path("/proc/self/status").read_text().splitlines():
                if line.startswith("RssAnon:"):
                    peak = max(peak, int(line.split()[1]) / 1000)

    watching = threading.Thread(target=watch)
    watching.start()
    trained(dataset, settings(_CACHED, Path(), 6, 0))
    done.set()
    watching.join()
    print(peak)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        _print_peak(options.memory_of)
        return
    steps = options.steps + _WARM
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        dataset, clip = write_dataset(root / "dataset", options.rows, 96), write_clip(root / "clip")
        heads = f"{'ours s':>9}{'bare s':>9}{'ratio':>7}{'with AdamW':>12}{'data wait':>11}"
        print(f"{'a step':<34}{'workers':>8}{heads}")
        for task in (_CACHED, _LARGE, _TRAINED, _CHUNKS):
            # Cached features are read in a fraction of what handing them over takes.
            for workers in (0,) if task in (_CACHED, _LARGE) else (0, 1):
                found = compare_steps(dataset, settings(task, clip, steps, workers))
                print(
                    f"{task:<34}{workers:>8}{found['ours']:>9.3f}{found['bare']:>9.3f}{found['ratio']:>7.2f}"
                    f"{found['with AdamW']:>12.2f}{found['wait']:>11.1%}",
                    flush=True,
                )
        print("aims: ratio at least 0.95; data wait below 5%\n")
        print(f"{'triplets a second':<34}{'ours':>8}{'peer':>9}{'ratio':>9}")
        for task in (_TRAINED, _CHUNKS):
            ours, peer = compare_peer(dataset, settings(task, clip, steps, 0), steps)
            print(f"{task:<34}{ours:>8.1f}{peer:>9.1f}{ours / peer:>9.2f}", flush=True)
        print("peer: SentenceTransformerTrainer, (Cached)MultipleNegativesRankingLoss, no workers on either side\n")
        small, large = (write_dataset(root / f"{times}", times * options.rows, 16) for times in (1, 8))
        before, after = peak_memory(small), peak_memory(large)
        print(f"peak memory {after:.0f} MB, with an eighth of the data {before:.0f} MB: ", end="")
        print(f"{after / before:.2f} (aim: at most 1.20)")


if __name__ == "__main__":
    main()
