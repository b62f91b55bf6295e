"""Features of frozen towers, computed once and kept in mapped files: a training step then reads rows of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.data.made_once import made_once
from training.towers.interface import Features, TowerShape

#: Items of which features are made at once.
BATCH = 32
_DESCRIPTION = "features.json"
#: Tokens are kept as float16, which holds no larger numbers.
_LARGEST = float(np.finfo(np.float16).max)


class FeatureStore:
    """Features by number: `pooled` float32 (n, width); with tokens also `tokens` float16 (n, t, token_width)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        about = json.loads((folder / _DESCRIPTION).read_text())
        self.shape = TowerShape(about["width"], about["token_width"], about["tokens"])
        self._open()

    def _open(self) -> None:
        self._pooled = np.load(self._folder / "pooled.npy", mmap_mode="r")
        has_tokens = self.shape.tokens > 0
        self._tokens = np.load(self._folder / "tokens.npy", mmap_mode="r") if has_tokens else None
        self._lengths = np.load(self._folder / "lengths.npy", mmap_mode="r") if has_tokens else None

    def __getstate__(self) -> dict[str, Any]:
        # A mapped array would be copied into every worker.
        return {"_folder": self._folder, "shape": self.shape}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def __len__(self) -> int:
        return len(self._pooled)

    def of(self, numbers: Sequence[int]) -> Features:
        """Features of items, in their order."""
        rows = np.asarray(numbers, np.int64)
        found: Features = {"pooled": torch.from_numpy(self._pooled[rows])}
        if self._tokens is not None and self._lengths is not None:
            lengths = self._lengths[rows]
            longest = int(lengths.max(initial=1))
            found["tokens"] = torch.from_numpy(self._tokens[rows, :longest].astype(np.float32))
            found["mask"] = torch.arange(longest)[None] < torch.from_numpy(lengths.astype(np.int64))[:, None]
        return found

    def pooled(self, numbers: Sequence[int]) -> Tensor:
        """The vectors alone, float32 (n, width)."""
        return torch.from_numpy(self._pooled[np.asarray(numbers, np.int64)])


def make_features(
    folder: Path,
    count: int,
    shape: TowerShape,
    of: Callable[[range], Features],
    say: Callable[[int, int], None],
) -> FeatureStore:
    """The store at `folder`, made of `of(numbers)` where it is not there yet; a stopped making begins again, and of
    several processes one makes it.

    Raises ConfigurationError where the folder cannot be written.
    """
    with made_once(folder) as empty:
        if empty is not None:
            _fill(empty, count, shape, of, say)
            about = {"width": shape.width, "token_width": shape.token_width, "tokens": shape.tokens}
            (empty / _DESCRIPTION).write_text(json.dumps(about))
    return FeatureStore(folder)


def _fill(
    folder: Path, count: int, shape: TowerShape, of: Callable[[range], Features], say: Callable[[int, int], None]
) -> None:
    def array(name: str, dtype: Any, *dimensions: int) -> Any:
        return np.lib.format.open_memmap(folder / name, "w+", dtype, (count, *dimensions))

    pooled = array("pooled.npy", np.float32, shape.width)
    tokens = array("tokens.npy", np.float16, shape.tokens, shape.token_width) if shape.tokens else None
    lengths = array("lengths.npy", np.int32) if shape.tokens else None
    with torch.inference_mode():
        for start in range(0, count, BATCH):
            numbers = range(start, min(start + BATCH, count))
            made, rows = of(numbers), slice(start, numbers.stop)
            pooled[rows] = made["pooled"].float().cpu().numpy()
            if tokens is not None and lengths is not None:
                seen = np.clip(made["tokens"].float().cpu().numpy(), -_LARGEST, _LARGEST)
                lengths[rows] = made["mask"].sum(1).cpu().numpy() if "mask" in made else seen.shape[1]
                if "mask" in made:
                    # What is masked goes to the end, wherever a tokenizer puts it.
                    order = np.argsort(~made["mask"].cpu().numpy(), axis=1, kind="stable")
                    seen = np.take_along_axis(seen, order[..., None], axis=1)
                tokens[rows, : seen.shape[1]] = seen
            say(numbers.stop, count)
    for one in (pooled, tokens, lengths):
        if one is not None:
            one.flush()
