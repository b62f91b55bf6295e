"""Commands that train and embed, and the towers whose features they use."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml

from mining.annotation import AnnotateConfig, load_models
from mining.decoding import UndecodableError, decode, square
from schemas.errors import ConfigurationError
from schemas.protocols import Float32Array
from training.dataset import Triplet, read_images, read_triplets

_BATCH = 16


def image_features(images: Iterable[tuple[str, bytes]], config: AnnotateConfig) -> dict[str, Float32Array]:
    """Features of images by id, as annotation makes them. Undecodable ones raise ConfigurationError."""
    encoder = load_models(config).images
    found: dict[str, Float32Array] = {}
    remaining = iter(images)
    while batch := list(islice(remaining, _BATCH)):
        crops = []
        for image_id, data in batch:
            try:
                crops.append(square(decode(data, config.max_pixels).picture, encoder.resize, encoder.crop))
            except UndecodableError as error:
                raise ConfigurationError(f"the image {image_id} cannot be decoded: {error}.") from error
        features, _, _ = encoder.encode(np.stack(crops))
        found |= {image_id: row for (image_id, _), row in zip(batch, features, strict=True)}
    return found


def text_features(texts: Iterable[str], config: AnnotateConfig) -> dict[str, Float32Array]:
    """Features of distinct texts."""
    distinct = sorted(set(texts))
    return dict(zip(distinct, load_models(config).texts.encode(distinct), strict=True))


def dataset_features(dataset: Path, split: str, config: AnnotateConfig) -> tuple[list[Triplet], Any]:
    """The triplets of a split, and features of its images and instructions."""
    from training.train import Features

    triplets = read_triplets(dataset, split)
    images = image_features(read_images(dataset, split), config)
    return triplets, Features(images, text_features((one.instruction for one in triplets), config))


def train_on(dataset: Path, output: Path, settings: dict[str, Any], say: Callable[[str], None]) -> None:
    """Train on a dataset's training split and keep the model in `output`."""
    from training.train import TrainConfig, save, train

    try:
        config = TrainConfig(**settings)
    except TypeError as error:
        known = ", ".join(TrainConfig.__dataclass_fields__)
        raise ConfigurationError(f"unknown key in the training configuration: the keys are {known}.") from error
    towers = AnnotateConfig()
    triplets, features = dataset_features(dataset, "train", towers)
    say(f"{len(triplets)} triplets, {len(features.images)} images")
    model = train(triplets, features, config, say)
    save(model, output, config, {"images": towers.image_model, "texts": towers.text_model})


def train_command(
    dataset: Annotated[Path, typer.Option("--dataset", help="Folder of a dataset: OUT/dataset of a run.")],
    output: Annotated[Path, typer.Option("--output", help="Folder of the model.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file: steps, batch, learning_rate, seed …")
    ] = None,
) -> None:
    """Train a small fusion model on a dataset, over features of frozen towers."""
    settings: Any = {}
    if config is not None:
        try:
            settings = yaml.safe_load(config.read_text()) or {}
        except (OSError, yaml.YAMLError) as error:
            raise ConfigurationError(f"cannot read the configuration {config}: {error}.") from error
    train_on(dataset, output, settings, typer.echo)
    typer.echo(f"{output}: trained")


def embed_command(
    model: Annotated[Path, typer.Option("--model", help="Folder of a model that `lensmith train` wrote.")],
    queries: Annotated[Path, typer.Option("--queries", help="CSV or parquet: id, image, text; either may be empty.")],
    gallery: Annotated[Path, typer.Option("--gallery", help="CSV or parquet: id, image.")],
    output: Annotated[Path, typer.Option("--output", help="The .npz file that `lensmith evaluate` reads.")],
) -> None:
    """Embed queries and a gallery with a trained model."""
    import torch

    from training.train import load

    network, _ = load(model)
    asked, shown = _table(queries), _table(gallery)
    towers = AnnotateConfig()
    paths = sorted({row["image"] for row in (*asked, *shown) if row.get("image")})
    images = image_features(((path, _file(path)) for path in paths), towers)
    texts = text_features((row["text"] for row in asked if row.get("text")), towers)
    with torch.inference_mode():
        vectors = [_embed(network, row, images, texts) for row in asked]
        seen = [_embed(network, row, images, {}) for row in shown]
    np.savez(
        output,
        query_ids=np.array([row["id"] for row in asked], dtype=np.str_),
        query_embeddings=_stack(vectors),
        gallery_ids=np.array([row["id"] for row in shown], dtype=np.str_),
        gallery_embeddings=_stack(seen),
    )
    typer.echo(f"{output}: {len(asked)} queries, {len(shown)} gallery images")


def _embed(network: Any, row: dict[str, Any], images: dict[str, Float32Array], texts: dict[str, Float32Array]) -> Any:
    import torch

    image = torch.from_numpy(images[row["image"]][None]) if row.get("image") else None
    text = torch.from_numpy(texts[row["text"]][None]) if texts and row.get("text") else None
    if image is None and text is None:
        raise ConfigurationError(f"the row {row['id']!r} has neither image nor text.")
    return network(image, text).numpy()[0]


def _stack(vectors: Sequence[Float32Array]) -> Float32Array:
    return np.stack(vectors).astype(np.float32) if vectors else np.zeros((0, 0), np.float32)


def _file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read the image {path}: {error.strerror}.") from error


def _table(path: Path) -> list[dict[str, Any]]:
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        else:
            with path.open(newline="", encoding="utf-8") as source:
                found = list(csv.DictReader(source))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}.") from error
    if found and "id" not in found[0]:
        raise ConfigurationError(f"{path} has no column 'id': the columns are id, image and (of queries) text.")
    return found
