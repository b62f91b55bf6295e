"""The command that embeds queries and a gallery of one's own with a trained model."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer

from schemas.errors import ConfigurationError


def embed_command(
    model: Annotated[Path, typer.Option("--model", help="Folder of a model that `lensmith train` wrote.")],
    queries: Annotated[Path, typer.Option("--queries", help="CSV or parquet: id, image, text; either may be empty.")],
    gallery: Annotated[Path, typer.Option("--gallery", help="CSV or parquet: id, image.")],
    output: Annotated[Path, typer.Option("--output", help="The .npz file that `lensmith evaluate` reads.")],
    gallery_model: Annotated[
        str | None,
        typer.Option(
            "--gallery-model",
            help="What embeds the gallery in place of --model: the teacher of a distillation, an image tower (name or "
            "folder) or a model that `lensmith train` wrote (folder).",
        ),
    ] = None,
) -> None:
    """Embed queries and a gallery with a trained model, or the gallery with the model that it was distilled from."""
    from lensmith.training_models import surroundings
    from training.data.image_store import FolderImages
    from training.embedding import embed
    from training.items import Item
    from training.model_sources import still_sources
    from training.models.make import from_pretrained
    from training.teachers import gallery_vectors, load_gallery_model

    network = from_pretrained(model)
    teacher = load_gallery_model(gallery_model, network.width) if gallery_model else None
    asked, shown = _table(queries), _table(gallery)
    for row in asked:
        if not row["image"] and not row["text"]:
            raise ConfigurationError(f"the query {row['id']!r} has neither image nor text.")
    for row in shown:
        if not row["image"]:
            raise ConfigurationError(f"the row {row['id']!r} of the gallery has no image.")
    # A store is never empty, also where all queries are texts.
    with_model = asked if teacher and any(row["image"] for row in asked) else [*asked, *shown]
    paths = sorted({row["image"] for row in with_model if row["image"]})
    numbers = {path: number for number, path in enumerate(paths)}

    def items(rows: Sequence[dict[str, str]]) -> list[Item]:
        return [Item(numbers[row["image"]] if row["image"] else None, row["text"]) for row in rows]

    with TemporaryDirectory() as work:
        texts, around = [row["text"] for row in asked], surroundings(lambda _: None)
        sources = still_sources(network, FolderImages(Path(), paths), texts, Path(work), "own", around)
        vectors: dict[str, Any] = {
            "query_ids": np.array([row["id"] for row in asked], dtype=np.str_),
            "query_embeddings": embed(network, items(asked), sources),
            "gallery_ids": np.array([row["id"] for row in shown], dtype=np.str_),
        }
        if teacher:
            store = FolderImages(Path(), [row["image"] for row in shown])
            vectors["gallery_embeddings"] = gallery_vectors(teacher, store, Path(work), around)
        else:
            vectors["gallery_embeddings"] = embed(network, items([row | {"text": ""} for row in shown]), sources)
    sink = io.BytesIO()
    np.savez(sink, **vectors)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(sink.getvalue())
    except OSError as error:
        raise ConfigurationError(f"cannot write {output}: {error.strerror}.") from error
    typer.echo(f"{output}: {len(asked)} queries, {len(shown)} gallery images")


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
