"""Take-down: rows and images of an owner leave a published dataset, and tombstones keep them away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from publishing.dataset_reader import row_groups, rows
from publishing.dataset_writer import write_tables
from publishing.description import Description, PublishedFile, numbered, read_description
from publishing.documents import documents
from publishing.finish import StagedFile, beside, discard, replace_dataset, sweep
from publishing.statistics import DatasetStatistics
from publishing.tombstones import Tombstones, add_tombstones, parse_tombstones, read_tombstones
from schemas.errors import ConfigurationError
from schemas.published import CONFIGURATIONS
from schemas.storage import Folder

_KEYS = (
    "triplet_id",
    "page_url",
    "target_page_url",
    "query_image_id",
    "target_image_id",
    "query_image_url",
    "target_image_url",
    "hard_negatives",
)
#: Columns by which a row of a configuration stays or leaves, where they are not those of triplets.
_COLUMNS = {"images": ("image_id",), "chains": ("images", "triplet_ids")}
_IMAGE_ID = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class TakenDown:
    """What a take-down did: triplets and images that left, mentions that left lists of hard negatives, parquet
    files that were written again, and chains that named what left."""

    triplets: int
    images: int
    hard_negatives: int
    files: int
    chains: int = 0


@dataclass
class _Affected:
    """What leaves a dataset, and where it stands."""

    tombstones: Tombstones
    images: set[str]
    files: set[str]
    triplets: int = 0
    mentions: int = 0
    held_images: int = 0
    chains: int = 0
    #: Triplets that leave, kept where chains may name them.
    triplet_ids: set[str] = field(default_factory=set)

    def covers_chain(self, row: Mapping[str, Any]) -> bool:
        """Whether a chain leaves: one of its triplets does, or one of its images."""
        return not (self.triplet_ids.isdisjoint(row["triplet_ids"]) and self.images.isdisjoint(row["images"]))

    def covers(self, row: Mapping[str, Any]) -> bool:
        """Whether a triplet leaves: one of its pages, or one of its images."""
        named = (row["query_image_id"], row["target_image_id"])
        return any(one in self.tombstones.image_ids for one in named) or self.tombstones.covers_pages(row)


def read_list(path: Path) -> Tombstones:
    """Tombstones of a list file: one address, host name or image id (64 hex digits) a line, `#` begins a comment; or
    the `tombstones.json` of another dataset."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the list {path}: {error}") from error
    if text.lstrip().startswith("{"):
        return parse_tombstones(text, str(path))
    return tombstones_of(line for line in text.splitlines() if not line.lstrip().startswith("#"))


def tombstones_of(entries: Iterable[str]) -> Tombstones:
    """Tombstones of addresses (with `://` or a path), host names and image ids, told apart by their form. Raises
    ConfigurationError for what is none of them."""
    urls, hosts, image_ids = [], [], []
    for entry in (entry.strip() for entry in entries):
        if _IMAGE_ID.fullmatch(entry):
            image_ids.append(entry.lower())
        elif "/" in entry or entry.startswith("data:"):
            urls.append(entry)
        elif entry:
            hosts.append(entry)
    return Tombstones.of(urls, hosts, image_ids)


def honour(tombstones: Tombstones, row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A triplet as a later publication may show it: None if it was taken down, else without taken-down negatives."""
    if not tombstones:
        return row
    if tombstones.covers_triplet(row):
        return None
    kept = [one for one in row["hard_negatives"] or () if one not in tombstones.image_ids]
    return row if kept == row["hard_negatives"] else {**row, "hard_negatives": kept}


def take_down(target: Folder, more: Tombstones, work: Folder | None = None) -> TakenDown:
    """Remove from the dataset in `target` what `more` covers, and leave tombstones in it and in `work` (a run's
    `_work`), which later publications honour.

    Triplets whose page, query or target address matches leave, and chains with them; images with a matching address
    leave wherever they are named, and so do images that nothing names any more. Parquet files that change are written
    again, and card, Croissant, funnel and manifest follow; the dataset is replaced at once (`replace_dataset`): a kill
    leaves the old one or the new one. Memory grows with what is taken down, not with the dataset.
    """
    # What a killed take-down left beside the dataset may hold the very images that are to go.
    sweep(target, "scratch")
    sweep(target, "staged")
    about = read_description(target)
    tombstones = read_tombstones(target) | more
    affected = _find(target, about, tombstones)
    tombstones = affected.tombstones
    if work is not None:
        # Before the dataset changes: a kill in between must not let a later publication bring back what is here.
        add_tombstones(work, tombstones)
    scratch = beside(target, "scratch")
    try:
        staged, statistics = _rewrite(target, about, affected, scratch)
        after = replace(
            about,
            files=tuple(one.file for one in staged),
            statistics=statistics,
            funnel=_funnel(about, affected),
        )
        replace_dataset(target, about.owner, staged, documents(after, tombstones))
    finally:
        discard(scratch)
    return TakenDown(affected.triplets, affected.held_images, affected.mentions, len(affected.files), affected.chains)


def _find(target: Folder, about: Description, tombstones: Tombstones) -> _Affected:
    """What the tombstones cover: first the images, by the addresses of rows and of `images`, then all that names
    them, then the images that nothing names any more."""
    gone: set[str] = set()
    for row in rows(target, about, "ids", columns=_KEYS):
        gone |= tombstones.images_of(row)
    for row in rows(target, about, "images", columns=("image_id", "url")):
        if tombstones.covers_image(row["image_id"], row["url"]):
            gone.add(row["image_id"])
    tombstones |= Tombstones(image_ids=frozenset(gone))
    affected = _Affected(tombstones, set(gone), set())
    orphans: set[str] = set()
    for row in rows(target, about, "ids", columns=_KEYS):
        if affected.covers(row):
            affected.triplets += 1
            if about.config.chains is not None:
                affected.triplet_ids.add(row["triplet_id"])
            orphans.update(_named(row))
        else:
            affected.mentions += sum(one in tombstones.image_ids for one in row["hard_negatives"] or ())
    for row in rows(target, about, "ids", columns=_KEYS) if orphans else ():
        if not affected.covers(row):
            orphans.difference_update(_named(row))
    affected.images |= orphans
    affected.files = {one.name for one in about.files if _changes(target, one, affected)}
    affected.chains = sum(map(affected.covers_chain, rows(target, about, "chains", columns=_COLUMNS["chains"])))
    held = rows(target, about, "images", columns=("image_id",))
    affected.held_images = sum(row["image_id"] in affected.images for row in held)
    return affected


def _named(row: Mapping[str, Any]) -> set[str]:
    return {row["query_image_id"], row["target_image_id"], *(row["hard_negatives"] or ())}


def _changes(target: Folder, file: PublishedFile, affected: _Affected) -> bool:
    for group in row_groups(target, file, _COLUMNS.get(file.configuration, _KEYS)):
        for row in group.to_pylist():
            if file.configuration == "images":
                if row["image_id"] in affected.images:
                    return True
            elif file.configuration == "chains":
                if affected.covers_chain(row):
                    return True
            elif affected.covers(row) or not affected.tombstones.image_ids.isdisjoint(row["hard_negatives"] or ()):
                return True
    return False


def _rewrite(
    target: Folder, about: Description, affected: _Affected, scratch: Folder
) -> tuple[list[StagedFile], DatasetStatistics]:
    """The files of the dataset as they will be, unchanged ones where they are, and the statistics of what is left."""
    sources, files, statistics = {}, [], DatasetStatistics()
    for one in about.files:
        sources[one.name], after = target.at(one.name), one
        if one.name in affected.files:
            groups = _left(target, one, affected)
            written = write_tables(scratch, one.name, CONFIGURATIONS[one.configuration], groups)
            sources[one.name] = scratch.at(one.name)
            after = replace(one, rows=written.rows, bytes=written.bytes, digest=written.digest, blurred=written.blurred)
        files.append(after)
        place = scratch if one.name in affected.files else target
        if one.configuration == "ids":
            for group in row_groups(place, one):
                statistics.add_all(one.split, group.to_pylist())
        elif one.configuration == "chains":
            for group in row_groups(place, one, ("triplet_ids",)):
                for row in group.to_pylist():
                    statistics.add_chain(row)
    folders = {one.name: one.folder for one in about.configurations}
    staged = [StagedFile(sources[old], file) for old, file in numbered(files, folders).items()]
    return staged, statistics


def _left(target: Folder, file: PublishedFile, affected: _Affected) -> Iterator[pa.Table]:
    """What is left of each row group of a file."""
    schema = CONFIGURATIONS[file.configuration].schema
    for stored in row_groups(target, file):
        group = _with_all_columns(stored, schema)
        if file.configuration == "images":
            keep = [one not in affected.images for one in group["image_id"].to_pylist()]
        elif file.configuration == "chains":
            keep = [not affected.covers_chain(row) for row in group.select(_COLUMNS["chains"]).to_pylist()]
        else:
            keep = [not affected.covers(row) for row in group.select(_KEYS).to_pylist()]
        left = group.filter(pa.array(keep, pa.bool_()))
        if file.configuration not in _COLUMNS:
            place = left.schema.get_field_index("hard_negatives")
            gone = affected.tombstones.image_ids
            lists = [[one for one in ids or () if one not in gone] for ids in left["hard_negatives"].to_pylist()]
            left = left.set_column(place, left.schema.field(place), pa.array(lists, left.schema.field(place).type))
        if left.num_rows:
            yield left


def _with_all_columns(group: pa.Table, schema: pa.Schema) -> pa.Table:
    """A row group with the columns that came after the version that wrote it, null in every row."""
    for place, column in enumerate(schema):
        if column.name not in group.column_names:
            group = group.add_column(place, column, pa.nulls(group.num_rows, column.type))
    return group


def _funnel(about: Description, affected: _Affected) -> dict[str, Any]:
    """The funnel with the stage `take_down`: all take-downs of the dataset together, one entry a unit."""
    stages = [entry for entry in about.funnel.get("stages", ()) if entry["stage"] != "take_down"]
    before = {entry["unit"]: entry for entry in about.funnel.get("stages", ()) if entry["stage"] == "take_down"}
    for unit, held, removed in (
        ("image", about.images, affected.held_images),
        ("triplet", about.triplets, affected.triplets),
    ):
        gone = removed + before.get(unit, {"rejected": {}})["rejected"].get("taken_down", 0)
        came = before.get(unit, {"in": held})["in"]
        rejected = {"taken_down": gone} if gone else {}
        entry = {"stage": "take_down", "unit": unit, "in": came, "kept": came - gone, "rejected": rejected}
        stages.append(entry | {"failed": {}, "deferred": 0, "out": {unit: came - gone}})
    return {**about.funnel, "stages": stages}
