"""A dataset's selection from its settings to the folder that holds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from publishing.description import Description, read_description
from publishing.selection.choose import choose, columns_of
from publishing.selection.columns import read_rows
from publishing.selection.config import SelectionConfig
from publishing.selection.page import report_documents
from publishing.selection.report import coverage_report
from publishing.selection.write import source_digest, write_selection
from schemas.errors import ConfigurationError
from schemas.protocols import Float32Array
from schemas.storage import Folder

#: Rows (with `triplet_id`, the images' ids and the columns that were asked for) → their vectors, float32 (n, d).
Vectors = Callable[[pa.Table], Float32Array]


@dataclass(frozen=True)
class Selected:
    """The new dataset, and the numbers of its report."""

    dataset: Description
    report: dict[str, Any]


def select(
    source: Folder,
    target: Folder,
    config: SelectionConfig,
    vectors: Vectors | None = None,
    features: str | None = None,
    more_columns: tuple[str, ...] = (),
) -> Selected:
    """Choose triplets of the split `train` and write them, with the other splits as they are, to `target`.

    `vectors` says which rows are alike (without it columns alone do); it gets rows with `more_columns` too, and
    `features` is what the card calls it. Equal datasets and settings give equal bytes. Raises ConfigurationError for a
    folder that is no dataset, a target that is not empty, unknown columns and settings that leave too few rows.
    """
    about = read_description(source)
    if target.list(""):
        raise ConfigurationError(f"{target.path} is not empty: choose another output folder or empty it.")
    rows = read_rows(source, about, [*columns_of(config), *more_columns])
    if config.size > rows.num_rows:
        raise ConfigurationError(
            f"--size is {config.size}, and the split train of {source.path} has {rows.num_rows} triplets: give at most "
            "as many."
        )
    found = vectors(rows) if vectors is not None else None
    choice = choose(rows, found, config)
    told = {
        "triplets": rows.num_rows,
        "by_quality": choice.by_quality,
        "features": features,
        "settings": config.model_dump(mode="json"),
    }
    shown = sorted({*config.cover, *config.caps} & set(rows.column_names))
    report = coverage_report(rows, found, choice, shown)
    chosen = rows["triplet_id"].take(pa.array(choice.rows)).to_pylist()
    documents = report_documents({**told, "source": source_digest(source)}, report)
    return Selected(write_selection(source, about, target, chosen, told, documents), report)
