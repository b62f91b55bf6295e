"""What all formats need of a dataset: its triplets in a stream, and its images as files."""

from __future__ import annotations

import json
import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from publishing.dataset_reader import rows
from publishing.description import Description
from publishing.image_names import image_name
from schemas.errors import ConfigurationError
from schemas.storage import Folder

_IMAGE_ID = re.compile(r"[0-9a-f]{64}")


class Source:
    """A dataset that is being exported. Where each image went is kept in a scratch database on disk, not in memory."""

    def __init__(self, folder: Folder, about: Description) -> None:
        self.folder = folder
        self.about = about
        self.images = 0
        self._scratch = tempfile.TemporaryDirectory(prefix="lensmith-export-")
        self._places = sqlite3.connect(Path(self._scratch.name) / "images.sqlite", isolation_level=None)
        self._places.execute("PRAGMA journal_mode=OFF")
        self._places.execute("CREATE TABLE images (id TEXT PRIMARY KEY, number INTEGER, path TEXT) WITHOUT ROWID")

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._places.close()
        self._scratch.cleanup()

    def splits(self) -> list[str]:
        """Splits that have triplets."""
        return self.about.splits("ids")

    def triplets(self, split: str) -> Iterator[dict[str, Any]]:
        """Rows of the configuration `ids`."""
        return rows(self.folder, self.about, "ids", split)

    def write_images(self, output: Folder, split: str, folder: str = "images") -> Iterator[tuple[str, int, str]]:
        """Write the images of a split as `images/0a/0a1b….jpg`; yields id, a number from 1 on, and the path."""
        for row in rows(self.folder, self.about, "images", split, ("image_id", "image")):
            image_id, data = row["image_id"], row["image"]["bytes"]
            if not _IMAGE_ID.fullmatch(image_id):
                raise ConfigurationError(f"{self.folder.path} names an image {image_id!r}: it is no dataset of ours.")
            path = f"{folder}/{image_id[:2]}/{image_name(image_id, data)}"
            with output.open(path, "wb") as sink:
                sink.write(data)
            self.images += 1
            self._places.execute("INSERT INTO images VALUES (?, ?, ?)", (image_id, self.images, path))
            yield image_id, self.images, path

    def write_all_images(self, output: Folder) -> None:
        """Write the images of all splits."""
        for split in self.about.splits("images"):
            for _ in self.write_images(output, split):
                pass

    def path(self, image_id: str) -> str:
        """Path of a written image, relative to the output."""
        return str(self._place(image_id)[1])

    def number(self, image_id: str) -> int:
        """Number of a written image."""
        return int(self._place(image_id)[0])

    def _place(self, image_id: str) -> tuple[int, str]:
        found = self._places.execute("SELECT number, path FROM images WHERE id = ?", (image_id,)).fetchone()
        if found is None:
            raise ConfigurationError(
                f"{self.folder.path} names image {image_id} but does not hold it: publish it again."
            )
        return int(found[0]), str(found[1])


def texts(row: Mapping[str, Any]) -> list[str]:
    """All texts of a triplet, the best first, each once."""
    return list(dict.fromkeys([row["instruction"], *(one["text"] for one in row["instructions"] or ())]))


def write_lines(output: Folder, name: str, records: Iterable[Mapping[str, Any]]) -> int:
    """Write JSON lines; the number of lines."""
    count = 0
    with output.open(name, "wb") as sink:
        for record in records:
            sink.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
            count += 1
    return count


def write_array(output: Folder, name: str, records: Iterable[Mapping[str, Any]]) -> int:
    """Write one JSON array, an element a line, without holding it in memory; the number of elements."""
    count = 0
    with output.open(name, "wb") as sink:
        for record in records:
            sink.write((b",\n" if count else b"[\n") + json.dumps(record, ensure_ascii=False).encode())
            count += 1
        sink.write(b"\n]\n" if count else b"[]\n")
    return count
