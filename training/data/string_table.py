"""Distinct strings by number and numbers by string, in mapped files: memory does not grow with them.

A string's number is the rank of its 64-bit hash, so that equal strings get equal numbers in whatever order they came.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import ConfigurationError

Int64Array = npt.NDArray[np.int64]

#: Strings are first dealt to so many files by their hash, of which one at a time is held in memory.
_SPOOLS = 128
_SPOOL_BITS = 57


def hash_of(name: str) -> int:
    """A 64-bit hash of an id or a text, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def hashes_of(names: Sequence[str]) -> npt.NDArray[np.uint64]:
    """`hash_of` for each name, uint64 (n)."""
    return np.fromiter((hash_of(one) for one in names), np.uint64, len(names))


def mapped(path: Path, kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """A file of numbers as an array that is not held in memory."""
    return np.memmap(path, kind, "r") if path.stat().st_size else np.zeros(0, kind)


class StringTable(Sequence[str]):
    """What `write_strings` wrote."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._hashes: npt.NDArray[np.uint64] = mapped(folder / "hashes.bin", np.uint64)
        self._ends: Int64Array = mapped(folder / "ends.bin", np.int64)
        self._bytes: npt.NDArray[np.uint8] = mapped(folder / "strings.bin", np.uint8)

    def __reduce__(self) -> tuple[type[StringTable], tuple[Path]]:
        # A mapped array would be copied into every worker.
        return type(self), (self._folder,)

    def __len__(self) -> int:
        return len(self._hashes)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(number)
        start = int(self._ends[number - 1]) if number else 0
        return self._bytes[start : int(self._ends[number])].tobytes().decode()

    def numbers(self, strings: Sequence[str]) -> Int64Array:
        """Numbers of strings, int64 (n); -1 for unknown ones."""
        if not len(self._hashes) or not strings:
            return np.full(len(strings), -1, np.int64)
        wanted = hashes_of(strings)
        places = np.minimum(np.searchsorted(self._hashes, wanted), len(self._hashes) - 1)
        return np.where(self._hashes[places] == wanted, places, -1).astype(np.int64)


def write_strings(folder: Path, strings: Iterable[str], keep: Callable[[str], bool] | None = None) -> str:
    """Write the distinct ones of many strings (those that `keep` keeps, asked once for each) into an empty folder, and
    return a digest of them. Raises ConfigurationError in the one case of 10⁷ or so that two have one hash."""
    spools = folder / "spools"
    spools.mkdir()
    with ExitStack() as stack:
        paths = [spools / f"{number:03}" for number in range(_SPOOLS)]
        files = [stack.enter_context(path.open("w", encoding="utf-8")) for path in paths]
        for one in strings:
            files[hash_of(one) >> _SPOOL_BITS].write(json.dumps(one) + "\n")
    state, end = hashlib.sha256(), 0
    with ExitStack() as stack:
        hashes, ends, sink = (
            stack.enter_context((folder / name).open("wb")) for name in ("hashes.bin", "ends.bin", "strings.bin")
        )
        for path in paths:
            with path.open(encoding="utf-8") as spool:
                distinct = {json.loads(line) for line in spool}
            chosen = sorted((one for one in distinct if keep is None or keep(one)), key=hash_of)
            own = hashes_of(chosen)
            if (own[1:] == own[:-1]).any():
                raise ConfigurationError("two texts or paths of the dataset have one hash: change one of them.")
            encoded = [one.encode() for one in chosen]
            lengths = np.array([len(one) for one in encoded], np.int64)
            own.tofile(hashes)
            (end + np.cumsum(lengths)).tofile(ends)
            end += int(lengths.sum())
            for data in (lengths.tobytes(), b"".join(encoded)):
                state.update(data)
            sink.write(b"".join(encoded))
    shutil.rmtree(spools)
    return state.hexdigest()
