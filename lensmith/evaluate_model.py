"""Embeds a benchmark's own queries and gallery with a model that `lensmith train` wrote."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from evaluation.embeddings import Embeddings
from evaluation.task import Box, ImageFile, QueryInput, Task
from evaluation.templates import Template
from lensmith.training_models import surroundings
from mining.annotation import AnnotateConfig
from mining.decoding import UndecodableError, decode
from schemas.errors import ConfigurationError
from schemas.protocols import Float32Array
from training.data.image_store import GivenImages, read_images
from training.data.sources import Sources
from training.embedding import embed
from training.items import Item
from training.model_sources import still_sources

#: Gives the files of images with a key each (`image_key`), every one once.
Contents = Callable[[Iterable[ImageFile]], Iterator[tuple[str, bytes]]]


def embed_task(task: Task, model: Path, contents: Contents, template: Template | None) -> Embeddings:
    """Embeddings of all queries and gallery images of a task, with the controls that see one half of a query.

    `contents` is `folder_images` or `dataset_images`. Raises ConfigurationError for images that are not there.
    """
    from training.models.make import from_pretrained

    network = from_pretrained(model)
    queries, gallery = _query_inputs(task), _gallery_images(task)
    texts = {one: template.render(asked.fields) if template else [] for one, asked in queries.items()}
    files = dict.fromkeys([*gallery.values(), *(asked.image for asked in queries.values() if asked.image)])
    with TemporaryDirectory() as folder:
        store = _StoredImages(contents(files), Path(folder))
        every = [text for found in texts.values() for text in found]
        sources = still_sources(network, store, every, Path(folder), "task", surroundings(lambda _: None))
        numbers = {
            one: int(number) for one, number in zip(files, store.numbers([image_key(f) for f in files]), strict=True)
        }
        shown = [numbers[asked.image] if asked.image else None for asked in queries.values()]
        said = list(texts.values())
        vectors = {
            name: _embed_queries(network, seen, heard, sources)
            for name, seen, heard in (
                ("both", shown, said),
                ("text only", [None] * len(shown), said),
                ("image only", shown, [[] for _ in shown]),
            )
            if _complete(queries, texts, name)
        }
        found = embed(network, [Item(numbers[file]) for file in gallery.values()], sources)
    # A control is one only where a query has two halves.
    both = vectors.pop("both")
    return Embeddings(tuple(queries), both, tuple(gallery), found, vectors if len(vectors) == 2 else {})


class _StoredImages(GivenImages):
    """Images written beside each other in one file, so that a benchmark's need not fit into memory."""

    def __init__(self, contents: Iterator[tuple[str, bytes]], folder: Path) -> None:
        names, self._spans = [], []
        self._path = folder / "images"
        with self._path.open("wb") as sink:
            for name, data in contents:
                names.append(name)
                self._spans.append((sink.tell(), len(data)))
                sink.write(data)
        self._numbers = {name: number for number, name in enumerate(names)}
        super().__init__((), names)

    def __len__(self) -> int:
        return len(self._spans)

    def number(self, name: str) -> int:
        """The number of an image that was written."""
        return self._numbers[name]

    def file(self, number: int) -> bytes:
        """See `ImageStore`."""
        start, length = self._spans[number]
        with self._path.open("rb") as source:
            source.seek(start)
            return source.read(length)


def _complete(queries: dict[str, QueryInput], texts: dict[str, list[str]], name: str) -> bool:
    if name == "both":
        return True
    return all(texts[one] if name == "text only" else asked.image is not None for one, asked in queries.items())


def _query_inputs(task: Task) -> dict[str, QueryInput]:
    found: dict[str, QueryInput] = {}
    for part in task.parts:
        assert part.query_input is not None
        found |= {one: part.query_input(number) for number, one in enumerate(part.queries)}
    return found


def _gallery_images(task: Task) -> dict[str, ImageFile]:
    found: dict[str, ImageFile] = {}
    for part in task.parts:
        assert part.gallery_image is not None
        found |= {one: part.gallery_image(one) for one in part.gallery}
    return found


def image_key(file: ImageFile) -> str:
    """What tells an image or a region of it from others."""
    return f"{file.paths[0]}|{file.box}" if file.box else file.paths[0]


def folder_images(folder: Path) -> Contents:
    """Images below a folder, cut where a region is asked for."""
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder: give that of the benchmark's images with --images.")

    def contents(files: Iterable[ImageFile]) -> Iterator[tuple[str, bytes]]:
        for key, file in {image_key(one): one for one in files}.items():
            path = next((folder / one for one in file.paths if (folder / one).is_file()), None)
            if path is None:
                raise ConfigurationError(f"{folder} has no image {file.paths[0]}.")
            data = path.read_bytes()
            yield key, cut_out(data, file.box) if file.box else data

    return contents


def dataset_images(dataset: Path, split: str) -> Contents:
    """Images of a split of a dataset of Lensmith, by their ids."""

    def contents(files: Iterable[ImageFile]) -> Iterator[tuple[str, bytes]]:
        wanted = {image_key(one) for one in files}
        stored = sorted((dataset / "images").glob(f"{split}-*.parquet"))
        return ((one, data) for one, data in read_images(stored) if one in wanted)

    return contents


def cut_out(data: bytes, box: Box) -> bytes:
    """The region of an image as a PNG file. With dilation the box grows from its upper left corner, as in GeneCIS'
    program, is clipped to the image and padded to a square with black."""
    from PIL import Image

    try:
        decoded = decode(data, AnnotateConfig().max_pixels)
    except UndecodableError as error:
        raise ConfigurationError(f"an image of the benchmark cannot be decoded: {error}.") from error
    picture = decoded.picture
    # Large JPEGs are decoded at a smaller scale; boxes count the file's pixels.
    across, down = picture.width / decoded.width, picture.height / decoded.height
    left, top, right, bottom = box.left * across, box.top * down, box.right * across, box.bottom * down
    if box.dilation is not None:
        width, height = right - left, bottom - top
        left, top = max(0.0, left - box.dilation * width), max(0.0, top - box.dilation * height)
        right = min(float(picture.width), left + (1 + box.dilation) * width)
        bottom = min(float(picture.height), top + (1 + box.dilation) * height)
    region = picture.crop((round(left), round(top), round(right), round(bottom)))
    if box.dilation is not None and region.width != region.height:
        side = max(region.size)
        square = Image.new("RGB", (side, side))
        square.paste(region, ((side - region.width) // 2, (side - region.height) // 2))
        region = square
    sink = io.BytesIO()
    region.save(sink, "PNG")
    return sink.getvalue()


def _embed_queries(
    network: Any, images: Sequence[int | None], texts: Sequence[Sequence[str]], sources: Sources
) -> Float32Array:
    """One vector a query: the mean of its texts' unit vectors, made unit length again, if it has several."""
    count = max((len(one) for one in texts), default=0)
    if not count:
        return embed(network, [Item(one) for one in images], sources)
    each = [
        embed(network, [Item(one, said[number]) for one, said in zip(images, texts, strict=True)], sources)
        for number in range(count)
    ]
    mean = np.mean(each, axis=0)
    found: Float32Array = (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)
    return found
