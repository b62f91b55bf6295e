"""Writing a fingerprint file from what was made of a benchmark's images and texts."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mining.decontamination.cells import centres, nearest_cells
from mining.decontamination.config import FingerprintConfig
from mining.decontamination.file_format import GROUP_GRAMS, GROUP_IMAGES, SCHEMA, FingerprintInfo, schema_of
from mining.decontamination.variants import NAMES
from schemas.storage import Folder

_NO_SKETCHES = np.zeros((0, 0), np.int8)


@dataclass(frozen=True)
class Origin:
    """Of what and how fingerprints were made. `image_model`: NAME@REVISION."""

    benchmark: str
    image_model: str
    settings: FingerprintConfig
    max_pixels: int


@dataclass
class ImagePrints:
    """Fingerprints of images in the order in which they came: names, hashes of their variants one after another,
    sketches int8 (k, d) of batches; and how many were left out for which reason."""

    names: list[str] = field(default_factory=list)
    hashes: array[int] = field(default_factory=lambda: array("Q"))
    sketches: list[npt.NDArray[np.int8]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass
class TextPrints:
    """Distinct n-grams of texts, sorted: uint64 (k); how many texts gave some, how many are too short, and which files
    could not be read for which reason."""

    grams: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    texts: int = 0
    short: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)


def write_fingerprints(output: str, about: Origin, images: ImagePrints, texts: TextPrints) -> FingerprintInfo:
    """Write a fingerprint file to a path or an address. Images are sorted by cell, then by name, whatever the order in
    which they came within a cell; equal fingerprints give equal bytes."""
    by_name = np.array(sorted(range(len(images.names)), key=images.names.__getitem__), np.int64)
    matrix = (np.concatenate(images.sketches) if images.sketches else _NO_SKETCHES)[by_name]
    hashes = np.frombuffer(images.hashes, np.uint64).reshape(-1, len(NAMES))[by_name]
    names = [images.names[row] for row in by_name]
    cells = centres(matrix, max(1, len(matrix) // about.settings.cell_images))
    info = FingerprintInfo(
        benchmark=about.benchmark,
        image_model=about.image_model,
        variants=NAMES,
        settings=about.settings,
        max_pixels=about.max_pixels,
        images=len(names),
        left_out=dict(sorted(images.left_out.items())),
        texts=texts.texts,
        short_texts=texts.short,
        unreadable=dict(sorted(texts.unreadable.items())),
        cells=len(cells),
        grams=len(texts.grams),
    )
    schema = schema_of(info)
    parent, _, name = output.rpartition("/")
    with Folder(parent or ".").parquet_writer(name, schema) as writer:
        for rows in chain(_image_rows(names, hashes, matrix, cells), _gram_rows(texts.grams)):
            writer.write_table(rows.replace_schema_metadata(schema.metadata))
    return info


def _image_rows(
    names: list[str], hashes: npt.NDArray[np.uint64], matrix: npt.NDArray[np.int8], cells: npt.NDArray[np.int8]
) -> Iterator[pa.Table]:
    if not names:
        return
    yield _rows("cell", len(cells), cell=range(len(cells)), sketch=[row.tobytes() for row in cells])
    homes = nearest_cells(matrix, cells, 1)[:, 0]
    order = np.argsort(homes, kind="stable")
    for start in range(0, len(order), GROUP_IMAGES):
        chosen = order[start : start + GROUP_IMAGES]
        yield _rows(
            "image",
            len(chosen),
            name=[names[row] for row in chosen],
            cell=homes[chosen],
            hashes=list(hashes[chosen]),
            sketch=[matrix[row].tobytes() for row in chosen],
        )


def _gram_rows(grams: npt.NDArray[np.uint64]) -> Iterator[pa.Table]:
    for start in range(0, len(grams), GROUP_GRAMS):
        chosen = grams[start : start + GROUP_GRAMS]
        yield _rows("gram", len(chosen), gram=chosen)


def _rows(kind: str, count: int, **columns: Any) -> pa.Table:
    """Rows of one kind; columns that are not given are null."""
    given = {"kind": [kind] * count} | columns
    arrays = [pa.array(given[one.name], one.type) if one.name in given else pa.nulls(count, one.type) for one in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)
