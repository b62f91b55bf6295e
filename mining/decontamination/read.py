"""Reading fingerprint files, piece by piece, and refusing what is none or would be compared with other models."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from mining.decontamination.config import DecontaminationConfig
from mining.decontamination.file_format import VERSION, FingerprintInfo, info_of
from mining.decontamination.variants import NAMES
from schemas.errors import ConfigurationError
from schemas.storage import file_digest, filesystem


@dataclass(frozen=True)
class ImageGroup:
    """Some of a benchmark's images in their order: names (n), cells int32 (n) ascending, hashes of their variants
    uint64 (n, v), sketches int8 (n, d)."""

    names: pa.Array
    cells: npt.NDArray[np.int32]
    hashes: npt.NDArray[np.uint64]
    sketches: npt.NDArray[np.int8]


@dataclass(frozen=True)
class FingerprintFile:
    """One fingerprint file, of which nothing is held but what it says of itself."""

    path: str
    info: FingerprintInfo

    def cells(self) -> npt.NDArray[np.int8]:
        """Centres of the cells of like features: int8 (c, d)."""
        for table in self._groups("cell", ["kind", "sketch"]):
            return _sketches(table)
        return np.zeros((0, 0), np.int8)

    def image_groups(self) -> Iterator[ImageGroup]:
        """The images, one row group in memory at a time."""
        for table in self._groups("image", ["kind", "name", "cell", "hashes", "sketch"]):
            hashes = table.column("hashes").combine_chunks().flatten().to_numpy()
            yield ImageGroup(
                table.column("name").combine_chunks(),
                table.column("cell").to_numpy(),
                hashes.reshape(table.num_rows, len(self.info.variants)),
                _sketches(table),
            )

    def grams(self) -> npt.NDArray[np.uint64]:
        """The n-grams of its texts, sorted: uint64 (k)."""
        parts = [table.column("gram").to_numpy() for table in self._groups("gram", ["kind", "gram"])]
        return np.concatenate(parts) if parts else np.zeros(0, np.uint64)

    def _groups(self, kind: str, columns: list[str]) -> Iterator[pa.Table]:
        fs, root = filesystem(self.path)
        with fs.open(root, "rb") as source, pq.ParquetFile(source, pre_buffer=False) as parquet:
            for number in range(parquet.num_row_groups):
                if parquet.metadata.row_group(number).column(0).statistics.min == kind:
                    yield parquet.read_row_group(number, columns=columns)


def _sketches(table: pa.Table) -> npt.NDArray[np.int8]:
    joined = b"".join(table.column("sketch").to_pylist())
    return np.frombuffer(joined, np.int8).reshape(table.num_rows, -1)


def open_fingerprints(path: str, image_model: str | None = None) -> FingerprintFile:
    """A fingerprint file. Raises ConfigurationError where it is missing, none, of another version of the format, or
    holds images that were looked at by another model than `image_model` (`NAME@REVISION`; None does not ask)."""
    fs, root = filesystem(path)
    again = f"make it with `lensmith fingerprint FOLDER --output {path}`."
    try:
        with fs.open(root, "rb") as source, pq.ParquetFile(source, pre_buffer=False) as parquet:
            found = info_of(parquet.schema_arrow)
    except FileNotFoundError as error:
        raise ConfigurationError(f"there is no fingerprint file {path}: {again}") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise ConfigurationError(f"{path} is no fingerprint file, or is broken: {again}") from error
    if found is None:
        raise ConfigurationError(f"{path} is no fingerprint file: {again}")
    if found.get("version") != VERSION or found.get("variants") != list(NAMES):
        raise ConfigurationError(
            f"{path} has version {found.get('version')} of fingerprint files, this is version {VERSION}: {again}"
        )
    try:
        info = FingerprintInfo(**found)
    except ValidationError as error:
        raise ConfigurationError(f"{path} is no fingerprint file that can be read: {again}") from error
    if image_model is not None and info.images and info.image_model != image_model:
        raise ConfigurationError(
            f"{path} was made with the image model {info.image_model}, the crawl's images were looked at by "
            f"{image_model}: make it again with the settings of the run (--preset, --config)."
        )
    return FingerprintFile(path, info)


def absolute_files(config: DecontaminationConfig) -> DecontaminationConfig:
    """The settings with paths that hold wherever the work is done."""
    files = [path if "://" in path else os.path.abspath(path) for path in config.files]
    return config.model_copy(update={"files": tuple(files)})


def digests_of_files(config: DecontaminationConfig) -> list[str]:
    """Hex SHA-256 of each fingerprint file. Raises ConfigurationError as `open_fingerprints` does."""
    digests = []
    for path in config.files:
        fs, root = filesystem(open_fingerprints(path).path)
        with fs.open(root, "rb") as source:
            digests.append(file_digest(source.read)[0])
    return digests
