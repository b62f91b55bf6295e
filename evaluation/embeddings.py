"""Embeddings as a file: query and gallery ids with one float32 vector each, as npz or parquet.

`query_ids`, `query_embeddings`, `gallery_ids`, `gallery_embeddings`; the query arrays may be left out. Optional beside
them, one row a query: `query_text_embeddings` and `query_image_embeddings`, queries of which only one half was embedded
(the controls, and what composers make queries of: then `query_embeddings` may be left out). Some composers
take more (`EXTRAS`). In parquet these are columns: the shorter ones are padded with nulls at the end, or all of them
stand as lists in one row.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import ConfigurationError
from schemas.protocols import Float32Array

#: Optional arrays of a file, and the controls that they are.
CONTROLS = {"query_text_embeddings": "text only", "query_image_embeddings": "image only"}

#: Optional arrays of composers: the text of the reference alone (n, d), captions of the gallery (m, captions, d).
EXTRAS = ("query_reference_text_embeddings", "gallery_caption_embeddings")

_ARRAYS = ("query_ids", "query_embeddings", "gallery_ids", "gallery_embeddings", *CONTROLS, *EXTRAS)
_MAPPED_BYTES = 1 << 26
_ROWS = 1 << 14


@dataclass(frozen=True)
class Embeddings:
    """Ids and vectors: queries float32 (n, d), gallery float32 (m, d), controls by name, each (n, d), and `EXTRAS`."""

    query_ids: tuple[str, ...]
    queries: Float32Array
    gallery_ids: tuple[str, ...]
    gallery: Float32Array
    controls: Mapping[str, Float32Array] = field(default_factory=dict)
    extras: Mapping[str, Float32Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_rows("query", self.query_ids, self.queries)
        _check_rows("gallery", self.gallery_ids, self.gallery)
        for name, vectors in self.controls.items():
            _check_rows(f"{name} query", self.query_ids, vectors)
        for name, vectors in self.extras.items():
            ids, kind = (self.gallery_ids, "gallery") if name.startswith("gallery") else (self.query_ids, "query")
            _check_rows(f"{kind} ({name})", ids, vectors)
        for name, vectors in (("query", self.queries), *self.controls.items()):
            if len(vectors) and len(self.gallery) and vectors.shape[1] != self.gallery.shape[1]:
                raise ConfigurationError(
                    f"the {name} embeddings have {vectors.shape[1]} dimensions, the gallery's {self.gallery.shape[1]}: "
                    "embed both with one model."
                )


def shown(ids: Iterable[str], limit: int = 5) -> str:
    """Ids as a message names them: the first few, and how many more."""
    found = list(ids)
    names = ", ".join(repr(one) for one in found[:limit])
    return names if len(found) <= limit else f"{names} and {len(found) - limit} more"


def read_embeddings(path: Path, composed: bool = False) -> Embeddings:
    """Read an .npz or .parquet file; no pickles. Large uncompressed arrays are mapped, not read.

    With `composed` the queries are still to be made of the other arrays: `query_embeddings` is not looked at.

    Raises ConfigurationError, naming the ids, for ids that repeat, rows without id or ids without row, vectors of
    another length, and vectors that hold NaN or infinity.
    """
    try:
        arrays = _read_parquet(path) if path.suffix == ".parquet" else _read_npz(path)
    except OSError as error:
        raise ConfigurationError(f"cannot read the embeddings {path}: {error.strerror or error}.") from error
    missing = [name for name in ("gallery_ids", "gallery_embeddings") if name not in arrays]
    if missing:
        raise ConfigurationError(f"{path} has no {' and no '.join(missing)}: the arrays are {', '.join(_ARRAYS)}.")
    gallery = _vectors(path, "gallery_embeddings", arrays["gallery_embeddings"])
    empty = np.zeros((0, gallery.shape[1]), np.float32)
    halves = next((name for name in CONTROLS if name in arrays), "query_embeddings")
    queries = arrays.get(halves if composed else "query_embeddings")
    return Embeddings(
        query_ids=_ids(path, "query_ids", arrays.get("query_ids", np.zeros(0, np.str_))),
        queries=empty if queries is None or not len(queries) else _vectors(path, "query_embeddings", queries),
        gallery_ids=_ids(path, "gallery_ids", arrays["gallery_ids"]),
        gallery=gallery,
        controls={label: _vectors(path, name, arrays[name]) for name, label in CONTROLS.items() if name in arrays},
        extras={name: _extra(path, name, arrays[name]) for name in EXTRAS if name in arrays},
    )


def _read_npz(path: Path) -> dict[str, Any]:
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if name in _ARRAYS:
                    arrays[name] = _member(path, archive, info)
    except zipfile.BadZipFile as error:
        raise ConfigurationError(f"{path} is no .npz file: write it with numpy.savez, or give a .parquet.") from error
    except (ValueError, EOFError) as error:
        raise ConfigurationError(
            f"{path} cannot be read without pickle ({error}): save ids as numpy.array(ids, dtype=str)."
        ) from error
    return arrays


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Any:
    """One array; mapped where it is large and stored as it is."""
    with archive.open(info) as source:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size < _MAPPED_BYTES:
            return np.lib.format.read_array(source, allow_pickle=False)
        version = np.lib.format.read_magic(source)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(source)
        if dtype.hasobject:
            raise ValueError("an array of objects")
        within = source.tell()
    with path.open("rb") as source:
        source.seek(info.header_offset + 26)
        lengths = np.frombuffer(source.read(4), "<u2")
    # The local header is 30 bytes, the name and the extra field; then the member as it is.
    offset = info.header_offset + 30 + int(lengths.sum()) + within
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def _read_parquet(path: Path) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            table = file.read([name for name in file.schema_arrow.names if name in _ARRAYS])
    except pa.ArrowInvalid as error:
        raise ConfigurationError(f"{path} is no parquet file: {error}.") from error
    arrays: dict[str, Any] = {}
    for name in table.column_names:
        column = _unnested(table[name].combine_chunks().drop_null(), 1 if name.endswith("_ids") else 2)
        if name.endswith("_ids"):
            arrays[name] = np.array([str(one) for one in column.to_pylist()], dtype=np.str_)
        else:
            arrays[name] = _matrix(path, name, column, arrays.get(name.replace("embeddings", "ids")))
    return arrays


def _unnested(column: Any, depth: int) -> Any:
    """A column of cells, where all of them may stand as one list in one row."""
    import pyarrow as pa

    nested, kind = 1, column.type
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        nested, kind = nested + 1, kind.value_type
    return column.flatten() if nested > depth else column


def _matrix(path: Path, name: str, column: Any, ids: Any) -> Float32Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type) or _fixed(column.type)):
        raise ConfigurationError(f"{path}: the column {name} holds no lists of numbers.")
    if not len(column):
        return np.zeros((0, 0), np.float32)
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    odd = np.flatnonzero(lengths != lengths[0])
    if len(odd):
        names = [str(ids[row]) if ids is not None and row < len(ids) else f"row {row}" for row in odd]
        raise ConfigurationError(
            f"{path}: vectors of {name} have another length than the first ({lengths[0]}): {shown(names)}."
        )
    values = column.flatten().to_numpy(zero_copy_only=False)
    return values.astype(np.float32, copy=False).reshape(len(column), lengths[0])


def _fixed(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_fixed_size_list(kind))


def _ids(path: Path, name: str, array: npt.NDArray[Any]) -> tuple[str, ...]:
    if array.ndim != 1:
        raise ConfigurationError(f"{path}: {name} has the shape {array.shape}, it must have one dimension.")
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    elif array.dtype.kind not in "Uiu" and array.size:
        raise ConfigurationError(f"{path}: {name} holds {array.dtype}, it must hold strings.")
    return tuple(str(one) for one in array.tolist())


def _extra(path: Path, name: str, array: npt.NDArray[Any]) -> Float32Array:
    if name != "gallery_caption_embeddings":
        return _vectors(path, name, array)
    if array.ndim != 3:
        raise ConfigurationError(f"{path}: {name} has the shape {array.shape}, it must be images × captions × d (npz).")
    flat = _vectors(path, name, array.reshape(-1, array.shape[2]))
    return flat.reshape(array.shape)


def _vectors(path: Path, name: str, array: npt.NDArray[Any]) -> Float32Array:
    if array.ndim != 2:
        raise ConfigurationError(f"{path}: {name} has the shape {array.shape}, it must be one row a vector.")
    if array.dtype.kind not in "fiu":
        raise ConfigurationError(f"{path}: {name} holds {array.dtype}, it must hold float32.")
    with np.errstate(over="ignore"):
        return array if array.dtype == np.float32 else array.astype(np.float32)


def _check_rows(kind: str, ids: Sequence[str], vectors: Float32Array) -> None:
    """One finite vector for each id, each id once; else ConfigurationError that names the ids."""
    if len(ids) != len(vectors):
        beyond = f"; ids without a vector: {shown(ids[len(vectors) :])}" if len(ids) > len(vectors) else ""
        raise ConfigurationError(f"there are {len(ids)} {kind} ids and {len(vectors)} {kind} embeddings{beyond}.")
    if len(set(ids)) != len(ids):
        seen: set[str] = set()
        twice = dict.fromkeys(one for one in ids if one in seen or seen.add(one))  # type: ignore[func-returns-value]
        raise ConfigurationError(f"{kind} ids stand more than once: {shown(twice)}.")
    bad: list[str] = []
    for start in range(0, len(vectors), _ROWS):
        finite = np.isfinite(vectors[start : start + _ROWS]).all(axis=tuple(range(1, vectors.ndim)))
        bad.extend(ids[start + int(row)] for row in np.flatnonzero(~finite))
    if bad:
        raise ConfigurationError(f"{kind} embeddings hold NaN or infinity: {shown(bad)}.")
