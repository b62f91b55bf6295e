"""A selection as a dataset of its own: chosen training rows, their images, and the other splits as they are."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from publishing.dataset_reader import row_groups
from publishing.dataset_writer import write_file
from publishing.description import MANIFEST, Description, PublishedFile
from publishing.documents import documents
from publishing.finish import StagedFile, beside, discard, replace_dataset, sweep
from publishing.layout import Estimate, plan_files
from publishing.selection.about import with_selection
from publishing.statistics import DatasetStatistics
from publishing.tombstones import read_tombstones
from schemas.ids import canonical_json, digest
from schemas.published import CHAINS, Configuration
from schemas.storage import Folder

TRAIN = "train"
#: Images of so many rows are at hand while they are written: the writer asks for some rows ahead.
_AHEAD = 256
_IMAGES = {"query_image": "query_image_id", "target_image": "target_image_id", "image": "image_id"}

Keep = Callable[[pa.Table], pa.Array]


def write_selection(
    source: Folder,
    about: Description,
    target: Folder,
    chosen: Sequence[str],
    facts: Mapping[str, Any],
    extra: Mapping[str, bytes] | None = None,
) -> Description:
    """Write the dataset of the chosen training triplets (their ids) to `target`, which is absent or empty, at once.

    Triplets keep their order, images are those that a chosen triplet or a hard negative names, files and row groups
    are cut anew. Files of other splits are taken as they are, and tombstones stay. `facts` (settings, counts) go into
    the card and the manifest, `extra` are further documents. Memory is a row group, the chosen ids and the images' ids.
    """
    sweep(target, "scratch")
    wanted = pa.array(sorted(chosen), pa.string())
    images = _named(source, about, wanted)
    scratch = beside(target, "scratch")
    try:
        staged: list[StagedFile] = []
        for configuration in about.configurations:
            keep = _among("image_id", images) if configuration.name == "images" else _among("triplet_id", wanted)
            if configuration is CHAINS:
                keep = _all_among("triplet_ids", wanted)
            files = about.of(configuration.name, TRAIN)
            staged += _rewritten(source, files, configuration, keep, scratch, about)
            others = [one for one in about.of(configuration.name) if one.split != TRAIN]
            staged += [StagedFile(_within_reach(source, one.name, target, scratch), one) for one in others]
        after = _described(source, about, staged, facts, len(wanted), len(images))
        statistics = _statistics(source, about, _among("triplet_id", wanted), _all_among("triplet_ids", wanted))
        after = replace(after, statistics=statistics)
        written = documents(after, read_tombstones(source)) | dict(extra or {})
        replace_dataset(target, after.owner, staged, written)
    finally:
        discard(scratch)
    return after


def source_digest(source: Folder) -> str:
    """A digest of a dataset: of its manifest, which holds the digests of its files."""
    return hashlib.sha256(source.read(MANIFEST)).hexdigest()


def _among(column: str, values: pa.Array) -> Keep:
    return lambda table: pc.is_in(table[column], value_set=values)


def _all_among(column: str, values: pa.Array) -> Keep:
    """Rows whose list holds none but the values."""
    among = frozenset(values.to_pylist())
    return lambda table: pa.chunked_array(
        [[among.issuperset(listed) for listed in table[column].to_pylist()]], pa.bool_()
    )


def _named(source: Folder, about: Description, wanted: pa.Array) -> pa.Array:
    """Ids of the images that chosen triplets name, sorted."""
    columns = ("triplet_id", "query_image_id", "target_image_id", "hard_negatives")
    names: set[str] = set()
    for file in about.of("ids", TRAIN):
        for group in row_groups(source, file, columns):
            kept = group.filter(_among("triplet_id", wanted)(group))
            for column in columns[1:3]:
                names.update(kept[column].to_pylist())
            for listed in kept["hard_negatives"].to_pylist():
                names.update(listed or ())
    return pa.array(sorted(names), pa.string())


def _rewritten(
    source: Folder,
    files: Sequence[PublishedFile],
    configuration: Configuration,
    keep: Keep,
    scratch: Folder,
    about: Description,
) -> Iterator[StagedFile]:
    """The kept rows of files in new ones, cut by bytes as a publication cuts them."""
    key = {"images": "image_id", "chains": "triplet_ids"}.get(configuration.name, "triplet_id")
    estimates = []
    for file in files:
        kept = sum(int(pc.sum(keep(group)).as_py() or 0) for group in row_groups(source, file, (key,)))
        # Rows take about equally many bytes.
        estimates.append(Estimate(file.name, TRAIN, kept, max(1, file.bytes * kept // max(1, file.rows))))
    rows = _KeptRows(source, files, configuration, keep)
    for planned in plan_files(configuration.folder, estimates, about.config.target_bytes):
        written = write_file(
            scratch, planned.name, configuration, islice(rows, planned.rows), rows.images_of, about.config
        )
        file = PublishedFile(configuration.name, TRAIN, planned.name, written.rows, written.bytes, written.digest)
        yield StagedFile(scratch.at(planned.name), file)


class _KeptRows(Iterator[dict[str, Any]]):
    """Kept rows in order, without image bytes; `images_of` gives those of the rows that came last."""

    def __init__(
        self, source: Folder, files: Sequence[PublishedFile], configuration: Configuration, keep: Keep
    ) -> None:
        self._images: OrderedDict[str, bytes] = OrderedDict()
        self._columns = configuration.image_columns
        self._rows = self._read(source, files, keep)

    def __next__(self) -> dict[str, Any]:
        return next(self._rows)

    def images_of(self, image_ids: Sequence[str]) -> dict[str, bytes]:
        """The files of images. Raises KeyError for one that no late row shows."""
        return {one: self._images[one] for one in image_ids}

    def _read(self, source: Folder, files: Sequence[PublishedFile], keep: Keep) -> Iterator[dict[str, Any]]:
        for file in files:
            for group in row_groups(source, file):
                kept = group.filter(keep(group))
                for batch in kept.to_batches(max_chunksize=32):
                    for row in batch.to_pylist():
                        for column in self._columns:
                            self._hold(row[_IMAGES[column]], row.pop(column)["bytes"])
                        yield row

    def _hold(self, image_id: str, data: bytes) -> None:
        self._images[image_id] = data
        self._images.move_to_end(image_id)
        if len(self._images) > _AHEAD:
            self._images.popitem(last=False)


def _within_reach(source: Folder, name: str, target: Folder, scratch: Folder) -> str:
    """A path of a file on the target's filesystem: its own, or a copy."""
    if source.fs == target.fs:
        return source.at(name)
    with source.open(name) as read, scratch.open(name, "wb") as sink:
        while block := read.read(1 << 20):
            sink.write(block)
    return scratch.at(name)


def _described(
    source: Folder,
    about: Description,
    staged: Sequence[StagedFile],
    facts: Mapping[str, Any],
    triplets: int,
    images: int,
) -> Description:
    before = {"triplet": about.of("ids", TRAIN), "image": about.of("images", TRAIN)}
    origin = source_digest(source)
    told = {**facts, "source": origin}
    stages = list(about.funnel.get("stages", ()))
    for unit, kept, reason in (("image", images, "no_row_names_it"), ("triplet", triplets, "not_selected")):
        came = sum(one.rows for one in before[unit])
        rejected = {reason: came - kept} if came > kept else {}
        entry = {"stage": "select", "unit": unit, "in": came, "kept": kept, "rejected": rejected}
        stages.append(entry | {"failed": {}, "deferred": 0, "out": {unit: kept}})
    return replace(
        about,
        owner=digest("selection", origin, canonical_json(told))[:32],
        facts=with_selection(about.facts, told),
        files=tuple(one.file for one in staged),
        funnel={**about.funnel, "stages": stages},
    )


def _statistics(source: Folder, about: Description, keep: Keep, keep_chains: Keep) -> DatasetStatistics:
    """Counted over chosen training rows and all others."""
    found = DatasetStatistics()
    for file in about.of("ids"):
        for group in row_groups(source, file):
            kept = group.filter(keep(group)) if file.split == TRAIN else group
            found.add_all(file.split, kept.to_pylist())
    for file in about.of("chains"):
        for group in row_groups(source, file):
            chosen = group.filter(keep_chains(group)) if file.split == TRAIN else group
            for row in chosen.to_pylist():
                found.add_chain(row)
    return found
