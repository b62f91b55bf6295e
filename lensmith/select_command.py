"""The command that selects a part of a dataset's training triplets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from lensmith.dataset_commands import DatasetDir, run_of
from lensmith.train_command import read_settings
from publishing.selection.config import selection_config
from schemas.errors import ConfigurationError
from schemas.storage import Folder


def select_command(
    dataset_dir: DatasetDir,
    size: Annotated[int, typer.Option("--size", help="Triplets of the split train that are chosen.")],
    by: Annotated[str, typer.Option("--by", help="diversity, quality or mix.")],
    output: Annotated[
        str | None,
        typer.Option("--output", help="Folder to write, absent or empty.", show_default="DATASET_DIR-BY-SIZE"),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(
            "--features",
            help="What triplets are alike by: images, texts, none, or an .npz of gallery_ids and gallery_embeddings.",
            show_default="images; none by quality",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="YAML file: quality, cover, caps, clusters, …", show_default="none"),
    ] = None,
    share: Annotated[
        float | None, typer.Option("--share", help="Share chosen by quality with --by mix.", show_default="0.5")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Decides the clusters.", show_default="0")] = None,
) -> None:
    """Choose training triplets by quality, diversity or both, and write them as a dataset of their own."""
    from publishing.selection.page import PAGE
    from publishing.selection.select import select

    given = {"share": share, "seed": seed}
    settings = read_settings(config) | {name: value for name, value in given.items() if value is not None}
    checked = selection_config({**settings, "size": size, "by": by})
    name = features or ("none" if by == "quality" else "images")
    source = Folder(dataset_dir.rstrip("/"))
    target = Folder(output or f"{source.path}-{by}-{size}")
    if name == "none":
        done = select(source, target, checked)
    else:
        vectors, columns = _Vectors(source, name), TEXT_COLUMNS_OF.get(name, ())
        label = name if name in ("images", "texts") else "own"
        done = select(source, target, checked, vectors, label, columns)
    _tell(done.report)
    typer.echo(f"{target.path}: {done.dataset.triplets} triplets, {done.dataset.images} images\n{target.path}/{PAGE}")


#: Columns that features are made of, beside the images' ids.
TEXT_COLUMNS_OF = {"texts": ("instruction", "target_text")}


class _Vectors:
    """Vectors of rows by the name that `--features` gives."""

    def __init__(self, source: Folder, name: str) -> None:
        self._source, self._name = source, name
        if name not in ("images", "texts") and not Path(name).is_file():
            raise ConfigurationError(f"--features is {name!r}: give images, texts, none, or an .npz file.")

    def __call__(self, rows: pa.Table) -> Any:
        from lensmith.selection_features import of_file, of_images, of_run, of_texts
        from mining.annotation import AnnotateConfig
        from publishing.description import read_description

        models = AnnotateConfig(safety_model=None)
        if self._name == "texts":
            return of_texts(rows, models)
        if self._name != "images":
            return of_file(rows, Path(self._name))
        run = run_of(self._source)
        found = of_run(rows, run) if run is not None else None
        return of_images(rows, self._source, read_description(self._source), models) if found is None else found


def _tell(report: dict[str, Any]) -> None:
    """What was chosen against what there was, on the terminal."""
    table = Table(box=None, pad_edge=False)
    for name in ("", "all", "chosen", "random"):
        table.add_column(name, justify="right" if name else "left")
    if "quality" in report:
        means = report["quality"]["mean"]
        table.add_row("mean quality", *(f"{means[one]:.3f}" for one in ("all", "chosen", "random")))
    if "clusters" in report:
        held, likeness = report["clusters"]["with_rows"], report["likeness"]
        table.add_row("clusters with a triplet", *(f"{held[one]:,}" for one in ("all", "chosen", "random")))
        table.add_row("likeness to the nearest", "1.000", *(f"{likeness[one]:.3f}" for one in ("chosen", "random")))
    for name, column in report["columns"].items():
        table.add_row(f"values of {name}", *(f"{column['values'][one]:,}" for one in ("all", "chosen", "random")))
    Console().print(table)
