"""A split of a foreign dataset as rows of the configuration `ids` and a table of image paths, made once.

Records are read in a stream: memory is a row group and a share of the distinct paths, whatever the dataset's size.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import ConfigurationError
from schemas.ids import digest
from schemas.storage import PARQUET
from training.data.layouts.interface import Layout, Record, Rejected, Triplet
from training.data.layouts.tally import Tally
from training.data.made_once import made_once
from training.data.parquet_files import stamp
from training.data.string_table import StringTable, write_strings
from training.data.triplet_table import MOST_MISSING

#: Rows of a row group.
ROWS = 4096
SCHEMA = pa.schema(
    [
        ("triplet_id", pa.string()),
        ("query_image_id", pa.string()),
        ("target_image_id", pa.string()),
        ("instruction", pa.string()),
        ("instructions", pa.list_(pa.struct([("text", pa.string())]))),
        ("hard_negatives", pa.list_(pa.string())),
        ("page_id", pa.string()),
    ]
)
#: Moves when equal records would give other rows.
_VERSION = "1"
_ALL, _IDS, _IMAGES, _FACTS = "all.parquet", "ids.parquet", "images", "conversion.json"
#: Triplets after which progress is said.
TOLD_AFTER = 500_000
#: Paths of missing images that are looked for again.
_LOOKED_FOR = 32


@dataclass(frozen=True)
class Converted:
    """A split as training reads it."""

    #: Parquet with the columns of `SCHEMA`; images are paths below `folder`.
    ids: Path
    #: Folder of the `StringTable` of the image paths that rows may name; each of them led to a file.
    images: Path
    #: Folder below which the images lie.
    folder: Path
    #: Changes when the rows or the numbers of the images do.
    digest: str
    tally: Tally


def converted(
    folder: Path,
    layout: Layout,
    split: str,
    work: Path,
    images: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Converted:
    """The split of a dataset, whose image paths begin at `images` (by default its own folder); what is made lies in
    `work`. It is made anew when the files change or when images that were missing are there now.

    Raises ConfigurationError for a split that is not there, for a file of which no record can be read, and where no
    triplet is left.
    """
    splits = layout.splits(folder)
    if split not in splits:
        has = ", ".join(sorted(splits)) or "none"
        raise ConfigurationError(f"{folder} ({layout.name}) has no split {split!r}: name one of its own: {has}.")
    below = (images or folder).resolve()
    if not below.is_dir():
        raise ConfigurationError(f"there is no folder {below}: say with data.images where the images lie.")
    files = splits[split]
    names = [str(one.relative_to(folder)) for one in files]
    content = digest("layout", _VERSION, layout.name, split, *names, stamp(files))
    key = digest("layout", content, str(below))
    target = work / f"{layout.name}-{split}-{key[:16]}"
    _forget_if_images_came(target, below)
    with made_once(target) as empty:
        if empty is not None:
            say(f"reading {folder} as {layout.name}")
            _convert(empty, layout, files, below, say)
    facts = json.loads((target / _FACTS).read_text(encoding="utf-8"))
    tally = Tally.of(facts["tally"])
    for one in tally.told():
        say(f"{layout.name}, {split}: {one}")
    return Converted(target / _IDS, target / _IMAGES, below, digest("converted", content, facts["images"]), tally)


def _forget_if_images_came(made: Path, below: Path) -> None:
    """Take away what was made when images were missing of which some are there now."""
    facts = made / _FACTS
    if facts.exists():
        missing = json.loads(facts.read_text(encoding="utf-8"))["tally"]["missing_some"]
        if any(os.path.isfile(below / one) for one in missing):
            shutil.rmtree(made)


def _convert(made: Path, layout: Layout, files: Sequence[Path], below: Path, say: Callable[[str], None]) -> None:
    tally = Tally()

    def there(name: str) -> bool:
        if os.path.isfile(below / name):
            return True
        tally.missing += 1
        if len(tally.missing_some) < _LOOKED_FOR:
            tally.missing_some.append(name)
        return False

    (made / _IMAGES).mkdir()
    with _Rows(made / _ALL, say) as sink:
        named = _paths(layout, files, below, tally, sink)
        images = write_strings(made / _IMAGES, named, there)
    _keep_those_with_images(made, tally)
    lost = tally.rejected.get("no_image_file")
    if not tally.triplets or (lost is not None and lost.count > MOST_MISSING * tally.records):
        raise ConfigurationError(_nothing_left(files, below, tally))
    # write_strings asks in an order of hashes.
    tally.missing_some.sort()
    (made / _FACTS).write_text(json.dumps({"images": images, "tally": tally.facts()}, indent=1), encoding="utf-8")


def _paths(layout: Layout, files: Sequence[Path], below: Path, tally: Tally, sink: _Rows) -> Iterator[str]:
    """Paths of all images, while the rows that name them are written."""
    for path in files:
        own = Tally()
        for one in layout.rows([path]):
            placed = _placed(one, path, below)
            own.add(placed)
            if isinstance(placed, Triplet):
                sink.write(placed.row())
                yield placed.query
                yield placed.target
                yield from placed.hard_negatives
        own.check_file(layout.name)
        tally.merge(own)


def _placed(one: Triplet | Rejected, path: Path, below: Path) -> Triplet | Rejected:
    """A triplet with paths below the folder of images; rejected where its own lead out of it."""
    if isinstance(one, Rejected):
        return one
    query, target = _below(one.query, below), _below(one.target, below)
    if query is None or target is None:
        outside = one.query if query is None else one.target
        return Rejected(Record(path, f" triplet {one.triplet_id}"), "image_outside_folder", outside)
    others = [name for name in (_below(each, below) for each in one.hard_negatives) if name is not None]
    return replace(one, query=query, target=target, hard_negatives=tuple(others))


def _below(name: str, folder: Path) -> str | None:
    """A path as it leads from the folder; None for one that leads out of it."""
    if os.path.isabs(name):
        name = os.path.relpath(name, folder)
    return None if name == ".." or name.startswith("../") else name


def _keep_those_with_images(made: Path, tally: Tally) -> None:
    """Write the rows whose images are there, and of their hard negatives those that are."""
    table = StringTable(made / _IMAGES)
    with pq.ParquetFile(made / _ALL) as parquet, _Rows(made / _IDS) as sink:
        for batch in parquet.iter_batches(ROWS):
            rows = batch.to_pylist()
            names = {name for row in rows for name in _named(row)}
            known = list(names)
            there = {name for name, number in zip(known, table.numbers(known), strict=True) if number >= 0}
            for row in rows:
                lost = [one for one in (row["query_image_id"], row["target_image_id"]) if one not in there]
                if lost:
                    tally.drop("no_image_file", lost[0])
                else:
                    sink.write(row | {"hard_negatives": [one for one in row["hard_negatives"] if one in there]})
    (made / _ALL).unlink()


def _named(row: dict[str, Any]) -> list[str]:
    return [row["query_image_id"], row["target_image_id"], *row["hard_negatives"]]


def _nothing_left(files: Sequence[Path], below: Path, tally: Tally) -> str:
    where = str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} other files"
    if not tally.records:
        return f"{where} holds no records: give the run a dataset with some."
    if set(tally.rejected) & {"no_image_file", "image_outside_folder"}:
        return (
            f"{tally.triplets or 'no'} triplets of {where} have their images below {below}, "
            f"{'; '.join(tally.told())}: say with data.images which folder the image paths begin at."
        )
    return f"no triplet of {where} can be used, {'; '.join(tally.told())}: give the run other data."


class _Rows:
    """A parquet file that is written in row groups."""

    def __init__(self, path: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self._writer = pq.ParquetWriter(path, SCHEMA, **PARQUET)
        self._held: list[dict[str, Any]] = []
        self._count, self._say = 0, say

    def __enter__(self) -> _Rows:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def write(self, row: dict[str, Any]) -> None:
        """Add a row."""
        self._held.append(row)
        self._count += 1
        if self._count % TOLD_AFTER == 0:
            self._say(f"{self._count} triplets are read")
        if len(self._held) == ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            self._writer.write_table(pa.Table.from_pylist(self._held, schema=SCHEMA))
            self._held = []
