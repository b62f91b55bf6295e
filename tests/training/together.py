"""Run by torchrun: trainings of every case in `CASES`, in as many processes as are started; the first writes what it
saw. Arguments: dataset, tiny CLIP, folder."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from small_trainings import small_settings, trained

from training.processes import is_first, join, leave

BATCH, STEPS = 64, 3
HARD = {"hard_negatives": 1, "guard": None}
#: Settings of the objective, and of the run.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "query negatives": ({}, {}),
    "hard negatives": (HARD, {}),
    "guarded": ({"hard_negatives": 1, "guard": 0.99}, {}),
    "symmetric": ({"symmetric": True} | HARD, {}),
    "cached": ({"symmetric": True} | HARD, {"chunk": 20}),
    "computed twice": (HARD, {"chunk": 20, "activation_checkpointing": True}),
    "added": (HARD, {"accumulate": 2}),
    "cached and added": (HARD, {"accumulate": 2, "chunk": 20}),
    "no texts": ({"query_negative": False}, {"chunk": 50}),
}


def run_cases(dataset: Path, clip: Path, folder: Path) -> dict[str, Any]:
    """What each case gives."""
    found = {}
    for name, (objective, run) in CASES.items():
        own = {"steps": STEPS, "batch": BATCH, "max_gradient": 1e9, "log_steps": 1, "warmup": 0} | run
        data = {"hide": "text"} if name == "no texts" else {}
        settings = small_settings(clip, objectives={"info_nce": objective}, run=own, data=data)
        found[name] = trained(dataset, settings, folder / name)
    return found


if __name__ == "__main__":
    join()
    cases = run_cases(*map(Path, sys.argv[1:4]))
    if is_first():
        (Path(sys.argv[3]) / "seen.pickle").write_bytes(pickle.dumps(cases))
    leave()
