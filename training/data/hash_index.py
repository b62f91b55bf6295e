"""Numbers of ids over a sorted table of their hashes that lies in a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from schemas.errors import ConfigurationError
from training.data.string_table import hashes_of, mapped

Int64Array = npt.NDArray[np.int64]

#: Hashes that are held and sorted at once.
_HELD = 1 << 20
_READ = 4096


class HashIndex:
    """Names to numbers; what `write` wrote."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._hashes: npt.NDArray[np.uint64] = mapped(folder / "hashes.bin", np.uint64)
        self._numbers: Int64Array = mapped(folder / "numbers.bin", np.int64)

    def __reduce__(self) -> tuple[type[HashIndex], tuple[Path]]:
        # A mapped array would be copied into every worker.
        return type(self), (self._folder,)

    @classmethod
    def write(cls, folder: Path, names: Iterator[str]) -> None:
        """Number names in their order, into an empty folder. Raises ConfigurationError if two names have one hash."""
        unsorted = folder / "unsorted.bin"
        with unsorted.open("wb") as sink:
            while some := list(islice(names, _READ)):
                hashes_of(some).tofile(sink)
        found: npt.NDArray[np.uint64] = mapped(unsorted, np.uint64)
        parts = -(-len(found) // _HELD)
        with (folder / "hashes.bin").open("wb") as hashes, (folder / "numbers.bin").open("wb") as numbers:
            for part in range(parts):
                # Hashes are spread evenly: an equal stretch of their range is an equal share of them.
                places = _within(found, part * 2**64 // parts, (part + 1) * 2**64 // parts)
                held = found[places]
                order = np.argsort(held)
                held = held[order]
                if (held[1:] == held[:-1]).any():
                    raise ConfigurationError(
                        "two images of the dataset have one id: give every image an id of its own."
                    )
                held.tofile(hashes)
                places[order].tofile(numbers)
        unsorted.unlink()

    def __len__(self) -> int:
        return len(self._hashes)

    def numbers(self, names: Sequence[str]) -> Int64Array:
        """Numbers of names, int64 (n); -1 for unknown ones."""
        if not len(self._hashes) or not names:
            return np.full(len(names), -1, np.int64)
        wanted = hashes_of(names)
        places = np.minimum(np.searchsorted(self._hashes, wanted), len(self._hashes) - 1)
        found: Int64Array = np.where(self._hashes[places] == wanted, self._numbers[places], -1)
        return found


def _within(hashes: npt.NDArray[np.uint64], low: int, high: int) -> Int64Array:
    """Places of the hashes from `low` to below `high`."""
    found = []
    for start in range(0, len(hashes), _HELD):
        some = hashes[start : start + _HELD]
        found.append(np.flatnonzero((some >= np.uint64(low)) & (some <= np.uint64(high - 1))) + start)
    return np.concatenate(found).astype(np.int64)
