"""A dataset of Lensmith: the triplets of a split, each target among all images of the split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from evaluation.benchmarks.files import once
from evaluation.benchmarks.target_search import Row, target_part
from evaluation.task import ImageFile, Task
from schemas.errors import ConfigurationError


class Lensmith:
    """The benchmark `lensmith`."""

    name = "lensmith"
    protocols = ("official",)
    splits = ("test", "validation", "train")

    def load(self, root: Path, protocol: str, split: str, held: Sequence[str] | None) -> Task:
        """`ids/SPLIT-*.parquet` and the `image_id`s of `images/SPLIT-*.parquet`."""
        if not (root / "ids").is_dir() or not (root / "images").is_dir():
            raise ConfigurationError(f"{root} is no dataset of Lensmith: give the folder `dataset` of a run.")
        columns = ("triplet_id", "query_image_id", "target_image_id", "instruction")
        rows = [
            Row(one, query, target, text) for one, query, target, text in dataset_rows(root / "ids", split, columns)
        ]
        gallery = tuple(once(root / "images", [one for (one,) in dataset_rows(root / "images", split, ("image_id",))]))
        part = target_part(root / "ids", rows, gallery, f"{root / 'images'} ({split})", lambda one: ImageFile((one,)))
        return Task(self.name, protocol, split, (part,))


def dataset_rows(folder: Path, split: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Columns of a split's rows, file by file. Raises ConfigurationError for files without them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in sorted(folder.glob(f"{split}-*.parquet")):
        try:
            table = pq.read_table(path, columns=list(columns))
        except (pa.ArrowInvalid, OSError) as error:
            raise ConfigurationError(f"cannot read {path}: {error}.") from error
        missing = [one for one in columns if one not in table.column_names]
        if missing:
            raise ConfigurationError(
                f"{path} has no column {', '.join(missing)}: it is no table of Lensmith's datasets."
            )
        yield from zip(*(table[one].to_pylist() for one in columns), strict=True)
