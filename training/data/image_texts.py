"""Texts of images by number: their own ones, and for images without any the nearest of all texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from schemas.errors import ConfigurationError
from training.data.string_table import StringTable, write_strings
from training.items import Row

Int64Array = npt.NDArray[np.int64]

_TEXTS, _TABLE = "texts", "texts.npy"
_AT_ONCE = 1024
#: Texts that are compared with some images at once.
_POOL = 65_536
_UNSEEN = -2


class ImageTexts:
    """What `write_image_texts` wrote."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.texts = StringTable(folder / _TEXTS)
        self.table: npt.NDArray[np.int32] = np.load(folder / _TABLE, mmap_mode="r")

    def __reduce__(self) -> tuple[type[ImageTexts], tuple[Path]]:
        # A mapped array would be copied into every worker.
        return type(self), (self._folder,)

    def of(self, image: int) -> list[int]:
        """Numbers in `texts` of the texts of an image, the first one first; none where it has none."""
        return [int(one) for one in self.table[image] if one >= 0]


def shown_texts(rows: Iterable[Row]) -> Iterator[tuple[int, str]]:
    """Images of rows with their texts, "" where they have none."""
    for row in rows:
        for image, text in ((row.query, row.query_text), (row.target, row.target_text)):
            if image >= 0:
                yield image, " ".join(text.split())


def text_lines(path: Path) -> Iterator[str]:
    """Lines of a file that are not empty. Raises ConfigurationError for a file that cannot be read."""
    try:
        with path.open(encoding="utf-8-sig") as source:
            for line in source:
                if text := " ".join(line.split()):
                    yield text
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigurationError(f"cannot read objectives.alignment.texts {path}: {reason}.") from error


def write_image_texts(
    folder: Path, images: int, each: int, shown: Callable[[], Iterator[tuple[int, str]]], more: Iterable[str]
) -> ImageTexts:
    """Write the first `each` distinct texts of every image into an empty folder; `more` are texts of no image.

    `shown` is called twice: images below `images` with a text or "".
    """
    (folder / _TEXTS).mkdir()
    texts = (text for _, text in shown() if text)
    write_strings(folder / _TEXTS, (text for source in (texts, more) for text in source))
    table = StringTable(folder / _TEXTS)
    found = np.lib.format.open_memmap(folder / _TABLE, "w+", np.int32, (images, each))
    found[:] = -1
    # Images that no row shows are told apart from those without a text in the first place of their rows.
    found[:, 0] = _UNSEEN
    pairs = shown()
    while some := list(islice(pairs, _AT_ONCE)):
        numbers = table.numbers([text for _, text in some])
        for (image, text), number in zip(some, numbers.tolist(), strict=True):
            _put(found[image], number if text else -1)
    found.flush()
    return ImageTexts(folder)


def _put(own: npt.NDArray[np.int32], number: int) -> None:
    """Put a text into the first free place of an image's row, if it is not there."""
    if own[0] == _UNSEEN:
        own[0] = -1
    if number >= 0 and number not in own and (free := np.flatnonzero(own < 0)).size:
        own[free[0]] = number


def without_texts(found: ImageTexts) -> Int64Array:
    """Images that a row shows and that have no text, ascending."""
    return np.flatnonzero(found.table[:, 0] == -1).astype(np.int64)


def fill_nearest(
    folder: Path,
    lacking: Int64Array,
    image_vectors: Callable[[Int64Array], torch.Tensor],
    text_vectors: Callable[[range], torch.Tensor],
) -> ImageTexts:
    """Give images the texts that are nearest by cosine, as many as the table has places; vectors are float (n, d)."""
    table = np.load(folder / _TABLE, mmap_mode="r+")
    count = len(StringTable(folder / _TEXTS))
    for start in range(0, len(lacking), _AT_ONCE):
        some = lacking[start : start + _AT_ONCE]
        vectors = nn.functional.normalize(image_vectors(some), dim=-1)
        kept = torch.zeros(len(some), 0), torch.zeros(len(some), 0, dtype=torch.int64)
        for begin in range(0, count, _POOL):
            places = range(begin, min(begin + _POOL, count))
            similar = vectors @ nn.functional.normalize(text_vectors(places), dim=-1).T
            numbers = torch.arange(begin, places.stop).expand(len(some), -1)
            both = torch.cat([kept[0], similar], 1), torch.cat([kept[1], numbers], 1)
            best = both[0].topk(min(table.shape[1], both[0].shape[1]), dim=1)
            kept = best.values, both[1].gather(1, best.indices)
        table[some, : kept[1].shape[1]] = kept[1].numpy()
    table.flush()
    return ImageTexts(folder)
