"""What `lensmith select` compares triplets by: features of their images or texts, from a run, a model or a file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs.tables import batches
from beam_jobs.workspace import Workspace
from lensmith.image_features import image_features
from mining.annotation import AnnotateConfig, load_text_encoder
from mining.sketches import sketches
from publishing.dataset_reader import rows as rows_of
from publishing.description import Description
from publishing.selection.vectors import WIDTH, pair_vectors, projected
from schemas.errors import ConfigurationError
from schemas.protocols import Float32Array
from schemas.storage import Folder

_TEXTS = 4096
_IMAGES = 512
#: Columns whose texts say what a triplet is about.
TEXT_COLUMNS = ("instruction", "target_text")


def of_run(rows: pa.Table, run: Workspace) -> Float32Array | None:
    """Vectors from the sketches that the run's annotation made; None where it lacks an image (or has no sketches)."""
    wanted = _named(rows)
    ids: list[str] = []
    parts: list[Float32Array] = []
    for manifest in run.manifests("annotate_images", run.in_force("annotate_images")):
        for batch in batches(run, manifest.files.get("annotations", ()), ("image_id", "sketch")):
            kept = batch.filter(pc.is_in(batch.column("image_id"), value_set=wanted))
            if kept.num_rows:
                ids += kept.column("image_id").to_pylist()
                parts.append(projected(_sketches(kept.column("sketch"))))
    if len(set(ids)) < len(wanted) or len({one.shape[1] for one in parts}) != 1:
        return None
    return pair_vectors(rows, *_sorted(ids, np.concatenate(parts)))


def of_images(rows: pa.Table, dataset: Folder, about: Description, config: AnnotateConfig) -> Float32Array:
    """Vectors by the image model of annotation, from the image files of the dataset's split train."""
    wanted = set(_named(rows).to_pylist())
    ids: list[str] = []
    parts: list[Float32Array] = []
    for files in _files(dataset, about, wanted):
        found = image_features(files, config)
        ids += found
        # By way of sketches, so that a dataset has the same vectors within its run and without it.
        parts.append(projected(sketches(np.stack(list(found.values())))))
    if not parts:
        return np.zeros((0, 2 * WIDTH), np.float32)
    return pair_vectors(rows, *_sorted(ids, np.concatenate(parts)))


def of_texts(rows: pa.Table, config: AnnotateConfig) -> Float32Array:
    """Vectors of instruction and target text by the text model of annotation."""
    encoder = load_text_encoder(config)
    result = np.zeros((rows.num_rows, min(encoder.dimension, 2 * WIDTH)), np.float32)
    for start in range(0, rows.num_rows, _TEXTS):
        part = rows.select(TEXT_COLUMNS).slice(start, _TEXTS).to_pylist()
        texts = [". ".join(one[name] for name in TEXT_COLUMNS if one[name]) for one in part]
        result[start : start + len(texts)] = projected(encoder.encode(texts), 2 * WIDTH)
    return result


def of_file(rows: pa.Table, path: Path) -> Float32Array:
    """Vectors of one's own: an `.npz` with `gallery_ids` (image ids, m) and `gallery_embeddings` (m × d). Raises
    ConfigurationError."""
    try:
        with np.load(path, allow_pickle=False) as held:
            ids, vectors = held["gallery_ids"].astype(str), held["gallery_embeddings"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ConfigurationError(
            f"--features {path} cannot be read ({error}): give images, texts, none, or an .npz with gallery_ids and "
            "gallery_embeddings."
        ) from error
    if vectors.ndim != 2 or len(vectors) != len(ids) or len(np.unique(ids)) != len(ids):
        raise ConfigurationError(f"{path} must hold gallery_embeddings (m × d) and m distinct gallery_ids.")
    return pair_vectors(rows, *_sorted(ids.tolist(), projected(vectors)))


def _named(rows: pa.Table) -> pa.Array:
    """Ids of the images that rows name, sorted."""
    sides = [rows[name].combine_chunks() for name in ("query_image_id", "target_image_id")]
    arrays = [one if isinstance(one, pa.Array) else pa.concat_arrays(one.chunks) for one in sides]
    return pa.array(sorted(pa.concat_arrays(arrays).unique().to_pylist()), pa.string())


def _sorted(ids: list[str], vectors: Float32Array) -> tuple[pa.Array, Float32Array]:
    """Distinct ids in order with their vectors: the order of shards changes nothing."""
    distinct, first = np.unique(np.array(ids), return_index=True)
    return pa.array(distinct.tolist(), pa.string()), vectors[first]


def _sketches(column: pa.Array) -> npt.NDArray[np.int8]:
    return np.stack([np.frombuffer(one, np.int8) for one in column.to_pylist()])


def _files(dataset: Folder, about: Description, wanted: set[str]) -> Iterator[list[tuple[str, bytes]]]:
    """Image files in parts."""
    part: list[tuple[str, bytes]] = []
    for row in rows_of(dataset, about, "images", "train", ("image_id", "image")):
        if row["image_id"] in wanted:
            part.append((row["image_id"], row["image"]["bytes"]))
        if len(part) >= _IMAGES:
            yield part
            part = []
    if part:
        yield part
