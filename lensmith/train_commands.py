"""Commands that train and embed, and the towers whose features they use."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml
from pydantic import BaseModel, ValidationError

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


def train_on(
    dataset: Path, output: Path, settings: dict[str, Any], say: Callable[[str], None], resume: bool = False
) -> None:
    """Train on a dataset's training split and keep the model in `output`; with `resume`, from its last checkpoint."""
    from training.model_folder import DESCRIPTION, prepare
    from training.train import TrainConfig, save, train

    try:
        config = TrainConfig(**settings)
    except ValidationError as error:
        raise ConfigurationError(_mend(error, TrainConfig)) from error
    prepare(output)
    if resume and (output / DESCRIPTION).exists():
        say(f"{output} is trained already")
        return
    towers = AnnotateConfig()
    triplets, features = dataset_features(dataset, "train", towers)
    say(f"{len(triplets)} triplets, {len(features.images)} images")
    model = train(triplets, features, config, say, output, resume)
    save(model, output, config, {"images": towers.image_model, "texts": towers.text_model})


def _mend(error: ValidationError, config: type[BaseModel]) -> str:
    fault = error.errors()[0]
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = ", ".join(config.model_fields)
        return f"unknown key {name!r} in the training configuration: the keys are {known}."
    return f"{name} in the training configuration: {fault['msg']} (given: {fault['input']!r})."


def train_command(
    dataset: Annotated[Path, typer.Option("--dataset", help="Folder of a dataset: OUT/dataset of a run.")],
    output: Annotated[Path, typer.Option("--output", help="Folder of the model.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file: steps, batch, learning_rate, seed …")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in --output.")] = False,
) -> None:
    """Train a small fusion model on a dataset, over features of frozen towers."""
    settings: Any = {}
    if config is not None:
        try:
            settings = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise ConfigurationError(f"cannot read the configuration {config}: {reason}.") from error
        if not isinstance(settings, dict):
            raise ConfigurationError(f"{config} must hold a mapping, such as `steps: 300`.")
    train_on(dataset, output, {str(key): value for key, value in settings.items()}, typer.echo, resume)
    typer.echo(f"{output}: trained")


def embed_command(
    model: Annotated[Path, typer.Option("--model", help="Folder of a model that `lensmith train` wrote.")],
    queries: Annotated[Path, typer.Option("--queries", help="CSV or parquet: id, image, text; either may be empty.")],
    gallery: Annotated[Path, typer.Option("--gallery", help="CSV or parquet: id, image.")],
    output: Annotated[Path, typer.Option("--output", help="The .npz file that `lensmith evaluate` reads.")],
) -> None:
    """Embed queries and a gallery with a trained model."""
    from training.train import load

    network, about = load(model)
    towers = towers_of(about)
    asked, shown = _table(queries), _table(gallery)
    for row in asked:
        if not row["image"] and not row["text"]:
            raise ConfigurationError(f"the query {row['id']!r} has neither image nor text.")
    for row in shown:
        if not row["image"]:
            raise ConfigurationError(f"the row {row['id']!r} of the gallery has no image.")
    paths = sorted({row["image"] for row in (*asked, *shown) if row["image"]})
    images = image_features(((path, _file(path)) for path in paths), towers)
    texts = text_features((row["text"] for row in asked if row["text"]), towers)
    vectors: dict[str, Any] = {
        "query_ids": np.array([row["id"] for row in asked], dtype=np.str_),
        "query_embeddings": _embedded(network, asked, images, texts),
        "gallery_ids": np.array([row["id"] for row in shown], dtype=np.str_),
        "gallery_embeddings": _embedded(network, [row | {"text": ""} for row in shown], images, texts),
    }
    sink = io.BytesIO()
    np.savez(sink, **vectors)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(sink.getvalue())
    except OSError as error:
        raise ConfigurationError(f"cannot write {output}: {error.strerror}.") from error
    typer.echo(f"{output}: {len(asked)} queries, {len(shown)} gallery images")


def towers_of(about: dict[str, Any]) -> AnnotateConfig:
    """The towers that a model was trained on."""
    named = {"images": "image_model", "texts": "text_model"}
    return AnnotateConfig(**{named[one]: model for one, model in about["towers"].items() if one in named})


def _embedded(
    network: Any, rows: Sequence[dict[str, str]], images: dict[str, Float32Array], texts: dict[str, Float32Array]
) -> Float32Array:
    """Unit vectors float32 (n, d) in the order of the rows; rows with the same halves are encoded together."""
    from training.fusion_model import encode

    found = np.zeros((len(rows), network.settings["width"]), np.float32)
    for with_image, with_text in ((True, True), (True, False), (False, True)):
        numbers = [
            number
            for number, row in enumerate(rows)
            if bool(row["image"]) == with_image and bool(row["text"]) == with_text
        ]
        if numbers:
            found[numbers] = encode(
                network,
                np.stack([images[rows[number]["image"]] for number in numbers]) if with_image else None,
                np.stack([texts[rows[number]["text"]] for number in numbers]) if with_text else None,
            )
    return found


def _file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read the image {path}: {error.strerror}.") from error


def _table(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV or parquet file as texts: id, image, text; missing values are ''."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            found, columns = table.to_pylist(), table.column_names
        else:
            with path.open(newline="", encoding="utf-8-sig") as source:
                reader = csv.DictReader(source)
                found, columns = list(reader), list(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, pa.ArrowInvalid, csv.Error) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise ConfigurationError(f"cannot read {path}: {reason}.") from error
    if "id" not in columns:
        raise ConfigurationError(f"{path} has no column 'id': the columns are id, image and (of queries) text.")
    return [{name: _plain(row.get(name)) for name in ("id", "image", "text")} for row in found]


def _plain(value: Any) -> str:
    return "" if value is None else str(value)
