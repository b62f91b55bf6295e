"""Embeds a benchmark's own queries and gallery with a model that `lensmith train` wrote."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.embeddings import Embeddings
from evaluation.task import Box, ImageFile, QueryInput, Task
from evaluation.templates import Template
from lensmith.train_commands import image_features, text_features, towers_of
from mining.annotation import AnnotateConfig
from mining.decoding import UndecodableError, decode
from schemas.errors import ConfigurationError
from schemas.protocols import Float32Array
from training.dataset import read_images

_BATCH = 256


#: Gives the files of images with a key each (`image_key`), every one once.
Contents = Callable[[Iterable[ImageFile]], Iterator[tuple[str, bytes]]]


def embed_task(task: Task, model: Path, contents: Contents, template: Template | None) -> Embeddings:
    """Embeddings of all queries and gallery images of a task, with the controls that see one half of a query.

    `contents` is `folder_images` or `dataset_images`. Raises ConfigurationError for images that are not there.
    """
    from training.train import load

    network, about = load(model)
    towers = towers_of(about)
    queries, gallery = _query_inputs(task), _gallery_images(task)
    texts = {one: template.render(asked.fields) if template else [] for one, asked in queries.items()}
    files = dict.fromkeys([*gallery.values(), *(asked.image for asked in queries.values() if asked.image)])
    seen = image_features(contents(files), towers)
    read = text_features((text for found in texts.values() for text in found), towers) if any(texts.values()) else {}
    ids = list(queries)
    shown_images = [queries[one].image for one in ids]
    vectors = {
        name: _embed_queries(network, shown_images if looks else [None] * len(ids), said, seen, read)
        for name, looks, said in (
            ("both", True, [texts[one] for one in ids]),
            ("text only", False, [texts[one] for one in ids]),
            ("image only", True, [[] for _ in ids]),
        )
        if _complete(queries, texts, name)
    }
    shown_gallery = [image_key(file) for file in gallery.values()]
    return Embeddings(
        tuple(ids),
        vectors.pop("both"),
        tuple(gallery),
        _forward(network, [seen[key] for key in shown_gallery], None),
        # A control is one only where a query has two halves.
        vectors if len(vectors) == 2 else {},
    )


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
        return ((one, data) for one, data in read_images(dataset, split) if one in wanted)

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
    network: Any,
    images: Sequence[ImageFile | None],
    texts: Sequence[Sequence[str]],
    seen: dict[str, Float32Array],
    read: dict[str, Float32Array],
) -> Float32Array:
    """One vector a query: the mean of its texts' unit features, made unit length again, if it has several."""
    halves = [seen[image_key(one)] for one in images if one is not None]
    pictures = halves if len(halves) == len(images) else None
    count = max((len(one) for one in texts), default=0)
    if not count:
        return _forward(network, pictures, None)
    each = [_forward(network, pictures, [read[one[number]] for one in texts]) for number in range(count)]
    mean = np.mean([one / np.linalg.norm(one, axis=1, keepdims=True) for one in each], axis=0)
    found: Float32Array = (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)
    return found


def _forward(network: Any, images: Sequence[Float32Array] | None, texts: Sequence[Float32Array] | None) -> Float32Array:
    import torch

    size = len(images if images is not None else texts or ())
    found = []
    with torch.inference_mode():
        for start in range(0, size, _BATCH):
            part = slice(start, start + _BATCH)
            halves = [None if one is None else torch.from_numpy(np.stack(one[part])) for one in (images, texts)]
            found.append(network(*halves).numpy())
    return np.concatenate(found).astype(np.float32)
