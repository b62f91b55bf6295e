"""The stage in a plain loop: rows in memory order to a finished dataset, in one process.

The Beam job writes the same files shard by shard; this is for small data, benchmarks and tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from publishing.chains import chain_rows
from publishing.config import PublishConfig
from publishing.dataset_writer import Fetch, sort_key, write_file
from publishing.description import Description, Facts, PublishedFile
from publishing.documents import documents
from publishing.faces import publishing_fetch
from publishing.finish import StagedFile, replace_dataset
from publishing.layout import TEXT_ROW, Estimate, StoredBytes, chain_bytes, empty_file, plan_files
from publishing.statistics import DatasetStatistics
from publishing.tombstones import Tombstones
from schemas.published import SPLITS, Configuration
from schemas.storage import Folder


def publish_rows(
    target: Folder,
    scratch: Folder,
    splits: Mapping[str, Sequence[Mapping[str, Any]]],
    images: Mapping[str, Sequence[Mapping[str, Any]]],
    fetch: Fetch,
    *,
    owner: str,
    facts: Facts,
    config: PublishConfig | None = None,
    funnel: Mapping[str, Any] | None = None,
    tombstones: Tombstones | None = None,
) -> Description:
    """Publish triplets (split → rows of `verified`) and images (split → rows `image_id`, `url`, `license`).

    Files are first written to `scratch` (on the filesystem of `target`), then `target` is replaced at once.
    """
    config = config or PublishConfig()
    fetch = publishing_fetch(fetch, config.blur_faces)
    statistics = DatasetStatistics()
    for split in SPLITS:
        statistics.add_all(split, splits.get(split, ()))
    about = Description(owner, config, facts, (), statistics, funnel or {"stages": []})
    staged: list[StagedFile] = []
    ordered: dict[str, Mapping[str, Sequence[Mapping[str, Any]]]] = {
        "images": {split: sorted(rows, key=lambda row: str(row["image_id"])) for split, rows in images.items()}
    }
    triplets = {split: sorted(rows, key=sort_key) for split, rows in splits.items()}
    if config.chains is not None:
        ordered["chains"] = {split: list(chain_rows(rows, config.chains)) for split, rows in triplets.items()}
        for row in (row for split in SPLITS for row in ordered["chains"].get(split, ())):
            statistics.add_chain(row)
    for configuration in about.configurations:
        staged += _write(scratch, configuration, ordered.get(configuration.name, triplets), fetch, config)
    files = tuple(one.file for one in staged)
    about = Description(owner, config, facts, files, statistics, about.funnel)
    replace_dataset(target, owner, staged, documents(about, tombstones or Tombstones()))
    return about


def _write(
    scratch: Folder,
    configuration: Configuration,
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    fetch: Fetch,
    config: PublishConfig,
) -> Iterable[StagedFile]:
    name = configuration.name
    estimates = [
        Estimate(split, split, len(rows.get(split, ())), _size(configuration, rows.get(split, ()), fetch))
        for split in SPLITS
    ]
    planned = [
        (one.name, one.split, [row for part in one.parts for row in rows[part.shard][part.start : part.stop]])
        for one in plan_files(configuration.folder, estimates, config.target_bytes)
    ] or [(empty_file(configuration.folder), "train", [])]
    for file, split, chosen in planned:
        written = write_file(scratch, file, configuration, chosen, fetch, config)
        published = PublishedFile(name, split, file, written.rows, written.bytes, written.digest, written.blurred)
        yield StagedFile(scratch.at(file), published)


def _size(configuration: Configuration, rows: Sequence[Mapping[str, Any]], fetch: Fetch) -> int:
    if configuration.name == "chains":
        return chain_bytes(sum(len(row["triplet_ids"]) for row in rows))
    if not configuration.image_columns or not rows:
        return TEXT_ROW * len(rows)
    if configuration.name == "images":
        return sum(len(fetch([row["image_id"]])[row["image_id"]]) for row in rows)
    named = sorted({row[key] for row in rows for key in ("query_image_id", "target_image_id")})
    sizes = {one: len(fetch([one])[one]) for one in named}
    stored = StoredBytes()
    return sum(stored.of_row(row, sizes) for row in rows)
