"""The entry to all export formats: checks, then the format's own writer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from publishing.description import Description, read_description
from publishing.exporters import lasco, megapairs, mmeb, mtcir, sentence_transformers
from publishing.exporters.source import Source
from schemas.errors import ConfigurationError
from schemas.storage import Folder


@dataclass(frozen=True)
class Exported:
    """What an export wrote: triplets (or rows, where a format has one a text) and images."""

    rows: int
    images: int


#: Format name → the function that writes it and returns the number of rows.
FORMATS: dict[str, Callable[[Source, Folder], int]] = {
    "megapairs": megapairs.write,
    "mmeb": mmeb.write,
    "lasco": lasco.write,
    "mtcir": mtcir.write,
    "sentence-transformers": sentence_transformers.write,
}


def export(dataset: Folder, format: str, output: Folder) -> Exported:
    """Write the dataset in another form into `output`, which must be absent or empty.

    Raises ConfigurationError for an unknown format, a folder that is no dataset, an empty dataset, and a non-empty
    output.
    """
    if format not in FORMATS:
        raise ConfigurationError(f"unknown format {format!r}: the formats are {', '.join(sorted(FORMATS))}.")
    about: Description = read_description(dataset)
    if not about.triplets:
        raise ConfigurationError(f"{dataset.path} holds no triplets: there is nothing to export.")
    if output.list(""):
        raise ConfigurationError(f"{output.path} is not empty: choose another output folder or empty it.")
    with Source(dataset, about) as source:
        rows = FORMATS[format](source, output)
        return Exported(rows, source.images)
